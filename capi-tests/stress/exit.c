/*
 * How long a loop takes to return after fuse_session_exit(): asked in a callback, on another thread and in a signal
 * handler, with one thread and with 64 idle workers, on a mount and over the daemon's own I/O.
 *
 *   exit mount|pipe single|threads callback|thread|signal <mountpoint>
 *
 * Prints the milliseconds.
 */
#include "session.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { WORKERS = 64 };

static struct fuse_session *se;
static const char *mountpoint, *from;
static int peer; /* the other end of the daemon's own I/O */
static bool on_mount, threaded;
static double asked_at;
static pthread_t loop_thread;

/* ---- the file system: statfs waits until all workers are in it, which the kernel asks for in parallel ---- */

static unsigned inside;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_inside = PTHREAD_COND_INITIALIZER;

static void ask(void)
{
    asked_at = now_ms();
    fuse_session_exit(se);
}

static void on_signal(int number)
{
    (void)number;
    ask();
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent;
    if (strcmp(name, "exit") == 0)
        ask();
    fuse_reply_err(req, ENOENT);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
    (void)ino;
    pthread_mutex_lock(&lock);
    if (++inside == WORKERS)
        pthread_cond_broadcast(&all_inside);
    while (inside < WORKERS)
        pthread_cond_wait(&all_inside, &lock);
    pthread_mutex_unlock(&lock);
    fuse_reply_err(req, ENOSYS);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    const struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
    fuse_reply_attr(req, &st, 3600);
}

static const struct fuse_lowlevel_ops ops = { .lookup = on_lookup, .getattr = on_getattr, .statfs = on_statfs };

/* ---- whoever uses the file system ---- */

static void look_up(const char *name)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", mountpoint, name);
    stat(path, &st);
}

static void *ask_for_figures(void *unused)
{
    struct statfs st;
    (void)unused;
    statfs(mountpoint, &st);
    return NULL;
}

static void keep_all_busy(void)
{
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        if (on_mount)
            MUST(pthread_create(&threads[i], NULL, ask_for_figures, NULL) == 0, "pthread_create");
        else
            send_request(peer, FUSE_STATFS, NULL, 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        if (on_mount)
            pthread_join(threads[i], NULL);
        else
            receive_reply(peer);
    }
}

static void *use_and_end(void *unused)
{
    (void)unused;
    if (!on_mount)
        receive_reply(peer);
    if (threaded)
        keep_all_busy();
    else if (on_mount)
        look_up("first");
    usleep(50000); /* the workers are idle again */
    if (strcmp(from, "thread") == 0)
        ask();
    else if (strcmp(from, "signal") == 0)
        pthread_kill(loop_thread, SIGUSR1);
    else if (on_mount)
        look_up("exit");
    else
        send_request(peer, FUSE_LOOKUP, "exit", 5);
    return NULL;
}

static int loop(void)
{
    if (!threaded)
        return fuse_session_loop(se);
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_max_threads(config, WORKERS);
    fuse_loop_cfg_set_idle_threads(config, WORKERS);
    int result = fuse_session_loop_mt(se, config);
    fuse_loop_cfg_destroy(config);
    return result;
}

int main(int argc, char **argv)
{
    MUST(argc == 5, "exit mount|pipe single|threads callback|thread|signal <mountpoint>");
    on_mount = strcmp(argv[1], "mount") == 0;
    threaded = strcmp(argv[2], "threads") == 0;
    from = argv[3];
    mountpoint = argv[4];
    /* System calls are restarted behind the handler, as signal(2) has it. */
    const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    MUST(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
    alarm(20);
    se = new_session(&ops, sizeof(ops));
    if (on_mount)
        MUST(fuse_session_mount(se, mountpoint) == 0, "mount");
    else
        peer = connect_socket(se);
    loop_thread = pthread_self();
    pthread_t user;
    MUST(pthread_create(&user, NULL, use_and_end, NULL) == 0, "pthread_create");
    int result = loop();
    double took = now_ms() - asked_at;
    MUST(result == 0, "the loop returned %d", result);
    MUST(!threaded || inside == WORKERS, "%u workers", inside);
    fuse_session_unmount(se);
    pthread_join(user, NULL);
    fuse_session_destroy(se);
    if (!on_mount)
        close(peer);
    printf("%.3f\n", took);
    return 0;
}
