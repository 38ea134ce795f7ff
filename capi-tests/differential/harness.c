/* The session: requests in from memory or a pipe, replies out into the transcript. */
#include "harness.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/param.h>
#include <sys/uio.h>

enum { MAX_REQUEST = 4 << 20, MAX_REPLY = 4 << 20 };

struct fuse_session *session;
int write_errno;
bool feed_by_pipe;
int user_mark;
struct bytes last_reply;
struct fuse_init_out init_reply;

static int session_fd;
static uint64_t unique = 100;
static size_t message_len;
static union {
    struct fuse_in_header header;
    uint8_t bytes[MAX_REQUEST];
} message;

/* ---- replies ---- */

static const char *unique_text(uint64_t of)
{
    if (of == unique)
        return "request's";
    char *text = room(32);
    snprintf(text, 32, "%" PRIu64, of);
    return text;
}

static void show_reply(const uint8_t *data, size_t len)
{
    struct fuse_out_header out;
    last_reply = (struct bytes){ data, len };
    if (message.header.opcode == FUSE_INIT)
        memcpy(&init_reply, data + sizeof(out), MIN(sizeof(init_reply), len - sizeof(out)));
    if (len < sizeof(out)) {
        say("reply of %zu bytes: %s", len, words(data, len));
        return;
    }
    memcpy(&out, data, sizeof(out));
    say("reply len=%u%s error=%d unique=%s payload=%s", out.len, out.len == len ? "" : " WRONG", out.error,
        unique_text(out.unique), words(data + sizeof(out), len - sizeof(out)));
}

static bool refused(int fd, void *userdata)
{
    if (fd != session_fd || userdata != &user_mark)
        say("written to fd %d, userdata %s", fd - session_fd, userdata == &user_mark ? "ours" : "WRONG");
    if (write_errno == 0)
        return false;
    say("write refused with errno %d", write_errno);
    errno = write_errno;
    return true;
}

static ssize_t on_writev(int fd, struct iovec *iov, int count, void *userdata)
{
    size_t len = 0, at = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    uint8_t *data = (uint8_t *)room(len);
    for (int i = 0; i < count; at += iov[i].iov_len, i++)
        memcpy(data + at, iov[i].iov_base, iov[i].iov_len);
    show_reply(data, len);
    return refused(fd, userdata) ? -1 : (ssize_t)len;
}

/* ---- requests that are received ---- */

static bool waiting;

static ssize_t on_read(int fd, void *buf, size_t len, void *userdata)
{
    (void)fd, (void)userdata;
    if (!waiting || len < message_len) {
        errno = ENODEV;
        return -1;
    }
    memcpy(buf, message.bytes, message_len);
    waiting = false;
    return (ssize_t)message_len;
}

static ssize_t on_splice_receive(int from, off_t *from_off, int to, off_t *to_off, size_t len, unsigned flags,
                                 void *userdata)
{
    (void)from, (void)from_off, (void)to_off, (void)flags, (void)userdata;
    if (!waiting || len < message_len) {
        errno = ENODEV;
        return -1;
    }
    waiting = false;
    return write(to, message.bytes, message_len);
}

static ssize_t on_splice_send(int from, off_t *from_off, int to, off_t *to_off, size_t len, unsigned flags,
                              void *userdata)
{
    (void)from_off, (void)to_off, (void)flags;
    uint8_t *data = (uint8_t *)room(len);
    ssize_t got = read(from, data, len);
    if (got > 0)
        show_reply(data, (size_t)got);
    return refused(to, userdata) ? -1 : got;
}

/* ---- session ---- */

static struct fuse_session *new_session(const struct setup *setup)
{
    char *argv[] = { "differential", "-o", (char *)setup->options, NULL };
    struct fuse_args args = FUSE_ARGS_INIT(setup->options == NULL ? 1 : 3, argv);
    const struct fuse_lowlevel_ops *ops = setup->ops != NULL ? setup->ops : &recorder;
    return fuse_session_new(&args, ops, setup->op_size_given ? setup->op_size : sizeof(*ops), &user_mark);
}

