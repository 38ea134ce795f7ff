/*
 * Malformed requests of every kind. Each message ends where readable memory ends, so a read past it is a crash. Every
 * callback is there, and looks at every byte that it is given. Asserted: names end inside the message, buffers lie in
 * it, and each request with a readable head that is owed a reply gets exactly one.
 *
 *   garbage [seconds] [seed] [messages]
 */
#include "session.h"

#include <sys/mman.h>

enum { ROOM = 64 << 10, HELD = 32, PER_SESSION = 3000, LAST_OPCODE = 60 };
#define INTERRUPT_BIT (1ull << 40)

/* ---- the message that is being processed ---- */

static uint8_t *room, *message;
static size_t message_len;
static unsigned replies_to_message, replies_expected;
static uint64_t unique = 16;
static long messages, callbacks, deferred;

static const uint8_t *end_of_message(void)
{
    return message + message_len;
}

/* A message at an odd address is served from a copy. */
static int is_moved(void)
{
    return (uintptr_t)message % 8 != 0;
}

static void look_at_bytes(const void *data, size_t len)
{
    const uint8_t *at = data;
    static unsigned sum;
    if (len == 0)
        return;
    if (is_moved())
        MUST(memmem(message, message_len, data, len) != NULL, "%zu bytes that are not the message's", len);
    else
        MUST(at >= message && at <= end_of_message() && len <= (size_t)(end_of_message() - at),
             "a buffer of %zu bytes outside the message", len);
    for (size_t i = 0; i < len; i++)
        sum += at[i];
    __asm__ volatile("" : : "m"(sum)); /* it is needed */
}

static void look_at(const char *name)
{
    const uint8_t *at = (const uint8_t *)name;
    if (is_moved()) {
        look_at_bytes(name, strlen(name) + 1);
        return;
    }
    MUST(at >= message && at < end_of_message(), "a name outside the message");
    MUST(memchr(name, 0, (size_t)(end_of_message() - at)) != NULL, "a name without its NUL");
}

/* ---- answers: at once, or with a later message ---- */

static struct held {
    fuse_req_t req;
    uint64_t unique;
    unsigned replies;
} held[HELD];

static void on_sent(const struct fuse_out_header *out, const void *payload, size_t len)
{
    (void)payload, (void)len;
    if (out->unique & INTERRUPT_BIT) {
        MUST(out->error == -EAGAIN, "an interrupt is answered with %d", out->error);
        return;
    }
    if (out->unique == unique) {
        replies_to_message++;
        return;
    }
    for (struct held *h = held; h < held + HELD; h++)
        if (h->req != NULL && h->unique == out->unique) {
            h->replies++;
            return;
        }
    MUST(false, "a reply to %" PRIu64 ", which was not asked", out->unique);
}

static void answer_now(fuse_req_t req)
{
    static const struct fuse_entry_param entry = { .ino = 2, .attr_timeout = 1 };
    static const struct fuse_file_info fi;
    static const char data[300];
    int result = -1;
    switch (random_number() % 6) {
    case 0: result = fuse_reply_err(req, (int)(random_number() % 130)); break;
    case 1: result = fuse_reply_entry(req, &entry); break;
    case 2: result = fuse_reply_buf(req, data, random_number() % sizeof(data)); break;
    case 3: result = fuse_reply_open(req, &fi); break;
    case 4: result = fuse_reply_write(req, 7); break;
    case 5: result = fuse_reply_create(req, &entry, &fi); break;
    }
    MUST(result == 0, "the reply returned %d", result);
}

static void release(struct held *h)
{
    answer_now(h->req);
    MUST(h->replies == 1, "%u replies to a held request", h->replies);
    h->req = NULL;
}

static void on_interrupt(fuse_req_t req, void *data)
{
    (void)req, (void)data;
}

static void answer(fuse_req_t req)
{
    callbacks++;
    MUST(fuse_req_ctx(req) != NULL, "no context");
    if (!one_in(4)) {
        answer_now(req);
        return;
    }
    struct held *h = &held[random_number() % HELD];
    if (h->req != NULL)
        release(h);
    if (one_in(2))
        fuse_req_interrupt_func(req, on_interrupt, NULL);
    *h = (struct held){ req, unique, 0 };
    replies_expected = 0;
    deferred++;
}

