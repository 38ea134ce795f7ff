/* Operations on names: what the callback sees of the names and modes, and every form of an entry in the reply. */
#include "harness.h"

#include <math.h>

static char longest[256], beyond[1025];

static const struct {
    const char *label, *name;
} names[] = {
    { "short", "a" },
    { "empty", "" },
    { "dots", ".." },
    { "slash", "a/b" },
    { "bytes", "\xff\x80\x01 \n\"\\\xc3\xa9" },
    { "longest", longest },
    { "beyond", beyond },
};

static const struct {
    uint32_t opcode;
    struct bytes args;
} operations[] = {
    { FUSE_LOOKUP, { NULL, 0 } },
    { FUSE_UNLINK, { NULL, 0 } },
    { FUSE_RMDIR, { NULL, 0 } },
    { FUSE_MKNOD, { &(struct fuse_mknod_in){ S_IFCHR | 0666, 0x0105, 022, 0 }, sizeof(struct fuse_mknod_in) } },
    { FUSE_MKDIR, { &(struct fuse_mkdir_in){ 0777, 027 }, sizeof(struct fuse_mkdir_in) } },
    { FUSE_LINK, { &(struct fuse_link_in){ 33 }, sizeof(struct fuse_link_in) } },
    { FUSE_CREATE, { &(struct fuse_create_in){ 0x8042, 0644, 022, 1 }, sizeof(struct fuse_create_in) } },
    { FUSE_SYMLINK, { NULL, 0 } },
    { FUSE_RENAME, { &(struct fuse_rename_in){ 44 }, sizeof(struct fuse_rename_in) } },
    { FUSE_RENAME2, { &(struct fuse_rename2_in){ 44, 2, 0 }, sizeof(struct fuse_rename2_in) } },
};

static bool has_two_names(uint32_t opcode)
{
    return opcode == FUSE_SYMLINK || opcode == FUSE_RENAME || opcode == FUSE_RENAME2;
}

static void every_name(void)
{
    memset(longest, 'x', sizeof(longest) - 1);
    memset(beyond, 'y', sizeof(beyond) - 1);
    EACH(op, operations) {
        EACH(name, names) {
            request(op->opcode, 7);
            put(op->args.data, op->args.len);
            put_str(name->name);
            if (has_two_names(op->opcode))
                put_str("second");
            run(NULL, "%s name %s", opcode_name(op->opcode), name->label);
            if (!has_two_names(op->opcode))
                continue;
            request(op->opcode, UINT64_MAX);
            put(op->args.data, op->args.len);
            put_str("first");
            put_str(name->name);
            run(NULL, "%s %s %s", opcode_name(op->opcode), op->opcode == FUSE_SYMLINK ? "target" : "second name",
                name->label);
        }
    }
}

static void every_errno(void)
{
    EACH(op, operations) {
        for (size_t i = 0; i < error_count; i++) {
            plain_request(op->opcode, 38);
            run(&errors[i], "%s %s", opcode_name(op->opcode), errors[i].label);
        }
    }
}

static void entry_timeouts(void)
{
    static const double timeouts[] = {
        0,    1,   1.5,          0.1,  1e-9, 1e-10, 0.9999999999, -1,
        -0.5, 1e9, 4294967296.5, 1e18, 1e19, 2e19,  INFINITY,     -INFINITY, NAN,
    };
    EACH(timeout, timeouts) {
        struct fuse_entry_param entry = sample_entry;
        entry.entry_timeout = *timeout;
        entry.attr_timeout = *timeout / 3;
        plain_request(FUSE_LOOKUP, 38);
        run(&(struct answer){ "entry", answer_entry, &entry }, "LOOKUP timeout %.12g", *timeout);
    }
}

static void entry_forms(void)
{
    struct fuse_entry_param negative = { .entry_timeout = 10 }, whole = sample_entry, odd = sample_entry;
    whole.attr = sample_stat;
    whole.ino = UINT64_MAX;
    whole.generation = UINT64_MAX;
    odd.attr.st_size = -1;
    odd.attr.st_blocks = -1;
    odd.attr.st_nlink = 0x1ffffffff;
    odd.attr.st_rdev = 0x123456789abc;
    odd.attr.st_blksize = 0x100000001;
    odd.attr.st_mtim.tv_nsec = -1;
    const struct answer forms[] = {
        { "negative", answer_entry, &negative },
        { "whole", answer_entry, &whole },
        { "odd", answer_entry, &odd },
    };
    static const uint32_t opcodes[] = { FUSE_LOOKUP, FUSE_MKNOD, FUSE_MKDIR, FUSE_SYMLINK, FUSE_LINK };
    EACH(opcode, opcodes) {
        EACH(form, forms) {
            plain_request(*opcode, 38);
            run(form, "%s entry %s", opcode_name(*opcode), form->label);
        }
    }
}

