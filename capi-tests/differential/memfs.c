#include "memfs.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/statvfs.h>

enum { NODES = 1024, NAMES = 2048, MAX_FILE = 1 << 22, RENAME_KEEP = 1, RENAME_SWAP = 2 };

struct node {
    struct stat attr;
    char *data; /* a file's content or a symbolic link's target */
};

struct name {
    fuse_ino_t parent, ino; /* parent 0: the slot is free */
    char text[256];
};

static struct node nodes[NODES] = {
    [FUSE_ROOT_ID] = { .attr = { .st_ino = FUSE_ROOT_ID, .st_mode = S_IFDIR | 0755, .st_nlink = 2 } },
};
static struct name names[NAMES];
static fuse_ino_t last_ino = FUSE_ROOT_ID;

static struct name *find(fuse_ino_t parent, const char *text)
{
    EACH(name, names)
        if (name->parent == parent && strcmp(name->text, text) == 0)
            return name;
    return NULL;
}

static bool is_empty(fuse_ino_t dir)
{
    EACH(name, names)
        if (name->parent == dir)
            return false;
    return true;
}

static struct fuse_entry_param entry_of(fuse_ino_t ino)
{
    /* Nothing is cached: every access must reach the callbacks. */
    return (struct fuse_entry_param){ .ino = ino, .generation = 1, .attr = nodes[ino].attr };
}

static void reply_entry(fuse_req_t req, fuse_ino_t ino)
{
    struct fuse_entry_param entry = entry_of(ino);
    fuse_reply_entry(req, &entry);
}

/* Gives an inode one name more; 0 or an errno. */
static int add_name(fuse_ino_t parent, const char *text, fuse_ino_t ino)
{
    if (strlen(text) >= sizeof(names[0].text))
        return ENAMETOOLONG;
    if (find(parent, text) != NULL)
        return EEXIST;
    EACH(name, names) {
        if (name->parent != 0)
            continue;
        *name = (struct name){ .parent = parent, .ino = ino };
        strcpy(name->text, text);
        return 0;
    }
    return ENOSPC;
}

/* A new inode under a name; 0 and `*ino`, or an errno. */
static int make(fuse_req_t req, fuse_ino_t parent, const char *text, mode_t mode, dev_t rdev, fuse_ino_t *ino)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(req);
    if (last_ino + 1 == NODES)
        return ENOSPC;
    int err = add_name(parent, text, last_ino + 1);
    if (err != 0)
        return err;
    *ino = ++last_ino;
    nodes[*ino].attr = (struct stat){
        .st_ino = *ino, .st_mode = mode & ~ctx->umask, .st_nlink = S_ISDIR(mode) ? 2 : 1, .st_uid = ctx->uid,
        .st_gid = ctx->gid, .st_rdev = rdev, .st_blksize = 4096,
    };
    return 0;
}

static int resize(struct node *node, off_t size)
{
    if (size > MAX_FILE)
        return EFBIG;
    if (node->data == NULL && (node->data = calloc(1, MAX_FILE)) == NULL)
        return ENOMEM;
    if (size < node->attr.st_size)
        memset(node->data + size, 0, (size_t)(node->attr.st_size - size));
    node->attr.st_size = size;
    node->attr.st_blocks = (size + 511) / 512;
    return 0;
}

/* ---- names ---- */

static void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *text)
{
    struct name *name = find(parent, text);
    if (name == NULL)
        fuse_reply_err(req, ENOENT);
    else
        reply_entry(req, name->ino);
}

static void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
    (void)ino, (void)nlookup;
    fuse_reply_none(req);
}

static void fs_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    (void)count, (void)forgets;
    fuse_reply_none(req);
}

static void fs_mknod(fuse_req_t req, fuse_ino_t parent, const char *text, mode_t mode, dev_t rdev)
{
    fuse_ino_t ino;
    int err = make(req, parent, text, mode, rdev, &ino);
    if (err != 0)
        fuse_reply_err(req, err);
    else
        reply_entry(req, ino);
}

static void fs_mkdir(fuse_req_t req, fuse_ino_t parent, const char *text, mode_t mode)
{
    fs_mknod(req, parent, text, S_IFDIR | mode, 0);
}

static void fs_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *text)
{
    fuse_ino_t ino;
    int err = make(req, parent, text, S_IFLNK | 0777, 0, &ino);
    if (err != 0) {
        fuse_reply_err(req, err);
        return;
    }
    nodes[ino].data = strdup(target);
    nodes[ino].attr.st_size = (off_t)strlen(target);
    reply_entry(req, ino);
}

static void fs_readlink(fuse_req_t req, fuse_ino_t ino)
{
    fuse_reply_readlink(req, nodes[ino].data);
}

static void fs_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *text)
{
    int err = add_name(parent, text, ino);
    if (err != 0) {
        fuse_reply_err(req, err);
        return;
    }
    nodes[ino].attr.st_nlink++;
    reply_entry(req, ino);
}

static int drop_name(struct name *name, bool dir)
{
    if (name == NULL)
        return ENOENT;
    if (dir && !is_empty(name->ino))
        return ENOTEMPTY;
    nodes[name->ino].attr.st_nlink -= dir ? 2 : 1;
    name->parent = 0;
    return 0;
}