/* ---- callbacks ---- */

#define INO fuse_req_t req, fuse_ino_t ino
#define FI struct fuse_file_info *fi
#define CALLBACK(name, look, ...)                                                                                      \
    static void on_##name(__VA_ARGS__)                                                                                 \
    {                                                                                                                  \
        look;                                                                                                          \
        answer(req);                                                                                                   \
    }

#pragma GCC diagnostic ignored "-Wunused-parameter"
CALLBACK(lookup, look_at(name), INO, const char *name)
CALLBACK(getattr, , INO, FI)
CALLBACK(setattr, , INO, struct stat *attr, int to_set, FI)
CALLBACK(readlink, , INO)
CALLBACK(mknod, look_at(name), INO, const char *name, mode_t mode, dev_t rdev)
CALLBACK(mkdir, look_at(name), INO, const char *name, mode_t mode)
CALLBACK(unlink, look_at(name), INO, const char *name)
CALLBACK(symlink, (look_at(link), look_at(name)), fuse_req_t req, const char *link, fuse_ino_t ino, const char *name)
CALLBACK(rename, (look_at(name), look_at(to)), INO, const char *name, fuse_ino_t dir, const char *to, unsigned flags)
CALLBACK(link, look_at(name), INO, fuse_ino_t dir, const char *name)
CALLBACK(open, , INO, FI)
CALLBACK(read, , INO, size_t size, off_t off, FI)
CALLBACK(write_buf, look_at_bytes(bufv->buf[0].mem, bufv->buf[0].size), INO, struct fuse_bufvec *bufv, off_t off, FI)
CALLBACK(write, look_at_bytes(buf, size), INO, const char *buf, size_t size, off_t off, FI)
CALLBACK(fsync, , INO, int datasync, FI)
CALLBACK(setxattr, (look_at(name), look_at_bytes(value, size)), INO, const char *name, const char *value, size_t size,
         int flags)
CALLBACK(getxattr, look_at(name), INO, const char *name, size_t size)
CALLBACK(listxattr, , INO, size_t size)
CALLBACK(create, look_at(name), INO, const char *name, mode_t mode, FI)
CALLBACK(lock, , INO, FI, struct flock *lock)
CALLBACK(setlk, , INO, FI, struct flock *lock, int sleep)
CALLBACK(flock, , INO, FI, int op)
CALLBACK(access, , INO, int mask)
CALLBACK(bmap, , INO, size_t blocksize, uint64_t idx)
CALLBACK(ioctl, look_at_bytes(in, in_size), INO, unsigned cmd, void *arg, FI, unsigned flags, const void *in,
         size_t in_size, size_t out_size)
CALLBACK(poll, fuse_pollhandle_destroy(ph), INO, FI, struct fuse_pollhandle *ph)
CALLBACK(fallocate, , INO, int mode, off_t off, off_t len, FI)
CALLBACK(copy, , INO, off_t from, FI, fuse_ino_t ino_to, off_t to, struct fuse_file_info *fi_to, size_t len, int flags)
CALLBACK(lseek, , INO, off_t off, int whence, FI)

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    fuse_reply_none(req);
}

static void on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    static uint64_t sum;
    MUST(count * sizeof(struct fuse_forget_one) <= message_len, "%zu forgets", count);
    for (size_t i = 0; i < count; i++)
        sum += forgets[i].nlookup;
    __asm__ volatile("" : : "m"(sum));
    fuse_reply_none(req);
}

static void on_retrieve(fuse_req_t req, void *cookie, fuse_ino_t ino, off_t off, struct fuse_bufvec *bufv)
{
    look_at_bytes(bufv->buf[0].mem, bufv->buf[0].size);
    fuse_reply_none(req);
}

