/*
 * A file system of one file, "file", and as many names for it as are asked for, whose opens are answered as the
 * extended attribute user.next of the root says, in these words:
 *
 *   attach               fuse_passthrough_attach(); detach: and taken back; fail: and then an error as the reply
 *   first, same, other   an id by fuse_session_passthrough_open(), the same again, another one for the same file
 *   libfuse              an id by fuse_passthrough_open(), remembered
 *   close                that id closed before the reply
 *   folder, device, path, none   what is registered is the root, /dev/null, the file as an O_PATH descriptor, -1
 *   drop                 before all that, the thread gives CAP_SYS_ADMIN up
 *   direct, keep, noflush, parallel   as the members of struct fuse_file_info
 *   unwanted             with --own-io: the kernel does not want the reply any more
 *
 * Mode bits beyond 0777 are not shown to the kernel: what becomes of them is up to the file below.
 *
 * user.result is what the last attach or detach returned, user.reads the number of reads that came here, user.status
 * fuse_session_passthrough_status(), user.id the last id, user.close what closing that id gives.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 319

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/capability.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILE_INO = 2 };

static struct options {
    char *backing;
    int writeback, by_hand, depth, allow_mmap, no_release, own_io;
} options = { .depth = 1 };
static struct fuse_session *session;
static char next[256];
static atomic_int result, reads, id, opens, losing, enabled = 1;

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    if (options.allow_mmap)
        fuse_set_feature_flag(conn, FUSE_CAP_DIRECT_IO_ALLOW_MMAP);
    if (options.writeback == 1)
        fuse_set_feature_flag(conn, FUSE_CAP_WRITEBACK_CACHE);
    if (options.by_hand)
        fuse_set_feature_flag(conn, FUSE_CAP_PASSTHROUGH | FUSE_CAP_HANDLE_KILLPRIV_V2);
    else
        enabled = fuse_session_enable_passthrough(conn, (uint32_t)options.depth, FUSE_PASSTHROUGH_KILLPRIV);
    if (options.writeback == 2)
        fuse_set_feature_flag(conn, FUSE_CAP_WRITEBACK_CACHE);
}

static struct stat attributes(fuse_ino_t ino)
{
    struct stat st = { .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
    if (ino == FILE_INO && stat(options.backing, &st) != 0)
        st.st_mode = S_IFREG;
    st.st_ino = ino;
    st.st_mode &= ~(mode_t)07000;
    return st;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = { .ino = FILE_INO };
    (void)parent;
    if (strncmp(name, "file", 4) != 0) {
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
    fuse_reply_attr(req, &st, 0);
}

static int says(const char *word)
{
    return strstr(next, word) != NULL;
}

static void drop(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct sets[2];
    if (syscall(SYS_capget, &header, sets) != 0)
        return;
    sets[0].effective &= ~(1u << CAP_SYS_ADMIN);
    syscall(SYS_capset, &header, sets);
}

/* fi as user.next says. */
static void prepare(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int fd)
{
    fi->direct_io = says("direct");
    fi->keep_cache = says("keep");
    fi->noflush = says("noflush");
    fi->parallel_direct_writes = says("parallel");
    if (says("drop"))
        drop();
    if (says("attach")) {
        result = fuse_passthrough_attach(req, ino, fd, fi);
        if (fi->backing_id > 0)
            id = fi->backing_id;
        if (says("again") && fuse_passthrough_attach(req, ino, fd, fi) != 0)
            result = 1;
        if (says("wrong") && fuse_passthrough_attach(req, ino + 1, fd, fi) != -EINVAL)
            result = 2;
        if (says("detach"))
            result = fuse_passthrough_detach(req, ino, fi);
        return;
    }
    if (says("first"))
        id = fuse_session_passthrough_open(session, fd);
    if (says("libfuse")) {
        id = fuse_passthrough_open(req, fd);
        result = id > 0 ? 0 : -errno;
    }
    if (says("close"))
        result = fuse_session_passthrough_close(session, id);
    if (says("first") || says("same") || says("libfuse"))
        fi->backing_id = id;
    if (says("other"))
        fi->backing_id = fuse_passthrough_open(req, fd);
}

static int to_register(void)
{
    const char *file = says("folder") ? "/" : says("device") ? "/dev/null" : options.backing;
    int flags = says("folder") ? O_RDONLY : says("path") ? O_PATH : O_RDWR;
    return says("none") ? -1 : open(file, flags | O_CLOEXEC);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    int fd = to_register();
    prepare(req, ino, fi, fd);
    close(fd);
    if (says("fail")) {
        fuse_reply_err(req, EDOM);
        return;
    }
    opens++;
    losing = says("unwanted");
    int sent = fuse_reply_open(req, fi);
    if (losing) {
        losing = 0;
        result = sent;
        opens--;
    }
}

