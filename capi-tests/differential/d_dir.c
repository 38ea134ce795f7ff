/* Directories: the entries that the library lays out, and the requests around them. */
#include "harness.h"

/* More than any name here takes, with room to see that nothing is written behind the end. */
enum { ROOM = 2048, CANARY = 0x5a };

static char long_name[256];

/* Asks for the size, then adds with every size around it. */
static void entry_sizes(fuse_req_t req, const char *name, bool plus)
{
    struct fuse_entry_param entry = sample_entry;
    entry.attr.st_mode = S_IFLNK | 0777;
    size_t need = plus ? fuse_add_direntry_plus(req, NULL, 0, name, &entry, 0)
                       : fuse_add_direntry(req, NULL, 0, name, NULL, 0);
    say("%s of %zu bytes needs %zu", plus ? "plus" : "entry", strlen(name), need);
    const size_t sizes[] = { 0, 1, need - 8, need - 1, need, need + 1, ROOM };
    EACH(size, sizes) {
        unsigned char buf[ROOM];
        memset(buf, CANARY, sizeof(buf));
        size_t got = plus ? fuse_add_direntry_plus(req, (char *)buf, *size, name, &entry, -1)
                          : fuse_add_direntry(req, (char *)buf, *size, name, &entry.attr, -1);
        size_t end = ROOM;
        while (end > 0 && buf[end - 1] == CANARY)
            end--;
        say("room %zu: returned %zu, wrote %s", *size, got, words(buf, end));
    }
}

static void add_entries(fuse_req_t req)
{
    static const char *short_names[] = { "", ".", "..", "abc", "1234567", "12345678", "123456789" };
    memset(long_name, 'n', sizeof(long_name) - 1);
    for (int plus = 0; plus < 2; plus++) {
        EACH(name, short_names)
            entry_sizes(req, *name, plus);
        entry_sizes(req, long_name, plus);
    }
}

static void add_types(fuse_req_t req)
{
    for (unsigned type = 0; type < 16; type++) {
        struct stat attr = { .st_ino = 1ull << (4 * type), .st_mode = type << 12 | 0777 };
        struct fuse_entry_param entry = { .ino = 5, .attr = attr, .attr_timeout = 0.5, .entry_timeout = -1 };
        char buf[ROOM] = { 0 };
        size_t len = fuse_add_direntry(req, buf, sizeof(buf), "t", &attr, (off_t)((uint64_t)type << 60));
        len += fuse_add_direntry_plus(req, buf + len, sizeof(buf) - len, "t", &entry, (off_t)((uint64_t)type << 60));
        say("type %u: %s", type, words(buf, len));
    }
}

static int answer_listing(fuse_req_t req, const void *plus)
{
    char buf[4096];
    size_t at = 0;
    for (unsigned i = 0; i < 30; i++) {
        char name[32];
        struct fuse_entry_param entry = sample_entry;
        entry.ino = entry.attr.st_ino = 100 + i;
        memset(buf + at, 0, sizeof(buf) - at);
        sprintf(name, "entry-%.*u", (int)i / 3, i);
        size_t len = *(const bool *)plus
                         ? fuse_add_direntry_plus(req, buf + at, sizeof(buf) - at, name, &entry, i + 1)
                         : fuse_add_direntry(req, buf + at, sizeof(buf) - at, name, &entry.attr, i + 1);
        if (len > sizeof(buf) - at)
            break;
        at += len;
    }
    return fuse_reply_buf(req, buf, at);
}

static void listings(void)
{
    static const uint32_t opcodes[] = { FUSE_READDIR, FUSE_READDIRPLUS };
    static const uint64_t offsets[] = { 0, 1, INT64_MAX, UINT64_MAX };
    EACH(opcode, opcodes) {
        const bool plus = *opcode == FUSE_READDIRPLUS;
        const struct answer listing = { "listing", answer_listing, &plus };
        const struct answer end = { "end", answer_buf, &(struct bytes){ NULL, 0 } };
        EACH(offset, offsets) {
            request(*opcode, 3);
            PUT(fuse_read_in, .fh = 9, .offset = *offset, .size = 4096, .read_flags = 2, .lock_owner = 7, .flags = 5);
            run(&listing, "%s offset %#" PRIx64, opcode_name(*opcode), *offset);
        }
        plain_request(*opcode, 38);
        run(&end, "%s end", opcode_name(*opcode));
        in_callback = add_entries;
        plain_request(*opcode, 38);
        run(&end, "%s entry sizes", opcode_name(*opcode));
        in_callback = add_types;
        plain_request(*opcode, 38);
        run(&end, "%s entry types", opcode_name(*opcode));
        in_callback = NULL;
    }
}

int main(void)
{
    static const uint32_t opcodes[] = { FUSE_OPENDIR, FUSE_READDIR, FUSE_READDIRPLUS, FUSE_RELEASEDIR, FUSE_FSYNCDIR };
    session_start((struct setup){ 0 });
    listings();
    EACH(opcode, opcodes) {
        for (size_t i = 0; i < error_count; i++) {
            plain_request(*opcode, 38);
            run(&errors[i], "%s %s", opcode_name(*opcode), errors[i].label);
        }
    }
    for (uint32_t flags = 0; flags < 4; flags++) {
        request(FUSE_FSYNCDIR, 3);
        PUT(fuse_fsync_in, .fh = UINT64_MAX, .fsync_flags = flags);
        run(NULL, "FSYNCDIR flags %u", flags);
    }
    session_stop();
    return 0;
}
