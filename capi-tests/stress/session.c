/* A session without a kernel. */
#include "session.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/uio.h>

void (*on_message)(const struct fuse_out_header *head, const void *payload, size_t len);
atomic_int log_lines;
_Thread_local uint64_t seed = 1;

void failed(const char *file, int line, const char *condition, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "%s:%d: %s: ", file, line, condition);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    abort();
}

static void count_line(enum fuse_log_level level, const char *fmt, va_list ap)
{
    char line[4096];
    int len = vsnprintf(line, sizeof(line), fmt, ap);
    MUST(len > 0 && line[0] != '\0', "a log line without text, level %d", level);
    MUST(strstr(line, "internal error") == NULL, "%s", line);
    atomic_fetch_add(&log_lines, 1);
}

void count_log_lines(void)
{
    fuse_set_log_func(count_line);
}

static ssize_t on_writev(int fd, struct iovec *iov, int count, void *userdata)
{
    (void)fd, (void)userdata;
    uint8_t small[4096];
    size_t len = 0, at = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    uint8_t *whole = len > sizeof(small) ? malloc(len) : small;
    for (int i = 0; i < count; at += iov[i].iov_len, i++)
        if (iov[i].iov_len > 0)
            memcpy(whole + at, iov[i].iov_base, iov[i].iov_len);
    struct fuse_out_header head;
    MUST(len >= sizeof(head), "%zu bytes sent", len);
    memcpy(&head, whole, sizeof(head));
    MUST(head.len == len, "%zu bytes sent, the head says %u", len, head.len);
    if (on_message != NULL)
        on_message(&head, whole + sizeof(head), len - sizeof(head));
    if (whole != small)
        free(whole);
    return (ssize_t)len;
}

static const void *offered;
static size_t offered_len;
int spliced;

void offer(const void *message, size_t len)
{
    offered = message;
    offered_len = len;
}

static ssize_t on_read(int fd, void *buf, size_t len, void *userdata)
{
    (void)fd, (void)userdata;
    if (offered == NULL) {
        errno = ENODEV;
        return -1;
    }
    MUST(offered_len <= len, "a message of %zu bytes, room for %zu", offered_len, len);
    memcpy(buf, offered, offered_len);
    offered = NULL;
    return (ssize_t)offered_len;
}

static ssize_t on_splice(int fd, off_t *from, int pipe, off_t *to, size_t len, unsigned int flags, void *userdata)
{
    (void)fd, (void)from, (void)to, (void)flags, (void)userdata;
    MUST(offered != NULL && offered_len <= len, "a message of %zu bytes, room for %zu", offered_len, len);
    MUST(write(pipe, offered, offered_len) == (ssize_t)offered_len, "the pipe is full");
    offered = NULL;
    spliced++;
    return (ssize_t)offered_len;
}

struct fuse_session *new_session(const struct fuse_lowlevel_ops *ops, size_t op_size)
{
    char *argv[] = { "stress", NULL };
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    struct fuse_session *se = fuse_session_new(&args, ops, op_size, NULL);
    fuse_opt_free_args(&args); /* what was left of them is a copy */
    return se;
}

void connect_memory(struct fuse_session *se)
{
    const struct fuse_custom_io io = { .writev = on_writev, .read = on_read, .splice_receive = on_splice };
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    MUST(fuse_session_custom_io(se, &io, fd) == 0, "not connected");
}

struct fuse_session *memory_session(const struct fuse_lowlevel_ops *ops)
{
    struct fuse_session *se = new_session(ops, sizeof(*ops));
    MUST(se != NULL, "no session");
    connect_memory(se);
    return se;
}

void feed(struct fuse_session *se, const void *message, size_t len)
{
    struct fuse_buf buf = { .mem = (void *)message, .size = len };
    fuse_session_process_buf(se, &buf);
}

void feed_request(struct fuse_session *se, uint32_t opcode, uint64_t unique, const void *arguments, size_t len)
{
    struct {
        struct fuse_in_header head;
        uint8_t arguments[512];
    } message = { .head = { .opcode = opcode, .unique = unique, .nodeid = 1, .pid = 1 } };
    MUST(len <= sizeof(message.arguments), "%zu bytes", len);
    message.head.len = (uint32_t)(sizeof(message.head) + len);
    memcpy(message.arguments, arguments, len);
    feed(se, &message, message.head.len);
}

void feed_init(struct fuse_session *se)
{
    const struct fuse_init_in init = { .major = 7, .minor = 38, .max_readahead = 65536, .flags = 0x3fffffff };
    feed_request(se, FUSE_INIT, 2, &init, sizeof(init));
}

static ssize_t socket_read(int fd, void *buf, size_t len, void *userdata)
{
    (void)userdata;
    return read(fd, buf, len);
}

static ssize_t socket_writev(int fd, struct iovec *iov, int count, void *userdata)
{
    (void)userdata;
    return writev(fd, iov, count);
}

int connect_socket(struct fuse_session *se)
{
    const struct fuse_custom_io io = { .read = socket_read, .writev = socket_writev };
    const struct fuse_init_in init = { .major = 7, .minor = 38, .flags = 0x3fffffff };
    int ends[2];
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    MUST(fuse_session_custom_io(se, &io, ends[0]) == 0, "not connected");
    send_request(ends[1], FUSE_INIT, &init, sizeof(init));
    return ends[1];
}

void send_request(int peer, uint32_t opcode, const void *arguments, size_t len)
{
    static atomic_ullong unique = 2;
    struct fuse_in_header head = { .len = (uint32_t)(sizeof(head) + len), .opcode = opcode, .nodeid = 1,
                                   .unique = atomic_fetch_add(&unique, 2) };
    struct iovec parts[] = { { &head, sizeof(head) }, { (void *)arguments, len } };
    MUST(writev(peer, parts, 2) == (ssize_t)head.len, "send");
}

int receive_reply(int peer)
{
    struct {
        struct fuse_out_header head;
        uint8_t payload[4096];
    } reply;
    MUST(read(peer, &reply, sizeof(reply)) >= (ssize_t)sizeof(reply.head), "receive");
    return reply.head.error;
}

uint64_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

bool one_in(unsigned n)
{
    return random_number() % n == 0;
}

double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}
