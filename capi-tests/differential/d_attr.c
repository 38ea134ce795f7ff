/* getattr, setattr and statfs: which handle the callback sees, what is to be set, and what stat and statvfs become. */
#include "harness.h"

#include <sys/statvfs.h>

static void getattr_handles(void)
{
    static const uint32_t flags[] = { 0, FUSE_GETATTR_FH, 2, 0xffffffff };
    static const uint64_t handles[] = { 0, 9, UINT64_MAX };
    EACH(flag, flags) {
        EACH(handle, handles) {
            request(FUSE_GETATTR, 3);
            PUT(fuse_getattr_in, .getattr_flags = *flag, .fh = *handle);
            run(NULL, "GETATTR flags %#x fh %#" PRIx64, *flag, *handle);
        }
    }
}

static void attr_replies(void)
{
    const double timeouts[] = { 0, 1.5, 0.1, 1e-9, 0.9999999999, -1, 1e9, 4294967296.5, 1e18 };
    EACH(timeout, timeouts) {
        plain_request(FUSE_GETATTR, 38);
        run(&(struct answer){ "attr", answer_attr, timeout }, "GETATTR timeout %.12g", *timeout);
        plain_request(FUSE_SETATTR, 38);
        run(&(struct answer){ "attr", answer_attr, timeout }, "SETATTR timeout %.12g", *timeout);
    }
    static const uint32_t opcodes[] = { FUSE_GETATTR, FUSE_SETATTR, FUSE_STATFS };
    EACH(opcode, opcodes) {
        for (size_t i = 0; i < error_count; i++) {
            plain_request(*opcode, 38);
            run(&errors[i], "%s %s", opcode_name(*opcode), errors[i].label);
        }
    }
}

static void put_setattr(uint32_t valid)
{
    PUT(fuse_setattr_in, .valid = valid, .fh = 0x99, .size = 0x8000000000000001, .lock_owner = 0x77,
        .atime = 1700000001, .mtime = 1700000002, .ctime = (uint64_t)-3, .atimensec = 1, .mtimensec = 2,
        .ctimensec = 3, .mode = 0106640, .uid = 501, .gid = 502);
}

static void setattr_bits(void)
{
    for (uint32_t bit = 1; bit != 0; bit <<= 1) {
        request(FUSE_SETATTR, 3);
        put_setattr(bit);
        run(NULL, "SETATTR valid %#x", bit);
    }
    static const uint32_t sets[] = {
        0, 0xffffffff, FATTR_UID | FATTR_GID, FATTR_SIZE | FATTR_FH, FATTR_SIZE | FATTR_LOCKOWNER | FATTR_FH,
        FATTR_ATIME | FATTR_MTIME, FATTR_ATIME | FATTR_ATIME_NOW | FATTR_MTIME | FATTR_MTIME_NOW,
        FATTR_MODE | FATTR_KILL_SUIDGID, FATTR_CTIME | FATTR_MTIME | FATTR_FH,
    };
    EACH(set, sets) {
        request(FUSE_SETATTR, 3);
        put_setattr(*set);
        run(NULL, "SETATTR set %#x", *set);
    }
}

static void statfs_replies(void)
{
    const struct statvfs values[] = {
        { 0 },
        { .f_bsize = 4096, .f_frsize = 512, .f_blocks = 1, .f_bfree = 2, .f_bavail = 3, .f_files = 4, .f_ffree = 5,
          .f_favail = 6, .f_fsid = 7, .f_flag = 8, .f_namemax = 255 },
        { .f_bsize = -1, .f_frsize = -1, .f_blocks = -1, .f_bfree = -1, .f_bavail = -1, .f_files = -1, .f_ffree = -1,
          .f_favail = -1, .f_fsid = -1, .f_flag = -1, .f_namemax = -1 },
        { .f_bsize = 0x100001000, .f_frsize = 0x100000200, .f_namemax = 0x1000000ff },
    };
    EACH(value, values) {
        plain_request(FUSE_STATFS, 38);
        run(&(struct answer){ "statfs", answer_statfs, value }, "STATFS value %zu", (size_t)(value - values));
    }
    request(FUSE_STATFS, 0);
    run(NULL, "STATFS of nodeid 0");
}

int main(void)
{
    session_start((struct setup){ 0 });
    getattr_handles();
    attr_replies();
    setattr_bits();
    statfs_replies();
    session_stop();
    return 0;
}
