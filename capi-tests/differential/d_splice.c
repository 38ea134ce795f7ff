/*
 * Splicing: replies whose data is in files, in a session that wants them through a pipe, and requests that are received
 * through one.
 */
#include "harness.h"

#include <fcntl.h>
#include <sys/socket.h>

enum { FILE_SIZE = 400000, IN_PIPE = 40000, MAX_WRITE = 512 << 10 };

/* ---- replies ---- */

enum kind { MEMORY, AT, HERE, RETRY, SHORT, SHORT_RETRY, PIPE, PIPE_RETRY, SOCKET, CLOSED };

static const int kind_flags[] = {
    [MEMORY] = 0,
    [AT] = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK,
    [HERE] = FUSE_BUF_IS_FD,
    [RETRY] = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY,
    [SHORT] = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK,
    [SHORT_RETRY] = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY,
    [PIPE] = FUSE_BUF_IS_FD,
    [PIPE_RETRY] = FUSE_BUF_IS_FD | FUSE_BUF_FD_RETRY,
    [SOCKET] = FUSE_BUF_IS_FD,
    [CLOSED] = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK,
};

struct piece {
    enum kind kind;
    size_t size;
};

struct data {
    const char *label;
    struct piece pieces[4];
    size_t count, idx, off;
};

static const struct data all_data[] = {
    { "page", { { AT, 4096 } }, 1, 0, 0 },
    { "32k", { { AT, 32768 } }, 1, 0, 0 },
    { "odd", { { AT, 70001 } }, 1, 0, 0 },
    { "128k", { { AT, 131072 } }, 1, 0, 0 },
    { "128k here", { { HERE, 131072 } }, 1, 0, 0 },
    { "retry", { { RETRY, 131072 } }, 1, 0, 0 },
    { "short", { { SHORT, 131072 } }, 1, 0, 0 },
    { "short retry", { { SHORT_RETRY, 131072 } }, 1, 0, 0 },
    { "two", { { AT, 50000 }, { AT, 50000 } }, 2, 0, 0 },
    { "memory first", { { MEMORY, 5000 }, { AT, 60000 } }, 2, 0, 0 },
    { "memory last", { { AT, 60000 }, { MEMORY, 5000 } }, 2, 0, 0 },
    { "mixed", { { MEMORY, 10 }, { AT, 40000 }, { MEMORY, 7 }, { HERE, 40000 } }, 4, 0, 0 },
    { "short in between", { { AT, 40000 }, { SHORT, 40000 }, { MEMORY, 50 } }, 3, 0, 0 },
    { "from the middle", { { AT, 50000 }, { AT, 90000 } }, 2, 1, 10000 },
    { "within the first", { { AT, 90000 }, { MEMORY, 10 } }, 2, 0, 4097 },
    { "pipe", { { PIPE, 65536 } }, 1, 0, 0 },
    { "pipe retry", { { PIPE_RETRY, 65536 } }, 1, 0, 0 },
    { "file and pipe", { { AT, 40000 }, { PIPE, 30000 } }, 2, 0, 0 },
    { "socket", { { SOCKET, 65536 } }, 1, 0, 0 },
    { "closed", { { CLOSED, 65536 } }, 1, 0, 0 },
    { "file and closed", { { AT, 65536 }, { CLOSED, 65536 } }, 2, 0, 0 },
};

static int file_fd, pipe_ends[2], socket_ends[2];
static enum fuse_buf_copy_flags data_flags;

/* Non-blocking, and with the same in them for every reply. */
static void open_streams(void)
{
    if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, socket_ends) != 0 ||
        write(pipe_ends[1], pattern(IN_PIPE), IN_PIPE) != IN_PIPE ||
        write(socket_ends[1], pattern(IN_PIPE), IN_PIPE) != IN_PIPE || lseek(file_fd, 777, SEEK_SET) != 777)
        abort();
}

static void close_streams(void)
{
    for (int i = 0; i < 2; i++) {
        close(pipe_ends[i]);
        close(socket_ends[i]);
    }
}

static struct fuse_buf piece_buf(const struct piece *piece)
{
    bool is_short = piece->kind == SHORT || piece->kind == SHORT_RETRY;
    int fd = file_fd;
    if (piece->kind == MEMORY || piece->kind == CLOSED)
        fd = -1;
    else if (piece->kind == PIPE || piece->kind == PIPE_RETRY)
        fd = pipe_ends[0];
    else if (piece->kind == SOCKET)
        fd = socket_ends[0];
    return (struct fuse_buf){
        .size = piece->size,
        .flags = kind_flags[piece->kind],
        .mem = piece->kind == MEMORY ? (char *)pattern(piece->size) : NULL,
        .fd = fd,
        .pos = is_short ? FILE_SIZE - 33333 : 5001,
    };
}

