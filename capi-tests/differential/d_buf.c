/* fuse_buf_size and fuse_buf_copy: every pair of ends, lengths that disagree, and what copying leaves behind. */
#include "harness.h"

#include <fcntl.h>
#include <sys/socket.h>

enum { FILE_SIZE = 20000, AREA = 20000 };

enum kind {
    MEMORY,
    FILE_HERE,
    FILE_SEEK,
    FILE_RETRY,
    FILE_HERE_RETRY,
    PIPE,
    PIPE_RETRY,
    SOCKET,
    SOCKET_RETRY,
    CLOSED,
    KINDS
};

static const char *kind_names[] = { "memory", "file", "file at", "file at retry",
                                    "file retry", "pipe", "pipe retry", "socket", "socket retry",
                                    "closed" };

static const int kind_flags[] = {
    [MEMORY] = 0,
    [FILE_HERE] = FUSE_BUF_IS_FD,
    [FILE_SEEK] = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK,
    [FILE_RETRY] = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY,
    [FILE_HERE_RETRY] = FUSE_BUF_IS_FD | FUSE_BUF_FD_RETRY,
    [PIPE] = FUSE_BUF_IS_FD,
    [PIPE_RETRY] = FUSE_BUF_IS_FD | FUSE_BUF_FD_RETRY,
    [SOCKET] = FUSE_BUF_IS_FD,
    [SOCKET_RETRY] = FUSE_BUF_IS_FD | FUSE_BUF_FD_RETRY,
    [CLOSED] = FUSE_BUF_IS_FD,
};

/* One end of a copy: up to two buffers over one file, pipe or area. */
struct end {
    enum kind kind;
    int fd, peer;
    char *area;
    struct {
        struct fuse_bufvec vec;
        struct fuse_buf more;
    } v;
};

