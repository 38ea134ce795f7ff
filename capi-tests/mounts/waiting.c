/*
 * A file system whose requests wait: for a lock that somebody else holds, for a poll(2) to become true, for the
 * interrupt of whoever asked. Its files:
 *
 *   locked   record locks and flock(2) locks, both on the whole file, granted by this program
 *   slow     a read that is answered only when it is interrupted; with the option --stubborn only when "ready" is written
 *   ready    readable for poll(2) as soon as something was written
 *
 * Attributes of the root say what was seen: user.waiting (requests that wait), user.interrupts, user.late.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 319

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/file.h>
#include <unistd.h>

#include "small_fs.h"

enum { LOCKED = 2, SLOW, READY, FILES };
static const char *const names[FILES] = { [LOCKED] = "locked", [SLOW] = "slow", [READY] = "ready" };

enum { MOST = 16 };

/* Who holds the lock of one kind, who waits for it, and how: shared locks go together. */
static struct lock {
    uint64_t owners[MOST];
    int held, exclusive;
    struct waiter {
        fuse_req_t req; /* NULL: free */
        uint64_t owner;
        int exclusive;
    } waiters[MOST];
} locks[2];

static struct options {
    int stubborn, no_interrupt;
} options;
static struct fuse_pollhandle *handle;
static fuse_req_t reader;
static int64_t waiting, interrupts, late;
static int is_ready;

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
#if FUSE_MINOR_VERSION >= 17
    if (options.no_interrupt)
        fuse_set_conn_flag(conn, FUSE_CONN_FLAG_NO_INTERRUPT);
#else
    (void)conn;
#endif
}

static struct stat attributes(fuse_ino_t ino)
{
    struct stat st = { .st_ino = ino, .st_mode = S_IFREG | 0666, .st_nlink = 1, .st_size = 4096 };
    if (ino == FUSE_ROOT_ID)
        st.st_mode = S_IFDIR | 0755;
    return st;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    (void)parent;
    for (fuse_ino_t ino = LOCKED; ino < FILES; ino++) {
        if (strcmp(name, names[ino]) == 0) {
            struct fuse_entry_param entry = { .ino = ino, .attr = attributes(ino), .entry_timeout = 100 };
            fuse_reply_entry(req, &entry);
            return;
        }
    }
    fuse_reply_err(req, ENOENT);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st = attributes(ino);
    (void)fi;
    fuse_reply_attr(req, &st, 100);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    fi->direct_io = 1;
    fuse_reply_open(req, fi);
}

/* ---- locks ---- */

static int holds(const struct lock *lock, uint64_t owner)
{
    for (int i = 0; i < lock->held; i++)
        if (lock->owners[i] == owner)
            return 1;
    return 0;
}

static void release(struct lock *lock, uint64_t owner)
{
    for (int i = 0; i < lock->held; i++)
        if (lock->owners[i] == owner)
            lock->owners[i--] = lock->owners[--lock->held];
}

static int take(struct lock *lock, uint64_t owner, int exclusive)
{
    int others = lock->held - holds(lock, owner);
    if (others > 0 && (exclusive || lock->exclusive))
        return 0;
    release(lock, owner);
    lock->owners[lock->held++] = owner;
    lock->exclusive = exclusive;
    return 1;
}

static void grant(struct lock *lock)
{
    for (struct waiter *w = lock->waiters; w < lock->waiters + MOST; w++) {
        if (w->req == NULL || !take(lock, w->owner, w->exclusive))
            continue;
        fuse_req_t req = w->req;
        w->req = NULL;
        waiting--;
        fuse_reply_err(req, 0);
    }
}

/* May be called by fuse_req_interrupt_func() itself, when the interrupt came first. */
static void lock_interrupted(fuse_req_t req, void *data)
{
    struct waiter *waiter = data;
    waiter->req = NULL;
    waiting--;
    interrupts++;
    fuse_reply_err(req, EINTR);
}

