/* Callbacks that write every argument down. */
#include "harness.h"

#include <stdarg.h>
#include <sys/file.h>
#include <sys/statvfs.h>

const struct answer *chosen;
const struct fuse_lowlevel_ops *beneath;
fuse_req_t kept;
struct fuse_pollhandle *kept_poll;
void (*in_callback)(fuse_req_t req);
void (*in_init)(struct fuse_conn_info *conn);

static const struct answer OK = { "ok", answer_err, &(const int){ 0 } };
static const struct answer NONE = { "none", answer_none, NULL };
static const struct answer ENTRY = { "entry", answer_entry, &sample_entry };
static const struct answer ATTR = { "attr", answer_attr, &(const double){ 1.5 } };
static const struct answer READLINK = { "readlink", answer_readlink, "target" };
static const struct answer OPEN = { "open", answer_open, &(const struct fuse_file_info){ .fh = 0xf00d } };
static const struct answer CREATE = { "create", answer_create, &(const struct fuse_file_info){ .fh = 0xf00d } };
static const struct answer BYTES = { "buf", answer_buf, &(const struct bytes){ "bytes", 5 } };
static const struct answer WRITE = { "write", answer_write, &(const size_t){ 5 } };
static const struct answer STATFS = { "statfs", answer_statfs, &(const struct statvfs){ .f_blocks = 9 } };
static const struct answer LOCK = { "lock", answer_lock, &(const struct flock){ .l_type = F_UNLCK } };
static const struct answer BMAP = { "bmap", answer_bmap, &(const uint64_t){ 6 } };
static const struct answer IOCTL = { "ioctl", answer_ioctl, &(const int){ 3 } };
static const struct answer POLL = { "poll", answer_poll, &(const unsigned){ 5 } };
static const struct answer LSEEK = { "lseek", answer_lseek, &(const off_t){ 4096 } };

__attribute__((format(printf, 3, 4))) static void called(fuse_req_t req, const char *name, const char *fmt, ...)
{
    char args[8192];
    va_list list;
    va_start(list, fmt);
    vsnprintf(args, sizeof(args), fmt, list);
    va_end(list);
    const struct fuse_ctx *ctx = fuse_req_ctx(req);
    char pid[16] = "own";
    if (ctx->pid != getpid())
        snprintf(pid, sizeof(pid), "%d", ctx->pid);
    say("%s(%s) uid=%u gid=%u pid=%s umask=%#o", name, args, ctx->uid, ctx->gid, pid, ctx->umask);
}

void conclude(fuse_req_t req, const struct answer *natural)
{
    const struct answer *answer = chosen != NULL ? chosen : natural;
    if (in_callback != NULL)
        in_callback(req);
    if (answer->send == NULL) {
        kept = req;
        return;
    }
    int result = answer->send(req, answer->arg);
    say("answer %s returned %d", answer->label, result);
}

/* Passes the call on to the file system beneath, if there is one. */
#define ANSWER(callback, natural, ...)         \
    do {                                       \
        if (beneath == NULL)                   \
            conclude(req, &natural);           \
        else if (beneath->callback != NULL)    \
            beneath->callback(__VA_ARGS__);    \
        else                                   \
            fuse_reply_err(req, ENOSYS);       \
    } while (0)

const char *conn_text(const struct fuse_conn_info *conn)
{
    char *text = room(512);
    snprintf(text, 512,
             "proto=%u.%u max_write=%u max_read=%u max_readahead=%u capable=%#x want=%#x max_background=%u"
             " congestion=%u time_gran=%u",
             conn->proto_major, conn->proto_minor, conn->max_write, conn->max_read, conn->max_readahead,
             conn->capable, conn->want, conn->max_background, conn->congestion_threshold, conn->time_gran);
    return text;
}

static void rec_init(void *userdata, struct fuse_conn_info *conn)
{
    say("init(userdata=%s %s)", userdata == &user_mark ? "ours" : "WRONG", conn_text(conn));
    if (in_init != NULL)
        in_init(conn);
}

static void rec_destroy(void *userdata)
{
    say("destroy(userdata=%s)", userdata == &user_mark ? "ours" : "WRONG");
}

static void rec_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    called(req, "lookup", "parent=%" PRIu64 " name=%s", parent, str(name));
    ANSWER(lookup, ENTRY, req, parent, name);
}

