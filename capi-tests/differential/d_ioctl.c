/* ioctl: its flags and buffers, results, and the retry that asks for other buffers. */
#include "harness.h"

#include <sys/uio.h>

static void put_ioctl(uint32_t flags, uint32_t in_size, uint32_t out_size)
{
    request(FUSE_IOCTL, 3);
    PUT(fuse_ioctl_in, .fh = 9, .flags = flags, .cmd = 0xc0045401, .arg = 0x7fffffff1000, .in_size = in_size,
        .out_size = out_size);
    put(pattern(in_size), in_size);
}

static void requests(const char *session_kind)
{
    for (uint32_t flags = 0; flags < 64; flags++) {
        put_ioctl(flags, 4, 8);
        run(NULL, "%s flags %#x", session_kind, flags);
    }
    static const uint32_t sizes[] = { 0, 1, 4096, 65536 };
    EACH(in, sizes) {
        EACH(out, sizes) {
            put_ioctl(0, *in, *out);
            run(NULL, "%s in %u out %u", session_kind, *in, *out);
        }
    }
}

struct pieces {
    int result;
    int count;
    size_t size;
};

static int answer_plain(fuse_req_t req, const void *arg)
{
    const struct pieces *pieces = arg;
    return fuse_reply_ioctl(req, pieces->result, pieces->size == 0 ? NULL : pattern(pieces->size), pieces->size);
}

static int answer_iov(fuse_req_t req, const void *arg)
{
    const struct pieces *pieces = arg;
    struct iovec iov[300];
    for (int i = 0; i < pieces->count; i++)
        iov[i] = (struct iovec){ (char *)pattern(0) + i, pieces->size };
    return fuse_reply_ioctl_iov(req, pieces->result, iov, pieces->count);
}

static void results(void)
{
    const struct pieces plain[] = { { 0, 0, 0 }, { 1, 0, 4 }, { -EINVAL, 0, 0 }, { INT_MIN, 0, 1 },
                                    { INT_MAX, 0, 65536 } };
    EACH(pieces, plain) {
        put_ioctl(0, 4, 8);
        run(&(struct answer){ "ioctl", answer_plain, pieces }, "result %d with %zu", pieces->result, pieces->size);
    }
    const struct pieces vectors[] = { { 0, 0, 0 }, { 1, 1, 3 }, { -1, 3, 0 }, { 2, 10, 4096 }, { 3, 300, 2 } };
    EACH(pieces, vectors) {
        put_ioctl(0, 4, 8);
        run(&(struct answer){ "ioctl_iov", answer_iov, pieces }, "result %d in %d pieces of %zu", pieces->result,
            pieces->count, pieces->size);
    }
    for (size_t i = 0; i < error_count; i++) {
        put_ioctl(0, 4, 8);
        run(&errors[i], "%s", errors[i].label);
    }
}

struct retry {
    size_t in, out;
    uintptr_t base;
    size_t len;
};

static int answer_retry(fuse_req_t req, const void *arg)
{
    const struct retry *retry = arg;
    struct iovec iov[300];
    for (size_t i = 0; i < COUNT(iov); i++)
        iov[i] = (struct iovec){ (void *)(retry->base + i * 16), retry->len + i };
    return fuse_reply_ioctl_retry(req, retry->in == 0 ? NULL : iov, retry->in, retry->out == 0 ? NULL : iov + 1,
                                  retry->out);
}

static void retries(const char *session_kind)
{
    static const uint32_t flags[] = { 0, FUSE_IOCTL_UNRESTRICTED, FUSE_IOCTL_UNRESTRICTED | FUSE_IOCTL_32BIT,
                                      FUSE_IOCTL_UNRESTRICTED | FUSE_IOCTL_COMPAT };
    const struct retry all[] = {
        { 0, 0, 0, 0 },
        { 1, 0, 0x1000, 8 },
        { 0, 1, 0x7fffffff0000, 8 },
        { 2, 3, 0x1000, 0x100000000 },
        { 128, 128, 0x1000, 1 },
        { 256, 1, 0x1000, 1 },
        { 257, 0, 0x1000, 1 },
        { 0, 257, 0x1000, 1 },
    };
    EACH(flag, flags) {
        EACH(retry, all) {
            put_ioctl(*flag, 0, 0);
            run(&(struct answer){ "retry", answer_retry, retry }, "%s flags %#x retry in %zu out %zu", session_kind,
                *flag, retry->in, retry->out);
        }
    }
}

int main(void)
{
    session_start((struct setup){ 0 });
    requests("7.38");
    results();
    retries("7.38");
    session_stop();
    session_start((struct setup){ .flags = FUSE_ASYNC_READ });
    requests("no ioctl on directories");
    session_stop();
    /* Up to here the vectors of a retry were the caller's own struct iovec. */
    session_start((struct setup){ .minor = 15 });
    retries("7.15");
    session_stop();
    return 0;
}
