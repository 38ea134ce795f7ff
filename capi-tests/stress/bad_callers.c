/*
 * What daemons do wrong. Each case must end with an error and a log line, and never with a crash or with a request
 * that nobody answers.
 *
 *   bad_callers <case> | --list
 */
#include "session.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/uio.h>

static int replies, last_error;
static size_t last_len;
static fuse_req_t kept;

static void on_sent(const struct fuse_out_header *out, const void *payload, size_t len)
{
    (void)payload;
    replies++;
    last_error = out->error;
    last_len = len;
}

static void keep(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent, (void)name;
    kept = req;
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    const struct fuse_file_info fi = { .fh = 1 };
    (void)ino;
    if (count == 1)
        MUST(fuse_reply_err(req, 0) == -ENOENT, "a reply");
    else
        MUST(fuse_reply_open(req, &fi) == -ENOENT, "a reply with an open file");
    MUST(fuse_reply_err(req, 0) == -EINVAL, "another");
}

static const struct fuse_lowlevel_ops keeper = { .lookup = keep };

/* A session with a lookup in its callback's hands. */
static struct fuse_session *with_request(void)
{
    static uint64_t unique = 10;
    struct fuse_session *se = memory_session(&keeper);
    feed_init(se);
    kept = NULL;
    replies = 0;
    feed_request(se, FUSE_LOOKUP, unique += 2, "name", 5);
    MUST(kept != NULL && replies == 0, "the callback was not called");
    log_lines = 0;
    return se;
}

/* ---- requests ---- */

static void reply_twice(void)
{
    struct fuse_session *se = with_request();
    MUST(fuse_reply_err(kept, ENOENT) == 0 && replies == 1 && log_lines == 0, "the first reply");
    MUST(fuse_reply_err(kept, ENOENT) == -EINVAL && replies == 1 && log_lines == 1, "the second");
    fuse_reply_none(kept);
    MUST(fuse_req_ctx(kept) == NULL && fuse_req_interrupted(kept) == 0 && fuse_req_userdata(kept) == NULL, "gone");
    fuse_req_interrupt_func(kept, NULL, NULL);
    MUST(replies == 1 && log_lines >= 5, "%d replies, %d lines", replies, log_lines);
    fuse_session_destroy(se);
}

static void reply_after_destroy(void)
{
    struct fuse_session *se = with_request();
    fuse_session_destroy(se);
    MUST(fuse_reply_err(kept, ENOENT) == -EINVAL && replies == 0 && log_lines == 1, "%d lines", log_lines);
    fuse_reply_none(kept);
    MUST(log_lines == 2, "%d lines", log_lines);
}

/* The kernel waits for nothing there. */
static void reply_where_none_is_due(void)
{
    static const struct fuse_lowlevel_ops ops = { .forget = on_forget };
    struct fuse_session *se = memory_session(&ops);
    feed_init(se);
    log_lines = replies = 0;
    for (uint64_t count = 1; count <= 2; count++) {
        const struct fuse_forget_in forget = { .nlookup = count };
        feed_request(se, FUSE_FORGET, 10 + 2 * count, &forget, sizeof(forget));
    }
    MUST(replies == 0 && log_lines == 4, "%d replies, %d lines", replies, log_lines);
    fuse_session_destroy(se);
}

static uint64_t retrieved_number;

static void on_retrieve_sent(const struct fuse_out_header *out, const void *payload, size_t len)
{
    MUST(out->error == FUSE_NOTIFY_RETRIEVE && len >= sizeof(retrieved_number), "error %d was sent", out->error);
    memcpy(&retrieved_number, payload, sizeof(retrieved_number));
}

static void on_retrieved(fuse_req_t req, void *cookie, fuse_ino_t ino, off_t offset, struct fuse_bufvec *bufv)
{
    (void)ino, (void)offset, (void)bufv;
    MUST(fuse_reply_err(req, EIO) == -ENOENT, "a reply");
    *(int *)cookie += 1;
}

