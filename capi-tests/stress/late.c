/*
 * The session is unmounted and destroyed while another thread is still in what ended its loop: fuse_session_exit(), or the
 * library's signal handler. What these write to wake the loop takes a while to return here.
 *
 *   late thread|signal <mountpoint>
 */
#include "session.h"

#include <signal.h>
#include <sys/syscall.h>

static struct fuse_session *se;
static const char *from;
static _Thread_local bool late;
static atomic_bool returned;

/* In place of the C library's. */
ssize_t write(int fd, const void *buf, size_t size)
{
    ssize_t written = syscall(SYS_write, fd, buf, size);
    if (late) {
        usleep(200000);
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

int main(int argc, char **argv)
{
    static const struct fuse_lowlevel_ops ops;
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    pthread_t thread;

    MUST(argc == 3, "usage: late thread|signal <mountpoint>");
    from = argv[1];
    se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    MUST(se && fuse_set_signal_handlers(se) == 0 && fuse_session_mount(se, argv[2]) == 0, "no session");
    MUST(pthread_create(&thread, NULL, end, NULL) == 0, "pthread_create");
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_session_loop_mt(se, config);
    fuse_loop_cfg_destroy(config);
    fuse_remove_signal_handlers(se);
    fuse_session_unmount(se);
    MUST(!returned, "it was not late");
    fuse_session_destroy(se);
    MUST(returned, "the session went away under another thread");
    pthread_join(thread, NULL);
    return 0;
}
