/* Mounts and unmounts as a list says, and tells for each what came of it, a line with tabs between:
 *
 *     returned value, errno, descriptors that were left open, children that were left, log, new lines of mountinfo
 *
 * Argument: the list, records of three strings with their NULs: what to do, a mount point, options. Nobody serves the
 * mounts. What has other bytes than plain ones is written as \xNN. */
#define FUSE_USE_VERSION 312
#define _GNU_SOURCE

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char said[1 << 16];

static void on_log(enum fuse_log_level level, const char *format, va_list args)
{
    size_t length = strlen(said);

    (void)level;
    vsnprintf(said + length, sizeof(said) - length, format, args);
}

static char *slurp(const char *path, size_t *size)
{
    size_t room = 1 << 22;
    char *text = malloc(room);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    *size = 0;
    while ((got = read(fd, text + *size, room - *size - 1)) > 0)
        *size += got;
    text[*size] = '\0';
    close(fd);
    return text;
}

static int descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void show(const char *text)
{
    for (; *text; text++)
        printf(*text > ' ' && *text < 127 && *text != '\\' ? "%c" : "\\x%02x", (unsigned char)*text);
    putchar('\t');
}

/* The lines of mountinfo that were not there before. */
static char *added(const char *before)
{
    size_t size;
    char *now = slurp("/proc/self/mountinfo", &size), *found = calloc(1, size + 1), *save = NULL;

    for (char *line = strtok_r(now, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (!strstr(before, line))
            strcat(strcat(found, line), "\n");
    free(now);
    return found;
}

static struct fuse_session *make(const char *options)
{
    static const struct fuse_lowlevel_ops none;
    char *argv[] = { "table", "-o", (char *)options, NULL };
    struct fuse_args args = FUSE_ARGS_INIT(*options ? 3 : 1, argv);
    struct fuse_session *session = fuse_session_new(&args, &none, sizeof(none), NULL);
    int error = errno;

    fuse_opt_free_args(&args);
    errno = error;
    return session;
}

/* Leaves no descriptor free; the first of those that were. */
static int fill_up(void)
{
    int first = dup(0), last = first;

    while (last >= 0)
        last = dup(0);
    return first;
}

struct outcome {
    int returned, error, children;
    char *mounted;
};

static struct outcome mount_session(const char *mountpoint, const char *options, const char *before, const char *how,
                                    const struct rlimit *limit)
{
    struct rlimit usual;
    struct outcome outcome;
    struct fuse_session *session = make(options);

    getrlimit(RLIMIT_NOFILE, &usual);
    if (strstr(how, "sync") && session)
        ((void (*)(struct fuse_session *, bool))dlsym(RTLD_DEFAULT, "fuse_session_set_sync_init"))(session, true);
    if (limit)
        setrlimit(RLIMIT_NOFILE, limit);
    outcome.returned = session ? fuse_session_mount(session, mountpoint) : -2;
    outcome.error = errno;
    setrlimit(RLIMIT_NOFILE, &usual);
    outcome.mounted = added(before);
    if (limit)
        setrlimit(RLIMIT_NOFILE, limit);
    if (session) {
        int filled = strcmp(how, "full") == 0 ? fill_up() : -1;

        fuse_session_unmount(session);
        fuse_session_destroy(session);
        if (filled >= 0)
            close_range(filled, ~0U, 0);
    }
    setrlimit(RLIMIT_NOFILE, &usual);
    outcome.children = waitpid(-1, NULL, WNOHANG) != -1;
    return outcome;
}

/* covers: fuse_open_channel */
static struct outcome mount_channel(const char *mountpoint, const char *options, const char *before)
{
    int (*open_channel)(const char *, const char *) = dlsym(RTLD_DEFAULT, "fuse_open_channel");
    int fd = open_channel(mountpoint, options);
    struct outcome outcome = { fd < 0 ? fd : fcntl(fd, F_GETFD), errno, 0, added(before) };

    if (fd >= 0) {
        umount2(mountpoint, MNT_DETACH);
        close(fd);
    }
    outcome.children = waitpid(-1, NULL, WNOHANG) != -1;
    return outcome;
}

/* From now on a system call fails: its number, and the errno. */
static void forbid(int number, int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        exit(3);
}

static void one(const char *what, const char *mountpoint, const char *options)
{
    size_t size;
    char *before = slurp("/proc/self/mountinfo", &size), *left;
    int count = descriptors();
    struct outcome outcome;

    said[0] = '\0';
    errno = 0;
    if (strcmp(what, "channel") == 0)
        outcome = mount_channel(mountpoint, options, before);
    else
        outcome = mount_session(mountpoint, options, before, what, NULL);
    left = added(before);
    printf("%d\t%d\t%d\t%d\t", outcome.returned, outcome.error, descriptors() - count, outcome.children);
    show(said);
    show(outcome.mounted);
    show(left);
    putchar('\n');
    free(outcome.mounted);
    free(left);
    free(before);
}

/* The same with room for so many descriptors more, from none on, until it has worked three times. */
static void sweep(const char *what, const char *mountpoint, const char *options)
{
    for (int more = 0, worked = 0; worked < 3 && more < 40; more++) {
        size_t size;
        char *before = slurp("/proc/self/mountinfo", &size), *left;
        int count = descriptors(), next = dup(0);
        struct rlimit limit, tight;
        struct outcome outcome;

        close(next);
        getrlimit(RLIMIT_NOFILE, &limit);
        tight = limit;
        tight.rlim_cur = next + more;
        said[0] = '\0';
        outcome = mount_session(mountpoint, options, before, what, &tight);
        left = added(before);
        printf("%d\t%d\t%d\t%d\t", outcome.returned, outcome.error, descriptors() - count, outcome.children);
        show(said);
        show(outcome.mounted);
        show(left);
        putchar('\n');
        worked += outcome.returned == 0;
        free(outcome.mounted);
        free(left);
        free(before);
    }
}

int main(int argc, char **argv)
{
    size_t size;
    char *list = slurp(argc > 1 ? argv[1] : "/dev/null", &size);

    fuse_set_log_func(on_log);
    for (char *record = list; record < list + size;) {
        char *mountpoint = record + strlen(record) + 1, *options = mountpoint + strlen(mountpoint) + 1;

        if (strcmp(record, "forbid") == 0)
            forbid(atoi(mountpoint), atoi(options));
        else if (strncmp(record, "sweep", 5) == 0)
            sweep(record, mountpoint, options);
        else
            one(record, mountpoint, options);
        fflush(stdout);
        record = options + strlen(options) + 1;
    }
    free(list);
    return 0;
}