/* The number of what was retrieved may be that of a request, which would get the reply. */
static void reply_to_retrieved_data(void)
{
    static const struct fuse_lowlevel_ops ops = { .retrieve_reply = on_retrieved };
    struct fuse_session *se = memory_session(&ops);
    int arrived = 0;
    feed_init(se);
    on_message = on_retrieve_sent;
    log_lines = 0;
    MUST(fuse_lowlevel_notify_retrieve(se, 2, 4, 0, &arrived) == 0 && retrieved_number != 0, "not sent");
    struct {
        struct fuse_notify_retrieve_in in;
        char data[4];
    } data = { .in = { .size = 4 }, .data = "data" };
    feed_request(se, FUSE_NOTIFY_REPLY, retrieved_number, &data, sizeof(data));
    MUST(arrived == 1 && log_lines == 1, "%d arrived, %d lines", arrived, log_lines);
    fuse_session_destroy(se);
    on_message = on_sent;
}

static struct fuse_pollhandle *handle;

static void on_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
    (void)ino, (void)fi;
    handle = ph;
    fuse_reply_poll(req, 0);
}

static void poll_handle_after_destroy(void)
{
    static const struct fuse_lowlevel_ops ops = { .poll = on_poll };
    struct fuse_session *se = memory_session(&ops);
    feed_init(se);
    const struct fuse_poll_in in = { .kh = 5, .flags = FUSE_POLL_SCHEDULE_NOTIFY };
    feed_request(se, FUSE_POLL, 12, &in, sizeof(in));
    log_lines = replies = 0;
    MUST(handle != NULL && fuse_lowlevel_notify_poll(handle) == 0 && replies == 1, "before");
    fuse_session_destroy(se);
    MUST(fuse_lowlevel_notify_poll(handle) == -ENODEV && replies == 1 && log_lines == 1, "%d lines", log_lines);
    fuse_pollhandle_destroy(handle);
}

static void reply_to_nothing(void)
{
    struct fuse_session *se = with_request();
    static const uintptr_t forged[] = { 0, 1, 8, 0x1000, UINTPTR_MAX, 0x7fffffffffff, 1ul << 20, (1ul << 20) - 1 };
    for (size_t i = 0; i < COUNT(forged); i++)
        MUST(fuse_reply_err((fuse_req_t)forged[i], 0) == -EINVAL, "%lx", forged[i]);
    MUST(replies == 0 && log_lines == COUNT(forged), "%d lines", log_lines);
    fuse_session_destroy(se);
}