static int answer_data(fuse_req_t req, const void *arg)
{
    const struct data *data = arg;
    struct fuse_bufvec *bufv = calloc(1, sizeof(*bufv) + 3 * sizeof(struct fuse_buf));
    bufv->count = data->count;
    bufv->idx = data->idx;
    bufv->off = data->off;
    for (size_t i = 0; i < data->count; i++)
        bufv->buf[i] = piece_buf(&data->pieces[i]);
    int result = fuse_reply_data(req, bufv, data_flags);
    free(bufv);
    return result;
}

static void replies(const char *wanted)
{
    for (int flags = 0; flags < 32; flags += 2) {
        EACH(data, all_data) {
            /* libfuse counts what it leaves out as sent, and the bytes that are no reply stay in its pipe. */
            open_streams();
            data_flags = flags;
            plain_request(FUSE_READ, 38);
            run(&(struct answer){ "data", answer_data, data }, "READ %s flags %#x %s", wanted, flags, data->label);
            close_streams();
        }
    }
}

static void want_write(struct fuse_conn_info *conn)
{
    conn->want |= FUSE_CAP_SPLICE_WRITE;
}

static void want_move(struct fuse_conn_info *conn)
{
    conn->want |= FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE;
}

/* ---- requests ---- */

static int sink_fd = -1;

static void small_max_write(struct fuse_conn_info *conn)
{
    conn->max_write = MAX_WRITE;
}

static void put_write(size_t size, size_t stated)
{
    request(FUSE_WRITE, 3);
    PUT(fuse_write_in, .fh = 9, .offset = 4096, .size = (uint32_t)stated);
    put(pattern(size), size);
}

/* A thread that has seen a large write expects more, if it does not copy what comes to memory. */
static void warm_up(void)
{
    struct fuse_bufvec data = FUSE_BUFVEC_INIT(65536), file = FUSE_BUFVEC_INIT(65536);
    data.buf[0].mem = (void *)pattern(65536);
    file.buf[0].flags = FUSE_BUF_IS_FD;
    file.buf[0].fd = sink_fd;
    fuse_buf_copy(&file, &data, 0);
    silent = true;
    put_write(131072, 131072);
    receive(NULL);
    silent = false;
}

static void received(void)
{
    static const size_t sizes[] = { 0, 1, 4015, 4016, 4095, 4096, 4097, 65536, 131072, MAX_WRITE };
    EACH(size, sizes) {
        warm_up();
        begin_case("WRITE received %zu", *size);
        put_write(*size, *size);
        receive(&(struct answer){ "write", answer_write, size });
        /* What comes next is what it is, whatever was left in the pipe. */
        request(FUSE_LOOKUP, 3);
        put_str("next");
        receive(NULL);
    }
    warm_up();
    begin_case("WRITE received whose data is missing");
    put_write(70000, 70001);
    receive(NULL);
    request(FUSE_LOOKUP, 3);
    put_str("next");
    receive(NULL);
    warm_up();
    begin_case("SETXATTR received");
    request(FUSE_SETXATTR, 3);
    PUT(fuse_setxattr_in, .size = 65536, .flags = 1);
    header()->len = 0;
    put_str("user.large");
    put(pattern(65536), 65536);
    receive(NULL);
}

/* Nobody reads the data: the next request must not begin with it. */
static void unread(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *bufv, off_t off, struct fuse_file_info *fi)
{
    (void)off, (void)fi;
    say("write_buf(ino=%" PRIu64 " size=%zu) reads nothing", ino, bufv->buf[0].size);
    fuse_reply_err(req, ENOSPC);
}

static void unread_data(void)
{
    static const size_t sizes[] = { 131072, 131072, 70000, 131072 };
    warm_up();
    EACH(size, sizes) {
        begin_case("WRITE unread %zu after %zu", *size, (size_t)(size - sizes));
        put_write(*size, *size);
        receive(NULL);
        request(FUSE_LOOKUP, 3);
        put_str("after");
        receive(NULL);
    }
}

int main(void)
{
    file_fd = pattern_file(FILE_SIZE);
    session_start((struct setup){ .splice = true });
    replies("unwanted");
    session_stop();
    in_init = want_write;
    session_start((struct setup){ .splice = true });
    replies("wanted");
    session_stop();
    in_init = want_move;
    session_start((struct setup){ .splice = true });
    replies("moved");
    session_stop();

    sink_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    in_init = small_max_write;
    session_start((struct setup){ .splice_in = true });
    received();
    session_stop();
    struct fuse_lowlevel_ops ops = recorder;
    ops.write_buf = unread;
    session_start((struct setup){ .ops = &ops, .splice_in = true });
    unread_data();
    session_stop();
    return 0;
}
