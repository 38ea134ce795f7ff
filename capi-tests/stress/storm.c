/* Linked to a daemon: a thread that interrupts all others, all the time, by a signal whose handler does nothing. */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAUSE_US = 300 };

static void nothing(int number)
{
    (void)number;
}

static void *storm(void *unused)
{
    pid_t own = (pid_t)syscall(SYS_gettid);
    for (;; usleep(PAUSE_US)) {
        DIR *tasks = opendir("/proc/self/task");
        const struct dirent *task;
        while (tasks != NULL && (task = readdir(tasks)) != NULL) {
            pid_t thread = atoi(task->d_name);
            if (thread > 0 && thread != own)
                syscall(SYS_tgkill, getpid(), thread, SIGUSR1);
        }
        if (tasks != NULL)
            closedir(tasks);
    }
    return unused;
}

__attribute__((constructor)) static void start(void)
{
    /* Without SA_RESTART: whatever blocks comes back with EINTR. */
    struct sigaction action;
    pthread_t thread;
    memset(&action, 0, sizeof(action));
    action.sa_handler = nothing;
    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&thread, NULL, storm, NULL);
}
