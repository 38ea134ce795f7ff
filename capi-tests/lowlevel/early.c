/* A daemon that goes into the background before it mounts. Arguments: how, and the mount point. */
#define FUSE_USE_VERSION 319

#include <errno.h>
#include <fcntl.h>
#include <fuse_daemonize.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *how;

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata, (void)conn;
    /* Too early: it must not count. */
    fuse_daemonize_early_success();
    bool told = strcmp(how, "foreground") == 0 || strcmp(how, "fail 0") == 0;
    if (told == fuse_daemonize_early_is_active())
        _exit(31);
    if (strcmp(how, "killed in init") == 0)
        raise(SIGKILL);
    usleep(200000);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
    (void)fi;
    if (fuse_daemonize_early_is_active())
        _exit(32);
    fuse_reply_attr(req, &st, 1.0);
}

static int serve(const char *mountpoint)
{
    static const struct fuse_lowlevel_ops ops = { .init = on_init, .getattr = on_getattr };
    char *argv[] = { "early", NULL };
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    if (session == NULL || fuse_set_signal_handlers(session) != 0)
        return 1;
    if (fuse_session_mount(session, mountpoint) != 0) {
        fuse_daemonize_early_fail(77);
        /* Nobody waits any more. */
        fuse_daemonize_early_fail(78);
        return 1;
    }
    int status = fuse_session_loop(session);
    fuse_remove_signal_handlers(session);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    return status < 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 1;
    how = argv[1];
    unsigned flags = strcmp(how, "foreground") == 0 ? FUSE_DAEMONIZE_NO_BACKGROUND : 0;
    pid_t before = getpid();
    if (strcmp(how, "stay") == 0)
        flags |= FUSE_DAEMONIZE_NO_CHDIR;
    if (fuse_daemonize_early_is_active() || fuse_daemonize_early_start(flags) != 0)
        return 33;
    if ((getpid() == before) != (flags & FUSE_DAEMONIZE_NO_BACKGROUND) / FUSE_DAEMONIZE_NO_BACKGROUND)
        return 34;
    if (flags & FUSE_DAEMONIZE_NO_BACKGROUND) {
        fuse_daemonize_early_success();
        fuse_daemonize_early_fail(5);
    } else if (!fuse_daemonize_early_is_active() || fuse_daemonize_early_start(0) != 0 || fuse_daemonize(0) != -1 ||
               getsid(0) != getpid()) {
        return 35;
    }
    if (strcmp(how, "exit") == 0)
        return 0;
    if (strcmp(how, "fail 0") == 0)
        fuse_daemonize_early_fail(0);
    if (strcmp(how, "parent dies") == 0) {
        printf("%d\n", getpid());
        fflush(stdout);
        kill(getppid(), SIGKILL);
        sleep(20);
        return 36;
    }
    return serve(argv[2]);
}
