/* A plain request of every opcode, for the tables that go over all of them. */
#include "harness.h"

static const struct {
    const char *name;
    uint32_t since; /* the minor version that brought it */
} opcodes[] = {
    [FUSE_LOOKUP] = { "LOOKUP", 0 },
    [FUSE_FORGET] = { "FORGET", 0 },
    [FUSE_GETATTR] = { "GETATTR", 0 },
    [FUSE_SETATTR] = { "SETATTR", 0 },
    [FUSE_READLINK] = { "READLINK", 0 },
    [FUSE_SYMLINK] = { "SYMLINK", 0 },
    [FUSE_MKNOD] = { "MKNOD", 0 },
    [FUSE_MKDIR] = { "MKDIR", 0 },
    [FUSE_UNLINK] = { "UNLINK", 0 },
    [FUSE_RMDIR] = { "RMDIR", 0 },
    [FUSE_RENAME] = { "RENAME", 0 },
    [FUSE_LINK] = { "LINK", 0 },
    [FUSE_OPEN] = { "OPEN", 0 },
    [FUSE_READ] = { "READ", 0 },
    [FUSE_WRITE] = { "WRITE", 0 },
    [FUSE_STATFS] = { "STATFS", 0 },
    [FUSE_RELEASE] = { "RELEASE", 0 },
    [FUSE_FSYNC] = { "FSYNC", 0 },
    [FUSE_SETXATTR] = { "SETXATTR", 0 },
    [FUSE_GETXATTR] = { "GETXATTR", 0 },
    [FUSE_LISTXATTR] = { "LISTXATTR", 0 },
    [FUSE_REMOVEXATTR] = { "REMOVEXATTR", 0 },
    [FUSE_FLUSH] = { "FLUSH", 0 },
    [FUSE_OPENDIR] = { "OPENDIR", 0 },
    [FUSE_READDIR] = { "READDIR", 0 },
    [FUSE_RELEASEDIR] = { "RELEASEDIR", 0 },
    [FUSE_FSYNCDIR] = { "FSYNCDIR", 0 },
    [FUSE_GETLK] = { "GETLK", 7 },
    [FUSE_SETLK] = { "SETLK", 7 },
    [FUSE_SETLKW] = { "SETLKW", 7 },
    [FUSE_ACCESS] = { "ACCESS", 0 },
    [FUSE_CREATE] = { "CREATE", 0 },
    [FUSE_INTERRUPT] = { "INTERRUPT", 7 },
    [FUSE_BMAP] = { "BMAP", 7 },
    [FUSE_IOCTL] = { "IOCTL", 11 },
    [FUSE_POLL] = { "POLL", 11 },
    [FUSE_NOTIFY_REPLY] = { "NOTIFY_REPLY", 15 },
    [FUSE_BATCH_FORGET] = { "BATCH_FORGET", 16 },
    [FUSE_FALLOCATE] = { "FALLOCATE", 19 },
    [FUSE_READDIRPLUS] = { "READDIRPLUS", 21 },
    [FUSE_RENAME2] = { "RENAME2", 23 },
    [FUSE_LSEEK] = { "LSEEK", 24 },
    [FUSE_COPY_FILE_RANGE] = { "COPY_FILE_RANGE", 28 },
    [FUSE_SETUPMAPPING] = { "SETUPMAPPING", 31 },
    [FUSE_REMOVEMAPPING] = { "REMOVEMAPPING", 31 },
    [FUSE_SYNCFS] = { "SYNCFS", 34 },
    [FUSE_TMPFILE] = { "TMPFILE", 37 },
};

const char *opcode_name(uint32_t opcode)
{
    const char *name = opcode < COUNT(opcodes) ? opcodes[opcode].name : NULL;
    return name != NULL ? name : "UNKNOWN";
}

static void put_io(uint32_t opcode, uint32_t minor)
{
    struct fuse_write_in io = { .fh = 9, .offset = 10, .size = 5, .lock_owner = 77, .flags = 0x8001 };
    put(&io, minor < 9 ? FUSE_COMPAT_WRITE_IN_SIZE : sizeof(io));
    if (opcode == FUSE_WRITE)
        put("hello", 5);
}

static void put_namespace_args(uint32_t opcode, uint32_t minor)
{
    struct fuse_mknod_in mknod = { .mode = S_IFREG | 0644, .rdev = 0x105, .umask = 022 };
    switch (opcode) {
    case FUSE_MKNOD:
        put(&mknod, minor < 12 ? FUSE_COMPAT_MKNOD_IN_SIZE : sizeof(mknod));
        break;
    case FUSE_MKDIR:
        PUT(fuse_mkdir_in, .mode = 0755, .umask = 022);
        break;
    case FUSE_CREATE:
    case FUSE_TMPFILE: {
        struct fuse_create_in create = { .flags = 0x8042, .mode = S_IFREG | 0644, .umask = 022 };
        /* Until 7.12 it was open's structure: flags and mode. */
        put(&create, minor < 12 ? offsetof(struct fuse_create_in, umask) : sizeof(create));
        break;
    }
    case FUSE_LINK:
        PUT(fuse_link_in, .oldnodeid = 33);
        break;
    case FUSE_RENAME:
        PUT(fuse_rename_in, .newdir = 44);
        break;
    case FUSE_RENAME2:
        PUT(fuse_rename2_in, .newdir = 44, .flags = 1);
        break;
    default:
        break;
    }
    put_str("name");
    if (opcode == FUSE_SYMLINK || opcode == FUSE_RENAME || opcode == FUSE_RENAME2)
        put_str("other");
}

