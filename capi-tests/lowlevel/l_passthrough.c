/* Passthrough without a kernel that could: each way not to have it, told by the functions and by none of the replies. */
#include "expect.h"

enum { INIT_EXT = 1 << 30, PASSTHROUGH = 1 << 5 /* in flags2 */ };

/* What the system's header may not have yet. */
static uint32_t word_at(const void *message, size_t offset)
{
    uint32_t word;
    memcpy(&word, (const char *)message + offset, sizeof(word));
    return word;
}
#define BACKING_ID(open_out) word_at(open_out, 12)
#define MAX_STACK_DEPTH(init_out) word_at(init_out, 36)

static int enabled, attached, detached;
static uint32_t depth = 1, with_flags;
static struct fuse_file_info file;

static void enable(struct fuse_conn_info *conn)
{
    enabled = fuse_session_enable_passthrough(conn, depth, with_flags);
}

/* INIT; the status afterwards. */
static int start(void (*callback)(struct fuse_conn_info *conn), uint32_t flags2)
{
    enabled = 1;
    in_init = callback;
    session_start((struct setup){ .no_init = true });
    EXPECT_EQ(fuse_session_passthrough_status(session), -ENOTCONN);
    put_init(45, 131072, INIT_EXT | FUSE_WRITEBACK_CACHE | FUSE_HANDLE_KILLPRIV_V2, flags2);
    EXPECT_EQ(reply_error(NULL), 0);
    in_init = NULL;
    return fuse_session_passthrough_status(session);
}

static void attach_and_detach(fuse_req_t req)
{
    file = (struct fuse_file_info){ .backing_id = 5, .keep_cache = 1 };
    attached = fuse_passthrough_attach(req, 45, 0, &file);
    EXPECT_EQ(fuse_passthrough_attach(req, 45, 0, NULL), -EINVAL);
    EXPECT_EQ(fuse_passthrough_attach(NULL, 45, 0, &file), -EINVAL);
    EXPECT_EQ(fuse_passthrough_attach(req, 44, 0, &file), -EINVAL);
    EXPECT_EQ(fuse_passthrough_attach(req, 0, 0, &file), -EINVAL);
    detached = fuse_passthrough_detach(req, 45, &file);
    EXPECT_EQ(fuse_passthrough_detach(req, 45, NULL), -EINVAL);
    EXPECT_EQ(fuse_passthrough_detach(NULL, 45, &file), -EINVAL);
}

/* An open that is not passthrough, whatever it tries, works all the same. */
static void open_without(int why)
{
    struct fuse_open_out out;
    in_callback = attach_and_detach;
    request(FUSE_OPEN, 45);
    PUT(fuse_open_in, .flags = O_RDWR);
    EXPECT_EQ(reply_error(&(struct answer){ "open", answer_open, &file }), 0);
    EXPECT_EQ(attached, why);
    EXPECT_EQ(detached, -ENOENT);
    EXPECT_EQ(reply_payload().len, sizeof(out));
    memcpy(&out, reply_payload().data, sizeof(out));
    EXPECT_EQ(out.open_flags, FOPEN_KEEP_CACHE);
    EXPECT_EQ(BACKING_ID(&out), 0);
    in_callback = NULL;
    request(FUSE_RELEASE, 45);
    PUT(fuse_release_in, .flags = O_RDWR);
    EXPECT_EQ(reply_error(NULL), 0);
}

static void not_offered(void)
{
    EXPECT_EQ(start(enable, 0), -EOPNOTSUPP);
    EXPECT_EQ(enabled, -EOPNOTSUPP);
    EXPECT(!(init_reply.flags2 & PASSTHROUGH));
    open_without(-EOPNOTSUPP);
    session_stop();
}

/* The flag is there, and nothing behind it takes a backing file. */
static void no_device(void)
{
    with_flags = FUSE_PASSTHROUGH_KILLPRIV;
    depth = 2;
    EXPECT_EQ(start(enable, PASSTHROUGH), -EOPNOTSUPP);
    EXPECT_EQ(enabled, 0);
    EXPECT(init_reply.flags2 & PASSTHROUGH);
    EXPECT(init_reply.flags & FUSE_HANDLE_KILLPRIV_V2);
    EXPECT_EQ(MAX_STACK_DEPTH(&init_reply), 2);
    open_without(-EOPNOTSUPP);
    EXPECT_EQ(fuse_session_passthrough_open(session, 0), 0);
    EXPECT_EQ(errno, ENOTTY);
    EXPECT_EQ(fuse_session_passthrough_close(session, 1), -1);
    EXPECT_EQ(errno, ENOTTY);
    session_stop();
    with_flags = 0;
    depth = 1;
}

static void not_enabled(void)
{
    EXPECT_EQ(start(NULL, PASSTHROUGH), -ENOTCONN);
    open_without(-ENOTCONN);
    session_stop();
}

static void writeback_before(struct fuse_conn_info *conn)
{
    EXPECT(fuse_set_feature_flag(conn, FUSE_CAP_WRITEBACK_CACHE));
    enable(conn);
    EXPECT(!(conn->want & FUSE_CAP_WRITEBACK_CACHE));
}

static void writeback_after(struct fuse_conn_info *conn)
{
    enable(conn);
    conn->want |= FUSE_CAP_WRITEBACK_CACHE;
}

static void taken_back(struct fuse_conn_info *conn)
{
    enable(conn);
    fuse_unset_feature_flag(conn, FUSE_CAP_PASSTHROUGH);
}

static void conflicts(void)
{
    start(writeback_before, PASSTHROUGH);
    EXPECT(!(init_reply.flags & FUSE_WRITEBACK_CACHE) && init_reply.flags2 & PASSTHROUGH);
    EXPECT_EQ(MAX_STACK_DEPTH(&init_reply), 1);
    session_stop();
    EXPECT_EQ(start(writeback_after, PASSTHROUGH), -EBUSY);
    open_without(-EBUSY);
    session_stop();
    EXPECT_EQ(start(taken_back, PASSTHROUGH), -ENOTCONN);
    EXPECT(!(init_reply.flags2 & PASSTHROUGH));
    session_stop();
}

static void bad_arguments(void)
{
    struct fuse_conn_info stray = { .capable_ext = FUSE_CAP_PASSTHROUGH };
    for (depth = 0; depth < 4; depth += 3) {
        EXPECT_EQ(start(enable, PASSTHROUGH), -ENOTCONN);
        EXPECT_EQ(enabled, -EINVAL);
        session_stop();
    }
    depth = 1;
    with_flags = 2;
    EXPECT_EQ(start(enable, PASSTHROUGH), -ENOTCONN);
    EXPECT_EQ(enabled, -EINVAL);
    session_stop();
    EXPECT_EQ(fuse_session_enable_passthrough(&stray, 1, 0), -EINVAL);
    EXPECT_EQ(fuse_session_enable_passthrough(NULL, 1, 0), -EINVAL);
    EXPECT_EQ(fuse_session_passthrough_status(NULL), -EINVAL);
    EXPECT_EQ(fuse_session_passthrough_open(NULL, 0), 0);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(fuse_session_passthrough_close(NULL, 1), -1);
}

int main(void)
{
    not_offered();
    no_device();
    not_enabled();
    conflicts();
    bad_arguments();
    return verdict();
}