/* Each reply with a null pointer or a size that cannot be: the request gets EIO, the daemon an error and a line. */
#define REFUSED(call)                                                                                                  \
    do {                                                                                                               \
        struct fuse_session *se = with_request();                                                                      \
        int result = (call);                                                                                           \
        MUST(result < 0, #call " returned %d", result);                                                                \
        MUST(replies == 1 && last_error == -EIO, #call ": %d replies, error %d", replies, last_error);                 \
        MUST(log_lines == 1, #call ": %d lines", log_lines);                                                           \
        fuse_session_destroy(se);                                                                                      \
    } while (0)

static void reply_null(void)
{
    const struct fuse_entry_param entry = { .ino = 2 };
    const struct iovec null_piece = { NULL, 5 };
    REFUSED(fuse_reply_entry(kept, NULL));
    REFUSED(fuse_reply_create(kept, NULL, NULL));
    REFUSED(fuse_reply_create(kept, &entry, NULL));
    REFUSED(fuse_reply_attr(kept, NULL, 1));
    REFUSED(fuse_reply_readlink(kept, NULL));
    REFUSED(fuse_reply_open(kept, NULL));
    REFUSED(fuse_reply_buf(kept, NULL, 5));
    REFUSED(fuse_reply_iov(kept, NULL, 2));
    REFUSED(fuse_reply_iov(kept, &null_piece, 1));
    REFUSED(fuse_reply_iov(kept, &null_piece, -1));
    REFUSED(fuse_reply_statfs(kept, NULL));
    REFUSED(fuse_reply_lock(kept, NULL));
    REFUSED(fuse_reply_ioctl(kept, 0, NULL, 5));
    REFUSED(fuse_reply_ioctl_iov(kept, 0, NULL, 1));
    REFUSED(fuse_reply_ioctl_retry(kept, NULL, 1, NULL, 0));
}

static void reply_impossible_size(void)
{
    static char data[16];
    const struct iovec endless = { data, SIZE_MAX }, wraps[2] = { { data, SIZE_MAX }, { data, 2 } };
    const size_t sizes[] = { SIZE_MAX, (size_t)SSIZE_MAX + 1, SSIZE_MAX, 1ul << 32, UINT32_MAX };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_t size = sizes[i]; /* (size_t)-1 is what a failed read(2) leaves in a careless daemon's hands */
        REFUSED(fuse_reply_buf(kept, data, size));
        REFUSED(fuse_reply_ioctl(kept, 0, data, size));
    }
    REFUSED(fuse_reply_iov(kept, &endless, 1));
    REFUSED(fuse_reply_iov(kept, wraps, 2));
    REFUSED(fuse_reply_ioctl_iov(kept, 0, wraps, 2));
    REFUSED(fuse_reply_ioctl_retry(kept, wraps, SIZE_MAX / 2, NULL, 0));
    struct fuse_bufvec bufv = FUSE_BUFVEC_INIT(SIZE_MAX);
    bufv.buf[0].mem = data;
    struct fuse_session *se = with_request();
    MUST(fuse_reply_data(kept, &bufv, 0) < 0 || last_error < 0, "data without end");
    MUST(replies == 1 && last_error < 0, "%d replies", replies);
    fuse_session_destroy(se);
}

static void reply_data_null(void)
{
    struct fuse_bufvec bufv = FUSE_BUFVEC_INIT(5), closed = FUSE_BUFVEC_INIT(5);
    closed.buf[0].flags = FUSE_BUF_IS_FD;
    closed.buf[0].fd = -1;
    struct fuse_bufvec *vectors[] = { NULL, &bufv, &closed };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct fuse_session *se = with_request();
        fuse_reply_data(kept, vectors[i], 0);
        MUST(replies == 1 && last_error < 0, "%zu: %d replies, error %d", i, replies, last_error);
        fuse_session_destroy(se);
    }
}

static void reply_many_pieces(void)
{
    static struct iovec pieces[5000];
    for (size_t i = 0; i < COUNT(pieces); i++)
        pieces[i] = (struct iovec){ i % 7 == 0 ? NULL : "abc", i % 7 == 0 ? 0 : 3 };
    struct fuse_session *se = with_request();
    MUST(fuse_reply_iov(kept, pieces, COUNT(pieces)) == 0 && replies == 1 && last_error == 0, "error %d", last_error);
    MUST(last_len == 3 * (5000 - 715), "%zu bytes", last_len);
    fuse_session_destroy(se);
}

static void error_of_every_value(void)
{
    static const int values[] = { INT_MIN, -1000, -1, 1000, INT_MAX };
    for (size_t i = 0; i < COUNT(values); i++) {
        struct fuse_session *se = with_request();
        MUST(fuse_reply_err(kept, values[i]) == 0 && last_error == -ERANGE, "%d: %d", values[i], last_error);
        fuse_session_destroy(se);
    }
}

static void direntry_null(void)
{
    char buf[200];
    const struct stat st = { 0 };
    const struct fuse_entry_param e = { 0 };
    fuse_add_direntry(NULL, buf, sizeof(buf), NULL, &st, 1);
    fuse_add_direntry(NULL, buf, sizeof(buf), "name", NULL, 1);
    fuse_add_direntry_plus(NULL, buf, sizeof(buf), NULL, &e, 1);
    fuse_add_direntry_plus(NULL, buf, sizeof(buf), "name", NULL, 1);
    MUST(log_lines == 4, "%d lines", log_lines);
    MUST(fuse_add_direntry(NULL, NULL, 0, "name", NULL, 1) == 32, "asking for the size");
}

/* The record is made, as on libfuse; the kernel refuses a reply with it. */
static void names_that_are_none(void)
{
    static const char *const names[] = { "a/b", "/", "" };
    const struct stat st = { .st_ino = 2 };
    const struct fuse_entry_param e = { .ino = 2 };
    char buf[200];
    for (size_t i = 0; i < COUNT(names); i++) {
        log_lines = 0;
        size_t size = fuse_add_direntry(NULL, buf, sizeof(buf), names[i], &st, 1);
        MUST(size == 24 + (strlen(names[i]) + 7) / 8 * 8 && log_lines == 1, "'%s': %zu, %d lines", names[i], size, log_lines);
        size = fuse_add_direntry_plus(NULL, buf, sizeof(buf), names[i], &e, 1);
        MUST(size >= 152 && log_lines == 2, "'%s': %zu, %d lines", names[i], size, log_lines);
    }
    log_lines = 0;
    fuse_add_direntry(NULL, buf, sizeof(buf), "..", &st, 1);
    MUST(log_lines == 0, "%d lines for a name", log_lines);
}

/* ---- sessions ---- */

static void null_sessions(void)
{
    struct fuse_buf buf = { 0 };
    const struct fuse_custom_io io = { 0 };
    struct fuse_bufvec bufv = FUSE_BUFVEC_INIT(0);
    MUST(fuse_session_loop(NULL) < 0, "loop");
    MUST(fuse_session_loop_mt(NULL, NULL) < 0, "loop_mt");
    MUST(fuse_session_mount(NULL, "/tmp") < 0, "mount");
    fuse_session_unmount(NULL);
    fuse_session_exit(NULL);
    fuse_session_reset(NULL);
    MUST(fuse_session_exited(NULL) == 1 && fuse_session_fd(NULL) == -1, "state");
    fuse_session_process_buf(NULL, &buf);
    MUST(fuse_session_receive_buf(NULL, &buf) < 0, "receive");
    MUST(fuse_session_custom_io(NULL, &io, 0) < 0, "custom io");
    MUST(fuse_lowlevel_notify_inval_inode(NULL, 1, 0, 0) < 0, "notify");
    MUST(fuse_lowlevel_notify_inval_entry(NULL, 1, NULL, 0) < 0, "notify");
    MUST(fuse_lowlevel_notify_delete(NULL, 1, 2, "x", 1) < 0, "notify");
    MUST(fuse_lowlevel_notify_store(NULL, 1, 0, &bufv, 0) < 0, "notify");
    MUST(fuse_lowlevel_notify_store(NULL, 1, 0, NULL, 0) < 0, "notify");
    MUST(fuse_lowlevel_notify_retrieve(NULL, 1, 1, 0, NULL) < 0, "notify");
    fuse_lowlevel_notify_poll(NULL);
    fuse_pollhandle_destroy(NULL);
    fuse_session_destroy(NULL);
    MUST(fuse_buf_copy(NULL, NULL, 0) < 0, "copy");
    MUST(log_lines > 12, "%d lines", log_lines);
}

static void null_arguments(void)
{
    struct fuse_args none = { 0 };
    MUST(fuse_session_new(&none, &keeper, sizeof(keeper), NULL) == NULL && log_lines == 1, "no arguments");
    struct fuse_session *se = with_request();
    fuse_session_process_buf(se, NULL);
    fuse_session_process_buf(se, &(struct fuse_buf){ .size = 50 });
    MUST(fuse_session_receive_buf(se, NULL) == -EINVAL, "receive");
    MUST(fuse_session_mount(se, NULL) < 0, "mount");
    MUST(log_lines == 4 && replies == 0, "%d lines", log_lines);
    fuse_session_destroy(se);
}

/* Only whole members of the table count, whatever its size is said to be. */
static void odd_op_sizes(void)
{
    static const size_t sizes[] = { 0, 1, 5, 7, 9, 335, 337, 1 << 20, SIZE_MAX };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct fuse_session *se = new_session(&keeper, sizes[i]);
        MUST(se != NULL, "op_size %zu", sizes[i]);
        fuse_session_destroy(se);
    }
}

