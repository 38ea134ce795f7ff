/*
 * A mounted session whose I/O the daemon takes over: requests are read from a clone of the device, and replies leave
 * there. Tells what becomes of it, and of file descriptors.
 *
 * own_io MOUNTPOINT process|loop same|clone
 *
 * process: a loop of the daemon's own, without a function of the library to receive; loop: fuse_session_loop().
 * same: the fd that is named is the session's own already; clone: it is the clone, which becomes the session's.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 314

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(condition) ((condition) ? (void)0 : failed(__LINE__, #condition))

static int clone_fd, named, sent;

static void failed(int line, const char *what)
{
    fprintf(stderr, "%d: %s: %s\n", line, what, strerror(errno));
    _exit(1);
}

static ssize_t io_read(int fd, void *buf, size_t len, void *userdata)
{
    (void)userdata;
    MUST(fd == named);
    return read(clone_fd, buf, len);
}

static ssize_t io_writev(int fd, struct iovec *iov, int count, void *userdata)
{
    (void)userdata;
    MUST(fd == named);
    sent++;
    return writev(clone_fd, iov, count);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2, .st_size = 42 };
    (void)fi;
    fuse_reply_attr(req, &st, 0);
}

static int descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* Another process uses the mount, and ends the loop. */
static void visit(const char *mountpoint, pid_t daemon)
{
    struct stat st;
    int status = stat(mountpoint, &st);
    printf("stat %d, size %lld\n", status, (long long)st.st_size);
    fflush(stdout);
    kill(daemon, SIGTERM);
    _exit(0);
}

static void serve(struct fuse_session *session)
{
    static char mem[1 << 21];
    struct pollfd ready = { .fd = clone_fd, .events = POLLIN };
    while (!fuse_session_exited(session)) {
        if (poll(&ready, 1, 10) <= 0)
            continue;
        ssize_t len = read(clone_fd, mem, sizeof(mem));
        struct fuse_buf buf = { .size = (size_t)len, .mem = mem };
        MUST(len > 0);
        fuse_session_process_buf(session, &buf);
    }
}

int main(int argc, char *argv[])
{
    static const struct fuse_custom_io io = { .read = io_read, .writev = io_writev };
    static const struct fuse_lowlevel_ops ops = { .getattr = on_getattr };
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    int before = descriptors();
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof(ops), NULL);

    alarm(10);
    MUST(argc == 4 && session != NULL && fuse_set_signal_handlers(session) == 0);
    MUST(fuse_session_mount(session, argv[1]) == 0);
    uint32_t device = (uint32_t)fuse_session_fd(session);
    clone_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    MUST(clone_fd >= 0 && ioctl(clone_fd, FUSE_DEV_IOC_CLONE, &device) == 0);
    named = strcmp(argv[3], "same") == 0 ? (int)device : clone_fd;
    MUST(fuse_session_custom_io(session, &io, named) == 0 && fuse_session_fd(session) == named);
    pid_t daemon = getpid();
    if (fork() == 0)
        visit(argv[1], daemon);
    if (strcmp(argv[2], "loop") == 0)
        fuse_session_loop(session);
    else
        serve(session);
    wait(NULL);
    printf("sent %d\n", sent);
    fuse_session_unmount(session);
    char byte;
    /* The number is not free before the session is. */
    MUST(fuse_session_fd(session) == -1 && read(named, &byte, 1) == -1 && errno == EBADF);
    fuse_remove_signal_handlers(session);
    fuse_session_destroy(session);
    MUST(fcntl(named, F_GETFD) == -1);
    if (named != clone_fd)
        close(clone_fd);
    printf("descriptors %+d\n", descriptors() - before);
    fuse_opt_free_args(&args);
    return 0;
}
