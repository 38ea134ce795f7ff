/*
 * Several threads feed requests, others reply to them, twice now and then, while interrupts arrive for requests that
 * are in flight, over or unknown, and interrupt functions reply, too. Each request gets exactly one reply. In the end
 * the session is destroyed while replies are under way; nothing is sent after that.
 *
 *   threads [requests per feeder]
 */
#include "session.h"

enum { FEEDERS = 4, REPLIERS = 3, QUEUE = 4096, MOST = 1 << 20 };

static struct fuse_session *se;
static unsigned per_feeder;
static atomic_uchar replies[MOST];
static atomic_bool destroyed, stop;
static atomic_long sent, refused, hooks_called;

/* ---- the queue between callbacks and repliers ---- */

static fuse_req_t queue[QUEUE];
static unsigned head, tail;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool push(fuse_req_t req)
{
    pthread_mutex_lock(&lock);
    bool fits = head - tail < QUEUE;
    if (fits)
        queue[head++ % QUEUE] = req;
    pthread_mutex_unlock(&lock);
    return fits;
}

static fuse_req_t pop(void)
{
    pthread_mutex_lock(&lock);
    fuse_req_t req = head != tail ? queue[tail++ % QUEUE] : NULL;
    pthread_mutex_unlock(&lock);
    return req;
}

/* ---- replies ---- */

static void count_reply(const struct fuse_out_header *out, const void *payload, size_t len)
{
    (void)payload, (void)len;
    MUST(!atomic_load(&destroyed), "a message after the session was destroyed");
    if (out->unique < MOST)
        atomic_fetch_add(&replies[out->unique], 1);
}

static void reply(fuse_req_t req)
{
    static const struct fuse_entry_param entry = { .ino = 2, .attr = { .st_mode = S_IFREG, .st_nlink = 1 } };
    static const char data[5000];
    int result;
    switch (random_number() % 4) {
    case 0: result = fuse_reply_entry(req, &entry); break;
    case 1: result = fuse_reply_buf(req, data, random_number() % sizeof(data)); break;
    case 2: result = fuse_reply_attr(req, &entry.attr, 1.0); break;
    default: result = fuse_reply_err(req, EIO); break;
    }
    MUST(result == 0 || result == -EINVAL, "reply: %d", result);
    atomic_fetch_add(result == 0 ? &sent : &refused, 1);
}

static void *replier(void *number)
{
    seed = 77 + (uintptr_t)number;
    while (!atomic_load(&stop)) {
        fuse_req_t req = pop();
        if (req == NULL) {
            sched_yield();
            continue;
        }
        if (one_in(3))
            (void)fuse_req_interrupted(req);
        if (one_in(5))
            fuse_req_interrupt_func(req, NULL, NULL);
        reply(req);
        if (one_in(7))
            reply(req);
    }
    return NULL;
}

/* ---- callbacks ---- */

static void interrupted(fuse_req_t req, void *data)
{
    MUST(data == &lock, "the function's data is %p", data);
    atomic_fetch_add(&hooks_called, 1);
    if (one_in(2))
        reply(req);
}

static void take(fuse_req_t req)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(req);
    MUST(ctx != NULL && ctx->pid == 1, "the request's context");
    if (one_in(2))
        fuse_req_interrupt_func(req, interrupted, &lock);
    if (one_in(4)) {
        reply(req);
        return;
    }
    if (!push(req)) {
        reply(req);
        return;
    }
    if (one_in(6))
        push(req); /* two repliers race for it */
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    MUST(parent == 1 && strcmp(name, "name") == 0, "%s", name);
    take(req);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
                     struct fuse_file_info *fi)
{
    MUST(ino == 1 && size == 8 && memcmp(buf, "12345678", 8) == 0 && off == 5 && fi->fh == 3, "write");
    take(req);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    MUST(ino >= 1 && count == 1, "forget");
    fuse_reply_none(req);
}

