/*
 * Every shape of a malformed request by name: in memory and in a pipe that the daemon gives, each message in memory of
 * its own size, so that checkers see a read past it; and received by the library, through read and through a pipe, where
 * an earlier message was before.
 *
 *   shapes [<case> <way>]
 */
#include "session.h"

#include <fcntl.h>

enum { HEAD = sizeof(struct fuse_in_header), NOT_CALLED = 0x7fffffff };
static const char *const ways[] = { "memory", "pipe", "read", "splice" };
static enum { MEMORY, PIPE, READ, SPLICE } way;
static int replies, last_error, calls; /* since the last message was sent */
static uint64_t unique = 100, last_unique;
static struct fuse_session *se;

static void on_sent(const struct fuse_out_header *out, const void *payload, size_t len)
{
    (void)payload, (void)len;
    replies++;
    last_error = out->error;
    last_unique = out->unique;
}

/* ---- a daemon that takes what carries names and data ---- */

static fuse_req_t kept;
static bool keeps; /* requests are answered later */

static void called(fuse_req_t req)
{
    if (keeps)
        kept = req;
    else
        fuse_reply_err(req, 0);
    calls++;
}

#pragma GCC diagnostic ignored "-Wunused-parameter"
static void on_name(fuse_req_t req, fuse_ino_t ino, const char *name) { called(req); }
static void on_mkdir(fuse_req_t req, fuse_ino_t ino, const char *name, mode_t mode) { called(req); }
static void on_symlink(fuse_req_t req, const char *link, fuse_ino_t ino, const char *name) { called(req); }
static void on_write(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *bufv, off_t off, struct fuse_file_info *fi)
{
    calls++;
    fuse_reply_err(req, 0); /* never kept */
}

static void on_forgets(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    calls++;
    fuse_reply_none(req);
}

static void on_retrieved(fuse_req_t req, void *cookie, fuse_ino_t ino, off_t off, struct fuse_bufvec *bufv)
{
    calls++;
    fuse_reply_none(req);
}

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
    conn->want |= conn->capable & FUSE_CAP_SPLICE_READ;
    conn->max_write = 256 << 10; /* fits into a pipe of any user */
}

static const struct fuse_lowlevel_ops ops = {
    .init = on_init, .lookup = on_name, .unlink = on_name, .mkdir = on_mkdir, .symlink = on_symlink, .write_buf = on_write,
    .forget_multi = on_forgets, .retrieve_reply = on_retrieved,
};

/* ---- messages ---- */

static bool open_for_requests; /* between INIT and DESTROY */

static struct fuse_in_header head_of(uint32_t opcode, size_t len)
{
    return (struct fuse_in_header){ .opcode = opcode, .len = (uint32_t)len, .unique = unique += 2, .nodeid = 1 };
}

/* The library receives it where it has received others before. */
static int receive_message(const void *message, size_t len)
{
    static struct fuse_buf buf;
    offer(message, len);
    int received = fuse_session_receive_buf(se, &buf);
    if (received > 0) {
        buf.size = (size_t)received;
        fuse_session_process_buf(se, &buf);
    }
    return received;
}

/* After a large write the next message is received through a pipe. In the memory it leaves names wherever one may be. */
static void send_large_write(void)
{
    static struct {
        struct fuse_in_header head;
        struct fuse_write_in in;
        char data[80000];
    } message;
    message.head = (struct fuse_in_header){ .opcode = FUSE_WRITE, .len = sizeof(message), .unique = 90, .nodeid = 1 };
    message.in.size = sizeof(message.data);
    memset(message.data, 'w', sizeof(message.data));
    for (size_t i = 3; i < sizeof(message.data); i += 4)
        message.data[i] = '\0';
    MUST(receive_message(&message, sizeof(message)) > 0 && calls > 0, "the large write");
}

