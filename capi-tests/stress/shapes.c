/*
 * Every shape of a malformed request by name, in memory and in a pipe. Each message is as long as it says, in memory of
 * its own size, so that checkers see a read past it.
 *
 *   shapes [<case> memory|pipe]
 */
#include "session.h"

#include <fcntl.h>

enum { HEAD = sizeof(struct fuse_in_header), NOT_CALLED = 0x7fffffff };

static bool by_pipe;
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

static void called(fuse_req_t req)
{
    calls++;
    fuse_reply_err(req, 0);
}

#pragma GCC diagnostic ignored "-Wunused-parameter"
static void on_name(fuse_req_t req, fuse_ino_t ino, const char *name) { called(req); }
static void on_mkdir(fuse_req_t req, fuse_ino_t ino, const char *name, mode_t mode) { called(req); }
static void on_symlink(fuse_req_t req, const char *link, fuse_ino_t ino, const char *name) { called(req); }
static void on_write(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *bufv, off_t off, struct fuse_file_info *fi)
{
    called(req);
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

static const struct fuse_lowlevel_ops ops = {
    .lookup = on_name, .unlink = on_name, .mkdir = on_mkdir, .symlink = on_symlink, .write_buf = on_write,
    .forget_multi = on_forgets, .retrieve_reply = on_retrieved,
};

/* ---- messages ---- */

static struct fuse_in_header head_of(uint32_t opcode, size_t len)
{
    return (struct fuse_in_header){ .opcode = opcode, .len = (uint32_t)len, .unique = unique += 2, .nodeid = 1 };
}

static void send_message(const struct fuse_in_header *head, const void *arguments, size_t len)
{
    uint8_t *message = malloc(HEAD + len);
    struct fuse_buf buf = { .mem = message, .size = HEAD + len };
    int ends[2] = { -1, -1 };
    memcpy(message, head, HEAD);
    if (len > 0)
        memcpy(message + HEAD, arguments, len);
    if (by_pipe) {
        MUST(pipe2(ends, O_CLOEXEC) == 0 && write(ends[1], message, buf.size) == (ssize_t)buf.size, "pipe");
        close(ends[1]);
        buf = (struct fuse_buf){ .size = buf.size, .flags = FUSE_BUF_IS_FD, .fd = ends[0] };
    }
    log_lines = replies = calls = 0;
    last_error = NOT_CALLED;
    fuse_session_process_buf(se, &buf);
    if (by_pipe)
        close(ends[0]);
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
        if (!by_pipe) /* of data in a pipe only that can be read which is there */
            refused(FUSE_WRITE, -EIO, "stale data behind", len);
    }
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
        MUST(calls == 1 && replies == 2 && last_error == 0, "%zu: %d replies, error %d", i, replies, last_error);
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
    { "names_without_end", names_without_end },
    { "stale_bytes", stale_bytes },
    { "sizes_beyond_the_data", sizes_beyond_the_data },
    { "extensions", extensions },
    { "unknown_opcodes", unknown_opcodes },
    { "init_and_destroy_in_the_middle", init_and_destroy_in_the_middle },
    { "one_unique_twice", one_unique_twice },
    { "interrupts_of_nothing", interrupts_of_nothing },
};

/* Without a name, all of them, both ways. */
int main(int argc, char **argv)
{
    count_log_lines();
    on_message = on_sent;
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        by_pipe = i % 2 != 0;
        if (argc > 1 && (strcmp(argv[1], cases[i / 2].name) != 0 || argc < 3 ||
                         (strcmp(argv[2], "pipe") == 0) != by_pipe))
            continue;
        cases[i / 2].run();
        fuse_session_destroy(se);
    }
    return 0;
}