static void rec_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
    called(req, "forget", "ino=%" PRIu64 " nlookup=%" PRIu64, ino, nlookup);
    ANSWER(forget, NONE, req, ino, nlookup);
}

static void rec_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    called(req, "getattr", "ino=%" PRIu64 " fi=%s", ino, fi_text(fi));
    ANSWER(getattr, ATTR, req, ino, fi);
}

static void rec_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
    called(req, "setattr",
           "ino=%" PRIu64 " to_set=%#x mode=%#o uid=%u gid=%u size=%jd atime=%jd.%09ld mtime=%jd.%09ld"
           " ctime=%jd.%09ld fi=%s",
           ino, to_set, attr->st_mode, attr->st_uid, attr->st_gid, (intmax_t)attr->st_size,
           (intmax_t)attr->st_atim.tv_sec, attr->st_atim.tv_nsec, (intmax_t)attr->st_mtim.tv_sec,
           attr->st_mtim.tv_nsec, (intmax_t)attr->st_ctim.tv_sec, attr->st_ctim.tv_nsec, fi_text(fi));
    ANSWER(setattr, ATTR, req, ino, attr, to_set, fi);
}

static void rec_readlink(fuse_req_t req, fuse_ino_t ino)
{
    called(req, "readlink", "ino=%" PRIu64, ino);
    ANSWER(readlink, READLINK, req, ino);
}

static void rec_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    called(req, "mknod", "parent=%" PRIu64 " name=%s mode=%#o rdev=%#jx", parent, str(name), mode, (uintmax_t)rdev);
    ANSWER(mknod, ENTRY, req, parent, name, mode, rdev);
}

static void rec_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    called(req, "mkdir", "parent=%" PRIu64 " name=%s mode=%#o", parent, str(name), mode);
    ANSWER(mkdir, ENTRY, req, parent, name, mode);
}

static void rec_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    called(req, "unlink", "parent=%" PRIu64 " name=%s", parent, str(name));
    ANSWER(unlink, OK, req, parent, name);
}

static void rec_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    called(req, "rmdir", "parent=%" PRIu64 " name=%s", parent, str(name));
    ANSWER(rmdir, OK, req, parent, name);
}

static void rec_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
    called(req, "symlink", "link=%s parent=%" PRIu64 " name=%s", str(link), parent, str(name));
    ANSWER(symlink, ENTRY, req, link, parent, name);
}

static void rec_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname,
                       unsigned flags)
{
    called(req, "rename", "parent=%" PRIu64 " name=%s newparent=%" PRIu64 " newname=%s flags=%#x", parent, str(name),
           newparent, str(newname), flags);
    ANSWER(rename, OK, req, parent, name, newparent, newname, flags);
}

static void rec_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
    called(req, "link", "ino=%" PRIu64 " newparent=%" PRIu64 " newname=%s", ino, newparent, str(newname));
    ANSWER(link, ENTRY, req, ino, newparent, newname);
}

static void rec_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    called(req, "open", "ino=%" PRIu64 " fi=%s", ino, fi_text(fi));
    ANSWER(open, OPEN, req, ino, fi);
}

static void rec_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    called(req, "read", "ino=%" PRIu64 " size=%zu off=%jd fi=%s", ino, size, (intmax_t)off, fi_text(fi));
    ANSWER(read, BYTES, req, ino, size, off, fi);
}

static void rec_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
                      struct fuse_file_info *fi)
{
    called(req, "write", "ino=%" PRIu64 " data=%s size=%zu off=%jd fi=%s", ino, quoted(buf, size), size,
           (intmax_t)off, fi_text(fi));
    ANSWER(write, WRITE, req, ino, buf, size, off, fi);
}

static void rec_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    called(req, "flush", "ino=%" PRIu64 " fi=%s", ino, fi_text(fi));
    ANSWER(flush, OK, req, ino, fi);
}

static void rec_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    called(req, "release", "ino=%" PRIu64 " fi=%s", ino, fi_text(fi));
    ANSWER(release, OK, req, ino, fi);
}

static void rec_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    called(req, "fsync", "ino=%" PRIu64 " datasync=%d fi=%s", ino, datasync, fi_text(fi));
    ANSWER(fsync, OK, req, ino, datasync, fi);
}

static void rec_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    called(req, "opendir", "ino=%" PRIu64 " fi=%s", ino, fi_text(fi));
    ANSWER(opendir, OPEN, req, ino, fi);
}

