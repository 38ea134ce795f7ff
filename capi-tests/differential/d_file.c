/* Operations on open files, the data they carry, and every way to hand data back. */
#include "harness.h"

#include <sys/uio.h>

static int data_fd;

static void open_forms(uint32_t opcode)
{
    static const uint32_t flags[] = { 0, 0x8001, 0x28000, 0x80000000, 0xffffffff };
    EACH(flag, flags) {
        request(opcode, 3);
        PUT(fuse_open_in, .flags = *flag, .open_flags = *flag);
        run(NULL, "%s flags %#x", opcode_name(opcode), *flag);
    }
    const struct fuse_file_info infos[] = {
        { .fh = UINT64_MAX },
        { .fh = 1, .direct_io = 1 },
        { .fh = 2, .keep_cache = 1 },
        { .fh = 3, .nonseekable = 1 },
        { .fh = 4, .cache_readdir = 1 },
        { .fh = 5, .noflush = 1 },
        { .fh = 6, .direct_io = 1, .keep_cache = 1, .nonseekable = 1, .cache_readdir = 1, .noflush = 1 },
        { .fh = 7, .flags = -1, .writepage = 1, .flush = 1, .flock_release = 1, .lock_owner = 3, .poll_events = 4 },
    };
    EACH(info, infos) {
        plain_request(opcode, 38);
        run(&(struct answer){ "open", answer_open, info }, "%s fh %#" PRIx64, opcode_name(opcode), info->fh);
    }
    write_errno = ENOENT;
    plain_request(opcode, 38);
    run(NULL, "%s interrupted open", opcode_name(opcode));
    write_errno = 0;
}

static void read_arguments(void)
{
    static const uint32_t flags[] = { 0, 1, FUSE_READ_LOCKOWNER, 0xffffffff };
    EACH(flag, flags) {
        request(FUSE_READ, 3);
        PUT(fuse_read_in, .fh = 9, .offset = 1ull << 40, .size = 131072, .read_flags = *flag, .lock_owner = 77,
            .flags = 0x8002);
        run(NULL, "READ read_flags %#x", *flag);
    }
    static const uint64_t offsets[] = { 0, INT64_MAX, UINT64_MAX };
    EACH(offset, offsets) {
        request(FUSE_READ, 3);
        PUT(fuse_read_in, .fh = 9, .offset = *offset, .size = (uint32_t)*offset);
        run(NULL, "READ offset %#" PRIx64, *offset);
    }
}

static void buffer_replies(void)
{
    const struct bytes all[] = {
        { NULL, 0 }, { "", 0 }, { "a", 1 }, { pattern(4095), 4095 }, { pattern(4097), 4097 },
        { pattern(131072), 131072 }, { pattern(1 << 20), 1 << 20 }, { pattern((1 << 20) + 8192), (1 << 20) + 8192 },
    };
    EACH(bytes, all) {
        plain_request(FUSE_READ, 38);
        run(&(struct answer){ "buf", answer_buf, bytes }, "READ buf %zu of %zu", (size_t)(bytes - all), bytes->len);
    }
}

/* ---- fuse_reply_iov ---- */

struct pieces {
    const char *label;
    int count;
    size_t size;
};

static int answer_iov(fuse_req_t req, const void *arg)
{
    const struct pieces *pieces = arg;
    struct iovec iov[300];
    for (int i = 0; i < pieces->count; i++)
        iov[i] = (struct iovec){ (char *)pattern(0) + (size_t)i * 3, pieces->size };
    return fuse_reply_iov(req, pieces->count == 0 ? NULL : iov, pieces->count);
}

static void iov_replies(void)
{
    const struct pieces all[] = { { "none", 0, 0 }, { "one", 1, 7 }, { "three", 3, 5 }, { "empty", 4, 0 },
                                  { "many", 300, 3 }, { "pages", 5, 4096 } };
    EACH(pieces, all) {
        plain_request(FUSE_READ, 38);
        run(&(struct answer){ "iov", answer_iov, pieces }, "READ iov %s", pieces->label);
    }
}

/* ---- fuse_reply_data ---- */

struct piece {
    size_t size;
    enum { MEMORY, FROM_FD, SEEK_FD, RETRY_FD, BAD_FD } kind;
    off_t pos;
};

struct data {
    const char *label;
    size_t count;
    struct piece pieces[3];
    size_t idx, off;
};

static struct fuse_buf piece_buf(const struct piece *piece)
{
    static const int flags[] = {
        [MEMORY] = 0,
        [FROM_FD] = FUSE_BUF_IS_FD,
        [SEEK_FD] = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK,
        [RETRY_FD] = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY,
        [BAD_FD] = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK,
    };
    return (struct fuse_buf){
        .size = piece->size,
        .flags = flags[piece->kind],
        .mem = piece->kind == MEMORY ? (char *)pattern(piece->size) : NULL,
        .fd = piece->kind == MEMORY || piece->kind == BAD_FD ? -1 : data_fd,
        .pos = piece->pos,
    };
}