static const struct fuse_lowlevel_ops all = {
    .lookup = on_lookup, .forget = on_forget, .getattr = on_getattr, .setattr = on_setattr, .readlink = on_readlink,
    .mknod = on_mknod, .mkdir = on_mkdir, .unlink = on_unlink, .rmdir = on_unlink, .symlink = on_symlink,
    .rename = on_rename, .link = on_link, .open = on_open, .read = on_read, .write = on_write, .flush = on_getattr,
    .release = on_getattr, .fsync = on_fsync, .opendir = on_open, .readdir = on_read, .releasedir = on_getattr,
    .fsyncdir = on_fsync, .statfs = on_readlink, .setxattr = on_setxattr, .getxattr = on_getxattr,
    .listxattr = on_listxattr, .removexattr = on_unlink, .access = on_access, .create = on_create, .getlk = on_lock,
    .setlk = on_setlk, .bmap = on_bmap, .ioctl = on_ioctl, .poll = on_poll, .write_buf = on_write_buf,
    .retrieve_reply = on_retrieve, .forget_multi = on_forget_multi, .flock = on_flock, .fallocate = on_fallocate,
    .readdirplus = on_read, .copy_file_range = on_copy, .lseek = on_lseek,
};

/* ---- messages ---- */

/* Bytes of the fixed arguments, 0 where there are none. */
static const uint8_t fixed[LAST_OPCODE + 1] = {
    [FUSE_FORGET] = 8, [FUSE_GETATTR] = 16, [FUSE_SETATTR] = 88, [FUSE_MKNOD] = 16, [FUSE_MKDIR] = 8,
    [FUSE_RENAME] = 8, [FUSE_LINK] = 8, [FUSE_OPEN] = 8, [FUSE_READ] = 40, [FUSE_WRITE] = 40, [FUSE_RELEASE] = 24,
    [FUSE_FSYNC] = 16, [FUSE_SETXATTR] = 16, [FUSE_GETXATTR] = 8, [FUSE_LISTXATTR] = 8, [FUSE_FLUSH] = 24,
    [FUSE_INIT] = 64, [FUSE_OPENDIR] = 8, [FUSE_READDIR] = 40, [FUSE_RELEASEDIR] = 24, [FUSE_FSYNCDIR] = 16,
    [FUSE_GETLK] = 48, [FUSE_SETLK] = 48, [FUSE_SETLKW] = 48, [FUSE_ACCESS] = 8, [FUSE_CREATE] = 16,
    [FUSE_INTERRUPT] = 8, [FUSE_BMAP] = 16, [FUSE_IOCTL] = 32, [FUSE_POLL] = 24, [FUSE_NOTIFY_REPLY] = 40,
    [FUSE_BATCH_FORGET] = 8, [FUSE_FALLOCATE] = 32, [FUSE_READDIRPLUS] = 40, [FUSE_RENAME2] = 16, [FUSE_LSEEK] = 24,
    [FUSE_COPY_FILE_RANGE] = 56, [50] = 8, [51] = 16, [52] = 24, [53] = 56,
};

/* Where among the arguments a size or count stands that the data behind them must match. */
static size_t size_field(uint32_t opcode)
{
    switch (opcode) {
    case FUSE_WRITE:
    case FUSE_NOTIFY_REPLY: return 16;
    case FUSE_IOCTL: return 24;
    default: return 0;
    }
}

static uint32_t odd_number(void)
{
    static const uint32_t odd[] = { 0, 1, 7, 8, 39, 40, 41, 255, 4096, 65536, 0x7fffffff, 0x80000000, 0xfffffff0,
                                    0xffffffff };
    return one_in(3) ? (uint32_t)random_number() : odd[random_number() % COUNT(odd)];
}

static size_t put_names(uint8_t *at, size_t room_left)
{
    size_t len = 0;
    for (unsigned names = (unsigned)(random_number() % 4); names > 0; names--) {
        size_t n = one_in(20) ? random_number() % 5000 : random_number() % 12;
        if (len + n + 1 > room_left)
            break;
        memset(at + len, one_in(10) ? '/' : 'n', n);
        len += n;
        if (!one_in(6))
            at[len++] = 0;
    }
    return len;
}

