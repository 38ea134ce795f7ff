/*
 * A thousand sessions in one process leave nothing behind: neither memory, nor file descriptors, nor threads.
 *
 *   sessions memory|mount|loop <count> <mountpoint>
 *
 * memory: over the daemon's own I/O, with requests that are never answered. mount: mounted and unmounted. loop: mounted,
 * and served by a pool until an exit.
 */
#include "session.h"

#include <dirent.h>

static const char *mountpoint;

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent;
    if (strcmp(name, "kept") != 0)
        fuse_reply_err(req, ENOENT);
}

static void on_init(void *session, struct fuse_conn_info *conn)
{
    (void)conn;
    if (session != NULL)
        fuse_session_exit(*(struct fuse_session **)session);
}

static const struct fuse_lowlevel_ops ops = { .lookup = on_lookup };
static const struct fuse_lowlevel_ops exiting = { .init = on_init };

static void in_memory(void)
{
    struct fuse_session *se = memory_session(&ops);
    feed_init(se);
    for (uint64_t i = 0; i < 100; i++)
        feed_request(se, FUSE_LOOKUP, 10 + 2 * i, i % 5 == 0 ? "kept" : "name", 5);
    const struct fuse_interrupt_in in = { .unique = 9 };
    feed_request(se, FUSE_INTERRUPT, 1001, &in, sizeof(in));
    fuse_session_destroy(se);
}

static void mounted(void)
{
    struct fuse_session *se = new_session(&ops, sizeof(ops));
    MUST(fuse_session_mount(se, mountpoint) == 0, "mount");
    fuse_session_unmount(se);
    fuse_session_destroy(se);
}

static void looped(void)
{
    char *argv[] = { "stress", NULL };
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    static struct fuse_session *se;
    se = fuse_session_new(&args, &exiting, sizeof(exiting), &se);
    fuse_opt_free_args(&args);
    MUST(fuse_session_mount(se, mountpoint) == 0, "mount");
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_clone_fd(config, 1);
    MUST(fuse_session_loop_mt(se, config) == 0, "loop");
    fuse_loop_cfg_destroy(config);
    fuse_session_unmount(se);
    fuse_session_destroy(se);
}

static int entries(const char *folder)
{
    int count = 0;
    DIR *dir = opendir(folder);
    MUST(dir != NULL, "%s", folder);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static long resident_kib(void)
{
    long size, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    MUST(file != NULL && fscanf(file, "%ld %ld", &size, &resident) == 2, "statm");
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int argc, char **argv)
{
    MUST(argc == 4, "sessions memory|mount|loop <count> <mountpoint>");
    int count = atoi(argv[2]), warm = count / 2; /* until each thread of a pool has met each arena of malloc */
    mountpoint = argv[3];
    void (*one)(void) = argv[1][0] == 'l' ? looped : argv[1][1] == 'o' ? mounted : in_memory;
    count_log_lines();
    for (int i = 0; i < warm; i++)
        one();
    usleep(20000); /* what is left of the last worker's thread */
    int fds = entries("/proc/self/fd"), threads = entries("/proc/self/task");
    long before = resident_kib();
    for (int i = warm; i < count; i++)
        one();
    usleep(20000);
    long grown = resident_kib() - before;
    MUST(entries("/proc/self/fd") == fds, "%d fds, %d before", entries("/proc/self/fd"), fds);
    MUST(entries("/proc/self/task") == threads, "%d threads, %d before", entries("/proc/self/task"), threads);
    MUST(grown < 512, "%ld KiB more memory", grown);
    printf("%d sessions: %d fds, %d threads, %ld KiB more memory than after %d\n", count, fds - 3, threads - 2, grown,
           warm);
    return 0;
}
