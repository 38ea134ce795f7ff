/*
 * A file system over a folder that can be taken over: nodes are named by their path, handles say nothing. It ends itself
 * where the command line says, and says what it is asked on standard output.
 *
 *   again --source=DIR --hand=FD [--take=STATE,DEVICE] [--die=WHERE] [--hold] MOUNTPOINT
 *
 * --hand: a socket that state and device are sent to. --take: those of a predecessor.
 * --die: init: in the init callback; init-reply: when that is about to be sent; dispatch: when mkdir is called; effect: when
 * that was done; reply: when its reply is about to be sent; error: when its error is; classify: when a resent request is judged; restore: before the
 * kernel is asked to send requests again; loop: before the loop. --leave: leaves the mount when a reply of so many bytes is about to be sent,
 * which comes too late then. --leave-forget: when a forget was just read. --signals: memory is never had at the
 * first attempt. --hold: reads are not answered.
 * --early: pauses and resumes before the loop begins. SIGUSR1: leaves the mount. SIGALRM: leaves it at once, whatever
 * the loop is doing. SIGUSR2: pauses, resumes.
 * --drop: gives CAP_SYS_ADMIN up before INIT is answered. --fork: opens ask nodes and passthrough in a child, too.
 * --daemonize: init: goes to the background in the init callback; loop: before the loop.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct options {
    char *source, *take, *die, *fail;
    int hand, hold, leave, leave_forget, signals, unaware, old_kernel, old_fdinfo, refuse, pass, node_bytes, other, early;
    int drop, fork;
    char *daemonize;
} options = { .hand = -1, .node_bytes = 256 };

#define OPTION(text, member) { text, offsetof(struct options, member), 1 }
static const struct fuse_opt specs[] = {
    OPTION("--source=%s", source), OPTION("--take=%s", take),     OPTION("--die=%s", die),
    OPTION("--hand=%d", hand),     OPTION("--hold", hold),        OPTION("--unaware", unaware),
    OPTION("--leave=%d", leave), OPTION("--leave-forget", leave_forget),
    OPTION("--signals", signals),
    OPTION("--old-kernel", old_kernel), OPTION("--fail=%s", fail), OPTION("--pass", pass),
    OPTION("--node-bytes=%d", node_bytes), OPTION("--other", other), OPTION("--old-fdinfo", old_fdinfo),
    OPTION("--refuse", refuse), OPTION("--early", early), OPTION("--drop", drop), OPTION("--fork", fork),
    OPTION("--daemonize=%s", daemonize), FUSE_OPT_END,
};

static struct fuse_session *session;

static void say(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (write(STDOUT_FILENO, line, length) != length)
        abort();
}

static void die_at(const char *where)
{
    if (options.die && strcmp(options.die, where) == 0) {
        say("dies: %s\n", where);
        kill(getpid(), SIGKILL);
    }
}

static pthread_t leaver;
static bool leaves;

static void *detach(void *unused)
{
    say("detach: %d\n", fuse_session_detach(session));
    return unused;
}

/* Returns when the connection is given up, and this thread's reply the only thing that is waited for. */
static void leave_meanwhile(void)
{
    leaves = true;
    if (pthread_create(&leaver, NULL, detach, NULL))
        abort();
    while (fuse_session_fd(session) >= 0)
        usleep(1000);
}

/* Stands before the C library's: the library reads from the device by it. */
ssize_t read(int fd, void *buf, size_t size)
{
    const struct fuse_in_header { uint32_t len, opcode; } *head = buf;
    ssize_t got = syscall(SYS_read, fd, buf, size);
    bool forget = got > 40 && head->len == got && (head->opcode == 2 || head->opcode == 42);
    if (options.leave_forget && forget && !leaves) {
        leaves = true;
        if (pthread_create(&leaver, NULL, detach, NULL))
            abort();
        usleep(5000);
    }
    return got;
}

/* The same for memory of the state: a signal comes first each time, on a kernel that ends the call for one. */
int fallocate(int fd, int mode, off_t offset, off_t length)
{
    static atomic_int calls;
    if (options.signals && atomic_fetch_add(&calls, 1) % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_fallocate, fd, mode, offset, length);
}

/* Stands before the C library's: what the library sends goes through here. */
ssize_t writev(int fd, const struct iovec *iov, int count)
{
    const struct fuse_out_header { uint32_t len; int32_t error; uint64_t unique; } *head = iov->iov_base;
    size_t length = 0;
    for (int i = 0; i < count; i++)
        length += iov[i].iov_len;
    if (iov->iov_len == sizeof(*head) && head->len == length) {
        if (head->unique == 0 && head->error == 7) {
            die_at("restore");
            if (options.old_kernel) {
                errno = EINVAL;
                return -1;
            }
        } else if (head->error == -ENOSPC) {
            die_at("error");
        } else if (length == sizeof(*head) + 64) {
            die_at("init-reply");
        } else if (options.leave && length == sizeof(*head) + options.leave && !leaves) {
            leave_meanwhile();
        } else if (length == sizeof(*head) + 128 && options.die && strcmp(options.die, "reply") == 0) {
            static int entries; /* the second entry: after the lookup comes the mkdir */
            if (++entries == 1)
                die_at("reply");
        }
    }
    return syscall(SYS_writev, fd, iov, count);
}