static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
    struct fuse_entry_param entry = { .ino = FILE_INO };
    int fd = open(options.backing, O_RDWR | O_CREAT | O_CLOEXEC, mode);
    (void)parent, (void)name;
    prepare(req, FILE_INO, fi, fd);
    close(fd);
    entry.attr = attributes(FILE_INO);
    opens++;
    fuse_reply_create(req, &entry, fi);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (!options.no_release && !options.by_hand)
        result = fuse_passthrough_detach(req, ino, fi);
    opens--;
    fuse_reply_err(req, 0);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    (void)ino, (void)size, (void)fi;
    reads++;
    fuse_reply_buf(req, "served by the daemon", off == 0 ? 20 : 0);
}

static void on_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
    (void)ino, (void)name, (void)flags;
    snprintf(next, sizeof(next), "%.*s", (int)size, value);
    fuse_reply_err(req, 0);
}

static int answer(const char *name)
{
    if (strcmp(name, "user.status") == 0)
        return fuse_session_passthrough_status(session);
    if (strcmp(name, "user.close") == 0)
        return fuse_session_passthrough_close(session, id) == 0 ? 0 : errno;
    return strcmp(name, "user.result") == 0    ? result
           : strcmp(name, "user.reads") == 0   ? reads
           : strcmp(name, "user.opens") == 0   ? opens
           : strcmp(name, "user.enabled") == 0 ? enabled
                                               : id;
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    char text[16];
    (void)ino;
    if (strncmp(name, "user.", 5) != 0) {
        fuse_reply_err(req, ENODATA);
        return;
    }
    int len = snprintf(text, sizeof(text), "%d", answer(name));
    if (size == 0)
        fuse_reply_xattr(req, sizeof(text));
    else
        fuse_reply_buf(req, text, (size_t)len);
}

/* The device, read and written here, so that a reply can be lost: whoever waits for it gets ENXIO, the library ENOENT. */
static ssize_t own_read(int fd, void *buf, size_t len, void *userdata)
{
    (void)userdata;
    return read(fd, buf, len);
}

static ssize_t own_writev(int fd, struct iovec *iov, int count, void *userdata)
{
    int32_t head[4] = { sizeof(head), -ENXIO, 0, 0 };
    (void)userdata;
    if (!losing)
        return writev(fd, iov, count);
    memcpy(&head[2], (char *)iov[0].iov_base + 8, 8);
    if (write(fd, head, sizeof(head)) == sizeof(head))
        errno = ENOENT;
    return -1;
}

static int connect_to(const char *mountpoint)
{
    static const struct fuse_custom_io io = { .read = own_read, .writev = own_writev };
    char data[100];
    int fd;
    if (!options.own_io)
        return fuse_session_mount(session, mountpoint);
    fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
    if (mount("opens", mountpoint, "fuse.opens", 0, data) != 0)
        return -1;
    return fuse_session_custom_io(session, &io, sizeof(io), fd);
}

int main(int argc, char *argv[])
{
    static const struct fuse_opt specs[] = {
        { "--backing=%s", offsetof(struct options, backing), 0 },
        { "--writeback=%d", offsetof(struct options, writeback), 0 },
        { "--depth=%d", offsetof(struct options, depth), 0 },
        { "--by-hand", offsetof(struct options, by_hand), 1 },
        { "--allow-mmap", offsetof(struct options, allow_mmap), 1 },
        { "--own-io", offsetof(struct options, own_io), 1 },
        { "--no-release", offsetof(struct options, no_release), 1 },
        FUSE_OPT_END,
    };
    static struct fuse_lowlevel_ops ops = {
        .init = on_init, .lookup = on_lookup, .getattr = on_getattr, .open = on_open, .create = on_create,
        .release = on_release, .read = on_read, .setxattr = on_setxattr, .getxattr = on_getxattr,
    };
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    struct fuse_cmdline_opts command;
    int status = -1;

    if (fuse_opt_parse(&args, &options, specs, NULL) != 0 || fuse_parse_cmdline(&args, &command) != 0)
        return 1;
    if (options.no_release)
        ops.release = NULL;
    session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    if (session != NULL && fuse_set_signal_handlers(session) == 0 && connect_to(command.mountpoint) == 0) {
        status = options.own_io ? fuse_session_loop(session) : fuse_session_loop_mt(session, NULL);
        fuse_session_unmount(session);
        if (options.own_io)
            umount(command.mountpoint);
        fuse_remove_signal_handlers(session);
    }
    fuse_session_destroy(session);
    free(command.mountpoint);
    free(options.backing);
    fuse_opt_free_args(&args);
    return status < 0;
}