static size_t put_arguments(uint32_t opcode, uint8_t *at, size_t room_left)
{
    size_t len = opcode <= LAST_OPCODE ? fixed[opcode] : random_number() % 64;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t number = one_in(2) ? 0 : odd_number();
        memcpy(at + i, &number, 4);
    }
    size_t data = one_in(8) ? 0 : put_names(at + len, room_left - len);
    if (len > 0 && !one_in(3)) {
        uint32_t stated = (uint32_t)data;
        if (opcode == FUSE_BATCH_FORGET)
            stated /= 16;
        memcpy(at + size_field(opcode), &stated, 4);
    }
    if (opcode == FUSE_INTERRUPT && !one_in(4)) {
        uint64_t target = unique - random_number() % 200;
        memcpy(at, &target, 8);
    }
    return len + data;
}

static uint32_t stated_length(size_t len)
{
    switch (random_number() % 12) {
    case 0: return odd_number();
    case 1: return (uint32_t)len + 1;
    case 2: return (uint32_t)(random_number() % (len + 1));
    default: return (uint32_t)len;
    }
}

static bool is_owed_a_reply(uint32_t opcode)
{
    return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT &&
           opcode != FUSE_NOTIFY_REPLY;
}

static void make_message(uint8_t *whole)
{
    struct fuse_in_header head;
    for (size_t i = 0; i < sizeof(head); i += 4) {
        uint32_t number = odd_number();
        memcpy((uint8_t *)&head + i, &number, 4);
    }
    head.opcode = one_in(30) ? odd_number() : (uint32_t)(random_number() % (LAST_OPCODE + 1));
    if (head.opcode == FUSE_DESTROY && !one_in(50))
        head.opcode = FUSE_LOOKUP;
    head.total_extlen = one_in(6) ? (uint16_t)(random_number() % (one_in(2) ? 4 : 65536)) : 0;
    size_t len = sizeof(head) + put_arguments(head.opcode, whole + sizeof(head), ROOM - sizeof(head));
    if (one_in(8))
        len = random_number() % (len + 1);
    unique++;
    head.unique = unique | (head.opcode == FUSE_INTERRUPT ? INTERRUPT_BIT : 0);
    head.len = stated_length(len);
    memcpy(whole, &head, sizeof(head));
    message_len = len;
    replies_expected = len >= sizeof(head) && is_owed_a_reply(head.opcode);
}

static void feed_message(struct fuse_session *se)
{
    static uint8_t whole[ROOM];
    make_message(whole);
    /* Its end is that of what may be read, but for a few bytes where it is to begin at an address for every struct. */
    size_t size = one_in(4) ? message_len : (message_len + 7) & ~(size_t)7;
    message = room + ROOM - size;
    memset(message, 0xee, size);
    memcpy(message, whole, message_len);
    replies_to_message = 0;
    feed(se, message, message_len);
    MUST(replies_to_message == replies_expected, "opcode %u, %zu bytes: %u replies, %u owed",
         ((struct fuse_in_header *)whole)->opcode, message_len, replies_to_message, replies_expected);
    messages++;
}

static void one_session(void)
{
    struct fuse_session *se = memory_session(&all);
    if (!one_in(10)) {
        unique = 2;
        feed_init(se);
    }
    unique = 16;
    for (int i = 0; i < 3; i++)
        fuse_lowlevel_notify_retrieve(se, 1, 10, 0, NULL);
    for (int i = 0; i < PER_SESSION; i++)
        feed_message(se);
    unique = 0;
    for (struct held *h = held; h < held + HELD; h++) {
        if (h->req != NULL && one_in(2))
            release(h);
        h->req = NULL; /* the rest goes with the session */
    }
    fuse_session_destroy(se);
}

static void ignore_notifications(const struct fuse_out_header *out, const void *payload, size_t len)
{
    if (out->unique != 0)
        on_sent(out, payload, len);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 3;
    long most = argc > 3 ? atol(argv[3]) : 0;
    seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 20260801;
    room = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(room != MAP_FAILED && mprotect(room + ROOM, 4096, PROT_NONE) == 0, "mmap");
    count_log_lines();
    on_message = ignore_notifications;
    for (double end = now_ms() + seconds * 1e3; now_ms() < end && (most == 0 || messages < most);)
        one_session();
    MUST(callbacks > messages / 10 && deferred > 0, "%ld callbacks for %ld messages", callbacks, messages);
    printf("%ld messages, %ld callbacks, %ld replied to later, %d log lines\n", messages, callbacks, deferred,
           log_lines);
    return 0;
}