static void fs_unlink(fuse_req_t req, fuse_ino_t parent, const char *text)
{
    fuse_reply_err(req, drop_name(find(parent, text), false));
}

static void fs_rmdir(fuse_req_t req, fuse_ino_t parent, const char *text)
{
    fuse_reply_err(req, drop_name(find(parent, text), true));
}

static int move(struct name *from, struct name *to, fuse_ino_t parent, const char *text, unsigned flags)
{
    if (from == NULL || (flags == RENAME_SWAP && to == NULL))
        return ENOENT;
    if (flags & ~(RENAME_KEEP | RENAME_SWAP))
        return EINVAL;
    if (flags == RENAME_KEEP && to != NULL)
        return EEXIST;
    if (flags == RENAME_SWAP) {
        fuse_ino_t ino = from->ino;
        from->ino = to->ino;
        to->ino = ino;
        return 0;
    }
    int err = to == NULL ? 0 : drop_name(to, S_ISDIR(nodes[to->ino].attr.st_mode));
    if (err != 0)
        return err;
    from->parent = parent;
    strcpy(from->text, text);
    return 0;
}

static void fs_rename(fuse_req_t req, fuse_ino_t parent, const char *text, fuse_ino_t newparent, const char *newtext,
                      unsigned flags)
{
    fuse_reply_err(req, move(find(parent, text), find(newparent, newtext), newparent, newtext, flags));
}

/* ---- attributes ---- */

static void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    fuse_reply_attr(req, &nodes[ino].attr, 0);
}

static void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
    struct stat *own = &nodes[ino].attr;
    (void)fi;
    int err = to_set & FUSE_SET_ATTR_SIZE ? resize(&nodes[ino], attr->st_size) : 0;
    if (err != 0) {
        fuse_reply_err(req, err);
        return;
    }
    if (to_set & FUSE_SET_ATTR_MODE)
        own->st_mode = (own->st_mode & S_IFMT) | (attr->st_mode & ~S_IFMT);
    if (to_set & FUSE_SET_ATTR_UID)
        own->st_uid = attr->st_uid;
    if (to_set & FUSE_SET_ATTR_GID)
        own->st_gid = attr->st_gid;
    if ((to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW)) == FUSE_SET_ATTR_ATIME)
        own->st_atim = attr->st_atim;
    if ((to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)) == FUSE_SET_ATTR_MTIME)
        own->st_mtim = attr->st_mtim;
    fuse_reply_attr(req, own, 0);
}

static void fs_statfs(fuse_req_t req, fuse_ino_t ino)
{
    const struct statvfs stat = { .f_bsize = 4096, .f_frsize = 4096, .f_blocks = 1000, .f_bfree = 500, .f_bavail = 400,
                                  .f_files = NODES, .f_ffree = 10, .f_namemax = 255 };
    (void)ino;
    fuse_reply_statfs(req, &stat);
}

static void fs_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
    mode_t mode = nodes[ino].attr.st_mode;
    fuse_reply_err(req, fuse_req_ctx(req)->uid != 0 && (mask & ~mode & 7) ? EACCES : 0);
}

/* ---- files ---- */

static void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (fi->flags & O_TRUNC)
        resize(&nodes[ino], 0);
    fi->fh = ino << 8;
    fuse_reply_open(req, fi);
}

static void fs_create(fuse_req_t req, fuse_ino_t parent, const char *text, mode_t mode, struct fuse_file_info *fi)
{
    fuse_ino_t ino;
    int err = make(req, parent, text, mode, 0, &ino);
    if (err != 0) {
        fuse_reply_err(req, err);
        return;
    }
    struct fuse_entry_param entry = entry_of(ino);
    fi->fh = ino << 8;
    fuse_reply_create(req, &entry, fi);
}

static void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    const struct node *node = &nodes[ino];
    (void)fi;
    size_t left = off < node->attr.st_size ? (size_t)(node->attr.st_size - off) : 0;
    fuse_reply_buf(req, left == 0 ? NULL : node->data + off, size < left ? size : left);
}

static int put_data(fuse_ino_t ino, const char *data, size_t size, off_t off)
{
    struct node *node = &nodes[ino];
    off_t end = off + (off_t)size;
    int err = resize(node, end > node->attr.st_size ? end : node->attr.st_size);
    if (err == 0)
        memmove(node->data + off, data, size);
    return err;
}

static void fs_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *bufv, off_t off,
                         struct fuse_file_info *fi)
{
    (void)fi;
    int err = put_data(ino, bufv->buf[0].mem, bufv->buf[0].size, off);
    if (err != 0)
        fuse_reply_err(req, err);
    else
        fuse_reply_write(req, bufv->buf[0].size);
}

static void fs_ok(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino, (void)fi;
    fuse_reply_err(req, 0);
}

static void fs_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)datasync;
    fs_ok(req, ino, fi);
}

