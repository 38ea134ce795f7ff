/*
 * Memory that runs out: a session's life, from its arguments to its end, with the first allocation failing, then with
 * the second, and so on until none is left to fail; once with that one alone, once with all that follow within the same
 * step. Each step must work or say that it did not. A request that arrives gets exactly one reply.
 *
 *   nomem one | rest
 */
#include "session.h"

#include <limits.h>

/* ---- an allocator that fails ---- */

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static bool armed, rest;
static unsigned long countdown, failures;

static bool fails(void)
{
    if (!armed || countdown > 1) {
        countdown -= armed;
        return false;
    }
    if (countdown == 0 && !rest)
        return false;
    countdown = 0;
    failures++;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails() ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    return fails() ? NULL : __libc_memalign(align, size);
}

int posix_memalign(void **made, size_t align, size_t size)
{
    *made = fails() ? NULL : __libc_memalign(align, size);
    return *made == NULL ? ENOMEM : 0;
}

/* ---- a session's life ---- */

static unsigned replies, forgotten;

static void count_reply(const struct fuse_out_header *head, const void *payload, size_t len)
{
    (void)payload, (void)len;
    if (head->unique != 0)
        replies++;
}

static void on_interrupt(fuse_req_t req, void *data)
{
    (void)req, (void)data;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    const struct fuse_entry_param entry = { .ino = 2 };
    (void)parent, (void)name;
    fuse_req_interrupt_func(req, on_interrupt, NULL);
    fuse_reply_entry(req, &entry);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    static char data[300];
    static struct iovec pieces[40];
    (void)ino, (void)size, (void)fi;
    for (size_t i = 0; i < COUNT(pieces); i++)
        pieces[i] = (struct iovec){ data, 3 };
    struct fuse_bufvec *bufv = &(struct fuse_bufvec){ .count = 1, .buf[0] = { .size = sizeof(data), .mem = data } };
    if (off == 0)
        fuse_reply_iov(req, pieces, COUNT(pieces));
    else if (off == 1)
        fuse_reply_data(req, bufv, 0);
    else
        fuse_reply_buf(req, data, sizeof(data));
}

static void on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    (void)forgets;
    forgotten += (unsigned)count;
    fuse_reply_none(req);
}

static void on_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *handle)
{
    (void)ino, (void)fi;
    fuse_reply_poll(req, 0);
    if (handle != NULL) {
        fuse_lowlevel_notify_poll(handle);
        fuse_pollhandle_destroy(handle);
    }
}

static const struct fuse_lowlevel_ops ops = {
    .lookup = on_lookup, .read = on_read, .forget_multi = on_forget_multi, .poll = on_poll,
};

static void requests(struct fuse_session *se)
{
    const struct fuse_poll_in poll = { .kh = 5, .flags = FUSE_POLL_SCHEDULE_NOTIFY };
    const struct fuse_interrupt_in interrupt = { .unique = 4 };
    struct {
        struct fuse_batch_forget_in in;
        struct fuse_forget_one one[3];
    } batch = { .in = { .count = 3 } };
    feed_request(se, FUSE_LOOKUP, 4, "name", 5);
    for (uint64_t off = 0; off < 3; off++) {
        const struct fuse_read_in read = { .size = 300, .offset = off };
        feed_request(se, FUSE_READ, 6 + 2 * off, &read, sizeof(read));
    }
    feed_request(se, FUSE_POLL, 12, &poll, sizeof(poll));
    feed_request(se, FUSE_BATCH_FORGET, 0, &batch, sizeof(batch));
    feed_request(se, FUSE_INTERRUPT, 13, &interrupt, sizeof(interrupt));
    MUST(replies == 6, "%u replies", replies);
}

static void notifications(struct fuse_session *se)
{
    char data[300] = { 0 };
    struct fuse_bufvec bufv = FUSE_BUFVEC_INIT(sizeof(data));
    bufv.buf[0].mem = data;
    fuse_lowlevel_notify_inval_inode(se, 2, 0, 0);
    fuse_lowlevel_notify_inval_entry(se, 1, "name", 4);
    fuse_lowlevel_notify_delete(se, 1, 2, "name", 4);
    fuse_lowlevel_notify_store(se, 2, 0, &bufv, 0);
    fuse_lowlevel_notify_retrieve(se, 2, 10, 0, NULL);
}

static struct fuse_session *start(void)
{
    char *argv[] = { "nomem", "-o", "fsname=a\\,b,subtype=c,max_read=4096,ro,allow_other", "-d", NULL };
    struct fuse_args args = FUSE_ARGS_INIT(4, argv);
    struct fuse_session *se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    fuse_opt_free_args(&args);
    return se;
}

static void command_line(void)
{
    char *argv[] = { "nomem", "-f", "-o", "max_idle_threads=5,clone_fd,other", "/mnt", NULL };
    struct fuse_args args = FUSE_ARGS_INIT(5, argv);
    struct fuse_cmdline_opts opts = { 0 };
    if (fuse_parse_cmdline(&args, &opts) == 0)
        free(opts.mountpoint);
    fuse_opt_free_args(&args);
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    if (config != NULL)
        fuse_loop_cfg_destroy(config);
}

/* Runs with the nth allocation failing; how many failed. */
static unsigned long life(unsigned long nth)
{
    replies = forgotten = 0;
    failures = 0;
    countdown = nth;
    armed = true;
    command_line();
    struct fuse_session *se = start();
    armed = false;
    if (se == NULL) {
        MUST(failures > 0, "no session, though memory was there");
        return failures;
    }
    connect_memory(se);
    armed = true;
    feed_init(se);
    if (replies == 1) {
        requests(se);
        notifications(se);
    }
    fuse_session_destroy(se);
    armed = false;
    return failures;
}

int main(int argc, char **argv)
{
    unsigned long nth = 0;
    rest = argc > 1 && strcmp(argv[1], "rest") == 0;
    count_log_lines();
    on_message = count_reply;
    /* What a thread needs once for its own variables glibc itself cannot do without. */
    MUST(life(ULONG_MAX) == 0, "%lu failures", failures);
    do
        nth++;
    while (life(nth) > 0);
    MUST(nth > 20, "only %lu allocations", nth);
    MUST(replies == 6 && forgotten == 3, "%u replies, %u forgotten", replies, forgotten);
    printf("%lu allocations failed in turn\n", nth - 1);
    return 0;
}