static void modes(void)
{
    static const uint32_t all[] = {
        0, S_IFREG, S_IFIFO | 0600, S_IFSOCK | 07777, S_IFBLK | 0660, S_IFDIR | 01777, 0xffffffff,
    };
    EACH(mode, all) {
        request(FUSE_MKNOD, 1);
        PUT(fuse_mknod_in, .mode = *mode, .rdev = *mode * 3, .umask = *mode & 0777);
        put_str("n");
        run(NULL, "MKNOD mode %#o", *mode);
        request(FUSE_MKDIR, 1);
        PUT(fuse_mkdir_in, .mode = *mode, .umask = *mode);
        put_str("n");
        run(NULL, "MKDIR mode %#o", *mode);
        request(FUSE_CREATE, 1);
        PUT(fuse_create_in, .flags = *mode, .mode = *mode, .umask = *mode, .open_flags = *mode);
        put_str("n");
        run(NULL, "CREATE mode %#o", *mode);
    }
    for (uint32_t flag = 1; flag != 0; flag <<= 1) {
        request(FUSE_RENAME2, 1);
        PUT(fuse_rename2_in, .newdir = 2, .flags = flag);
        put_str("from");
        put_str("to");
        run(NULL, "RENAME2 flag %#x", flag);
    }
}

static void created_file(void)
{
    const struct fuse_file_info infos[] = {
        { .fh = 0 },
        { .fh = UINT64_MAX },
        { .fh = 1, .direct_io = 1 },
        { .fh = 2, .keep_cache = 1 },
        { .fh = 3, .nonseekable = 1 },
        { .fh = 4, .cache_readdir = 1 },
        { .fh = 5, .noflush = 1 },
        { .fh = 6, .flags = -1, .writepage = 1, .flush = 1, .flock_release = 1, .lock_owner = 3, .poll_events = 4 },
    };
    EACH(info, infos) {
        plain_request(FUSE_CREATE, 38);
        run(&(struct answer){ "create", answer_create, info }, "CREATE fh %#" PRIx64, info->fh);
    }
}

static void links_and_access(void)
{
    static char page[4097];
    memset(page, 'l', sizeof(page) - 1);
    const struct answer targets[] = {
        { "plain", answer_readlink, "target" },
        { "empty", answer_readlink, "" },
        { "odd", answer_readlink, "\xff/\n" },
        { "long", answer_readlink, page },
        ERR(EINVAL),
    };
    EACH(target, targets) {
        plain_request(FUSE_READLINK, 38);
        run(target, "READLINK %s", target->label);
    }
    static const uint32_t masks[] = { 0, 1, 2, 4, 7, 8, 0x80000000, 0xffffffff };
    EACH(mask, masks) {
        request(FUSE_ACCESS, 5);
        PUT(fuse_access_in, .mask = *mask);
        run(*mask & 1 ? &ERR(EACCES) : NULL, "ACCESS mask %#x", *mask);
    }
}

/* The reply itself can fail: the caller learns the errno, and the request is gone. */
static void failing_writes(void)
{
    static const int failures[] = { ENOENT, EIO, ENODEV, EINVAL, EAGAIN };
    EACH(failure, failures) {
        write_errno = *failure;
        plain_request(FUSE_LOOKUP, 38);
        run(NULL, "LOOKUP write fails with %d", *failure);
        plain_request(FUSE_CREATE, 38);
        run(NULL, "CREATE write fails with %d", *failure);
        plain_request(FUSE_UNLINK, 38);
        run(NULL, "UNLINK write fails with %d", *failure);
        write_errno = 0;
    }
}

int main(void)
{
    session_start((struct setup){ 0 });
    every_name();
    every_errno();
    entry_timeouts();
    entry_forms();
    modes();
    created_file();
    links_and_access();
    failing_writes();
    session_stop();
    return 0;
}