static ssize_t count_writev(int fd, struct iovec *iov, int count, void *userdata)
{
    (void)fd, (void)userdata;
    ssize_t len = 0;
    for (int i = 0; i < count; i++)
        len += (ssize_t)iov[i].iov_len;
    on_sent(iov[0].iov_base, NULL, (size_t)len - sizeof(struct fuse_out_header));
    return len;
}

static ssize_t no_read(int fd, void *buf, size_t len, void *userdata)
{
    (void)fd, (void)buf, (void)len, (void)userdata;
    return -ENODEV;
}

/* Seven of the eight bytes of the first callback's address are none that can be called. */
static void cut_op_table(void)
{
    const struct fuse_custom_io io = { .writev = count_writev, .read = no_read };
    const struct fuse_lowlevel_ops ops = { .init = (void *)1, .destroy = (void *)1, .lookup = keep };
    struct fuse_session *se = new_session(&ops, 7);
    MUST(fuse_session_custom_io(se, &io, open("/dev/null", O_RDWR | O_CLOEXEC)) == 0, "not connected");
    feed_init(se);
    MUST(replies == 1 && last_error == 0, "error %d", last_error);
    fuse_session_destroy(se);
}

/* A session that refuses an fd leaves it to the caller, open. */
static void connect_twice(void)
{
    const struct fuse_custom_io io = { .writev = count_writev, .read = no_read };
    struct fuse_session *se = with_request();
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    MUST(fuse_session_custom_io(se, &io, fd) == -EBUSY, "connected twice");
    MUST(log_lines == 1, "%d lines", log_lines);
    MUST(fcntl(fd, F_GETFD) >= 0, "the fd was closed");
    MUST(fuse_session_mount(se, "/tmp") < 0 && log_lines == 2, "mounted, though connected");
    close(fd);
    fuse_session_destroy(se);
}

