/* What libfuse has no function for: flags and groups of a request, flags of a reply and of INIT. */
#include "expect.h"

/* Not in the kernel headers of older systems. */
enum { OPEN_KILL_SUIDGID = 1, ACL_KILL_SGID = 1, WRITE_KILL = 4, GROUPS = 32, STREAM = 1 << 4, PASSTHROUGH = 1 << 7 };
enum { SUBMOUNT = 1, DAX = 2 };
enum { INIT_EXT = 1 << 30, ABORT = 1 << 21, MAP_ALIGN = 1 << 26, SUBMOUNTS = 1 << 27 };
#define SUPP_GROUP (1ULL << 34)
#define HAS_RESEND (1ULL << 39)
#define OVER_URING (1ULL << 41)
#define RESEND (1ULL << 63)

static uint32_t flags;
static uint64_t number;
static int returned, opened;
static gid_t groups[4];

static void note(fuse_req_t req)
{
    flags = fuse_req_flags(req);
    number = fuse_req_unique(req);
    memset(groups, 0x55, sizeof(groups));
    returned = fuse_req_supp_groups(req, COUNT(groups), groups);
}

/* Sends the request as it stands; the flags that it brought. */
static uint32_t flags_of(void)
{
    flags = UINT32_MAX;
    in_callback = note;
    feed(NULL);
    in_callback = NULL;
    EXPECT_EQ(number, last_unique());
    return flags;
}

static void request_flags(void)
{
    plain_request(FUSE_LOOKUP, 45);
    EXPECT_EQ(flags_of(), 0);
    EXPECT_EQ(returned, -ENOENT);
    plain_request(FUSE_LOOKUP, 45);
    header()->unique |= RESEND;
    EXPECT_EQ(flags_of(), FUSE_REQ_RESEND);
    for (uint32_t bits = 0; bits < 2; bits++) {
        uint32_t want = bits & OPEN_KILL_SUIDGID ? FUSE_REQ_KILL_SUIDGID : 0;
        request(FUSE_OPEN, 7);
        PUT(fuse_open_in, .flags = 0x8201, .open_flags = bits);
        EXPECT_EQ(flags_of(), want);
        request(FUSE_CREATE, 7);
        PUT(fuse_create_in, .flags = 0x8242, .mode = S_IFREG, .open_flags = bits);
        put_str("name");
        EXPECT_EQ(flags_of(), want);
        request(FUSE_SETXATTR, 7);
        put_setxattr(5, 1, bits);
        put_str("system.posix_acl_access");
        put("value", 5);
        EXPECT_EQ(flags_of(), bits & ACL_KILL_SGID ? FUSE_REQ_ACL_KILL_SGID : 0);
    }
    for (uint32_t bits = 0; bits < 8; bits++) {
        uint32_t owner = bits & FUSE_READ_LOCKOWNER ? FUSE_REQ_LOCK_OWNER : 0;
        request(FUSE_WRITE, 7);
        PUT(fuse_write_in, .write_flags = bits, .size = 1);
        put("x", 1);
        EXPECT_EQ(flags_of(), owner | (bits & WRITE_KILL ? FUSE_REQ_KILL_SUIDGID : 0));
        request(FUSE_READ, 7);
        PUT(fuse_read_in, .read_flags = bits, .size = 1);
        header()->unique |= RESEND;
        EXPECT_EQ(flags_of(), owner | FUSE_REQ_RESEND);
    }
    request(FUSE_SETATTR, 7);
    PUT(fuse_setattr_in, .valid = FATTR_SIZE | FATTR_KILL_SUIDGID);
    EXPECT_EQ(flags_of(), FUSE_REQ_KILL_SUIDGID);
    request(FUSE_SETATTR, 7);
    PUT(fuse_setattr_in, .valid = FATTR_SIZE);
    EXPECT_EQ(flags_of(), 0);
}

