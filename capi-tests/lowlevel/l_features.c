/* What the init callback turns with functions, and interrupts that it does not want. */
#include "expect.h"

enum { INIT_EXT = 1 << 30 };
#define LOW ((uint32_t)(FUSE_CAP_ASYNC_READ | FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_DONT_MASK | FUSE_CAP_ASYNC_DIO))
#define HIGH FUSE_CAP_SECURITY_CTX

static void offer(void (*callback)(struct fuse_conn_info *conn))
{
    in_init = callback;
    session_start((struct setup){ .no_init = true });
    /* Below bit 15 most capabilities have the number of their flag; SECURITY_CTX is bit 0 of flags2. */
    put_init(45, 131072, LOW | INIT_EXT, 1);
    EXPECT_EQ(reply_error(NULL), 0);
    in_init = NULL;
}

static void by_function(struct fuse_conn_info *conn)
{
    EXPECT(fuse_get_feature_flag(conn, FUSE_CAP_EXPORT_SUPPORT));
    EXPECT(fuse_get_feature_flag(conn, HIGH | FUSE_CAP_POSIX_ACL));
    EXPECT(!fuse_get_feature_flag(conn, FUSE_CAP_POSIX_ACL));
    uint64_t before = conn->want_ext;
    EXPECT(!fuse_set_feature_flag(conn, FUSE_CAP_POSIX_ACL));
    EXPECT(!fuse_set_feature_flag(conn, FUSE_CAP_POSIX_ACL | FUSE_CAP_EXPORT_SUPPORT));
    EXPECT(!fuse_set_feature_flag(conn, 0));
    EXPECT_EQ(conn->want_ext, before);
    EXPECT(fuse_set_feature_flag(conn, FUSE_CAP_EXPORT_SUPPORT));
    EXPECT(fuse_set_feature_flag(conn, HIGH));
    EXPECT_EQ(conn->want_ext, before | FUSE_CAP_EXPORT_SUPPORT | HIGH);
    EXPECT_EQ(conn->want, (uint32_t)conn->want_ext);
    fuse_unset_feature_flag(conn, FUSE_CAP_ASYNC_READ);
    EXPECT(!(conn->want & FUSE_CAP_ASYNC_READ) && !(conn->want_ext & FUSE_CAP_ASYNC_READ));
}

static void functions(void)
{
    offer(by_function);
    EXPECT_EQ(init_reply.flags & (LOW | 1), FUSE_EXPORT_SUPPORT | FUSE_ASYNC_DIO);
    EXPECT_EQ(init_reply.flags2, 1);
    session_stop();
}

static void by_hand_and_function(struct fuse_conn_info *conn)
{
    conn->want |= FUSE_CAP_DONT_MASK;
    EXPECT(fuse_set_feature_flag(conn, FUSE_CAP_EXPORT_SUPPORT | HIGH));
    EXPECT_EQ(fuse_convert_to_conn_want_ext(conn), 0);
    EXPECT_EQ(conn->want, (uint32_t)conn->want_ext);
    EXPECT(conn->want_ext & FUSE_CAP_DONT_MASK);
    conn->want_ext &= ~(uint64_t)FUSE_CAP_ASYNC_READ;
    EXPECT_EQ(fuse_convert_to_conn_want_ext(conn), 0);
    EXPECT(!(conn->want & FUSE_CAP_ASYNC_READ));
}

static void mixed(void)
{
    offer(by_hand_and_function);
    EXPECT_EQ(init_reply.flags & LOW, FUSE_EXPORT_SUPPORT | FUSE_DONT_MASK | FUSE_ASYNC_DIO);
    session_stop();
}

static void contradicting(struct fuse_conn_info *conn)
{
    conn->want |= FUSE_CAP_DONT_MASK;
    conn->want_ext |= FUSE_CAP_EXPORT_SUPPORT;
    EXPECT_EQ(fuse_convert_to_conn_want_ext(conn), -EINVAL);
}

static void contradiction(void)
{
    offer(contradicting);
    EXPECT_EQ(init_reply.flags & LOW & ~FUSE_ASYNC_READ & ~FUSE_ASYNC_DIO, FUSE_EXPORT_SUPPORT | FUSE_DONT_MASK);
    session_stop();
}

static void conn_flags(struct fuse_conn_info *conn)
{
    EXPECT(!fuse_set_conn_flag(conn, 0));
    EXPECT(!fuse_set_conn_flag(conn, FUSE_CONN_FLAG_SINGLE_ISSUER | FUSE_CONN_FLAG_NO_INTERRUPT));
    EXPECT(!fuse_set_conn_flag(conn, 1u << 2));
    EXPECT(!conn->io_uring_single_issuer && !conn->no_interrupt);
    EXPECT(fuse_set_conn_flag(conn, FUSE_CONN_FLAG_SINGLE_ISSUER));
    EXPECT(conn->io_uring_single_issuer && !conn->no_interrupt);
    EXPECT(fuse_set_conn_flag(conn, FUSE_CONN_FLAG_NO_INTERRUPT));
    EXPECT(conn->io_uring_single_issuer && conn->no_interrupt);
}

static int interrupt_error(uint64_t of)
{
    request(FUSE_INTERRUPT, 0);
    PUT(fuse_interrupt_in, .unique = of);
    return reply_error(NULL);
}

/* With and without no_interrupt: before its request arrives, and while it is in flight. */
static void interrupts(bool wanted)
{
    offer(wanted ? NULL : conn_flags);
    EXPECT_EQ(interrupt_error(last_unique() + 4), wanted ? 1 : -ENOSYS);
    plain_request(FUSE_READ, 45);
    uint64_t unique = last_unique();
    EXPECT_EQ(reply_error(&NO_ANSWER), 1);
    fuse_req_t req = kept;
    EXPECT_EQ(fuse_req_interrupted(req), wanted);
    EXPECT_EQ(interrupt_error(unique), wanted ? 1 : -ENOSYS);
    EXPECT_EQ(fuse_req_interrupted(req), wanted);
    EXPECT_EQ(fuse_reply_err(req, EINTR), 0);
    session_stop();
}

static struct fuse_conn_info *kept_conn;

static void keep(struct fuse_conn_info *conn)
{
    by_function(conn);
    kept_conn = conn;
}

/* What the callback got says what was agreed on, as long as the session; what is written there then counts for nothing. */
static void kept_by_the_callback(void)
{
    offer(keep);
    EXPECT_EQ(kept_conn->want_ext & (LOW | HIGH), FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_ASYNC_DIO | HIGH);
    EXPECT_EQ(kept_conn->want, (uint32_t)kept_conn->want_ext);
    EXPECT_EQ(kept_conn->max_write, init_reply.max_write);
    memset(kept_conn, 0, sizeof(*kept_conn));
    EXPECT_EQ(fuse_lowlevel_notify_inval_inode(session, 1, 0, 0), 0);
    session_stop();
}

static void null_pointers(void)
{
    EXPECT(!fuse_set_feature_flag(NULL, 1) && !fuse_get_feature_flag(NULL, 1) && !fuse_set_conn_flag(NULL, 1));
    fuse_unset_feature_flag(NULL, 1);
    EXPECT_EQ(fuse_convert_to_conn_want_ext(NULL), -EINVAL);
}

int main(void)
{
    functions();
    mixed();
    contradiction();
    interrupts(true);
    interrupts(false);
    kept_by_the_callback();
    null_pointers();
    return verdict();
}