void session_start(struct setup setup)
{
    struct fuse_custom_io io = {
        .writev = on_writev,
        .read = on_read,
        .splice_send = setup.splice ? on_splice_send : NULL,
        .splice_receive = setup.splice_in ? on_splice_receive : NULL,
    };
    session = setup.make != NULL ? setup.make(&setup) : new_session(&setup);
    session_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (session == NULL || fuse_session_custom_io(session, &io, session_fd) != 0) {
        fprintf(stderr, "no session\n");
        exit(1);
    }
    if (setup.no_init)
        return;
    bool all = setup.flags == 0 && setup.flags2 == 0;
    put_init(setup.minor != 0 ? setup.minor : 38, 131072, all ? 0x7fffffff : setup.flags, all ? 0xb : setup.flags2);
    /* What INIT is like is d_init's matter, which sends its own. */
    silent = true;
    feed(NULL);
    silent = false;
}

void session_stop(void)
{
    say("session stops");
    fuse_session_destroy(session);
    session = NULL;
}

/* ---- requests ---- */

void request(uint32_t opcode, uint64_t nodeid)
{
    unique += 2;
    message_len = 0;
    PUT(fuse_in_header, .opcode = opcode, .unique = unique, .nodeid = nodeid, .uid = 1000, .gid = 1001, .pid = 4242);
}

void put(const void *data, size_t len)
{
    if (len > sizeof(message.bytes) - message_len)
        abort();
    if (len != 0)
        memcpy(message.bytes + message_len, data, len);
    message_len += len;
}

void put_str(const char *text)
{
    put(text, strlen(text) + 1);
}

struct fuse_in_header *header(void)
{
    return &message.header;
}

uint64_t last_unique(void)
{
    return unique;
}

void put_init(uint32_t minor, uint32_t readahead, uint32_t flags, uint32_t flags2)
{
    request(FUSE_INIT, 0);
    struct fuse_init_in in = {
        .major = 7, .minor = minor, .max_readahead = readahead, .flags = flags, .flags2 = flags2,
    };
    /* It grew with 7.6 and with 7.36. */
    size_t len = minor < 6 ? offsetof(struct fuse_init_in, max_readahead) : offsetof(struct fuse_init_in, flags2);
    put(&in, minor < 36 ? len : sizeof(in));
}

static void feed_pipe(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[1], F_SETPIPE_SZ, (int)message_len) < 0 ||
        write(ends[1], message.bytes, message_len) != (ssize_t)message_len)
        abort();
    struct fuse_buf buf = { .size = message_len, .flags = FUSE_BUF_IS_FD, .fd = ends[0] };
    fuse_session_process_buf(session, &buf);
    close(ends[0]);
    close(ends[1]);
}

void feed(const struct answer *answer)
{
    message.header.len = (uint32_t)message_len;
    chosen = answer;
    kept = NULL;
    if (!feed_by_pipe) {
        /* A copy of the exact size lets a memory checker see a read past its end. */
        struct fuse_buf buf = { .size = message_len, .mem = malloc(message_len) };
        memcpy(buf.mem, message.bytes, message_len);
        fuse_session_process_buf(session, &buf);
        free(buf.mem);
    } else {
        feed_pipe();
    }
    chosen = NULL;
}

void receive(const struct answer *answer)
{
    static struct fuse_buf buf;
    message.header.len = message.header.len != 0 ? message.header.len : (uint32_t)message_len;
    chosen = answer;
    waiting = true;
    int received = fuse_session_receive_buf(session, &buf);
    say("received %d", received);
    if (received > 0)
        fuse_session_process_buf(session, &buf);
    chosen = NULL;
}

void run(const struct answer *answer, const char *fmt, ...)
{
    char name[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof(name), fmt, args);
    va_end(args);
    begin_case("%s", name);
    feed(answer);
}