/* MKDIR with `len` bytes of an extension of type `type`; what fuse_req_supp_groups() returned. */
static int groups_of(uint32_t type, const void *body, size_t len)
{
    const uint32_t head[] = { (uint32_t)(8 + len), type };
    const uint16_t units = (uint16_t)((8 + len + 7) / 8);
    request(FUSE_MKDIR, 1);
    PUT(fuse_mkdir_in, .mode = 0755);
    put_str("ab name"); /* a multiple of 8 with its NUL */
    put(head, sizeof(head));
    put(body, len);
    put("\0\0\0\0\0\0\0", (size_t)units * 8 - 8 - len);
    memcpy((char *)header() + 36, &units, sizeof(units));
    in_callback = note;
    EXPECT_EQ(reply_error(NULL), 0);
    in_callback = NULL;
    return returned;
}

static void request_groups(void)
{
    EXPECT_EQ(groups_of(GROUPS, (uint32_t[]){ 1, 1000 }, 8), 1);
    EXPECT(groups[0] == 1000 && groups[1] == 0x55555555);
    EXPECT_EQ(groups_of(GROUPS, (uint32_t[]){ 0 }, 4), 0);
    /* More than there is room for. */
    EXPECT_EQ(groups_of(GROUPS, (uint32_t[]){ 6, 1, 2, 3, 4, 5, 6 }, 28), 6);
    EXPECT_EQ(groups[3], 4);
    EXPECT_EQ(groups_of(GROUPS + 1, (uint32_t[]){ 1, 1000 }, 8), -ENOENT);
    EXPECT_EQ(groups_of(GROUPS, (uint32_t[]){ 3, 1000, 7 }, 12), -EIO);
    EXPECT_EQ(groups_of(GROUPS, (uint32_t[]){ UINT32_MAX, 1000 }, 8), -EIO);
    EXPECT_EQ(groups_of(GROUPS, NULL, 0), -EIO);
    /* Only asking for the number, and after the callback. */
    request(FUSE_MKDIR, 1);
    PUT(fuse_mkdir_in, .mode = 0755);
    put_str("ab name");
    put((uint32_t[]){ 20, GROUPS, 2, 1000, 2000, 0 }, 24);
    memcpy((char *)header() + 36, &(uint16_t){ 3 }, 2);
    EXPECT_EQ(reply_error(&NO_ANSWER), 1);
    EXPECT_EQ(fuse_req_supp_groups(kept, 0, NULL), 2);
    EXPECT_EQ(fuse_req_supp_groups(kept, -1, groups), 2);
    EXPECT_EQ(fuse_req_supp_groups(kept, 2, groups), 2);
    EXPECT(groups[0] == 1000 && groups[1] == 2000);
    EXPECT_EQ(fuse_reply_err(kept, EIO), 0);
    EXPECT_EQ(fuse_req_supp_groups(kept, 2, groups), -EINVAL);
    EXPECT_EQ(fuse_req_unique(kept), 0);
    EXPECT_EQ(fuse_req_flags(kept), 0);
}

static void set_both(fuse_req_t req)
{
    opened = fuse_req_set_open_flags(req, STREAM | 1 << 30);
    /* The last word counts. */
    returned = fuse_req_set_attr_flags(req, 0xff00);
    if (returned == 0)
        returned = fuse_req_set_attr_flags(req, SUBMOUNT | DAX);
}

static struct fuse_attr attr_at(size_t offset)
{
    struct fuse_attr attr = { 0 };
    EXPECT(reply_payload().len >= offset + sizeof(attr));
    memcpy(&attr, (const char *)reply_payload().data + offset, sizeof(attr));
    return attr;
}

static uint32_t open_flags_at(size_t offset)
{
    struct fuse_open_out open = { 0 };
    EXPECT_EQ(reply_payload().len, offset + sizeof(open));
    memcpy(&open, (const char *)reply_payload().data + offset, sizeof(open));
    return open.open_flags;
}

