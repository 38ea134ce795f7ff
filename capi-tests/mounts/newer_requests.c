/*
 * A file system of one sparse file that answers the requests which libfuse 3.14 did not know, and shows by attributes
 * of the root what came with them: user.copied (bytes asked for by copy_file_range), user.flags and user.mask (of
 * statx), user.tmpfiles and user.links.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 319

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "small_fs.h"

enum { SPARSE = 2, UNNAMED };
static const off_t SIZE = (off_t)1 << 40;
static int64_t copied, statx_flags, statx_mask, tmpfiles, links;

static struct stat attributes(fuse_ino_t ino)
{
    struct stat st = { .st_ino = ino, .st_mode = S_IFREG | 0644, .st_nlink = 1, .st_size = SIZE };
    if (ino == FUSE_ROOT_ID)
        st.st_mode = S_IFDIR | 0755;
    else if (ino == UNNAMED)
        st.st_nlink = links != 0, st.st_size = 0;
    return st;
}

static struct fuse_entry_param entry(fuse_ino_t ino)
{
    return (struct fuse_entry_param){ .ino = ino, .attr = attributes(ino) };
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param e = entry(SPARSE);
    (void)parent;
    if (strcmp(name, "sparse") == 0)
        fuse_reply_entry(req, &e);
    else
        fuse_reply_err(req, ENOENT);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st = attributes(ino);
    (void)fi;
    fuse_reply_attr(req, &st, 0);
}

static void on_statx(fuse_req_t req, fuse_ino_t ino, int flags, int mask, struct fuse_file_info *fi)
{
    struct statx stx = {
        .stx_mask = STATX_BASIC_STATS | STATX_BTIME, .stx_ino = ino, .stx_nlink = 1, .stx_size = (uint64_t)SIZE,
        .stx_mode = S_IFREG | 0644, .stx_btime = { .tv_sec = 1234567890, .tv_nsec = 987654321 },
    };
    (void)fi;
    statx_flags = (uint32_t)flags;
    statx_mask = (uint32_t)mask;
    if (ino == FUSE_ROOT_ID)
        stx.stx_mode = S_IFDIR | 0755;
    fuse_reply_statx(req, 0, &stx, 0);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    fi->fh = ino * 1000;
    fuse_reply_open(req, fi);
}

static void on_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in, struct fuse_file_info *fi_in,
                               fuse_ino_t ino_out, off_t off_out, struct fuse_file_info *fi_out, size_t len, int flags)
{
    copied = (int64_t)len;
    if (ino_in != SPARSE || ino_out != SPARSE || fi_in->fh != 2000 || fi_out->fh != 2000 || flags != 0 ||
        off_in + (off_t)len != off_out)
        fuse_reply_err(req, EBADMSG);
    else
        fuse_reply_write(req, len);
}

static void on_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
    struct fuse_entry_param e = entry(UNNAMED);
    tmpfiles++;
    if (parent != FUSE_ROOT_ID || mode != (S_IFREG | 0640))
        fuse_reply_err(req, EBADMSG);
    else
        fuse_reply_create(req, &e, fi);
}

static void on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    if (ino != UNNAMED || parent != FUSE_ROOT_ID || strcmp(name, "named") != 0) {
        fuse_reply_err(req, EBADMSG);
        return;
    }
    links++;
    struct fuse_entry_param e = entry(UNNAMED);
    fuse_reply_entry(req, &e);
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    static const struct number numbers[] = {
        { "user.copied", &copied },     { "user.flags", &statx_flags }, { "user.mask", &statx_mask },
        { "user.tmpfiles", &tmpfiles }, { "user.links", &links },       { NULL, NULL },
    };
    (void)ino;
    reply_number(req, numbers, name, size);
}

int main(int argc, char *argv[])
{
    static const struct fuse_lowlevel_ops ops = {
        .lookup = on_lookup, .getattr = on_getattr, .open = on_open, .getxattr = on_getxattr, .link = on_link,
        .copy_file_range = on_copy_file_range, .tmpfile = on_tmpfile, .statx = on_statx,
    };
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    struct fuse_session *session;

    return serve(&args, &ops, 0, &session);
}
