/*
 * A file system of one file that the kernel reads and writes by itself, in the file that --backing= names. Attributes
 * of the root are its buttons: setting user.epoch and user.prune notifies, reading user.lookups, user.forgets,
 * user.reads, user.opens and user.result says what was seen.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 319

#include <fcntl.h>
#include <unistd.h>

#include "small_fs.h"

enum { FILE_INO = 2 };

static struct options {
    char *backing;
    int no_passthrough;
} options;
static struct fuse_session *session;
static int64_t lookups, forgets, reads, result, opens;
static int backing_id;

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    if (!options.no_passthrough)
        fuse_set_feature_flag(conn, FUSE_CAP_PASSTHROUGH);
}

static struct stat attributes(fuse_ino_t ino)
{
    struct stat st = { .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
    if (ino == FILE_INO && stat(options.backing, &st) != 0)
        st.st_mode = S_IFREG;
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
    lookups++;
    entry.attr = attributes(FILE_INO);
    fuse_reply_entry(req, &entry);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    (void)ino;
    forgets += (int64_t)count;
    fuse_reply_none(req);
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
    if (opens++ == 0) {
        int fd = open(options.backing, O_RDWR | O_CLOEXEC);
        backing_id = fuse_passthrough_open(req, fd);
        result = backing_id > 0 ? 0 : errno;
        close(fd);
    }
    fi->backing_id = backing_id;
    fuse_reply_open(req, fi);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino, (void)fi;
    if (--opens == 0 && backing_id > 0) {
        result = fuse_passthrough_close(req, backing_id) == 0 ? 0 : errno;
        /* It is gone now. */
        if (result == 0 && (fuse_passthrough_close(req, backing_id) != -1 || errno != ENOENT))
            result = EBADMSG;
        backing_id = 0;
    }
    fuse_reply_err(req, 0);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    (void)ino, (void)size, (void)fi;
    reads++;
    fuse_reply_buf(req, "by the daemon", off == 0 ? 13 : 0);
}

static void on_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
    fuse_ino_t inodes[] = { FILE_INO, 12345 };
    (void)ino, (void)value, (void)size, (void)flags;
    /* Not while the kernel waits: it holds locks for this request. */
    fuse_reply_err(req, 0);
    result = strcmp(name, "user.prune") == 0 ? fuse_lowlevel_notify_prune(session, inodes, 2)
                                             : fuse_lowlevel_notify_increment_epoch(session);
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    static const struct number numbers[] = {
        { "user.lookups", &lookups }, { "user.forgets", &forgets }, { "user.reads", &reads },
        { "user.result", &result },   { "user.opens", &opens },     { NULL, NULL },
    };
    (void)ino;
    reply_number(req, numbers, name, size);
}

int main(int argc, char *argv[])
{
    static const struct fuse_opt specs[] = {
        { "--backing=%s", offsetof(struct options, backing), 0 },
        { "--no-passthrough", offsetof(struct options, no_passthrough), 1 },
        FUSE_OPT_END,
    };
    static const struct fuse_lowlevel_ops ops = {
        .init = on_init, .lookup = on_lookup, .forget = on_forget, .getattr = on_getattr, .open = on_open,
        .release = on_release, .read = on_read, .setxattr = on_setxattr, .getxattr = on_getxattr,
    };
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);

    if (fuse_opt_parse(&args, &options, specs, NULL) != 0)
        return 1;
    int status = serve(&args, &ops, 0, &session);
    free(options.backing);
    return status;
}