/* Every opcode: who takes which flags, and where they are in the reply. */
static void reply_flags(void)
{
    static const uint32_t of_entry[] = { FUSE_LOOKUP, FUSE_MKNOD, FUSE_MKDIR, FUSE_SYMLINK, FUSE_LINK };
    static const uint32_t of_attr[] = { FUSE_GETATTR, FUSE_SETATTR };
    static const uint32_t others[] = { FUSE_READ, FUSE_STATFS, FUSE_UNLINK, FUSE_READDIR, FUSE_FORGET };
    in_callback = set_both;
    EACH(opcode, of_entry) {
        plain_request(*opcode, 45);
        EXPECT_EQ(reply_error(NULL), 0);
        EXPECT(returned == 0 && opened == -EINVAL);
        EXPECT_EQ(attr_at(offsetof(struct fuse_entry_out, attr)).flags, SUBMOUNT | DAX);
    }
    EACH(opcode, of_attr) {
        plain_request(*opcode, 45);
        EXPECT_EQ(reply_error(NULL), 0);
        EXPECT(returned == 0 && opened == -EINVAL);
        EXPECT_EQ(attr_at(offsetof(struct fuse_attr_out, attr)).flags, SUBMOUNT | DAX);
    }
    for (uint32_t opcode = FUSE_OPEN; opcode <= FUSE_OPENDIR; opcode += FUSE_OPENDIR - FUSE_OPEN) {
        plain_request(opcode, 45);
        EXPECT_EQ(reply_error(&(struct answer){ "", answer_open, &(struct fuse_file_info){ .keep_cache = 1 } }), 0);
        EXPECT(returned == -EINVAL && opened == 0);
        EXPECT_EQ(open_flags_at(0), STREAM | 1 << 30 | FOPEN_KEEP_CACHE);
    }
    plain_request(FUSE_CREATE, 45);
    EXPECT_EQ(reply_error(&(struct answer){ "", answer_create, &(struct fuse_file_info){ .direct_io = 1 } }), 0);
    EXPECT(returned == 0 && opened == 0);
    EXPECT_EQ(attr_at(offsetof(struct fuse_entry_out, attr)).flags, SUBMOUNT | DAX);
    EXPECT_EQ(open_flags_at(sizeof(struct fuse_entry_out)), STREAM | 1 << 30 | FOPEN_DIRECT_IO);
    EACH(opcode, others) {
        plain_request(*opcode, 45);
        feed(NULL);
        EXPECT(returned == -EINVAL && opened == -EINVAL);
    }
    in_callback = NULL;
    /* The next request in the same place has none. */
    plain_request(FUSE_CREATE, 45);
    EXPECT_EQ(reply_error(&(struct answer){ "", answer_create, &(struct fuse_file_info){ 0 } }), 0);
    EXPECT_EQ(attr_at(offsetof(struct fuse_entry_out, attr)).flags, 0);
    EXPECT_EQ(open_flags_at(sizeof(struct fuse_entry_out)), 0);
}

static void refused(void)
{
    plain_request(FUSE_OPEN, 45);
    EXPECT_EQ(reply_error(&NO_ANSWER), 1);
    EXPECT_EQ(fuse_req_set_open_flags(kept, PASSTHROUGH), -EINVAL);
    EXPECT_EQ(fuse_reply_open(kept, &(struct fuse_file_info){ 0 }), 0);
    EXPECT_EQ(open_flags_at(0), 0);
    EXPECT_EQ(fuse_req_set_open_flags(kept, STREAM), -EINVAL);
    EXPECT_EQ(fuse_req_set_attr_flags(kept, DAX), -EINVAL);
    EXPECT_EQ(fuse_req_set_attr_flags(NULL, DAX), -EINVAL);
}

static uint32_t flags_of_record(fuse_req_t req)
{
    char buf[256];
    struct fuse_entry_out out;
    EXPECT_EQ(fuse_add_direntry_plus(req, buf, sizeof(buf), "name", &sample_entry, 1), 160);
    memcpy(&out, buf, sizeof(out));
    return out.attr.flags;
}

static void records(void)
{
    plain_request(FUSE_READDIRPLUS, 45);
    EXPECT_EQ(reply_error(&NO_ANSWER), 1);
    fuse_req_t req = kept;
    EXPECT_EQ(flags_of_record(req), 0);
    EXPECT_EQ(fuse_req_set_attr_flags(req, SUBMOUNT), 0);
    EXPECT_EQ(flags_of_record(req), SUBMOUNT);
    /* Programs pass what they have. */
    EXPECT_EQ(flags_of_record(NULL), 0);
    EXPECT_EQ(fuse_req_set_attr_flags(req, 0), 0);
    EXPECT_EQ(flags_of_record(req), 0);
    EXPECT_EQ(fuse_req_set_attr_flags(req, DAX), 0);
    EXPECT_EQ(fuse_reply_buf(req, NULL, 0), 0);
    EXPECT_EQ(flags_of_record(req), 0);
}