static void rec_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    called(req, "readdir", "ino=%" PRIu64 " size=%zu off=%jd fi=%s", ino, size, (intmax_t)off, fi_text(fi));
    ANSWER(readdir, BYTES, req, ino, size, off, fi);
}

static void rec_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    called(req, "releasedir", "ino=%" PRIu64 " fi=%s", ino, fi_text(fi));
    ANSWER(releasedir, OK, req, ino, fi);
}

static void rec_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    called(req, "fsyncdir", "ino=%" PRIu64 " datasync=%d fi=%s", ino, datasync, fi_text(fi));
    ANSWER(fsyncdir, OK, req, ino, datasync, fi);
}

static void rec_statfs(fuse_req_t req, fuse_ino_t ino)
{
    called(req, "statfs", "ino=%" PRIu64, ino);
    ANSWER(statfs, STATFS, req, ino);
}

static void rec_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
    called(req, "setxattr", "ino=%" PRIu64 " name=%s value=%s size=%zu flags=%#x", ino, str(name),
           quoted(value, size), size, flags);
    ANSWER(setxattr, OK, req, ino, name, value, size, flags);
}

static void rec_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    called(req, "getxattr", "ino=%" PRIu64 " name=%s size=%zu", ino, str(name), size);
    ANSWER(getxattr, BYTES, req, ino, name, size);
}

static void rec_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    called(req, "listxattr", "ino=%" PRIu64 " size=%zu", ino, size);
    ANSWER(listxattr, BYTES, req, ino, size);
}

static void rec_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    called(req, "removexattr", "ino=%" PRIu64 " name=%s", ino, str(name));
    ANSWER(removexattr, OK, req, ino, name);
}

static void rec_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
    called(req, "access", "ino=%" PRIu64 " mask=%#x", ino, mask);
    ANSWER(access, OK, req, ino, mask);
}

static void rec_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
    called(req, "create", "parent=%" PRIu64 " name=%s mode=%#o fi=%s", parent, str(name), mode, fi_text(fi));
    ANSWER(create, CREATE, req, parent, name, mode, fi);
}

static const char *lock_text(const struct flock *lock)
{
    char *text = room(128);
    snprintf(text, 128, "{type=%d whence=%d start=%jd len=%jd pid=%d}", lock->l_type, lock->l_whence,
             (intmax_t)lock->l_start, (intmax_t)lock->l_len, lock->l_pid);
    return text;
}

static void rec_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
    called(req, "getlk", "ino=%" PRIu64 " fi=%s lock=%s", ino, fi_text(fi), lock_text(lock));
    ANSWER(getlk, LOCK, req, ino, fi, lock);
}

static void rec_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock, int sleep)
{
    called(req, "setlk", "ino=%" PRIu64 " fi=%s lock=%s sleep=%d", ino, fi_text(fi), lock_text(lock), sleep);
    ANSWER(setlk, OK, req, ino, fi, lock, sleep);
}

static void rec_bmap(fuse_req_t req, fuse_ino_t ino, size_t blocksize, uint64_t idx)
{
    called(req, "bmap", "ino=%" PRIu64 " blocksize=%zu idx=%" PRIu64, ino, blocksize, idx);
    ANSWER(bmap, BMAP, req, ino, blocksize, idx);
}

static void rec_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi,
                      unsigned flags, const void *in_buf, size_t in_size, size_t out_size)
{
    called(req, "ioctl", "ino=%" PRIu64 " cmd=%#x arg=%#jx fi=%s flags=%#x in=%s in_size=%zu out_size=%zu", ino, cmd,
           (uintmax_t)(uintptr_t)arg, fi_text(fi), flags, quoted(in_buf, in_size), in_size, out_size);
    ANSWER(ioctl, IOCTL, req, ino, cmd, arg, fi, flags, in_buf, in_size, out_size);
}

static void rec_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
    called(req, "poll", "ino=%" PRIu64 " fi=%s ph=%s", ino, fi_text(fi), ph == NULL ? "NULL" : "handle");
    kept_poll = ph;
    ANSWER(poll, POLL, req, ino, fi, ph);
}

static void rec_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *bufv, off_t off,
                          struct fuse_file_info *fi)
{
    struct fuse_bufvec memory;
    called(req, "write_buf", "ino=%" PRIu64 " off=%jd fi=%s bufv=%s", ino, (intmax_t)off, fi_text(fi),
           bufvec_text(bufv, &memory));
    ANSWER(write_buf, WRITE, req, ino, &memory, off, fi);
}

