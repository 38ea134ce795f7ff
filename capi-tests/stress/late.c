/*
 * The session is unmounted and destroyed while another thread is still in what ended its loop: fuse_session_exit(), or the
 * library's signal handler. What these write to wake the loop returns only when the session is about to be destroyed. All of
 * that is in another process than the one that made the session, as in daemons that go to the background.
 *
 *   late thread|signal <mountpoint>
 */
#include "session.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static struct fuse_session *se;
static const char *from;
static _Thread_local bool late;
static atomic_bool about_to_destroy, returned;

/* In place of the C library's. */
ssize_t write(int fd, const void *buf, size_t size)
{
    ssize_t written = syscall(SYS_write, fd, buf, size);
    if (late) {
        while (!about_to_destroy)
            usleep(1000);
        usleep(100000);
        returned = true;
    }
    return written;
}

static void *end(void *unused)
{
    usleep(50000); /* the loop waits */
    late = true;
    if (strcmp(from, "signal") == 0)
        raise(SIGTERM);
    else
        fuse_session_exit(se);
    late = false;
    return unused;
}

static void serve(const char *mountpoint)
{
    pthread_t thread;

    MUST(fuse_set_signal_handlers(se) == 0 && fuse_session_mount(se, mountpoint) == 0, "no mount");
    MUST(pthread_create(&thread, NULL, end, NULL) == 0, "pthread_create");
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_session_loop_mt(se, config);
    fuse_loop_cfg_destroy(config);
    fuse_remove_signal_handlers(se);
    fuse_session_unmount(se);
    about_to_destroy = true;
    fuse_session_destroy(se);
    MUST(returned, "the session went away under another thread");
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    static const struct fuse_lowlevel_ops ops;
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    int status;

    MUST(argc == 3, "usage: late thread|signal <mountpoint>");
    from = argv[1];
    se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    MUST(se, "no session");
    pid_t child = fork();
    if (child == 0) {
        serve(argv[2]);
        exit(0);
    }
    MUST(waitpid(child, &status, 0) == child && status == 0, "status %#x", status);
    return 0;
}
