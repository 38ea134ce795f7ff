/*
 * Callbacks that fork, or do not reply. The name of the file that is read says what a child does: what a parent sends is
 * all 'p', what a child sends is all 'c', spliced from files of theirs.
 *
 *   callbacks [options] <mountpoint>
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 314

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../mounts/small_fs.h"

#define MUST(condition) ((condition) ? (void)0 : failed(__LINE__, #condition))

enum { SIZE = 1 << 20, MAX_WRITE = 256 << 10 };

static const char *const names[] = { "plain", "ends", "exits", "executes", "answers", "races", "returns", "silent" };
enum { PLAIN, ENDS, EXITS, EXECUTES, ANSWERS, RACES, RETURNS, SILENT, NAMES };

static int of_parent, of_child, written;
static int64_t child;
/* Seen by parent and child. */
static atomic_uint *there;

static void failed(int line, const char *condition)
{
    fprintf(stderr, "callbacks.c:%d: %s\n", line, condition);
    abort();
}

static int file_of(char letter)
{
    static char bytes[SIZE];
    int fd = memfd_create("data", MFD_CLOEXEC);
    memset(bytes, letter, SIZE);
    MUST(fd >= 0 && write(fd, bytes, SIZE) == SIZE);
    return fd;
}

static struct fuse_bufvec part_of(int fd, size_t size, off_t off)
{
    struct fuse_bufvec part = FUSE_BUFVEC_INIT(size);
    part.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    part.buf[0].fd = fd;
    part.buf[0].pos = off;
    return part;
}

/* In many small pieces, which takes longer. */
static int answer(fuse_req_t req, int fd, size_t size, off_t off)
{
    enum { PIECES = 64 };
    struct {
        struct fuse_bufvec first;
        struct fuse_buf more[PIECES - 1];
    } all = { .first.count = PIECES };
    for (size_t i = 0; i < PIECES; i++) {
        struct fuse_buf *piece = i == 0 ? all.first.buf : &all.more[i - 1];
        *piece = part_of(fd, size / PIECES, off + (off_t)(i * (size / PIECES))).buf[0];
    }
    return fuse_reply_data(req, &all.first, 0);
}

/* Parent and child go on at once. */
static void meet(void)
{
    atomic_fetch_add(there, 1);
    while (atomic_load(there) % 2 != 0)
        sched_yield();
}

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    conn->want |= conn->capable & (FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
    conn->max_write = MAX_WRITE;
    if (getenv("DAEMONIZE") != NULL)
        MUST(daemon(1, 1) == 0);
}

static struct stat attributes(fuse_ino_t ino)
{
    struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
    if (ino != FUSE_ROOT_ID)
        st = (struct stat){ .st_ino = ino, .st_mode = S_IFREG | 0644, .st_nlink = 1, .st_size = SIZE };
    return st;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = { .attr_timeout = 1000, .entry_timeout = 1000 };
    for (int i = 0; parent == FUSE_ROOT_ID && i < NAMES; i++)
        if (strcmp(name, names[i]) == 0)
            entry.ino = 2 + (fuse_ino_t)i;
    entry.attr = attributes(entry.ino);
    if (entry.ino == 0)
        fuse_reply_err(req, ENOENT);
    else
        fuse_reply_entry(req, &entry);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st = attributes(ino);
    (void)fi;
    fuse_reply_attr(req, &st, 1000);
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    const struct number numbers[] = { { "user.child", &child }, { 0 } };
    (void)ino;
    reply_number(req, numbers, name, size);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    fi->direct_io = ino != 2 + PLAIN; /* each read and write of the others is one request */
    fuse_reply_open(req, fi);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    const int way = (int)ino - 2;
    int status;
    (void)fi;
    if (way == PLAIN) {
        answer(req, of_parent, size, off);
        return;
    }
    if (way == SILENT)
        return;
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0) {
        switch (way) {
        case ENDS: _exit(0);
        case EXITS: exit(0);
        case EXECUTES: execlp("true", "true", NULL); _exit(127);
        case RACES: meet(); /* fall through */
        case ANSWERS: _exit(answer(req, of_child, size, off) == 0);
        default: child = getpid(); answer(req, of_child, size, off); return;
        }
    }
    if (way == RETURNS) {
        child = pid;
        MUST(answer(req, of_parent, size, off) != -EINVAL);
        return;
    }
    if (way == RACES)
        meet();
    else
        MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    int result = answer(req, of_parent, size, off);
    if (way == RACES)
        MUST(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    int child_answered = (way == ANSWERS || way == RACES) && WEXITSTATUS(status) == 1;
    MUST(way == ANSWERS || way == RACES || WEXITSTATUS(status) == 0);
    MUST(result == (child_answered ? -ENOENT : 0)); /* as for a request that nobody waits for any more */
}

static void on_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off, struct fuse_file_info *fi)
{
    struct fuse_bufvec to = part_of(written, fuse_buf_size(in), off);
    (void)fi;
    if (ino != 2 + PLAIN) {
        pid_t pid = fork();
        if (pid == 0) /* as long as the pipe holds the data */
            _exit(0);
        MUST(pid > 0 && waitpid(pid, NULL, 0) == pid);
    }
    ssize_t done = fuse_buf_copy(&to, in, 0);
    if (done < 0)
        fuse_reply_err(req, (int)-done);
    else
        fuse_reply_write(req, (size_t)done);
}

int main(int argc, char *argv[])
{
    static const struct fuse_lowlevel_ops ops = {
        .init = on_init, .lookup = on_lookup, .getattr = on_getattr, .open = on_open, .read = on_read,
        .getxattr = on_getxattr, .write_buf = on_write_buf,
    };
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    struct fuse_session *session;

    of_parent = file_of('p');
    of_child = file_of('c');
    written = file_of('w');
    there = mmap(NULL, sizeof(*there), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(there != MAP_FAILED);
    return serve(&args, &ops, 1, &session);
}