static const uint64_t OFFER = ABORT | MAP_ALIGN | INIT_EXT | FUSE_ASYNC_READ | SUPP_GROUP | OVER_URING;

static void want_flags(struct fuse_conn_info *conn)
{
    struct fuse_conn_info copy = *conn;
    EXPECT_EQ(fuse_conn_init_flags(conn), OFFER);
    EXPECT(!(conn->capable_ext & FUSE_CAP_OVER_IO_URING));
    EXPECT_EQ(fuse_conn_want_init_flags(conn, OVER_URING), -EINVAL);
    EXPECT_EQ(fuse_conn_want_init_flags(conn, 0), 0);
    EXPECT_EQ(fuse_conn_want_init_flags(conn, ABORT), 0);
    EXPECT_EQ(fuse_conn_want_init_flags(conn, SUPP_GROUP), 0);
    /* Not offered. */
    EXPECT_EQ(fuse_conn_want_init_flags(conn, SUBMOUNTS), -ENOTSUP);
    EXPECT_EQ(fuse_conn_want_init_flags(conn, HAS_RESEND | ABORT), -ENOTSUP);
    /* Nothing that the library could live up to, one that a capability stands for, ones that it sets itself. */
    EXPECT_EQ(fuse_conn_want_init_flags(conn, MAP_ALIGN), -EINVAL);
    EXPECT_EQ(fuse_conn_want_init_flags(conn, FUSE_ASYNC_READ), -EINVAL);
    EXPECT_EQ(fuse_conn_want_init_flags(conn, FUSE_MAX_PAGES | ABORT), -EINVAL);
    EXPECT_EQ(fuse_conn_want_init_flags(conn, 1ULL << 63), -EINVAL);
    EXPECT_EQ(fuse_conn_want_init_flags(NULL, ABORT), -EINVAL);
    EXPECT_EQ(fuse_conn_want_init_flags(&copy, ABORT), -EINVAL);
    EXPECT_EQ(fuse_conn_init_flags(&copy), 0);
    EXPECT_EQ(fuse_conn_init_flags(NULL), 0);
    EXPECT(memcmp(conn, &copy, sizeof(copy)) == 0);
}

/* What no capability stands for; asked for, and not. */
static void init_flags(void)
{
    for (int asked = 0; asked < 2; asked++) {
        in_init = asked ? want_flags : NULL;
        session_start((struct setup){ .no_init = true });
        put_init(45, 131072, (uint32_t)OFFER, (uint32_t)(OFFER >> 32));
        EXPECT_EQ(reply_error(NULL), 0);
        EXPECT_EQ(init_reply.flags & (ABORT | MAP_ALIGN | SUBMOUNTS), asked ? ABORT : 0);
        EXPECT_EQ(init_reply.flags2, asked ? SUPP_GROUP >> 32 : 0);
        session_stop();
    }
    in_init = NULL;
}

static void without_uring(fuse_req_t req)
{
    char *payload = "untouched";
    size_t size = 7;
    EXPECT(!fuse_req_is_uring(req));
    EXPECT_EQ(fuse_req_get_payload(req, &payload, &size, NULL), -EINVAL);
    EXPECT(strcmp(payload, "untouched") == 0 && size == 7);
}

static void uring(void)
{
    in_callback = without_uring;
    plain_request(FUSE_READ, 45);
    EXPECT_EQ(reply_error(NULL), 0);
    in_callback = NULL;
}

static void want_setxattr_ext(struct fuse_conn_info *conn)
{
    conn->want |= FUSE_CAP_SETXATTR_EXT;
}

int main(void)
{
    in_init = want_setxattr_ext;
    session_start((struct setup){ .minor = 45 });
    in_init = NULL;
    silent = true;
    request_flags();
    request_groups();
    reply_flags();
    refused();
    records();
    uring();
    session_stop();
    init_flags();
    return verdict();
}
