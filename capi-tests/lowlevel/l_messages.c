/* Replies to statx, the notifications of 7.44 and 7.45, debug output on demand, backing files without a device. */
#include "expect.h"

#include <stdarg.h>

/* Not in the kernel headers of older systems. */
enum { STATX = 52, GETATTR_WITH_FILE = 1, NOTIFY_INC_EPOCH = 8, NOTIFY_PRUNE = 9 };
struct statx_in {
    uint32_t getattr_flags, reserved;
    uint64_t fh;
    uint32_t sx_flags, sx_mask;
};
struct statx_out {
    uint64_t attr_valid;
    uint32_t attr_valid_nsec, flags;
    uint64_t spare[2];
    struct statx stat;
};

static struct statx attributes;
static uint64_t seen_fh;
static int seen_flags, seen_mask, returned;

static void on_statx(fuse_req_t req, fuse_ino_t ino, int flags, int mask, struct fuse_file_info *fi)
{
    EXPECT_EQ(ino, 7);
    seen_fh = fi != NULL ? fi->fh : 0;
    seen_flags = flags;
    seen_mask = mask;
    returned = fuse_reply_statx(req, 0, &attributes, 1.5);
}

static void on_statx_null(fuse_req_t req, fuse_ino_t ino, int flags, int mask, struct fuse_file_info *fi)
{
    (void)ino, (void)flags, (void)mask, (void)fi;
    returned = fuse_reply_statx(req, 0, NULL, 1.5);
}

static int send_statx(uint32_t getattr_flags)
{
    request(STATX, 7);
    PUT(statx_in, .getattr_flags = getattr_flags, .fh = 99, .sx_flags = 0x100, .sx_mask = STATX_BASIC_STATS);
    return reply_error(NULL);
}

static void statx_replies(void)
{
    struct fuse_lowlevel_ops ops = { .statx = on_statx };
    memset(&attributes, 0x5a, sizeof(attributes));
    attributes.stx_mask = STATX_BASIC_STATS | STATX_BTIME;
    attributes.stx_btime.tv_sec = -5;
    session_start((struct setup){ .ops = &ops, .minor = 45 });
    EXPECT_EQ(send_statx(0), 0);
    EXPECT_EQ(returned, 0);
    EXPECT_EQ(seen_fh, 0);
    EXPECT_EQ(seen_flags, 0x100);
    EXPECT_EQ(seen_mask, STATX_BASIC_STATS);
    struct statx_out out = { 0 };
    EXPECT_EQ(reply_payload().len, sizeof(out));
    memcpy(&out, reply_payload().data, sizeof(out));
    EXPECT_EQ(out.attr_valid, 1);
    EXPECT_EQ(out.attr_valid_nsec, 500000000);
    EXPECT(out.flags == 0 && out.spare[0] == 0 && out.spare[1] == 0);
    EXPECT(memcmp(&out.stat, &attributes, sizeof(attributes)) == 0);
    EXPECT_EQ(send_statx(GETATTR_WITH_FILE), 0);
    EXPECT_EQ(seen_fh, 99);
    session_stop();
    ops.statx = on_statx_null;
    session_start((struct setup){ .ops = &ops, .minor = 45 });
    EXPECT_EQ(send_statx(0), -EIO);
    EXPECT_EQ(returned, -EINVAL);
    session_stop();
    ops.statx = NULL;
    session_start((struct setup){ .ops = &ops, .minor = 45 });
    EXPECT_EQ(send_statx(0), -ENOSYS);
    session_stop();
}

/* The notification that was sent last. */
static struct fuse_out_header notification(void)
{
    struct fuse_out_header out = { 0 };
    memcpy(&out, last_reply.data, last_reply.len < sizeof(out) ? last_reply.len : sizeof(out));
    EXPECT_EQ(out.len, last_reply.len);
    EXPECT_EQ(out.unique, 0);
    return out;
}