static void want(fuse_req_t req, struct lock *lock, uint64_t owner, int type, int wait)
{
    if (type == F_UNLCK) {
        release(lock, owner);
        fuse_reply_err(req, 0);
        grant(lock);
    } else if (take(lock, owner, type == F_WRLCK)) {
        fuse_reply_err(req, 0);
    } else if (!wait) {
        fuse_reply_err(req, EAGAIN);
    } else {
        struct waiter *w = lock->waiters;
        while (w->req != NULL)
            w++;
        *w = (struct waiter){ req, owner, type == F_WRLCK };
        waiting++;
        fuse_req_interrupt_func(req, lock_interrupted, w);
    }
}

static void on_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock, int sleep)
{
    (void)ino;
    want(req, &locks[0], fi->lock_owner, lock->l_type, sleep);
}

static void on_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
    (void)ino;
    int others = locks[0].held - holds(&locks[0], fi->lock_owner);
    int conflict = others > 0 && (lock->l_type == F_WRLCK || locks[0].exclusive);
    lock->l_type = !conflict ? F_UNLCK : locks[0].exclusive ? F_WRLCK : F_RDLCK;
    fuse_reply_lock(req, lock);
}

static void on_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
    int type = op & LOCK_UN ? F_UNLCK : op & LOCK_EX ? F_WRLCK : F_RDLCK;
    (void)ino;
    want(req, &locks[1], fi->lock_owner, type, !(op & LOCK_NB));
}

static void on_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    if (ino == LOCKED)
        want(req, &locks[0], fi->lock_owner, F_UNLCK, 0);
    else
        fuse_reply_err(req, 0);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    if (fi->flock_release)
        want(req, &locks[1], fi->lock_owner, F_UNLCK, 0);
    else
        fuse_reply_err(req, 0);
}

/* ---- a slow read ---- */

static void read_interrupted(fuse_req_t req, void *data)
{
    (void)data;
    interrupts++;
    if (options.stubborn)
        return;
    waiting--;
    reader = NULL;
    fuse_reply_err(req, EINTR);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    (void)size, (void)off, (void)fi;
    if (ino != SLOW) {
        fuse_reply_buf(req, NULL, 0);
        return;
    }
    reader = req;
    waiting++;
    fuse_req_interrupt_func(req, read_interrupted, NULL);
}

/* ---- poll ---- */

static void on_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
    (void)ino, (void)fi;
    if (ph != NULL) {
        if (handle != NULL)
            fuse_pollhandle_destroy(handle);
        handle = ph;
    }
    fuse_reply_poll(req, is_ready ? POLLIN : 0);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
    (void)buf, (void)off, (void)fi, (void)ino;
    is_ready = 1;
    if (reader != NULL) {
        fuse_req_t answered = reader;
        reader = NULL;
        waiting--;
        late = fuse_reply_buf(answered, "late", 4);
    }
    fuse_reply_write(req, size);
    if (handle != NULL) {
        fuse_lowlevel_notify_poll(handle);
        fuse_pollhandle_destroy(handle);
        handle = NULL;
    }
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    static const struct number numbers[] = {
        { "user.waiting", &waiting }, { "user.interrupts", &interrupts }, { "user.late", &late }, { NULL, NULL }
    };
    (void)ino;
    reply_number(req, numbers, name, size);
}

int main(int argc, char *argv[])
{
    static const struct fuse_opt specs[] = {
        { "--stubborn", offsetof(struct options, stubborn), 1 },
        { "--no-interrupt", offsetof(struct options, no_interrupt), 1 },
        FUSE_OPT_END,
    };
    static const struct fuse_lowlevel_ops ops = {
        .init = on_init, .lookup = on_lookup, .getattr = on_getattr, .open = on_open, .read = on_read,
        .write = on_write, .flush = on_flush, .release = on_release, .getxattr = on_getxattr, .getlk = on_getlk,
        .setlk = on_setlk, .flock = on_flock, .poll = on_poll,
    };
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    struct fuse_session *session;

    if (fuse_opt_parse(&args, &options, specs, NULL) != 0)
        return 1;
    /* One thread: nothing here waits in a callback. */
    int status = serve(&args, &ops, 0, &session);
    if (handle != NULL)
        fuse_pollhandle_destroy(handle);
    return status;
}