static void send_bytes(uint8_t *message, size_t len)
{
    struct fuse_buf buf = { .mem = message, .size = len };
    int ends[2] = { -1, -1 };
    if (way == PIPE) {
        MUST(pipe2(ends, O_CLOEXEC) == 0 && write(ends[1], message, len) == (ssize_t)len, "pipe");
        close(ends[1]);
        buf = (struct fuse_buf){ .size = len, .flags = FUSE_BUF_IS_FD, .fd = ends[0] };
    }
    calls = 0;
    if (way == SPLICE && open_for_requests)
        send_large_write();
    log_lines = replies = calls = spliced = 0;
    last_error = NOT_CALLED;
    way == READ || way == SPLICE ? (void)receive_message(message, len) : fuse_session_process_buf(se, &buf);
    MUST(spliced == 1 || way != SPLICE || !open_for_requests, "%d messages through a pipe", spliced);
    if (way == PIPE)
        close(ends[0]);
}

static void send_message(const struct fuse_in_header *head, const void *arguments, size_t len)
{
    uint8_t *message = memcpy(malloc(HEAD + len), head, HEAD);
    if (len > 0)
        memcpy(message + HEAD, arguments, len);
    send_bytes(message, HEAD + len);
    free(message);
}

static void send(uint32_t opcode, const void *arguments, size_t len)
{
    const struct fuse_in_header head = head_of(opcode, HEAD + len);
    send_message(&head, arguments, len);
}

static bool is_silent(uint32_t opcode)
{
    return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT ||
           opcode == FUSE_NOTIFY_REPLY;
}

/* What was just sent was refused, and the daemon did not see it. */
static void refused(uint32_t opcode, int error, const char *what, size_t number)
{
    MUST(calls == 0, "opcode %u, %s %zu: the daemon was called", opcode, what, number);
    if (is_silent(opcode))
        MUST(replies == 0, "opcode %u, %s %zu: %d replies", opcode, what, number, replies);
    else
        MUST(replies == 1 && last_error == error && last_unique == unique, "opcode %u, %s %zu: %d replies, error %d",
             opcode, what, number, replies, last_error);
}

static void start(void)
{
    se = memory_session(&ops);
    feed_init(se);
    open_for_requests = true;
}

/* Fixed bytes and names of each request that has either. */
static const struct {
    uint8_t opcode, fixed, names;
} forms[] = {
    { FUSE_LOOKUP, 0, 1 }, { FUSE_FORGET, 8, 0 }, { FUSE_GETATTR, 16, 0 }, { FUSE_SETATTR, 88, 0 },
    { FUSE_SYMLINK, 0, 2 }, { FUSE_MKNOD, 16, 1 }, { FUSE_MKDIR, 8, 1 }, { FUSE_UNLINK, 0, 1 }, { FUSE_RMDIR, 0, 1 },
    { FUSE_RENAME, 8, 2 }, { FUSE_LINK, 8, 1 }, { FUSE_OPEN, 8, 0 }, { FUSE_READ, 40, 0 }, { FUSE_WRITE, 40, 0 },
    { FUSE_RELEASE, 24, 0 }, { FUSE_FSYNC, 16, 0 }, { FUSE_SETXATTR, 8, 1 }, { FUSE_GETXATTR, 8, 1 },
    { FUSE_LISTXATTR, 8, 0 }, { FUSE_REMOVEXATTR, 0, 1 }, { FUSE_FLUSH, 24, 0 }, { FUSE_OPENDIR, 8, 0 },
    { FUSE_READDIR, 40, 0 }, { FUSE_RELEASEDIR, 24, 0 }, { FUSE_FSYNCDIR, 16, 0 }, { FUSE_GETLK, 48, 0 },
    { FUSE_SETLK, 48, 0 }, { FUSE_SETLKW, 48, 0 }, { FUSE_ACCESS, 8, 0 }, { FUSE_CREATE, 16, 1 },
    { FUSE_INTERRUPT, 8, 0 }, { FUSE_BMAP, 16, 0 }, { FUSE_IOCTL, 32, 0 }, { FUSE_POLL, 24, 0 },
    { FUSE_NOTIFY_REPLY, 40, 0 }, { FUSE_BATCH_FORGET, 8, 0 }, { FUSE_FALLOCATE, 32, 0 },
    { FUSE_READDIRPLUS, 40, 0 }, { FUSE_RENAME2, 16, 2 }, { FUSE_LSEEK, 24, 0 }, { FUSE_COPY_FILE_RANGE, 56, 0 },
    { 50, 8, 0 }, { 51, 16, 0 }, { 52, 24, 0 }, { 53, 56, 0 },
};

