/*
 * A file system in memory that says what the kernel tells it: one line for each request that a capability changes,
 * `NAME ino=.. FLAGS ..`. The command line chooses what it wants and how it answers.
 */
#include "memfs.h"

#include <fcntl.h>

static struct options {
    unsigned long long caps, init_flags; /* to want */
    unsigned timeout, open_flags;
    int threads, own_loop, enosys;
} options;

static const struct fuse_opt specs[] = {
    { "--caps=%llx", offsetof(struct options, caps), 0 },
    { "--init-flags=%llx", offsetof(struct options, init_flags), 0 },
    { "--timeout=%u", offsetof(struct options, timeout), 0 },
    { "--open-flags=%x", offsetof(struct options, open_flags), 0 },
    { "--threads", offsetof(struct options, threads), 1 },
    { "--own-loop", offsetof(struct options, own_loop), 1 },
    { "--enosys", offsetof(struct options, enosys), 1 },
    FUSE_OPT_END,
};

static struct fuse_conn_info_opts *connection;

/* ---- what is said ---- */

#ifdef FUSEWIRE_VERSION
static const char *flag_text(fuse_req_t req)
{
    uint32_t flags = fuse_req_flags(req);
    char *text = room(64);
    snprintf(text, 64, "%s%s%s", flags & FUSE_REQ_KILL_SUIDGID ? " KILL_SUIDGID" : "",
             flags & FUSE_REQ_LOCK_OWNER ? " LOCK_OWNER" : "", flags & FUSE_REQ_ACL_KILL_SGID ? " ACL_KILL_SGID" : "");
    return text;
}

static const char *group_text(fuse_req_t req)
{
    gid_t groups[8];
    int count = fuse_req_supp_groups(req, COUNT(groups), groups);
    char *text = room(32);
    snprintf(text, 32, count == 1 ? " groups=%d,%u" : " groups=%d", count, groups[0]);
    return text;
}

/* Lets the kernel send the request again; true: this is the second time. */
static bool came_again(fuse_req_t req)
{
    static uint64_t number;
    struct fuse_out_header notification = { .len = sizeof(notification), .error = 7 /* FUSE_NOTIFY_RESEND */ };
    if (fuse_req_flags(req) & FUSE_REQ_RESEND) {
        say("sent again, number %s", fuse_req_unique(req) == number ? "unchanged" : "CHANGED");
        return true;
    }
    number = fuse_req_unique(req);
    return write(fuse_session_fd(session), &notification, sizeof(notification)) != sizeof(notification);
}

static void set_open_flags(fuse_req_t req)
{
    if (options.open_flags != 0 && fuse_req_set_open_flags(req, options.open_flags) != 0)
        abort();
}

static void want_init_flags(struct fuse_conn_info *conn)
{
    say("init offers %#llx, wanting gives %d", (unsigned long long)fuse_conn_init_flags(conn),
        fuse_conn_want_init_flags(conn, options.init_flags));
}
#else
static const char *flag_text(fuse_req_t req)
{
    (void)req;
    return "";
}

static const char *group_text(fuse_req_t req)
{
    (void)req;
    return "";
}

static bool came_again(fuse_req_t req)
{
    (void)req;
    return true;
}

static void set_open_flags(fuse_req_t req)
{
    (void)req;
}

static void want_init_flags(struct fuse_conn_info *conn)
{
    (void)conn;
}
#endif

static void tell(fuse_req_t req, const char *what, fuse_ino_t ino)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(req);
    say("%s ino=%" PRIu64 " uid=%u gid=%u%s", what, ino, ctx->uid, ctx->gid, flag_text(req));
}

static void tell_making(fuse_req_t req, const char *what, fuse_ino_t parent, mode_t mode)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(req);
    say("%s ino=%" PRIu64 " uid=%u gid=%u mode=%#o umask=%#o%s%s", what, parent, ctx->uid, ctx->gid, mode, ctx->umask,
        flag_text(req), group_text(req));
}

