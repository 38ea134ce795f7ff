/*
 * A callback that never replies: the loop ends when it is asked to, unmounting ends the call that waits, and a reply that
 * comes too late is an error and reaches nobody.
 *
 *   unanswered single|threads <mountpoint>
 */
#include "session.h"

#include <sys/stat.h>

static struct fuse_session *se;
static _Atomic(fuse_req_t) kept;
static atomic_int inside;

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent, (void)name;
    atomic_fetch_add(&inside, 1);
    kept = req;
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    const struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
    fuse_reply_attr(req, &st, 3600);
}

static const struct fuse_lowlevel_ops ops = { .lookup = on_lookup, .getattr = on_getattr };

static void *wait_for_ever(void *mountpoint)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof(path), "%s/name", (char *)mountpoint);
    return stat(path, &st) == 0 ? NULL : (void *)(intptr_t)errno;
}

static void *exit_when_asked(void *unused)
{
    (void)unused;
    while (kept == NULL)
        usleep(1000);
    usleep(20000);
    fuse_session_exit(se);
    return NULL;
}

int main(int argc, char **argv)
{
    MUST(argc == 3, "unanswered single|threads <mountpoint>");
    pthread_t client, ender;
    void *error;
    alarm(20);
    se = new_session(&ops, sizeof(ops));
    MUST(se != NULL && fuse_session_mount(se, argv[2]) == 0, "mount");
    MUST(pthread_create(&client, NULL, wait_for_ever, argv[2]) == 0, "pthread_create");
    MUST(pthread_create(&ender, NULL, exit_when_asked, NULL) == 0, "pthread_create");
    int result = strcmp(argv[1], "single") == 0 ? fuse_session_loop(se) : fuse_session_loop_mt(se, NULL);
    MUST(result == 0 && inside == 1, "the loop returned %d, %d calls", result, inside);
    pthread_join(ender, NULL);
    fuse_session_unmount(se);
    pthread_join(client, &error);
    MUST((intptr_t)error == ENOTCONN || (intptr_t)error == ECONNABORTED, "errno %ld", (long)(intptr_t)error);
    count_log_lines();
    fuse_req_t req = kept;
    MUST(fuse_reply_err(req, ENOENT) < 0, "a reply after the unmount");
    MUST(fuse_reply_err(req, ENOENT) == -EINVAL && log_lines >= 1, "%d lines", log_lines);
    fuse_session_destroy(se);
    MUST(fuse_reply_err(req, ENOENT) == -EINVAL, "a reply after the end");
    return 0;
}
