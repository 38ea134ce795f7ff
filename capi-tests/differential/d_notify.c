/* Messages that the daemon sends of itself, under protocols that know them and protocols that do not. */
#include "harness.h"


#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 16)
/* The flags left the prototype again; 0 meant to invalidate. */
static int expire(fuse_ino_t parent, const char *name, size_t len, unsigned flags)
{
    return flags & FUSE_LL_EXPIRE_ONLY ? fuse_lowlevel_notify_expire_entry(session, parent, name, len)
                                       : fuse_lowlevel_notify_inval_entry(session, parent, name, len);
}
#else
static int expire(fuse_ino_t parent, const char *name, size_t len, unsigned flags)
{
    return fuse_lowlevel_notify_expire_entry(session, parent, name, len, flags);
}
#endif

static void inodes(void)
{
    static const struct {
        fuse_ino_t ino;
        off_t off, len;
    } all[] = { { 1, 0, 0 }, { 5, -1, 0 }, { 6, 4096, -1 }, { 0, 0, 0 }, { UINT64_MAX, INT64_MAX, INT64_MIN } };
    EACH(one, all)
        say("inval_inode %" PRIu64 " %jd %jd returned %d", one->ino, (intmax_t)one->off, (intmax_t)one->len,
            fuse_lowlevel_notify_inval_inode(session, one->ino, one->off, one->len));
}

static void names(void)
{
    static char longest[256], beyond[1025];
    memset(longest, 'n', sizeof(longest) - 1);
    memset(beyond, 'b', sizeof(beyond) - 1);
    const struct bytes all[] = { { "name", 4 }, { "", 0 }, { "prefix only", 6 }, { "a\0b", 3 }, { "\xff", 1 },
                                 { longest, 255 }, { beyond, 1024 } };
    EACH(name, all) {
        say("inval_entry %zu returned %d", name->len,
            fuse_lowlevel_notify_inval_entry(session, 1, name->data, name->len));
        say("expire_entry %zu returned %d", name->len, expire(1, name->data, name->len, FUSE_LL_EXPIRE_ONLY));
        say("expire_entry that invalidates %zu returned %d", name->len, expire(1, name->data, name->len, 0));
        say("delete %zu returned %d", name->len, fuse_lowlevel_notify_delete(session, 1, 2, name->data, name->len));
    }
}

static void store(const char *what, struct fuse_bufvec *bufv, off_t offset, enum fuse_buf_copy_flags flags)
{
    say("store %s flags %#x returned %d", what, flags, fuse_lowlevel_notify_store(session, 7, offset, bufv, flags));
}

static void stores(void)
{
    static const size_t sizes[] = { 0, 1, 400, 4096, 100000 };
    EACH(size, sizes) {
        struct fuse_bufvec bufv = FUSE_BUFVEC_INIT(*size);
        bufv.buf[0].mem = (char *)pattern(*size);
        store("memory", &bufv, 4096, 0);
    }
    struct fuse_bufvec half = FUSE_BUFVEC_INIT(400);
    half.buf[0].mem = (char *)pattern(400);
    half.off = 200;
    store("half of it", &half, -1, FUSE_BUF_NO_SPLICE);

    int fd = pattern_file(10000);
    struct fuse_bufvec bufv = FUSE_BUFVEC_INIT(9000);
    bufv.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    bufv.buf[0].fd = fd;
    bufv.buf[0].pos = 10;
    store("file", &bufv, 0, 0);
    bufv = (struct fuse_bufvec){ .count = 1, .buf = { bufv.buf[0] } };
    bufv.buf[0].size = 300;
    bufv.buf[0].pos = 9800;
    store("file that ends early", &bufv, 0, 0);
    close(fd);
}

static void retrieves(void)
{
    static const size_t sizes[] = { 0, 1, 4096, 1 << 20, (size_t)1 << 33 };
    EACH(size, sizes)
        say("retrieve %zu returned %d", *size,
            fuse_lowlevel_notify_retrieve(session, 7, *size, 8192, (void *)(uintptr_t)(0xc00 + *size)));
}