static void fs_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi)
{
    struct node *node = &nodes[ino];
    (void)fi;
    if (mode & FALLOC_FL_PUNCH_HOLE)
        memset(node->data + off, 0, (size_t)len);
    bool grows = (mode & FALLOC_FL_KEEP_SIZE) == 0 && off + len > node->attr.st_size;
    fuse_reply_err(req, grows ? resize(node, off + len) : 0);
}

/* One byte of data at the start, a hole from 4096 on: enough to tell the two apart. */
static void fs_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
    off_t size = nodes[ino].attr.st_size;
    (void)fi;
    if (off >= size || (whence == SEEK_DATA && off >= 4096))
        fuse_reply_err(req, ENXIO);
    else
        fuse_reply_lseek(req, whence == SEEK_DATA || off > 4096 ? off : size < 4096 ? size : 4096);
}

static void fs_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in, struct fuse_file_info *fi_in,
                               fuse_ino_t out, off_t off_out, struct fuse_file_info *fi_out, size_t len, int flags)
{
    (void)fi_in, (void)fi_out, (void)flags;
    off_t size = nodes[in].attr.st_size;
    size_t left = off_in < size ? (size_t)(size - off_in) : 0;
    len = len < left ? len : left;
    int err = put_data(out, nodes[in].data + off_in, len, off_out);
    if (err != 0)
        fuse_reply_err(req, err);
    else
        fuse_reply_write(req, len);
}

static void fs_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi,
                     unsigned flags, const void *in, size_t in_size, size_t out_size)
{
    (void)ino, (void)cmd, (void)arg, (void)fi, (void)flags;
    if (in_size != 4 || out_size != 4)
        fuse_reply_err(req, ENOTTY);
    else
        fuse_reply_ioctl(req, 7, &(uint32_t){ *(const uint32_t *)in + 1 }, 4);
}

static void fs_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
    (void)ino, (void)fi;
    if (ph != NULL)
        fuse_pollhandle_destroy(ph);
    fuse_reply_poll(req, POLLIN | POLLPRI);
}

/* ---- directories ---- */

static size_t fill(fuse_req_t req, char *buf, size_t size, struct name *name, bool plus)
{
    struct fuse_entry_param entry = entry_of(name->ino);
    off_t next = name - names + 1;
    return plus ? fuse_add_direntry_plus(req, buf, size, name->text, &entry, next)
                : fuse_add_direntry(req, buf, size, name->text, &entry.attr, next);
}

static void list(fuse_req_t req, fuse_ino_t dir, size_t size, off_t off, bool plus)
{
    char *buf = room(size);
    size_t at = 0;
    for (struct name *name = names + off; name < names + NAMES; name++) {
        if (name->parent != dir)
            continue;
        size_t len = fill(req, buf + at, size - at, name, plus);
        if (len > size - at)
            break;
        at += len;
    }
    fuse_reply_buf(req, buf, at);
}

static void fs_readdir(fuse_req_t req, fuse_ino_t dir, size_t size, off_t off, struct fuse_file_info *fi)
{
    (void)fi;
    list(req, dir, size, off, false);
}

static void fs_readdirplus(fuse_req_t req, fuse_ino_t dir, size_t size, off_t off, struct fuse_file_info *fi)
{
    (void)fi;
    list(req, dir, size, off, true);
}

/* ---- locks: always granted ---- */

static void fs_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
    (void)ino, (void)fi;
    *lock = (struct flock){ .l_type = F_RDLCK, .l_start = 3, .l_len = 4, .l_pid = 1 };
    fuse_reply_lock(req, lock);
}

static void fs_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock, int sleep)
{
    (void)lock, (void)sleep;
    fs_ok(req, ino, fi);
}

static void fs_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
    (void)op;
    fs_ok(req, ino, fi);
}

const struct fuse_lowlevel_ops memfs = {
    .lookup = fs_lookup,
    .forget = fs_forget,
    .forget_multi = fs_forget_multi,
    .mknod = fs_mknod,
    .mkdir = fs_mkdir,
    .symlink = fs_symlink,
    .readlink = fs_readlink,
    .link = fs_link,
    .unlink = fs_unlink,
    .rmdir = fs_rmdir,
    .rename = fs_rename,
    .getattr = fs_getattr,
    .setattr = fs_setattr,
    .statfs = fs_statfs,
    .access = fs_access,
    .open = fs_open,
    .create = fs_create,
    .read = fs_read,
    .write_buf = fs_write_buf,
    .flush = fs_ok,
    .release = fs_ok,
    .fsync = fs_fsync,
    .fallocate = fs_fallocate,
    .lseek = fs_lseek,
    .copy_file_range = fs_copy_file_range,
    .ioctl = fs_ioctl,
    .poll = fs_poll,
    .opendir = fs_open,
    .readdir = fs_readdir,
    .readdirplus = fs_readdirplus,
    .releasedir = fs_ok,
    .fsyncdir = fs_fsync,
    .setxattr = memfs_setxattr,
    .getxattr = memfs_getxattr,
    .listxattr = memfs_listxattr,
    .removexattr = memfs_removexattr,
    .getlk = fs_getlk,
    .setlk = fs_setlk,
    .flock = fs_flock,
};
