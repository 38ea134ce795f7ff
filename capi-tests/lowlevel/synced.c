/* Asks for synchronous INIT, and tells what happens when. Arguments: mount point, then how: "plain", or what goes wrong
 * in init. covers: fuse_session_set_sync_init */
#define FUSE_USE_VERSION 319

#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *mountpoint, *how;
static struct fuse_session *session;
static pthread_t main_thread;
static int attempts;

/* Whether the kernel lists the mount. */
static int is_mounted(void)
{
    char line[8192];
    FILE *table = fopen("/proc/self/mountinfo", "r");
    int found = 0;

    while (fgets(line, sizeof(line), table))
        found |= strstr(line, mountpoint) != NULL;
    fclose(table);
    return found;
}

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    attempts++;
    printf("init: mounted %d, other thread %d, fd %d\n", is_mounted(), !pthread_equal(pthread_self(), main_thread),
           fuse_session_fd(session) > 2);
    fflush(stdout);
    if (strcmp(how, "wants too much") == 0 || (strcmp(how, "second attempt") == 0 && attempts == 1))
        conn->want_ext |= 1ULL << 63;
    if (strcmp(how, "exits") == 0)
        fuse_session_exit(session);
    if (strcmp(how, "killed") == 0)
        raise(SIGKILL);
    if (strcmp(how, "crashes") == 0)
        abort();
}

static void on_destroy(void *userdata)
{
    (void)userdata;
    puts("destroy");
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };

    (void)fi;
    fuse_reply_attr(req, &st, 1.0);
}

static int try_mount(void)
{
    int result = fuse_session_mount(session, mountpoint), error = errno;

    printf("mount: %d, %s, mounted %d, fd %d\n", result, result ? strerrorname_np(error) : "-", is_mounted(),
           fuse_session_fd(session) > 2);
    fflush(stdout);
    return result;
}

int main(int argc, char **argv)
{
    static const struct fuse_lowlevel_ops ops = { .init = on_init, .destroy = on_destroy, .getattr = on_getattr };
    char *arguments[] = { argv[0], argc > 3 ? "-o" : NULL, argc > 3 ? argv[3] : NULL, NULL };
    struct fuse_args args = FUSE_ARGS_INIT(argc > 3 ? 3 : 1, arguments);
    int status = -1;

    if (argc < 3)
        return 1;
    mountpoint = argv[1];
    how = argv[2];
    main_thread = pthread_self();
    session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    if (!session || fuse_set_signal_handlers(session) != 0)
        return 1;
    fuse_session_set_sync_init(session, strcmp(how, "not at all") != 0);
    if (try_mount() == 0 || (strcmp(how, "second attempt") == 0 && (fuse_session_reset(session), try_mount() == 0))) {
        status = fuse_session_loop(session);
        fuse_session_unmount(session);
    }
    fuse_remove_signal_handlers(session);
    fuse_session_destroy(session);
    fuse_opt_free_args(&args);
    return status < 0;
}