static void notifications(void)
{
    fuse_ino_t inodes[] = { 3, UINT64_MAX, 5 };
    struct {
        uint32_t count, padding;
        uint64_t spare;
        fuse_ino_t inodes[COUNT(inodes)];
    } prune = { .count = COUNT(inodes) };
    memcpy(prune.inodes, inodes, sizeof(inodes));

    session_start((struct setup){ .minor = 45 });
    silent = true;
    EXPECT_EQ(fuse_lowlevel_notify_increment_epoch(session), 0);
    EXPECT_EQ(notification().error, NOTIFY_INC_EPOCH);
    EXPECT_EQ(reply_payload().len, 0);
    EXPECT_EQ(fuse_lowlevel_notify_prune(session, inodes, COUNT(inodes)), 0);
    EXPECT_EQ(notification().error, NOTIFY_PRUNE);
    EXPECT_EQ(reply_payload().len, sizeof(prune));
    EXPECT(memcmp(reply_payload().data, &prune, sizeof(prune)) == 0);
    EXPECT_EQ(fuse_lowlevel_notify_prune(session, NULL, 0), 0);
    EXPECT_EQ(reply_payload().len, 16);
    EXPECT_EQ(fuse_lowlevel_notify_prune(session, NULL, 1), -EINVAL);
    write_errno = ENODEV;
    EXPECT_EQ(fuse_lowlevel_notify_increment_epoch(session), -ENODEV);
    write_errno = 0;
    session_stop();

    session_start((struct setup){ .minor = 44 });
    silent = true;
    EXPECT_EQ(fuse_lowlevel_notify_increment_epoch(session), 0);
    EXPECT_EQ(fuse_lowlevel_notify_prune(session, inodes, 1), -ENOSYS);
    session_stop();
    session_start((struct setup){ .minor = 43 });
    silent = true;
    EXPECT_EQ(fuse_lowlevel_notify_increment_epoch(session), -ENOSYS);
    session_stop();
    EXPECT_EQ(fuse_lowlevel_notify_increment_epoch(NULL), -EINVAL);
    EXPECT_EQ(fuse_lowlevel_notify_prune(NULL, inodes, 1), -EINVAL);
}

static char debug_text[4096], last_error[256];

static void on_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
    size_t used = strlen(debug_text);
    if (level == FUSE_LOG_DEBUG)
        vsnprintf(debug_text + used, sizeof(debug_text) - used, fmt, ap);
    if (level == FUSE_LOG_ERR)
        vsnprintf(last_error, sizeof(last_error), fmt, ap);
}

static void debug(void)
{
    fuse_set_log_func(on_log);
    session_start((struct setup){ 0 });
    plain_request(FUSE_LOOKUP, 38);
    reply_error(NULL);
    EXPECT_EQ(strlen(debug_text), 0);
    fuse_session_set_debug(session);
    plain_request(FUSE_LOOKUP, 38);
    reply_error(&(struct answer){ "", answer_entry, &(const struct fuse_entry_param){ .ino = 5 } });
    EXPECT(strstr(debug_text, "opcode: LOOKUP (1), nodeid: "));
    EXPECT(strstr(debug_text, ", success, outsize: 144\n"));
    plain_request(FUSE_LOOKUP, 38);
    reply_error(&ERR(ENOENT));
    EXPECT(strstr(debug_text, ", error: -2 (No such file or directory), outsize: 16\n"));
    session_stop();

    debug_text[0] = '\0';
    session_start((struct setup){ .options = "debug" });
    EXPECT(strstr(debug_text, fuse_pkgversion()));
    EXPECT(strstr(debug_text, "INIT: 7.38\n"));
    EXPECT(strstr(debug_text, "   max_write=0x00100000\n"));
    EXPECT(strstr(debug_text, "   max_pages=256\n"));
    session_stop();
    fuse_session_set_debug(NULL);
    fuse_set_log_func(NULL);
}

/* The session's fd is /dev/null here, which knows no backing files. */
static void on_open(fuse_req_t req)
{
    errno = 0;
    EXPECT_EQ(fuse_passthrough_open(req, 0), 0);
    EXPECT_EQ(errno, ENOTTY);
    EXPECT(strstr(last_error, "fuse_passthrough_open: file descriptor 0: "));
    errno = 0;
    EXPECT_EQ(fuse_passthrough_close(req, 12), -1);
    EXPECT_EQ(errno, ENOTTY);
    EXPECT(strstr(last_error, "fuse_passthrough_close: backing id 12: "));
}

static void passthrough(void)
{
    fuse_set_log_func(on_log);
    session_start((struct setup){ 0 });
    in_callback = on_open;
    plain_request(FUSE_OPEN, 38);
    EXPECT_EQ(reply_error(NULL), 0);
    in_callback = NULL;
    plain_request(FUSE_OPEN, 38);
    EXPECT_EQ(reply_error(&NO_ANSWER), 1);
    fuse_req_t answered = kept;
    fuse_reply_err(answered, EIO);
    EXPECT_EQ(fuse_passthrough_open(answered, 0), 0);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(fuse_passthrough_close(answered, 1), -1);
    EXPECT_EQ(errno, EINVAL);
    session_stop();
    fuse_set_log_func(NULL);
}

int main(void)
{
    statx_replies();
    notifications();
    debug();
    passthrough();
    return verdict();
}