static void loop_without_mount(void)
{
    struct fuse_session *se = new_session(&keeper, sizeof(keeper));
    struct fuse_buf buf = { 0 };
    log_lines = 0;
    MUST(fuse_session_loop(se) < 0 && log_lines == 1, "loop: %d lines", log_lines);
    MUST(fuse_session_loop_mt(se, NULL) < 0 && log_lines == 2, "loop_mt: %d lines", log_lines);
    MUST(fuse_session_receive_buf(se, &buf) < 0 && log_lines == 3, "receive: %d lines", log_lines);
    MUST(fuse_lowlevel_notify_inval_inode(se, 1, 0, 0) < 0, "notify");
    fuse_session_unmount(se);
    fuse_session_unmount(se);
    fuse_session_destroy(se);
    free(buf.mem);
}

/* ---- peers that are no kernel ---- */

static struct fuse_session *starting;
static atomic_int inits;

static void init_within_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata, (void)conn;
    if (atomic_fetch_add(&inits, 1) == 0)
        feed_init(starting); /* as another thread would that reads one at the same time */
}

static void init_while_starting(void)
{
    const struct fuse_lowlevel_ops ops = { .init = init_within_init, .lookup = keep };
    starting = memory_session(&ops);
    feed_init(starting);
    MUST(inits == 1, "init was called %d times", inits);
    MUST(replies == 2 && last_error == 0, "%d replies, the last with error %d", replies, last_error);
    feed_init(starting);
    MUST(inits == 1 && replies == 3 && last_error == -EIO, "a later INIT");
    fuse_session_destroy(starting);
}

