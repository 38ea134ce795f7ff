/*
 * Files whose reads show how requests come over io_uring, one each for a way to answer. Counts are attributes of the root:
 * "user.ring" and "user.device", requests that came the one way and the other; "user.wrong", what was not as it should be.
 */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)
#define _GNU_SOURCE
#include "../mounts/small_fs.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef FUSEWIRE_VERSION
#define IS_URING(req) fuse_req_is_uring(req)
#else
/* Headers of libfuse 3.14 do not have it; what the library says is found in another way. */
#define IS_URING(req) ((void)(req), false)
#endif

enum { ROOT = 1, PLAIN, SLOW, JOINED, LATER, NEVER, EARLY, TELL, PLACE, FILED, ENDING, STORE, MEET, PARTING, RUSHED, PAUSE,
       LAST };
static const char *const names[LAST] = {
    [PLAIN] = "plain", [SLOW] = "slow",   [JOINED] = "joined", [LATER] = "later",   [NEVER] = "never", [EARLY] = "early",
    [TELL] = "tell",   [PLACE] = "place", [FILED] = "filed",   [ENDING] = "ending", [STORE] = "store",
    [MEET] = "meet",   [PARTING] = "parting", [RUSHED] = "rushed", [PAUSE] = "pause",
};
#define SIZE ((off_t)8 << 20)

static struct fuse_session *session;
static pthread_barrier_t two;
static char *store;
static int file;
static _Atomic int64_t ring, device, wrong, interrupts, waiting, pauses;
static int64_t at_ring, at_device, at_wrong, at_interrupts, at_waiting, at_pauses;
static const struct number numbers[] = {
    { "user.ring", &at_ring },   { "user.device", &at_device },   { "user.wrong", &at_wrong },
    { "user.interrupts", &at_interrupts }, { "user.waiting", &at_waiting }, { "user.pauses", &at_pauses },
    { NULL, NULL },
};

/* In place of the C library's: there are no more threads than RINGS_THREADS says. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*function)(void *), void *arg)
{
    static atomic_int threads;
    const char *most = getenv("RINGS_THREADS");
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
    if (most != NULL && threads++ >= atoi(most))
        return EAGAIN;
    return create(thread, attr, function, arg);
}

static void came(fuse_req_t req)
{
    if (IS_URING(req))
        ring++;
    else
        device++;
}

static void fill(fuse_ino_t ino, struct stat *attr)
{
    memset(attr, 0, sizeof(*attr));
    attr->st_ino = ino;
    attr->st_mode = ino == ROOT ? S_IFDIR | 0755 : S_IFREG | 0666;
    attr->st_nlink = 1;
    attr->st_size = ino == ROOT ? 0 : SIZE;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = { .ino = 0 };
    char copy[256];

    (void)parent;
    came(req);
    snprintf(copy, sizeof(copy), "%s", name);
    for (int ino = PLAIN; ino < LAST; ino++)
        if (strcmp(names[ino], name) == 0)
            entry.ino = (fuse_ino_t)ino;
    fill(entry.ino, &entry.attr);
    if (entry.ino == 0)
        fuse_reply_err(req, ENOENT);
    else
        fuse_reply_entry(req, &entry);
    /* What a callback gets is there until it returns. */
    if (strcmp(copy, name) != 0)
        wrong++;
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat attr;

    (void)fi;
    came(req);
    fill(ino, &attr);
    fuse_reply_attr(req, &attr, 0);
}

static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
    (void)attr, (void)to_set;
    on_getattr(req, ino, fi);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    came(req);
    fi->direct_io = ino != TELL;
    fuse_reply_open(req, fi);
}

static void answer(fuse_req_t req, const char *text)
{
    if (fuse_reply_buf(req, text, strlen(text)) != 0)
        wrong++;
}

static void *answer_now(void *req)
{
    answer(req, "another thread");
    return NULL;
}

static void *answer_later(void *req)
{
    usleep(20000);
    answer(req, "another thread");
    return NULL;
}

/* While the session is paused nothing is served, and all threads wait. */
static void *pause_session(void *unused)
{
#ifdef FUSEWIRE_VERSION
    int left = fuse_session_pause(session, 2000);
    int64_t before = ring;

    usleep(200000);
    if (left != 0 || ring != before)
        wrong++;
    fuse_session_resume(session);
#endif
    pauses++;
    return unused;
}

static pthread_t begin(void *(*function)(void *), fuse_req_t req)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, function, req) != 0)
        abort();
    return thread;
}