/* ---- shapes ---- */

/* Each struct of arguments, and each name, cut at every byte. */
static void cut_arguments(void)
{
    start();
    for (size_t i = 0; i < COUNT(forms); i++) {
        uint8_t arguments[100] = { 0 };
        size_t whole = forms[i].fixed;
        for (int name = 0; name < forms[i].names; name++, whole += 3)
            memcpy(arguments + whole, "ab", 3);
        for (size_t len = 0; len < whole; len++) {
            send(forms[i].opcode, arguments, len);
            refused(forms[i].opcode, -EIO, "cut at", len);
        }
        if (forms[i].opcode == FUSE_INTERRUPT)
            continue; /* it would go back to the kernel with what comes next */
        send(forms[i].opcode, arguments, whole);
        MUST(replies == !is_silent(forms[i].opcode) && last_error != -EIO, "opcode %u: %d replies, error %d",
             forms[i].opcode, replies, last_error);
    }
}

/* A head that states another length than there is. */
static void lengths_that_lie(void)
{
    static const uint32_t stated[] = { 0, 1, 39, 40, 44, 46, 4096, 0x7fffffff, 0x80000000, 0xffffffff };
    start();
    for (size_t i = 0; i < COUNT(stated); i++) {
        struct fuse_in_header head = head_of(FUSE_LOOKUP, stated[i]);
        send_message(&head, "name", 5);
        refused(FUSE_LOOKUP, -EIO, "stated", stated[i]);
    }
    /* What lies behind the stated end is not a part of the request. */
    struct fuse_in_header head = head_of(FUSE_LOOKUP, HEAD + 3);
    send_message(&head, "na\0stale", 9);
    MUST(calls == 1 && replies == 1, "%d calls", calls);
    head = head_of(FUSE_SYMLINK, HEAD + 3);
    send_message(&head, "na\0stale", 9);
    refused(FUSE_SYMLINK, -EIO, "stale name", 0);
}

/* Nothing that could be answered. */
static void heads_cut_short(void)
{
    start();
    for (size_t len = 0; len < HEAD; len++) {
        const struct fuse_in_header head = head_of(FUSE_LOOKUP, HEAD + 5);
        uint8_t *message = memcpy(malloc(len + 1), &head, len); /* so that there is one of no bytes */
        send_bytes(message, len);
        free(message);
        MUST(calls == 0 && replies == 0, "%zu bytes: %d calls, %d replies", len, calls, replies);
        MUST(log_lines == 1 || len == 0, "%zu bytes: %d lines", len, log_lines);
    }
}

static void names_with_slashes(void)
{
    static const char *const names[] = { "/", "/a", "a/", "a/b", "../a", "a//b" };
    start();
    for (size_t i = 0; i < COUNT(forms); i++) {
        for (size_t j = 0; j < COUNT(names); j++) {
            uint8_t arguments[100] = { 0 };
            const size_t fixed = forms[i].fixed, len = strlen(names[j]) + 1;
            if (forms[i].names == 0 || (forms[i].opcode >= FUSE_SETXATTR && forms[i].opcode <= FUSE_REMOVEXATTR))
                continue; /* those of attributes are any string */
            memcpy(arguments + fixed, names[j], len);
            memcpy(arguments + fixed + len, "name", 5);
            send(forms[i].opcode, arguments, fixed + len + (forms[i].names == 2 ? 5 : 0));
            refused(forms[i].opcode, -EIO, "name", j);
        }
    }
}