static void notify(const char *when)
{
    begin_case("%s inodes", when);
    inodes();
    begin_case("%s names", when);
    names();
    begin_case("%s stores", when);
    stores();
    begin_case("%s retrieves", when);
    retrieves();
}

static void under(uint32_t minor)
{
    char when[16];
    snprintf(when, sizeof(when), "7.%u", minor);
    session_start((struct setup){ .minor = minor });
    notify(when);
    session_stop();
}

static void notify_in_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata, (void)conn;
    silent = false;
    notify("7.38 in init");
    silent = true;
}

/* INIT is not answered yet, but what the kernel can do is known. */
static void in_the_init_callback(void)
{
    const struct fuse_lowlevel_ops ops = { .init = notify_in_init };
    session_start((struct setup){ .ops = &ops });
    session_stop();
}

static void refused(void)
{
    static const int failures[] = { ENOENT, EINVAL, ENODEV, ENOTDIR };
    session_start((struct setup){ 0 });
    EACH(failure, failures) {
        struct fuse_bufvec bufv = FUSE_BUFVEC_INIT(3);
        bufv.buf[0].mem = "abc";
        write_errno = *failure;
        begin_case("refused with %d", *failure);
        say("inval_inode %d", fuse_lowlevel_notify_inval_inode(session, 1, 0, 0));
        say("inval_entry %d", fuse_lowlevel_notify_inval_entry(session, 1, "n", 1));
        say("expire_entry %d", expire(1, "n", 1, FUSE_LL_EXPIRE_ONLY));
        say("delete %d", fuse_lowlevel_notify_delete(session, 1, 2, "n", 1));
        store("refused", &bufv, 0, 0);
        say("retrieve %d", fuse_lowlevel_notify_retrieve(session, 1, 10, 0, NULL));
        write_errno = 0;
    }
    session_stop();
}

static void reply_to(uint64_t unique, uint64_t offset, size_t size, const char *callbacks, const char *what)
{
    request(FUSE_NOTIFY_REPLY, 7);
    header()->unique = unique;
    PUT(fuse_notify_retrieve_in, .offset = offset, .size = (uint32_t)size);
    put(pattern(size), size);
    run(NULL, "%s %s", callbacks, what);
}

/* What the kernel sends for a retrieve carries the unique out of its payload; the cookie comes back with the data. */
static void retrieve_replies(const struct fuse_lowlevel_ops *ops, const char *callbacks)
{
    struct fuse_notify_retrieve_out out;
    uint64_t uniques[3];
    session_start((struct setup){ .ops = ops });
    for (size_t i = 0; i < COUNT(uniques); i++) {
        begin_case("%s retrieve %zu", callbacks, i);
        say("returned %d", fuse_lowlevel_notify_retrieve(session, 7, 8192, 4096, (void *)(i + 0xc0)));
        memcpy(&out, (const char *)last_reply.data + sizeof(struct fuse_out_header), sizeof(out));
        uniques[i] = out.notify_unique;
    }
    reply_to(uniques[1], 4096, 4096, callbacks, "reply to the second");
    reply_to(uniques[1], 4096, 4096, callbacks, "reply to the second again");
    reply_to(uniques[0], 0, 0, callbacks, "empty reply to the first");
    reply_to(999999, 0, 5, callbacks, "reply to none");
    feed_by_pipe = true;
    reply_to(uniques[2], UINT64_MAX, 5, callbacks, "reply to the third by pipe");
    feed_by_pipe = false;
    session_stop();
}

int main(void)
{
    const struct fuse_lowlevel_ops none = { 0 };
    static const uint32_t minors[] = { 12, 14, 15, 17, 18, 37, 38 };
    EACH(minor, minors)
        under(*minor);
    in_the_init_callback();
    refused();
    retrieve_replies(&recorder, "callback");
    retrieve_replies(&none, "no callback");
    return 0;
}