static void interrupted(fuse_req_t req, void *data)
{
    (void)data;
    interrupts++;
    waiting--;
    fuse_reply_err(req, EINTR);
}

static void in_place(fuse_req_t req)
{
#ifdef FUSEWIRE_VERSION
    static const char text[] = "made in place";
    char *payload = NULL;
    size_t size = 0;
    void *mr = &size;

    if (!fuse_req_is_uring(req)) {
        answer(req, "not over io_uring");
    } else if (fuse_req_get_payload(req, &payload, &size, &mr) != 0 || size < 4096 || mr != NULL) {
        answer(req, "no payload");
    } else {
        memcpy(payload, text, sizeof(text) - 1);
        fuse_reply_buf(req, payload, sizeof(text) - 1);
    }
#else
    answer(req, "not over io_uring");
#endif
}

static void read_file(fuse_req_t req, size_t size, off_t off)
{
    struct fuse_bufvec data = FUSE_BUFVEC_INIT(size);

    data.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    data.buf[0].fd = file;
    data.buf[0].pos = off;
    fuse_reply_data(req, &data, 0);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    (void)fi;
    came(req);
    if (ino != STORE && ino != FILED && off > 0) {
        fuse_reply_buf(req, NULL, 0);
        return;
    }
    switch (ino) {
    case SLOW:
        usleep(100000);
        answer(req, "slept");
        break;
    case JOINED:
        pthread_join(begin(answer_now, req), NULL);
        break;
    case LATER:
        pthread_detach(begin(answer_later, req));
        break;
    case NEVER:
        waiting++;
        fuse_req_interrupt_func(req, interrupted, NULL);
        break;
    case EARLY:
        answer(req, "early");
        usleep(1500000);
        break;
    case TELL:
        /* Waits for the page that is being read, so for who reads it. */
        answer(req, "told");
        if (fuse_lowlevel_notify_inval_inode(session, ino, 0, 0) != 0)
            wrong++;
        break;
    case PLACE:
        in_place(req);
        break;
    case FILED:
        read_file(req, size, off);
        break;
    case ENDING:
        pthread_detach(begin(answer_later, req));
        pthread_exit(NULL);
    case PARTING:
        answer(req, "parted");
        usleep(50000);
        pthread_exit(NULL);
    case RUSHED:
        answer(req, "parted");
        fuse_lowlevel_notify_inval_inode(session, PLAIN, 0, 0);
        pthread_exit(NULL);
    case PAUSE:
        answer(req, "pausing");
        pthread_detach(begin(pause_session, NULL));
        break;
    case MEET:
        /* Waits for another request. */
        pthread_barrier_wait(&two);
        answer(req, "met");
        break;
    case STORE:
        fuse_reply_buf(req, store + off, off + (off_t)size <= SIZE ? size : 0);
        break;
    default:
        answer(req, IS_URING(req) ? "ring" : "device");
    }
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
    (void)ino, (void)fi;
    came(req);
    if (off + (off_t)size > SIZE) {
        fuse_reply_err(req, EFBIG);
        return;
    }
    memcpy(store + off, buf, size);
    fuse_reply_write(req, size);
    if (memcmp(store + off, buf, size) != 0)
        wrong++;
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    (void)ino;
    at_ring = ring, at_device = device, at_wrong = wrong, at_interrupts = interrupts, at_waiting = waiting;
    at_pauses = pauses;
    reply_number(req, numbers, name, size);
}

/* Gives back what it gets, behind what the library puts before it. */
static void on_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
                     const void *in, size_t in_size, size_t out_size)
{
    (void)ino, (void)cmd, (void)arg, (void)fi, (void)flags, (void)out_size;
    fuse_reply_ioctl(req, 0, in, in_size);
}

static const struct fuse_lowlevel_ops ops = {
    .lookup = on_lookup, .getattr = on_getattr, .setattr = on_setattr,   .open = on_open,
    .read = on_read,     .write = on_write,     .getxattr = on_getxattr, .ioctl = on_ioctl,
};

int main(int argc, char *argv[])
{
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);

    store = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    file = memfd_create("filed", 0);
    if (store == MAP_FAILED || pthread_barrier_init(&two, NULL, 2) != 0)
        return 1;
    for (uint32_t at = 0; at < SIZE; at += 4)
        memcpy(store + at, &at, sizeof(at));
    if (write(file, store, SIZE) != SIZE)
        return 1;
    return serve(&args, &ops, 1, &session);
}
