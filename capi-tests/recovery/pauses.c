/*
 * Pauses and resumes for a second, again and again, while two processes ask now and then. Says what the loop returned; the
 * exit status is 0 if that was 0 and all went on.
 *
 *   pauses single|pool|clone <mountpoint>
 *
 * Loops dawdle before and after each receive: pauses begin and end just there. Workers leave as soon as another one waits, so
 * that their clones of the device go to others, during a pause, too.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ASKING 2

static struct fuse_session *se;
static unsigned long *answers;

static void dawdle(unsigned most)
{
    static _Thread_local unsigned seed = 1;
    int error = errno;
    usleep(rand_r(&seed) % most);
    errno = error;
}

/* Stands before the C library's: the library reads from the device by it. */
ssize_t read(int fd, void *buf, size_t size)
{
    bool device = size >= 65536;
    if (device)
        dawdle(300);
    ssize_t got = syscall(SYS_read, fd, buf, size);
    if (device)
        dawdle(300);
    return got;
}

static void get_attr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    const struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
    fuse_reply_attr(req, &st, 0);
}

static const struct fuse_lowlevel_ops ops = { .getattr = get_attr };

/* Asks until the mount is gone. */
static void ask(const char *mountpoint)
{
    struct stat st;
    close(fuse_session_fd(se));
    for (; stat(mountpoint, &st) == 0 && st.st_ino == FUSE_ROOT_ID; dawdle(5000))
        __atomic_fetch_add(answers, 1, __ATOMIC_RELAXED);
    _exit(0);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *pauser(void *data)
{
    (void)data;
    unsigned seed = 1;
    long pauses = 0, clean = 0;
    for (double end = seconds() + 1; seconds() < end && !fuse_session_exited(se); pauses++) {
        /* Some end before any loop noticed, some when all wait. */
        bool brief = rand_r(&seed) % 2;
        clean += fuse_session_pause(se, brief ? 0 : 5) == 0;
        usleep(rand_r(&seed) % (brief ? 400 : 50));
        fuse_session_resume(se);
        usleep(rand_r(&seed) % 300);
    }
    unsigned long before = __atomic_load_n(answers, __ATOMIC_RELAXED);
    for (int i = 0; i < 500 && __atomic_load_n(answers, __ATOMIC_RELAXED) == before; i++)
        usleep(10000);
    bool goes_on = __atomic_load_n(answers, __ATOMIC_RELAXED) != before;
    printf("%ld pauses, %ld complete, %lu answers\n", pauses, clean, *answers);
    fuse_session_exit(se);
    return goes_on ? se : NULL;
}

static int pool(bool clone_fd)
{
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_clone_fd(config, clone_fd);
    fuse_loop_cfg_set_idle_threads(config, 1);
    int result = fuse_session_loop_mt(se, config);
    fuse_loop_cfg_destroy(config);
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 64;
    char *words[] = { argv[0], NULL };
    struct fuse_args args = FUSE_ARGS_INIT(1, words);
    pid_t asking[ASKING];
    pthread_t thread;
    void *goes_on;
    answers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    if (answers == MAP_FAILED || se == NULL || fuse_session_mount(se, argv[2]) != 0)
        return 65;
    for (int i = 0; i < ASKING; i++)
        if ((asking[i] = fork()) == 0)
            ask(argv[2]);
    pthread_create(&thread, NULL, pauser, NULL);
    int result = argv[1][0] == 's' ? fuse_session_loop(se) : pool(argv[1][0] == 'c');
    pthread_join(thread, &goes_on);
    printf("the loop returned %d\n", result);
    fuse_session_unmount(se);
    for (int i = 0; i < ASKING; i++)
        waitpid(asking[i], NULL, 0);
    fuse_session_destroy(se);
    return result != 0 || goes_on == NULL;
}