/* ---- callbacks ---- */

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
    for (int bit = 0; bit < 64; bit++)
        if (options.caps >> bit & 1 && !fuse_set_feature_flag(conn, 1ULL << bit))
            say("init lacks %d", bit);
    conn->request_timeout = (uint16_t)options.timeout;
#else
    conn->want |= (uint32_t)options.caps;
#endif
    fuse_apply_conn_info_opts(connection, conn);
    want_init_flags(conn);
}

/* "stuck" is never answered, "again" when it comes a second time; of "first" and "second" each waits for the other. */
static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    static fuse_req_t first;
    if (strcmp(name, "stuck") == 0 || (strcmp(name, "again") == 0 && !came_again(req)))
        return;
    if (strcmp(name, ".") == 0) {
        /* An inode that the kernel has forgotten. */
        struct fuse_entry_param entry = { .ino = parent, .generation = 1, .attr = { .st_mode = S_IFREG | 0644 } };
        tell(req, "lookup of .", parent);
        entry.attr.st_ino = parent;
        fuse_reply_entry(req, &entry);
    } else if (strcmp(name, "first") == 0 || strcmp(name, "second") == 0) {
        if (first == NULL) {
            first = req;
            return;
        }
        fuse_reply_err(first, ENOENT);
        fuse_reply_err(req, ENOENT);
        first = NULL;
    } else {
        memfs.lookup(req, parent, name);
    }
}

static void on_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    tell_making(req, "mknod", parent, mode);
    memfs.mknod(req, parent, name, mode, rdev);
}

static void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    tell_making(req, "mkdir", parent, mode);
    memfs.mkdir(req, parent, name, mode);
}

static void on_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    tell_making(req, "symlink", parent, 0);
    memfs.symlink(req, target, parent, name);
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
    tell(req, "readlink", ino);
    memfs.readlink(req, ino);
}

static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
    tell_making(req, "create", parent, mode);
    set_open_flags(req);
    memfs.create(req, parent, name, mode, fi);
}

static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
    tell(req, to_set & FUSE_SET_ATTR_MODE ? "setattr mode" : "setattr", ino);
    memfs.setattr(req, ino, attr, to_set, fi);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    tell(req, "open", ino);
    if (options.enosys) {
        fuse_reply_err(req, ENOSYS);
        return;
    }
    set_open_flags(req);
    memfs.open(req, ino, fi);
}

static void on_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    tell(req, "opendir", ino);
    if (options.enosys)
        fuse_reply_err(req, ENOSYS);
    else
        memfs.opendir(req, ino, fi);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    tell(req, "read", ino);
    memfs.read(req, ino, size, off, fi);
}

static void on_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *bufv, off_t off,
                         struct fuse_file_info *fi)
{
    char what[64];
    snprintf(what, sizeof(what), "write of %zu%s", fuse_buf_size(bufv), fi->writepage ? " from the cache" : "");
    tell(req, what, ino);
    memfs.write_buf(req, ino, bufv, off, fi);
}

/* ---- notifications: setting user.COMMAND on a file sends them, about "file" (inode 2), after the reply ---- */

enum { FILE_INO = 2, NO_INO = 999 };

static int expire(const char *name)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 16)
    return fuse_lowlevel_notify_expire_entry(session, FUSE_ROOT_ID, name, strlen(name));
#else
    return fuse_lowlevel_notify_expire_entry(session, FUSE_ROOT_ID, name, strlen(name), FUSE_LL_EXPIRE_ONLY);
#endif
}

static int store(fuse_ino_t ino)
{
    struct fuse_bufvec data = FUSE_BUFVEC_INIT(6);
    data.buf[0].mem = "stored";
    return fuse_lowlevel_notify_store(session, ino, 0, &data, 0);
}

static int delete(fuse_ino_t ino, const char *name)
{
    return fuse_lowlevel_notify_delete(session, FUSE_ROOT_ID, ino, name, strlen(name));
}