/* The same for files that the library opens: a kernel that does not say which connection a device is of. */
int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    bool info = strncmp(path, "/proc/self/fdinfo/", 18) == 0;
    return syscall(SYS_openat, AT_FDCWD, options.old_fdinfo && info ? "/dev/null" : path, flags, mode);
}

static void drop(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct sets[2];
    if (syscall(SYS_capget, &header, sets) != 0)
        abort();
    sets[0].effective &= ~(1u << CAP_SYS_ADMIN);
    if (syscall(SYS_capset, &header, sets) != 0)
        abort();
}

static void daemonize_at(const char *where)
{
    if (options.daemonize && strcmp(options.daemonize, where) == 0 && daemon(1, 1) != 0)
        abort();
}

static char *path_of(fuse_ino_t ino, const char *name, char *path)
{
    char relative[PATH_MAX] = "";
    int length = fuse_node_read(session, ino, relative, sizeof(relative) - 1);
    if (length < 0) {
        say("nodeid %llu: %s\n", (unsigned long long)ino, strerror(-length));
        return NULL;
    }
    relative[length] = 0;
    int needed = snprintf(path, PATH_MAX, "%s%s%s%s", options.source, relative, name ? "/" : "", name ? name : "");
    return needed < PATH_MAX ? path : NULL;
}

static int fill(const char *path, struct fuse_entry_param *entry)
{
    *entry = (struct fuse_entry_param){ 0 };
    if (lstat(path, &entry->attr) < 0)
        return errno;
    const char *relative = path + strlen(options.source);
    entry->ino = fuse_node_get(session, relative, strlen(relative));
    entry->generation = fuse_node_generation(session, entry->ino);
    return entry->ino ? 0 : errno;
}

static void reply_path(fuse_req_t req, const char *path)
{
    struct fuse_entry_param entry;
    int error = fill(path, &entry);
    if (error) {
        fuse_reply_err(req, error);
        return;
    }
    fuse_reply_entry(req, &entry);
    fuse_node_put(session, entry.ino);
}

static void init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    die_at("init");
    daemonize_at("init");
    if (options.pass)
        fuse_session_enable_passthrough(conn, 1, 0);
    if (options.other)
        conn->max_write = 65536;
    say("init\n");
}

static void destroy(void *userdata)
{
    (void)userdata;
    say("destroy\n");
}

static void lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    char path[PATH_MAX];
    if (path_of(parent, name, path))
        reply_path(req, path);
    else
        fuse_reply_err(req, ESTALE);
}

static void forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
    say("forget %llu, %lld left\n", (unsigned long long)nlookup, (long long)fuse_node_nlookup(session, ino));
    fuse_reply_none(req);
}

static void get_attr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    char path[PATH_MAX];
    struct stat st;
    if (!path_of(ino, NULL, path) || lstat(path, &st) < 0)
        fuse_reply_err(req, ENOENT);
    else
        fuse_reply_attr(req, &st, 0);
}

static void make_dir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    char path[PATH_MAX], cookie[48] = "";
    die_at("dispatch");
    path_of(parent, name, path);
    int noted = fuse_req_journaled(req, cookie, sizeof(cookie));
    if (fuse_req_is_resend(req))
        say("mkdir %s again, noted: %s\n", name, noted > 0 ? cookie : "nothing");
    if (noted > 0 && strcmp(cookie, "absent") == 0 && access(path, F_OK) == 0) {
        reply_path(req, path); /* the predecessor did it */
        return;
    }
    if (access(path, F_OK) < 0)
        fuse_req_journal(req, "absent", 7);
    errno = ENOSPC;
    int made = options.refuse ? -1 : mkdir(path, mode);
    say("mkdir %s: %s\n", name, made ? strerror(errno) : "made");
    die_at("effect");
    if (made)
        fuse_reply_err(req, errno);
    else
        reply_path(req, path);
}