static void put_file_args(uint32_t opcode, uint32_t minor)
{
    switch (opcode) {
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        PUT(fuse_open_in, .flags = 0x8002);
        break;
    case FUSE_READ:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
    case FUSE_WRITE:
        put_io(opcode, minor);
        break;
    case FUSE_FLUSH:
        PUT(fuse_flush_in, .fh = 9, .lock_owner = 77);
        break;
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
        PUT(fuse_release_in, .fh = 9, .flags = 0x8002, .lock_owner = 77);
        break;
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR:
        PUT(fuse_fsync_in, .fh = 9, .fsync_flags = 1);
        break;
    case FUSE_GETLK:
    case FUSE_SETLK:
    case FUSE_SETLKW:
        PUT(fuse_lk_in, .fh = 9, .owner = 77, .lk = { .start = 1, .end = 10, .type = F_WRLCK, .pid = 5 });
        break;
    case FUSE_IOCTL:
        PUT(fuse_ioctl_in, .fh = 9, .cmd = 0x5401, .arg = 0x1000, .in_size = 4, .out_size = 8);
        put("data", 4);
        break;
    case FUSE_POLL:
        PUT(fuse_poll_in, .fh = 9, .kh = 88, .flags = FUSE_POLL_SCHEDULE_NOTIFY, .events = 1);
        break;
    case FUSE_FALLOCATE:
        PUT(fuse_fallocate_in, .fh = 9, .offset = 1, .length = 2, .mode = 3);
        break;
    case FUSE_LSEEK:
        PUT(fuse_lseek_in, .fh = 9, .offset = 1, .whence = SEEK_DATA);
        break;
    case FUSE_COPY_FILE_RANGE:
        PUT(fuse_copy_file_range_in, .fh_in = 9, .off_in = 1, .nodeid_out = 44, .fh_out = 10, .off_out = 2, .len = 3);
        break;
    default:
        break;
    }
}

void put_setxattr(uint32_t size, uint32_t flags, uint32_t setxattr_flags)
{
    struct fuse_setxattr_in in = { .size = size, .flags = flags, .setxattr_flags = setxattr_flags };
    put(&in, init_reply.flags & FUSE_SETXATTR_EXT ? sizeof(in) : FUSE_COMPAT_SETXATTR_IN_SIZE);
}

static void put_other_args(uint32_t opcode, uint32_t minor)
{
    switch (opcode) {
    case FUSE_FORGET:
        PUT(fuse_forget_in, .nlookup = 2);
        break;
    case FUSE_GETATTR:
        if (minor >= 9)
            PUT(fuse_getattr_in, .getattr_flags = 0);
        break;
    case FUSE_SETATTR:
        PUT(fuse_setattr_in, .valid = FATTR_MODE, .mode = 0600);
        break;
    case FUSE_SETXATTR:
        put_setxattr(5, 1, 0);
        put_str("user.n");
        put("value", 5);
        break;
    case FUSE_GETXATTR:
        PUT(fuse_getxattr_in, .size = 100);
        put_str("user.n");
        break;
    case FUSE_LISTXATTR:
        PUT(fuse_getxattr_in, .size = 100);
        break;
    case FUSE_REMOVEXATTR:
        put_str("user.n");
        break;
    case FUSE_ACCESS:
        PUT(fuse_access_in, .mask = 4);
        break;
    case FUSE_INTERRUPT:
        PUT(fuse_interrupt_in, .unique = 2);
        break;
    case FUSE_BMAP:
        PUT(fuse_bmap_in, .block = 3, .blocksize = 512);
        break;
    case FUSE_NOTIFY_REPLY:
        PUT(fuse_notify_retrieve_in, .offset = 1, .size = 0);
        break;
    case FUSE_BATCH_FORGET:
        PUT(fuse_batch_forget_in, .count = 1);
        PUT(fuse_forget_one, .nodeid = 5, .nlookup = 6);
        break;
    case FUSE_SETUPMAPPING:
        PUT(fuse_setupmapping_in, .fh = 9, .len = 4096);
        break;
    case FUSE_REMOVEMAPPING:
        PUT(fuse_removemapping_in, .count = 0);
        break;
    case FUSE_SYNCFS:
        PUT(fuse_syncfs_in, .padding = 0);
        break;
    default:
        break;
    }
}

bool plain_request(uint32_t opcode, uint32_t minor)
{
    if (opcode >= COUNT(opcodes) || opcodes[opcode].name == NULL || minor < opcodes[opcode].since)
        return false;
    request(opcode, 7);
    switch (opcode) {
    case FUSE_LOOKUP:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_SYMLINK:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_CREATE:
    case FUSE_TMPFILE:
    case FUSE_LINK:
    case FUSE_RENAME:
    case FUSE_RENAME2:
        put_namespace_args(opcode, minor);
        break;
    default:
        put_file_args(opcode, minor);
        put_other_args(opcode, minor);
    }
    return true;
}