static enum fuse_buf_copy_flags data_flags;

static int answer_data(fuse_req_t req, const void *arg)
{
    const struct data *data = arg;
    struct fuse_bufvec *bufv = calloc(1, sizeof(*bufv) + 3 * sizeof(struct fuse_buf));
    *bufv = (struct fuse_bufvec){ .count = data->count, .idx = data->idx, .off = data->off };
    for (size_t i = 0; i < data->count; i++)
        bufv->buf[i] = piece_buf(&data->pieces[i]);
    if (lseek(data_fd, 100, SEEK_SET) != 100)
        abort();
    int result = fuse_reply_data(req, bufv, data_flags);
    say("vector afterwards idx=%zu off=%zu", bufv->idx, bufv->off);
    free(bufv);
    return result;
}

static const struct data data_answers[] = {
    { "nothing", 0, { { 0 } }, 0, 0 },
    { "mem 0", 1, { { 0, MEMORY, 0 } }, 0, 0 },
    { "mem 5", 1, { { 5, MEMORY, 0 } }, 0, 0 },
    { "mem 100000", 1, { { 100000, MEMORY, 0 } }, 0, 0 },
    { "mem mem mem", 3, { { 5, MEMORY, 0 }, { 4096, MEMORY, 0 }, { 1, MEMORY, 0 } }, 0, 0 },
    { "mem mem from the middle", 2, { { 10, MEMORY, 0 }, { 20, MEMORY, 0 } }, 1, 5 },
    { "mem from its middle", 1, { { 10, MEMORY, 0 } }, 0, 4 },
    { "fd 10", 1, { { 10, FROM_FD, 0 } }, 0, 0 },
    { "fd seek 10", 1, { { 10, SEEK_FD, 50 } }, 0, 0 },
    { "fd seek pages", 1, { { 65536, SEEK_FD, 4096 } }, 0, 0 },
    { "fd seek megabyte", 1, { { 1 << 20, SEEK_FD, 0 } }, 0, 0 },
    { "fd over the end", 1, { { 8192, SEEK_FD, (1 << 20) - 100 } }, 0, 0 },
    { "fd behind the end", 1, { { 8192, SEEK_FD, 2 << 20 } }, 0, 0 },
    { "fd retry over the end", 1, { { 8192, RETRY_FD, (1 << 20) - 100 } }, 0, 0 },
    { "fd retry pages", 1, { { 65536, RETRY_FD, 0 } }, 0, 0 },
    { "fd bad", 1, { { 8192, BAD_FD, 0 } }, 0, 0 },
    { "mem fd", 2, { { 10, MEMORY, 0 }, { 20, SEEK_FD, 30 } }, 0, 0 },
    { "fd mem", 2, { { 20, SEEK_FD, 30 }, { 10, MEMORY, 0 } }, 0, 0 },
    { "fd fd mem", 3, { { 5000, SEEK_FD, 30 }, { 5000, SEEK_FD, 1 }, { 10, MEMORY, 0 } }, 0, 0 },
    { "short fd then mem", 2, { { 200, SEEK_FD, (1 << 20) - 100 }, { 10, MEMORY, 0 } }, 0, 0 },
};

static void data_replies(const char *session_kind)
{
    static const enum fuse_buf_copy_flags all[] = {
        0, FUSE_BUF_NO_SPLICE, FUSE_BUF_FORCE_SPLICE, FUSE_BUF_SPLICE_MOVE,
    };
    EACH(flags, all) {
        EACH(data, data_answers) {
            data_flags = *flags;
            plain_request(FUSE_READ, 38);
            run(&(struct answer){ "data", answer_data, data }, "READ %s data flags %#x %s", session_kind, *flags,
                data->label);
        }
    }
}

/* ---- writing ---- */

static void write_requests(const char *kind)
{
    /* With its header the longest still fits a pipe of an unprivileged size. */
    static const size_t sizes[] = { 0, 1, 7, 4096, 4097, 131072, 1000000 };
    EACH(size, sizes) {
        request(FUSE_WRITE, 3);
        PUT(fuse_write_in, .fh = 9, .offset = 1ull << 33, .size = (uint32_t)*size, .flags = 0x8001);
        put(pattern(*size), *size);
        run(&(struct answer){ "write", answer_write, size }, "WRITE %s size %zu", kind, *size);
    }
    static const uint32_t flags[] = { 0, FUSE_WRITE_CACHE, FUSE_WRITE_LOCKOWNER, FUSE_WRITE_KILL_SUIDGID, 0xffffffff };
    EACH(flag, flags) {
        request(FUSE_WRITE, 3);
        PUT(fuse_write_in, .fh = 9, .offset = UINT64_MAX, .size = 3, .write_flags = *flag, .lock_owner = 77,
            .flags = *flag);
        put("abc", 3);
        run(NULL, "WRITE %s flags %#x", kind, *flag);
    }
    for (size_t i = 0; i < error_count; i++) {
        plain_request(FUSE_WRITE, 38);
        run(&errors[i], "WRITE %s %s", kind, errors[i].label);
    }
}

