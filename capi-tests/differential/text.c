/* The transcript's lines and the texts in them. */
#include "harness.h"

#include <ctype.h>
#include <stdarg.h>
#include <sys/mman.h>

enum { ROOMS = 64, SHOWN_BYTES = 512 };

bool silent;

static char case_name[512];

/* The runner wants proof of which library it was. */
__attribute__((constructor)) static void name_library(void)
{
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        char *path = strchr(line, '/');
        if (path != NULL && strstr(path, "libfuse3") != NULL) {
            printf("# library %s", path);
            break;
        }
    }
    if (maps != NULL)
        fclose(maps);
}

void begin_case(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(case_name, sizeof(case_name), fmt, args);
    va_end(args);
    say("begin");
}

void say(const char *fmt, ...)
{
    if (silent)
        return;
    va_list args;
    va_start(args, fmt);
    printf("%s | ", case_name);
    vprintf(fmt, args);
    putchar('\n');
    va_end(args);
    /* A crash must not take the lines before it along. */
    fflush(stdout);
}

/* Text that outlives the call, without every caller freeing it. */
char *room(size_t len)
{
    static char *rooms[ROOMS];
    static size_t next;
    char **slot = &rooms[next++ % ROOMS];
    free(*slot);
    *slot = calloc(1, len + 1);
    if (*slot == NULL)
        abort();
    return *slot;
}

static uint64_t checksum(const uint8_t *data, size_t len)
{
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ data[i]) * 0x100000001b3u;
    return sum;
}

const char *quoted(const void *text, size_t len)
{
    if (text == NULL)
        return "NULL";
    const uint8_t *from = text;
    size_t shown = len < SHOWN_BYTES ? len : SHOWN_BYTES;
    char *to = room(4 * shown + 64), *start = to;
    *to++ = '"';
    for (size_t i = 0; i < shown; i++) {
        if (isprint(from[i]) && from[i] != '"' && from[i] != '\\')
            *to++ = (char)from[i];
        else
            to += sprintf(to, "\\x%02x", from[i]);
    }
    *to++ = '"';
    if (shown < len)
        sprintf(to, "... len=%zu sum=%016" PRIx64, len, checksum(from, len));
    return start;
}

const char *str(const char *text)
{
    return quoted(text, text == NULL ? 0 : strlen(text));
}

/* 32-bit words in the machine's byte order, the way the wire structs are made of; odd bytes at the end singly. */
const char *words(const void *data, size_t len)
{
    const uint8_t *from = data;
    size_t shown = len < SHOWN_BYTES ? len : SHOWN_BYTES;
    char *to = room(3 * shown + 64), *start = to;
    *to++ = '[';
    for (size_t i = 0; i < shown;) {
        const char *space = i == 0 ? "" : " ";
        uint32_t word;
        if (shown - i >= sizeof(word)) {
            memcpy(&word, from + i, sizeof(word));
            to += sprintf(to, "%s%08x", space, word);
            i += sizeof(word);
        } else {
            to += sprintf(to, "%s%02x", space, from[i++]);
        }
    }
    *to++ = ']';
    if (shown < len)
        sprintf(to, "... len=%zu sum=%016" PRIx64, len, checksum(from, len));
    return start;
}

const char *fi_text(const struct fuse_file_info *fi)
{
    if (fi == NULL)
        return "NULL";
    char *text = room(256);
    snprintf(text, 256,
             "{flags=%#x writepage=%u direct_io=%u keep_cache=%u flush=%u nonseekable=%u flock_release=%u"
             " cache_readdir=%u noflush=%u fh=%#" PRIx64 " owner=%#" PRIx64 " poll_events=%#x}",
             fi->flags, fi->writepage, fi->direct_io, fi->keep_cache, fi->flush, fi->nonseekable, fi->flock_release,
             fi->cache_readdir, fi->noflush, fi->fh, fi->lock_owner, fi->poll_events);
    return text;
}

/* The vector's form and, read through the library, its content. */
const char *bufvec_text(struct fuse_bufvec *bufv, struct fuse_bufvec *memory)
{
    size_t size = fuse_buf_size(bufv);
    char *text = room(256 + 4 * SHOWN_BYTES), *to = text;
    to += sprintf(to, "{count=%zu idx=%zu off=%zu size=%zu kinds=", bufv->count, bufv->idx, bufv->off, size);
    for (size_t i = 0; i < bufv->count && i < 8; i++)
        to += sprintf(to, "%s%#x", i == 0 ? "" : ",", bufv->buf[i].flags);
    *memory = FUSE_BUFVEC_INIT(size);
    memory->buf[0].mem = room(size);
    ssize_t copied = size == 0 ? 0 : fuse_buf_copy(memory, bufv, 0);
    memory->buf[0].size = copied < 0 ? 0 : (size_t)copied;
    memory->idx = memory->off = 0;
    sprintf(to, " copied=%zd data=%s}", copied, quoted(memory->buf[0].mem, memory->buf[0].size));
    return text;
}

/* Bytes in which a position can be told from its neighbours, also across pages. */
const char *pattern(size_t len)
{
    static char data[4 << 20];
    if (len > sizeof(data))
        abort();
    if (data[0] == 0)
        for (size_t i = 0; i < sizeof(data); i++)
            data[i] = (char)('a' + (i + i / 26 + i / 4096) % 26);
    return data;
}

int pattern_file(size_t len)
{
    int fd = memfd_create("pattern", MFD_CLOEXEC);
    if (fd < 0 || write(fd, pattern(len), len) != (ssize_t)len)
        abort();
    return fd;
}