static void rec_retrieve_reply(fuse_req_t req, void *cookie, fuse_ino_t ino, off_t offset, struct fuse_bufvec *bufv)
{
    struct fuse_bufvec memory;
    called(req, "retrieve_reply", "cookie=%#jx ino=%" PRIu64 " offset=%jd bufv=%s", (uintmax_t)(uintptr_t)cookie,
           ino, (intmax_t)offset, bufvec_text(bufv, &memory));
    ANSWER(retrieve_reply, NONE, req, cookie, ino, offset, &memory);
}

static void rec_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    called(req, "forget_multi", "count=%zu", count);
    for (size_t i = 0; i < count; i++)
        say("forget_multi[%zu] ino=%" PRIu64 " nlookup=%" PRIu64, i, forgets[i].ino, forgets[i].nlookup);
    ANSWER(forget_multi, NONE, req, count, forgets);
}

static void rec_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
    called(req, "flock", "ino=%" PRIu64 " fi=%s op=%#x", ino, fi_text(fi), op);
    ANSWER(flock, OK, req, ino, fi, op);
}

static void rec_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                          struct fuse_file_info *fi)
{
    called(req, "fallocate", "ino=%" PRIu64 " mode=%#x offset=%jd length=%jd fi=%s", ino, mode, (intmax_t)offset,
           (intmax_t)length, fi_text(fi));
    ANSWER(fallocate, OK, req, ino, mode, offset, length, fi);
}

static void rec_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    called(req, "readdirplus", "ino=%" PRIu64 " size=%zu off=%jd fi=%s", ino, size, (intmax_t)off, fi_text(fi));
    ANSWER(readdirplus, BYTES, req, ino, size, off, fi);
}

static void rec_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in, struct fuse_file_info *fi_in,
                                fuse_ino_t ino_out, off_t off_out, struct fuse_file_info *fi_out, size_t len,
                                int flags)
{
    called(req, "copy_file_range",
           "ino_in=%" PRIu64 " off_in=%jd fi_in=%s ino_out=%" PRIu64 " off_out=%jd fi_out=%s len=%zu flags=%#x",
           ino_in, (intmax_t)off_in, fi_text(fi_in), ino_out, (intmax_t)off_out, fi_text(fi_out), len, flags);
    ANSWER(copy_file_range, WRITE, req, ino_in, off_in, fi_in, ino_out, off_out, fi_out, len, flags);
}

static void rec_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
    called(req, "lseek", "ino=%" PRIu64 " off=%jd whence=%d fi=%s", ino, (intmax_t)off, whence, fi_text(fi));
    ANSWER(lseek, LSEEK, req, ino, off, whence, fi);
}

const struct fuse_lowlevel_ops recorder = {
    .init = rec_init,
    .destroy = rec_destroy,
    .lookup = rec_lookup,
    .forget = rec_forget,
    .getattr = rec_getattr,
    .setattr = rec_setattr,
    .readlink = rec_readlink,
    .mknod = rec_mknod,
    .mkdir = rec_mkdir,
    .unlink = rec_unlink,
    .rmdir = rec_rmdir,
    .symlink = rec_symlink,
    .rename = rec_rename,
    .link = rec_link,
    .open = rec_open,
    .read = rec_read,
    .write = rec_write,
    .flush = rec_flush,
    .release = rec_release,
    .fsync = rec_fsync,
    .opendir = rec_opendir,
    .readdir = rec_readdir,
    .releasedir = rec_releasedir,
    .fsyncdir = rec_fsyncdir,
    .statfs = rec_statfs,
    .setxattr = rec_setxattr,
    .getxattr = rec_getxattr,
    .listxattr = rec_listxattr,
    .removexattr = rec_removexattr,
    .access = rec_access,
    .create = rec_create,
    .getlk = rec_getlk,
    .setlk = rec_setlk,
    .bmap = rec_bmap,
    .ioctl = rec_ioctl,
    .poll = rec_poll,
    .write_buf = rec_write_buf,
    .retrieve_reply = rec_retrieve_reply,
    .forget_multi = rec_forget_multi,
    .flock = rec_flock,
    .fallocate = rec_fallocate,
    .readdirplus = rec_readdirplus,
    .copy_file_range = rec_copy_file_range,
    .lseek = rec_lseek,
};