static void names_without_end(void)
{
    start();
    for (size_t i = 0; i < COUNT(forms); i++) {
        uint8_t arguments[100] = { 0 };
        size_t fixed = forms[i].fixed;
        if (forms[i].names == 0)
            continue;
        memset(arguments + fixed, 'n', 8);
        send(forms[i].opcode, arguments, fixed + 8);
        refused(forms[i].opcode, -EIO, "no NUL", 0);
        memcpy(arguments + fixed, "one", 4);
        send(forms[i].opcode, arguments, fixed + (forms[i].names == 2 ? 4 : 3));
        refused(forms[i].opcode, -EIO, "too few names", forms[i].names);
        send(forms[i].opcode, arguments, fixed + 8);
        if (forms[i].names == 2)
            refused(forms[i].opcode, -EIO, "no NUL behind the second", 2);
    }
}

/* What an earlier message has left where the next one is read to is no part of that. */
static void stale_bytes(void)
{
    struct {
        struct fuse_write_in in;
        char data[64];
    } write = { .in = { .size = 64 } };
    start();
    for (size_t len = 0; len < 8; len++) {
        send(FUSE_LOOKUP, "a long name of an earlier request", 34);
        MUST(calls == 1 && replies == 1, "the earlier request: %d calls", calls);
        send(FUSE_LOOKUP, "a long n", len); /* the rest, with its NUL, is still where it was */
        refused(FUSE_LOOKUP, -EIO, "stale name behind", len);
        send(FUSE_WRITE, &write, sizeof(write));
        MUST(calls == 1 && replies == 1 && last_error == 0, "the earlier write: error %d", last_error);
        send(FUSE_WRITE, &write, sizeof(write.in) + 8 * len);
        if (way != PIPE) /* of data in a pipe only that can be read which is there */
            refused(FUSE_WRITE, -EIO, "stale data behind", len);
    }
}

static void *write_much(void *unused)
{
    (void)unused;
    send_large_write();
    return NULL;
}

/* After a large write that another thread has received the next message comes through a pipe, too. */
static void large_write_elsewhere(void)
{
    struct {
        struct fuse_in_header head;
        char name[5];
    } message = { .head = head_of(FUSE_LOOKUP, HEAD + 5), .name = "name" };
    pthread_t thread;
    start();
    MUST(pthread_create(&thread, NULL, write_much, NULL) == 0 && pthread_join(thread, NULL) == 0, "the other thread");
    replies = spliced = 0;
    MUST(receive_message(&message, HEAD + 5) == HEAD + 5 && replies == 1, "%d replies", replies);
    MUST(spliced == 1, "%d messages through a pipe", spliced);
}

/* Where a size stands, and what it counts, must be there. */
static void sizes_beyond_the_data(void)
{
    static const struct {
        uint32_t opcode;
        size_t fixed, at, unit;
        const char *name;
    } sized[] = {
        { FUSE_WRITE, 40, 16, 1, "" },      { FUSE_SETXATTR, 8, 0, 1, "name" },   { FUSE_IOCTL, 32, 24, 1, "" },
        { FUSE_NOTIFY_REPLY, 40, 16, 1, "" }, { FUSE_BATCH_FORGET, 8, 0, 16, "" },
    };
    start();
    for (size_t i = 0; i < COUNT(sized); i++) {
        const size_t name = sized[i].name[0] ? strlen(sized[i].name) + 1 : 0;
        const size_t len = sized[i].fixed + name + 2 * sized[i].unit;
        const uint32_t wrong[] = { 3, 4, 0x10000000, 0x10000002, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff };
        for (size_t j = 0; j < COUNT(wrong); j++) {
            uint8_t arguments[100] = { 0 };
            memcpy(arguments + sized[i].fixed, sized[i].name, name);
            memcpy(arguments + sized[i].at, &wrong[j], 4);
            send(sized[i].opcode, arguments, len);
            refused(sized[i].opcode, -EIO, "size", wrong[j]);
        }
    }
}

