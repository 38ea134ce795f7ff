/*
 * A file system of one file whose data is in the file that --backing= names: read by fuse_reply_data() and written by
 * write_buf, from file to file. Writes are small enough to be received through a pipe of any user.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 312

#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "small_fs.h"

enum { FILE_INO = 2, MAX_WRITE = 256 << 10 };

static struct options {
    char *backing;
    int direct;
} options;
static int backing;

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    conn->want |= conn->capable & (FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
    conn->max_write = MAX_WRITE;
}

static struct stat attributes(fuse_ino_t ino)
{
    struct stat st = { .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
    if (ino == FILE_INO)
        fstat(backing, &st);
    st.st_ino = ino;
    return st;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = { .ino = FILE_INO, .attr_timeout = 1000, .entry_timeout = 1000 };
    if (parent != FUSE_ROOT_ID || strcmp(name, "file") != 0) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    entry.attr = attributes(FILE_INO);
    fuse_reply_entry(req, &entry);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st = attributes(ino);
    (void)fi;
    fuse_reply_attr(req, &st, 1000);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    fi->direct_io = options.direct;
    fuse_reply_open(req, fi);
}

static struct fuse_bufvec part_of_backing(size_t size, off_t off)
{
    struct fuse_bufvec part = FUSE_BUFVEC_INIT(size);
    part.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    part.buf[0].fd = backing;
    part.buf[0].pos = off;
    return part;
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    struct fuse_bufvec from = part_of_backing(size, off);
    (void)ino, (void)fi;
    fuse_reply_data(req, &from, FUSE_BUF_SPLICE_MOVE);
}

static void on_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off, struct fuse_file_info *fi)
{
    struct fuse_bufvec to = part_of_backing(fuse_buf_size(in), off);
    (void)ino, (void)fi;
    ssize_t written = fuse_buf_copy(&to, in, 0);
    if (written < 0)
        fuse_reply_err(req, (int)-written);
    else
        fuse_reply_write(req, (size_t)written);
}

int main(int argc, char *argv[])
{
    static const struct fuse_opt specs[] = {
        { "--backing=%s", offsetof(struct options, backing), 0 },
        { "--direct", offsetof(struct options, direct), 1 },
        FUSE_OPT_END,
    };
    static const struct fuse_lowlevel_ops ops = {
        .init = on_init, .lookup = on_lookup, .getattr = on_getattr, .open = on_open, .read = on_read,
        .write_buf = on_write_buf,
    };
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    struct fuse_session *session;

    if (fuse_opt_parse(&args, &options, specs, NULL) != 0 ||
        (backing = open(options.backing, O_RDWR | O_CLOEXEC)) < 0)
        return 1;
    int status = serve(&args, &ops, 1, &session);
    free(options.backing);
    return status;
}