static void open_fds(struct end *end, bool filled)
{
    int pair[2];
    switch (end->kind) {
    case FILE_HERE:
    case FILE_SEEK:
    case FILE_RETRY:
    case FILE_HERE_RETRY:
        end->fd = pattern_file(FILE_SIZE);
        if (lseek(end->fd, 50, SEEK_SET) != 50)
            abort();
        break;
    case PIPE:
    case PIPE_RETRY:
    case SOCKET:
    case SOCKET_RETRY:
        if (end->kind == PIPE || end->kind == PIPE_RETRY ? pipe2(pair, O_CLOEXEC | O_NONBLOCK)
                              : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
            abort();
        end->fd = filled ? pair[0] : pair[1];
        end->peer = filled ? pair[1] : pair[0];
        if (filled && write(end->peer, pattern(6000), 6000) != 6000)
            abort();
        break;
    default:
        break;
    }
}

static struct end make_end(enum kind kind, const size_t sizes[2], bool filled)
{
    struct end end = { .kind = kind, .fd = -1, .peer = -1, .area = malloc(AREA) };
    memset(end.area, '.', AREA);
    if (filled)
        memcpy(end.area, pattern(AREA), AREA);
    open_fds(&end, filled);
    end.v.vec.count = sizes[1] == 0 ? 1 : 2;
    size_t at = 0;
    for (size_t i = 0; i < end.v.vec.count; at += sizes[i], i++)
        *(i == 0 ? &end.v.vec.buf[0] : &end.v.more) = (struct fuse_buf){
            .size = sizes[i],
            .flags = kind_flags[kind],
            .mem = kind == MEMORY ? end.area + at : NULL,
            .fd = end.fd,
            .pos = (off_t)(100 + 2 * at),
        };
    return end;
}

/* What came to lie in the destination. */
static void show(struct end *end)
{
    char got[AREA] = { 0 };
    ssize_t len = 0;
    if (end->kind == MEMORY)
        say("memory %s", quoted(end->area, AREA));
    else if (end->peer >= 0)
        len = read(end->peer, got, sizeof(got));
    else if (end->fd >= 0)
        say("at %jd", (intmax_t)lseek(end->fd, 0, SEEK_CUR)), len = pread(end->fd, got, sizeof(got), 0);
    if (end->kind != MEMORY)
        say("%s %s", kind_names[end->kind], quoted(got, len < 0 ? 0 : (size_t)len));
}

static void drop(struct end *end)
{
    if (end->fd >= 0)
        close(end->fd);
    if (end->peer >= 0)
        close(end->peer);
    free(end->area);
}

static void copy(enum kind from, const size_t from_sizes[2], enum kind to, const size_t to_sizes[2],
                 enum fuse_buf_copy_flags flags)
{
    struct end src = make_end(from, from_sizes, true), dst = make_end(to, to_sizes, false);
    begin_case("%s %zu+%zu to %s %zu+%zu flags %#x", kind_names[from], from_sizes[0], from_sizes[1], kind_names[to],
               to_sizes[0], to_sizes[1], flags);
    say("sizes %zu %zu", fuse_buf_size(&src.v.vec), fuse_buf_size(&dst.v.vec));
    say("copied %zd", fuse_buf_copy(&dst.v.vec, &src.v.vec, flags));
    say("source idx=%zu off=%zu, destination idx=%zu off=%zu", src.v.vec.idx, src.v.vec.off, dst.v.vec.idx,
        dst.v.vec.off);
    show(&dst);
    drop(&src);
    drop(&dst);
}

static void every_pair(void)
{
    static const size_t sizes[][2][2] = {
        { { 10, 0 }, { 10, 0 } },   { { 10, 0 }, { 5, 0 } },      { { 5, 0 }, { 10, 0 } },
        { { 3, 7 }, { 5, 5 } },     { { 0, 0 }, { 5, 0 } },       { { 0, 7 }, { 7, 0 } },
        { { 5000, 0 }, { 5000, 0 } }, { { 15000, 0 }, { 15000, 0 } },
    };
    for (enum kind from = 0; from < KINDS; from++)
        for (enum kind to = 0; to < KINDS; to++)
            EACH(size, sizes)
                copy(from, (*size)[0], to, (*size)[1], 0);
}

static void every_flag(void)
{
    static const size_t ten[2] = { 4, 6 }, pages[2] = { 4096, 1000 };
    for (enum kind from = 0; from < KINDS; from++) {
        for (enum kind to = 0; to < KINDS; to++) {
            for (int flags = FUSE_BUF_NO_SPLICE; flags < 2 * FUSE_BUF_SPLICE_NONBLOCK; flags += FUSE_BUF_NO_SPLICE) {
                copy(from, ten, to, ten, flags);
                copy(from, pages, to, pages, flags);
            }
        }
    }
}

static void odd_vectors(void)
{
    char to[64];
    struct fuse_bufvec empty = { .count = 0 }, dst = FUSE_BUFVEC_INIT(sizeof(to)), src = FUSE_BUFVEC_INIT(20);
    dst.buf[0].mem = memset(to, '.', sizeof(to));
    src.buf[0].mem = (char *)pattern(20);
    begin_case("empty source");
    say("size %zu copied %zd", fuse_buf_size(&empty), fuse_buf_copy(&dst, &empty, 0));
    begin_case("empty destination");
    say("copied %zd", fuse_buf_copy(&empty, &src, 0));
    begin_case("offsets within");
    src.off = 15;
    dst.off = 60;
    ssize_t copied = fuse_buf_copy(&dst, &src, 0);
    say("copied %zd src.off=%zu dst.off=%zu dst.idx=%zu %s", copied, src.off, dst.off, dst.idx, quoted(to, sizeof(to)));
    begin_case("to itself");
    dst = FUSE_BUFVEC_INIT(sizeof(to));
    dst.buf[0].mem = to;
    say("copied %zd", fuse_buf_copy(&dst, &dst, 0));
    begin_case("size without end");
    struct fuse_bufvec endless = FUSE_BUFVEC_INIT(SIZE_MAX);
    say("size %zu", fuse_buf_size(&endless));
}

int main(void)
{
    every_pair();
    every_flag();
    odd_vectors();
    return 0;
}