static void notify(const char *command)
{
    if (strcmp(command, "store") == 0) {
        say("store returned %d", store(FILE_INO));
        say("store of none returned %d", store(NO_INO));
    } else if (strcmp(command, "retrieve") == 0) {
        say("retrieve returned %d", fuse_lowlevel_notify_retrieve(session, FILE_INO, 100, 0, NULL));
        say("retrieve of none returned %d", fuse_lowlevel_notify_retrieve(session, NO_INO, 100, 0, NULL));
    } else if (strcmp(command, "inval_inode") == 0) {
        say("inval_inode returned %d", fuse_lowlevel_notify_inval_inode(session, FILE_INO, 0, 0));
        say("inval_inode of none returned %d", fuse_lowlevel_notify_inval_inode(session, NO_INO, 0, 0));
    } else if (strcmp(command, "inval_entry") == 0) {
        say("inval_entry returned %d", fuse_lowlevel_notify_inval_entry(session, FUSE_ROOT_ID, "file", 4));
        say("inval_entry of none returned %d", fuse_lowlevel_notify_inval_entry(session, FUSE_ROOT_ID, "none", 4));
    } else if (strcmp(command, "expire_entry") == 0) {
        say("expire_entry returned %d", expire("button"));
        say("expire_entry of none returned %d", expire("none"));
    } else if (strcmp(command, "delete") == 0) {
        say("delete returned %d", delete(FILE_INO + 2, "button"));
        say("delete of a full directory returned %d", delete(FILE_INO + 1, "full"));
        say("delete of none returned %d", delete(NO_INO, "none"));
    }
}

static void on_retrieve_reply(fuse_req_t req, void *cookie, fuse_ino_t ino, off_t offset, struct fuse_bufvec *bufv)
{
    char data[100];
    struct fuse_bufvec memory = FUSE_BUFVEC_INIT(sizeof(data));
    (void)cookie, (void)ino, (void)offset;
    memory.buf[0].mem = data;
    ssize_t size = fuse_buf_copy(&memory, bufv, 0);
    say("retrieved %s", quoted(data, size < 0 ? 0 : (size_t)size));
    fuse_reply_none(req);
}

static void on_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
    tell(req, "setxattr", ino);
    memfs.setxattr(req, ino, name, value, size, flags);
    notify(name + strlen("user."));
}

static struct fuse_lowlevel_ops all_ops(void)
{
    struct fuse_lowlevel_ops ops = memfs;
    ops.init = on_init;
    ops.lookup = on_lookup;
    ops.mknod = on_mknod;
    ops.mkdir = on_mkdir;
    ops.symlink = on_symlink;
    ops.readlink = on_readlink;
    ops.create = on_create;
    ops.setattr = on_setattr;
    ops.open = on_open;
    ops.opendir = on_opendir;
    ops.read = on_read;
    ops.write_buf = on_write_buf;
    ops.setxattr = on_setxattr;
    ops.retrieve_reply = on_retrieve_reply;
    ops.access = NULL;
    return ops;
}

static int loop(void)
{
    struct fuse_buf buf = { 0 };
    int size;
    if (options.own_loop) {
        while ((size = fuse_session_receive_buf(session, &buf)) > 0 || size == -EINTR)
            if (size > 0)
                fuse_session_process_buf(session, &buf);
        free(buf.mem);
        return size;
    }
    if (!options.threads)
        return fuse_session_loop(session);
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    int result = fuse_session_loop_mt(session, config);
    fuse_loop_cfg_destroy(config);
    return result;
}

int main(int argc, char *argv[])
{
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    struct fuse_lowlevel_ops ops = all_ops();
    struct fuse_cmdline_opts command;

    if (fuse_opt_parse(&args, &options, specs, NULL) != 0 ||
        (connection = fuse_parse_conn_info_opts(&args)) == NULL || fuse_parse_cmdline(&args, &command) != 0)
        return 1;
    session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    if (session == NULL || fuse_set_signal_handlers(session) != 0 ||
        fuse_session_mount(session, command.mountpoint) != 0)
        return 1;
    say("loop returned %d", loop());
    fuse_session_unmount(session);
    fuse_remove_signal_handlers(session);
    fuse_session_destroy(session);
    free(command.mountpoint);
    free(connection);
    fuse_opt_free_args(&args);
    return 0;
}
