/* Linked to a daemon: no thread can be started but the first, as where a limit is reached, until SIGUSR2. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

static atomic_int left = 1;

static void allow(int number)
{
    (void)number;
    left = 1000;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*function)(void *), void *arg)
{
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (atomic_fetch_sub(&left, 1) <= 0)
        return EAGAIN;
    *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
    return create(thread, attr, function, arg);
}

__attribute__((constructor)) static void start(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = allow;
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR2, &action, NULL);
}