static const struct fuse_lowlevel_ops ops = { .lookup = on_lookup, .write = on_write, .forget = on_forget };

/* ---- requests ---- */

static void feed_one(uint64_t unique)
{
    struct {
        struct fuse_write_in in;
        char data[8];
    } write = { .in = { .fh = 3, .offset = 5, .size = 8 }, .data = "12345678" };
    if (one_in(2))
        feed_request(se, FUSE_LOOKUP, unique, "name", 5);
    else
        feed_request(se, FUSE_WRITE, unique, &write, sizeof(write));
}

static void feed_forgets(void)
{
    struct {
        struct fuse_batch_forget_in in;
        struct fuse_forget_one one[9];
    } batch = { .in = { .count = 9 } };
    for (int i = 0; i < 9; i++)
        batch.one[i] = (struct fuse_forget_one){ .nodeid = 2, .nlookup = 1 };
    feed_request(se, FUSE_BATCH_FORGET, 0, &batch, sizeof(batch));
}

static void feed_interrupt(uint64_t near)
{
    uint64_t back = random_number() % 64;
    struct fuse_interrupt_in in = { .unique = one_in(8) ? near + FEEDERS * 8 : near - (back < near ? back : 0) };
    feed_request(se, FUSE_INTERRUPT, 1ull << 62 | near, &in, sizeof(in));
}

static void *feeder(void *number)
{
    uintptr_t me = (uintptr_t)number;
    seed = 1000 + me;
    for (unsigned i = 0; i < per_feeder; i++) {
        uint64_t unique = 16 + (uint64_t)i * FEEDERS + me;
        if (one_in(5))
            feed_interrupt(unique);
        feed_one(unique);
        if (one_in(5))
            feed_interrupt(unique);
        if (one_in(20))
            feed_forgets();
    }
    return NULL;
}

static void run(pthread_t *threads, unsigned count, void *(*start)(void *))
{
    for (uintptr_t i = 0; i < count; i++)
        MUST(pthread_create(&threads[i], NULL, start, (void *)i) == 0, "pthread_create");
}

static void join(pthread_t *threads, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static bool is_empty(void)
{
    pthread_mutex_lock(&lock);
    bool empty = head == tail;
    pthread_mutex_unlock(&lock);
    return empty;
}

int main(int argc, char **argv)
{
    pthread_t feeders[FEEDERS], repliers[REPLIERS];
    per_feeder = argc > 1 ? (unsigned)atoi(argv[1]) : 50000;
    uint64_t end = 16 + (uint64_t)per_feeder * FEEDERS, held = 64;
    MUST(end + held < MOST, "too many requests");
    count_log_lines();
    on_message = count_reply;
    se = memory_session(&ops);
    feed_init(se);
    run(repliers, REPLIERS, replier);
    run(feeders, FEEDERS, feeder);
    join(feeders, FEEDERS);
    while (!is_empty())
        sched_yield();
    for (uint64_t i = 0; i < held; i++)
        feed_one(end + i);
    fuse_session_destroy(se);
    atomic_store(&destroyed, true);
    while (!is_empty())
        sched_yield();
    atomic_store(&stop, true);
    join(repliers, REPLIERS);
    /* A request whose only place in the queue was taken by a replier that is not done when the session goes, is lost. */
    unsigned lost = 0;
    for (uint64_t unique = 16; unique < end; unique++) {
        MUST(replies[unique] <= 1, "%d replies to %" PRIu64, replies[unique], unique);
        lost += replies[unique] == 0;
    }
    for (uint64_t unique = end; unique < end + held; unique++)
        MUST(replies[unique] <= 1, "%d replies to %" PRIu64, replies[unique], unique);
    MUST(lost <= REPLIERS, "%u requests without a reply", lost);
    MUST(refused > 0 && hooks_called > 0, "%ld refused, %ld interrupt functions called", refused, hooks_called);
    printf("%ld replies, %ld refused as stale, %ld interrupt functions called\n", sent, refused, hooks_called);
    return 0;
}