/* Extensions that leave the message are refused; what is wrong within them is not the request's fault. */
static void extensions(void)
{
    static const uint32_t areas[][6] = {
        { 0, 0 },           { 7, 1 },           { 8, 1 },          { 9, 31 },         { 16, 32 },   { 24, 1, 1, 0 },
        { 24, 1, 0, 0 },    { 24, 1, 0xffffffff, 0 },              { 24, 2, 1, 0 },   { 0xffffffff, 1 },
        { 0xfffffff9, 33 }, { 16, 40, 0, 0, 8, 1 },                { 12, 32, 0xffffffff },          { 23, 1, 1, 0, 0x61616161 },
    };
    uint8_t arguments[100] = { 0 };
    memcpy(arguments + 8, "dir", 4);
    start();
    for (size_t i = 0; i < COUNT(areas); i++) {
        memcpy(arguments + 16, areas[i], sizeof(areas[i]));
        struct fuse_in_header head = head_of(FUSE_MKDIR, HEAD + 40);
        head.total_extlen = 3;
        send_message(&head, arguments, 40);
        MUST(calls == 1 && replies == 1 && last_error == 0, "area %zu: %d calls, error %d", i, calls, last_error);
    }
    static const uint16_t units[] = { 4, 5, 6, 0x7fff, 0x8000, 0xffff };
    for (size_t i = 0; i < COUNT(units); i++) {
        struct fuse_in_header head = head_of(FUSE_MKDIR, HEAD + 40);
        head.total_extlen = units[i];
        send_message(&head, arguments, 40);
        refused(FUSE_MKDIR, -EIO, "units", units[i]);
    }
    /* Data must not reach into them. */
    const uint32_t size = 17;
    memcpy(arguments + 16, &size, 4);
    struct fuse_in_header head = head_of(FUSE_WRITE, HEAD + 64);
    head.total_extlen = 1;
    send_message(&head, arguments, 64);
    refused(FUSE_WRITE, -EIO, "data and extensions", 0);
}

static void unknown_opcodes(void)
{
    static const uint32_t none[] = { 0, 7, 19, 54, 55, 63, 64, 127, 255, 4095, 4097, 0x7fffffff, 0xffffffff };
    start();
    for (size_t i = 0; i < COUNT(none); i++) {
        send(none[i], "name", 5);
        refused(none[i], -ENOSYS, "opcode", i);
    }
    send(4096, (uint8_t[16]){ 7 }, 16);
    refused(4096, -EIO, "CUSE_INIT to a file system", 0);
}

static void init_and_destroy_in_the_middle(void)
{
    static const struct fuse_init_in init = { .major = 7, .minor = 38 };
    se = memory_session(&ops);
    open_for_requests = false;
    send(FUSE_LOOKUP, "name", 5);
    refused(FUSE_LOOKUP, -EIO, "before INIT", 0);
    for (size_t len = 0; len < 16; len++) {
        send(FUSE_INIT, &init, len);
        refused(FUSE_INIT, -EIO, "INIT cut at", len);
    }
    send(FUSE_INIT, &init, 16);
    MUST(replies == 1 && last_error == 0, "INIT: error %d", last_error);
    send(FUSE_INIT, &init, 16);
    refused(FUSE_INIT, -EIO, "a second INIT", 0);
    send(FUSE_LOOKUP, "name", 5);
    MUST(calls == 1 && replies == 1 && last_error == 0, "it goes on: error %d", last_error);
    send(FUSE_DESTROY, NULL, 0);
    open_for_requests = false;
    MUST(replies == 1 && last_error == 0, "DESTROY: error %d", last_error);
    send(FUSE_LOOKUP, "name", 5);
    refused(FUSE_LOOKUP, -EIO, "after DESTROY", 0);
    send(FUSE_DESTROY, NULL, 0);
    MUST(replies == 1, "a second DESTROY: %d replies", replies);
    send(FUSE_INIT, &init, 16);
    refused(FUSE_INIT, -EIO, "INIT after DESTROY", 0);
}

static void one_unique_twice(void)
{
    start();
    for (int i = 0; i < 3; i++) {
        unique = 500;
        send(FUSE_LOOKUP, "name", 5);
        MUST(calls == 1 && replies == 1 && last_error == 0 && last_unique == unique, "%d: error %d", i, last_error);
    }
}