static void ask_in_child(fuse_req_t req, fuse_ino_t ino, int fd, struct fuse_file_info fi)
{
    pid_t child = fork();
    if (child == 0) {
        unsigned long long node = fuse_node_get(session, "another", 7);
        say("child: node %llu (%s), ", node, strerror(errno));
        say("attach: %s\n", strerror(-fuse_passthrough_attach(req, ino, fd, &fi)));
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void open_file(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    fi->fh = 0;
    fi->direct_io = options.hold; /* such reads can be interrupted */
    char path[PATH_MAX];
    int fd = options.pass && path_of(ino, NULL, path) ? open(path, fi->flags & O_ACCMODE) : -1;
    if (options.fork)
        ask_in_child(req, ino, fd, *fi);
    if (options.pass)
        say("attach: %s\n", fuse_passthrough_attach(req, ino, fd, fi) >= 0 ? "done" : "refused");
    if (fd >= 0)
        close(fd);
    fuse_reply_open(req, fi);
}

static void release_file(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino, (void)fi;
    say("release\n");
    fuse_reply_err(req, 0);
}

static void interrupted(fuse_req_t req, void *data)
{
    (void)data;
    say("interrupted %llu\n", (unsigned long long)fuse_req_unique(req));
    fuse_reply_err(req, EINTR);
}

static void read_file(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    (void)fi;
    say("read %llu%s\n", (unsigned long long)fuse_req_unique(req), fuse_req_is_resend(req) ? " again" : "");
    if (options.hold) {
        fuse_req_interrupt_func(req, interrupted, NULL);
        return;
    }
    char path[PATH_MAX], data[4096];
    path_of(ino, NULL, path);
    FILE *file = fopen(path, "r");
    size_t got = file && fseek(file, off, SEEK_SET) == 0 ? fread(data, 1, size < 4096 ? size : 4096, file) : 0;
    if (file)
        fclose(file);
    fuse_reply_buf(req, data, got);
}

static int classify(fuse_req_t req, uint32_t opcode, fuse_ino_t ino)
{
    (void)req, (void)ino;
    die_at("classify");
    say("classify %u\n", opcode);
    return options.fail ? -atoi(options.fail) : FUSE_RESEND_ANSWER;
}

static void drained(void *userdata, size_t n)
{
    (void)userdata;
    say("drained %zu\n", n);
}

static const struct fuse_lowlevel_ops ops = {
    .init = init,         .destroy = destroy, .lookup = lookup,    .forget = forget, .getattr = get_attr,
    .mkdir = make_dir,    .open = open_file,  .read = read_file,   .release = release_file,
};

static void hand_over(int fd)
{
    char byte = 'x', control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec iov = { &byte, 1 };
    struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(int));
    if (sendmsg(options.hand, &message, 0) < 0)
        abort();
}

static int take_over(void)
{
    int state = -1, device = -1;
    if (sscanf(options.take, "%d,%d", &state, &device) != 2)
        abort();
    int error = fuse_session_restore_state(session, state, device);
    say("restore: %s\n", error ? strerror(-error) : "done");
    return error;
}

static void planned(int signal)
{
    (void)signal;
    fuse_session_exit(session);
}

static volatile sig_atomic_t leaving;
static void leave(int signal)
{
    leaving = 1;
    planned(signal);
}

/* Pauses the session at every other SIGUSR2, resumes it at the next; detaches it at a SIGALRM. */
static void *pauser(void *set)
{
    bool paused = false;
    for (int number;;) {
        sigwait(set, &number);
        if (number == SIGALRM) {
            leaver = pthread_self();
            leaves = true;
            return detach(NULL);
        }
        if (paused)
            say("resumed: %d\n", fuse_session_resume(session));
        else
            say("paused: %d\n", fuse_session_pause(session, 300));
        paused = !paused;
    }
}

static void pause_early(void)
{
    struct fuse_buf buf = { .mem = NULL };
    say("early pause: %d\n", fuse_session_pause(session, 10));
    say("received: %d\n", fuse_session_receive_buf(session, &buf));
    say("resumed: %d\n", fuse_session_resume(session));
    free(buf.mem);
}

int main(int argc, char **argv)
{
    static sigset_t pausing;
    pthread_t thread;
    sigemptyset(&pausing);
    sigaddset(&pausing, SIGUSR2);
    sigaddset(&pausing, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &pausing, NULL);
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    struct fuse_cmdline_opts cmdline;
    if (fuse_opt_parse(&args, &options, specs, NULL) < 0 || fuse_parse_cmdline(&args, &cmdline) < 0)
        return 2;
    struct fuse_resend_ops resend = { sizeof(resend), classify, drained };
    session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    if (!session)
        return 2;
    if (!options.unaware && (fuse_session_set_recoverable(session, options.node_bytes) < 0 ||
                             fuse_session_set_resend_ops(session, &resend) < 0))
        return 2;
    if (options.drop && options.take)
        drop();
    if (options.take ? take_over() < 0 : fuse_session_mount(session, cmdline.mountpoint) < 0)
        return 3;
    if (options.hand >= 0 && !options.take) {
        int state = fuse_session_save_state(session);
        hand_over(state);
        hand_over(fuse_session_fd(session));
        close(state);
    }
    if (options.drop)
        drop();
    daemonize_at("loop");
    signal(SIGTERM, planned);
    signal(SIGUSR1, leave);
    /* The thread hears nothing else: it may outlive the session. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, pauser, &pausing))
        abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    die_at("loop");
    if (options.early)
        pause_early();
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_clone_fd(config, cmdline.clone_fd);
    int result = cmdline.singlethread ? fuse_session_loop(session) : fuse_session_loop_mt(session, config);
    say("loop: %d\n", result);
    if (leaves) {
        pthread_join(leaver, NULL);
    } else if (leaving) {
        say("pause: %d\n", fuse_session_pause(session, 100));
        say("detach: %d\n", fuse_session_detach(session));
    } else {
        fuse_session_unmount(session);
    }
    fuse_session_destroy(session);
    fuse_loop_cfg_destroy(config);
    free(cmdline.mountpoint);
    fuse_opt_free_args(&args);
    return 0;
}
