/*
 * A daemon with a watchdog. Arguments: what to do after the loop has ended, the timeout in seconds ("exit": without a
 * callback), and the mount point.
 */
#define FUSE_USE_VERSION 319

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void *watchdog;

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
    (void)fi;
    fuse_reply_attr(req, &st, 1.0);
}

static void on_timeout(void *how)
{
    puts("time is up");
    fflush(stdout);
    if (strcmp(how, "stop inside") == 0)
        fuse_session_stop_teardown_watchdog(watchdog);
    _exit(17);
}

static void refused(struct fuse_session *session, int seconds)
{
    errno = 0;
    if (fuse_session_start_teardown_watchdog(session, seconds, NULL, NULL) != NULL || errno == 0)
        _exit(18);
}

int main(int argc, char **argv)
{
    static const struct fuse_lowlevel_ops ops = { .getattr = on_getattr };
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    if (argc != 4 || session == NULL)
        return 1;
    refused(session, 1); /* not mounted */
    refused(NULL, 1);
    const char *how = argv[1];
    int seconds = atoi(argv[2]);
    if (fuse_set_signal_handlers(session) != 0 || fuse_session_mount(session, argv[3]) != 0)
        return 1;
    refused(session, 0);
    refused(session, -1);
    watchdog = fuse_session_start_teardown_watchdog(session, seconds, strcmp(how, "exit") == 0 ? NULL : on_timeout,
                                                    (void *)how);
    if (watchdog == NULL)
        return 1;
    refused(session, 1); /* a second one */
    printf("loop %d\n", fuse_session_loop(session));
    fflush(stdout);
    if (strcmp(how, "unmount") == 0 || strcmp(how, "destroy") == 0)
        fuse_session_unmount(session);
    if (strcmp(how, "destroy") == 0)
        fuse_session_destroy(session);
    if (strcmp(how, "end") != 0)
        pause();
    fuse_session_stop_teardown_watchdog(watchdog);
    fuse_session_stop_teardown_watchdog(NULL);
    /* Another one may follow. */
    watchdog = fuse_session_start_teardown_watchdog(session, 60, on_timeout, (void *)how);
    if (watchdog == NULL)
        return 1;
    fuse_remove_signal_handlers(session);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    fuse_session_stop_teardown_watchdog(watchdog);
    return 0;
}