/* Nothing is known about them that would tell one from the other, so each has its reply. */
static void one_unique_twice_at_once(void)
{
    fuse_req_t both[2];
    start();
    keeps = true;
    for (int i = 0; i < 2; i++) {
        unique = 500;
        send(FUSE_LOOKUP, "name", 5);
        MUST(calls == 1 && replies == 0, "%d: %d calls, %d replies", i, calls, replies);
        both[i] = kept;
    }
    keeps = false;
    for (int i = 0; i < 2; i++) {
        replies = 0;
        MUST(fuse_reply_err(both[i], ENOENT) == 0 && replies == 1 && last_unique == 502, "%d", i);
        MUST(fuse_reply_err(both[i], ENOENT) == -EINVAL && replies == 1, "%d: again", i);
    }
}

/* A request that is still in the daemon's hands is answered though the session was told to end. */
static void destroy_with_a_request_in_flight(void)
{
    start();
    keeps = true;
    send(FUSE_LOOKUP, "name", 5);
    keeps = false;
    const uint64_t waiting = unique;
    send(FUSE_DESTROY, NULL, 0);
    MUST(replies == 1 && last_error == 0, "DESTROY: error %d", last_error);
    replies = 0;
    MUST(fuse_reply_err(kept, ENOENT) == 0 && replies == 1 && last_unique == waiting, "the request that waits");
}

/* An interrupt without its request is kept for it, or goes back; it is never answered otherwise. */
static void interrupts_of_nothing(void)
{
    static const uint64_t targets[] = { 0, 1, 2, 1ull << 63, UINT64_MAX, 102 };
    start();
    send(FUSE_LOOKUP, "name", 5); /* it is over when its interrupt comes */
    for (size_t i = 0; i < COUNT(targets); i++) {
        const struct fuse_interrupt_in in = { .unique = targets[i] };
        send(FUSE_INTERRUPT, &in, sizeof(in));
        MUST(calls == 0 && replies == 0, "%zu: %d replies", i, replies);
    }
    for (size_t i = 0; i < COUNT(targets); i++) {
        send(FUSE_LOOKUP, "name", 5);
        const int with_interrupt = way == SPLICE ? 1 : 2; /* or it has gone back with the large write */
        MUST(calls == 1 && replies == with_interrupt && last_error == 0, "%zu: %d replies", i, replies);
    }
    send(FUSE_LOOKUP, "name", 5);
    MUST(calls == 1 && replies == 1, "%d replies", replies);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    { "cut_arguments", cut_arguments },
    { "lengths_that_lie", lengths_that_lie },
    { "heads_cut_short", heads_cut_short },
    { "names_without_end", names_without_end },
    { "stale_bytes", stale_bytes },
    { "large_write_elsewhere", large_write_elsewhere },
    { "names_with_slashes", names_with_slashes },
    { "sizes_beyond_the_data", sizes_beyond_the_data },
    { "extensions", extensions },
    { "unknown_opcodes", unknown_opcodes },
    { "init_and_destroy_in_the_middle", init_and_destroy_in_the_middle },
    { "one_unique_twice", one_unique_twice },
    { "one_unique_twice_at_once", one_unique_twice_at_once },
    { "destroy_with_a_request_in_flight", destroy_with_a_request_in_flight },
    { "interrupts_of_nothing", interrupts_of_nothing },
};

/* Without a name, all of them, every way. */
int main(int argc, char **argv)
{
    count_log_lines();
    on_message = on_sent;
    for (size_t i = 0; i < COUNT(ways) * COUNT(cases); i++) {
        way = (int)(i / COUNT(cases));
        if (argc == 3 && (strcmp(argv[1], cases[i % COUNT(cases)].name) != 0 || strcmp(argv[2], ways[way]) != 0))
            continue;
        cases[i % COUNT(cases)].run();
        fuse_session_destroy(se);
    }
    return 0;
}