static void interrupts_without_end(void)
{
    enum { MANY = 20000, KEPT = 2000 };
    struct fuse_session *se = with_request();
    for (uint64_t i = 0; i < MANY; i++) {
        const struct fuse_interrupt_in in = { .unique = 1000000 + i };
        feed_request(se, FUSE_INTERRUPT, 2000000 + i, &in, sizeof(in));
    }
    MUST(replies > MANY - KEPT && last_error == -EAGAIN, "%d of %d interrupts went back", replies, MANY);
    MUST(fuse_reply_err(kept, 0) == 0, "the request that waits");
    fuse_session_destroy(se);
}

/* A request in a pipe, of which less is there than its buffer states. */
static void feed_pipe(struct fuse_session *se, size_t there, size_t stated)
{
    struct {
        struct fuse_in_header head;
        char name[5];
    } message = { .head = { .len = 45, .opcode = FUSE_LOOKUP, .unique = 6, .nodeid = 1 }, .name = "name" };
    struct fuse_buf buf = { .size = stated, .flags = FUSE_BUF_IS_FD };
    int ends[2];
    MUST(pipe(ends) == 0 && write(ends[1], &message, there) == (ssize_t)there && close(ends[1]) == 0, "pipe");
    buf.fd = ends[0];
    kept = NULL;
    log_lines = replies = last_error = 0;
    fuse_session_process_buf(se, &buf);
    close(ends[0]);
}

static void short_pipe(void)
{
    struct fuse_session *se = memory_session(&keeper);
    feed_init(se);
    for (size_t stated = 46; stated < 200; stated += 17) {
        feed_pipe(se, 39, stated);
        MUST(replies == 0 && log_lines == 1, "no head: %d replies, %d lines", replies, log_lines);
        for (size_t there = 40; there < 45; there++) {
            feed_pipe(se, there, stated);
            MUST(replies == 1 && last_error == -EIO, "%zu of %zu: %d replies, %d", there, stated, replies, last_error);
        }
        feed_pipe(se, 45, stated);
        MUST(kept != NULL && fuse_reply_err(kept, 0) == 0, "%zu: the request is there", stated);
    }
    feed_pipe(se, 45, SIZE_MAX / 2);
    MUST(replies == 1 && last_error == -ENOMEM && log_lines > 0, "%d replies, error %d", replies, last_error);
    feed_pipe(se, 20, SIZE_MAX);
    MUST(replies == 0 && log_lines > 0, "%d replies, %d lines", replies, log_lines);
    fuse_session_destroy(se);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    { "reply_twice", reply_twice },
    { "reply_after_destroy", reply_after_destroy },
    { "reply_where_none_is_due", reply_where_none_is_due },
    { "reply_to_retrieved_data", reply_to_retrieved_data },
    { "poll_handle_after_destroy", poll_handle_after_destroy },
    { "reply_to_nothing", reply_to_nothing },
    { "reply_null", reply_null },
    { "reply_impossible_size", reply_impossible_size },
    { "reply_data_null", reply_data_null },
    { "reply_many_pieces", reply_many_pieces },
    { "error_of_every_value", error_of_every_value },
    { "direntry_null", direntry_null },
    { "names_that_are_none", names_that_are_none },
    { "null_sessions", null_sessions },
    { "null_arguments", null_arguments },
    { "odd_op_sizes", odd_op_sizes },
    { "cut_op_table", cut_op_table },
    { "connect_twice", connect_twice },
    { "loop_without_mount", loop_without_mount },
    { "init_while_starting", init_while_starting },
    { "interrupts_without_end", interrupts_without_end },
    { "short_pipe", short_pipe },
};

int main(int argc, char **argv)
{
    count_log_lines();
    on_message = on_sent;
    for (size_t i = 0; i < COUNT(cases); i++) {
        log_lines = replies = 0;
        if (argc > 1 && strcmp(argv[1], "--list") == 0)
            puts(cases[i].name);
        else if (argc < 2 || strcmp(argv[1], cases[i].name) == 0)
            cases[i].run();
    }
    return 0;
}