static void write_counts(void)
{
    const size_t counts[] = { 0, 1, UINT32_MAX, (size_t)UINT32_MAX + 2, SIZE_MAX };
    EACH(count, counts) {
        plain_request(FUSE_WRITE, 38);
        run(&(struct answer){ "write", answer_write, count }, "WRITE count %zu", *count);
        plain_request(FUSE_COPY_FILE_RANGE, 38);
        run(&(struct answer){ "write", answer_write, count }, "COPY_FILE_RANGE count %zu", *count);
    }
}

/* ---- the rest ---- */

static void closing(void)
{
    for (uint32_t flags = 0; flags < 8; flags++) {
        request(FUSE_RELEASE, 3);
        PUT(fuse_release_in, .fh = UINT64_MAX, .flags = 0x8002, .release_flags = flags, .lock_owner = 77);
        run(NULL, "RELEASE flags %u", flags);
        request(FUSE_RELEASEDIR, 3);
        PUT(fuse_release_in, .fh = 9, .flags = 0x18000, .release_flags = flags, .lock_owner = 77);
        run(NULL, "RELEASEDIR flags %u", flags);
    }
    static const uint64_t owners[] = { 0, 1, UINT64_MAX };
    EACH(owner, owners) {
        request(FUSE_FLUSH, 3);
        PUT(fuse_flush_in, .fh = *owner, .unused = 5, .padding = 6, .lock_owner = *owner);
        run(NULL, "FLUSH owner %#" PRIx64, *owner);
    }
    static const uint32_t sync_flags[] = { 0, 1, 2, 3, 0xffffffff };
    EACH(flags, sync_flags) {
        request(FUSE_FSYNC, 3);
        PUT(fuse_fsync_in, .fh = 9, .fsync_flags = *flags);
        run(NULL, "FSYNC flags %#x", *flags);
    }
}

static void ranges(void)
{
    static const uint64_t values[] = { 0, 1, INT64_MAX, UINT64_MAX };
    EACH(value, values) {
        request(FUSE_FALLOCATE, 3);
        PUT(fuse_fallocate_in, .fh = *value, .offset = *value, .length = *value, .mode = (uint32_t)*value);
        run(NULL, "FALLOCATE value %#" PRIx64, *value);
        request(FUSE_COPY_FILE_RANGE, 3);
        PUT(fuse_copy_file_range_in, .fh_in = *value, .off_in = *value, .nodeid_out = *value, .fh_out = *value - 1,
            .off_out = *value, .len = *value, .flags = *value);
        run(NULL, "COPY_FILE_RANGE value %#" PRIx64, *value);
        const off_t found = (off_t)*value;
        request(FUSE_LSEEK, 3);
        PUT(fuse_lseek_in, .fh = 9, .offset = *value, .whence = (uint32_t)*value);
        run(&(struct answer){ "lseek", answer_lseek, &found }, "LSEEK value %#" PRIx64, *value);
        request(FUSE_BMAP, 3);
        PUT(fuse_bmap_in, .block = *value, .blocksize = (uint32_t)*value);
        run(&(struct answer){ "bmap", answer_bmap, value }, "BMAP value %#" PRIx64, *value);
    }
}

static void file_errnos(void)
{
    static const uint32_t opcodes[] = {
        FUSE_OPEN, FUSE_READ, FUSE_FLUSH, FUSE_RELEASE, FUSE_FSYNC, FUSE_LSEEK, FUSE_FALLOCATE, FUSE_COPY_FILE_RANGE,
        FUSE_BMAP,
    };
    EACH(opcode, opcodes) {
        for (size_t i = 0; i < error_count; i++) {
            plain_request(*opcode, 38);
            run(&errors[i], "%s %s", opcode_name(*opcode), errors[i].label);
        }
    }
}

int main(void)
{
    struct fuse_lowlevel_ops plain = recorder;
    plain.write_buf = NULL;
    data_fd = pattern_file(1 << 20);

    session_start((struct setup){ .ops = &plain });
    open_forms(FUSE_OPEN);
    open_forms(FUSE_OPENDIR);
    read_arguments();
    buffer_replies();
    iov_replies();
    data_replies("plain");
    write_requests("plain");
    write_counts();
    closing();
    ranges();
    file_errnos();
    session_stop();

    session_start((struct setup){ .splice = true });
    data_replies("splice");
    write_requests("buf");
    feed_by_pipe = true;
    write_requests("buf from a pipe");
    plain_request(FUSE_LOOKUP, 38);
    run(NULL, "LOOKUP from a pipe");
    plain_request(FUSE_RENAME2, 38);
    run(NULL, "RENAME2 from a pipe");
    feed_by_pipe = false;
    session_stop();

    session_start((struct setup){ .ops = &plain, .splice = true });
    feed_by_pipe = true;
    write_requests("plain from a pipe");
    feed_by_pipe = false;
    session_stop();
    return 0;
}
