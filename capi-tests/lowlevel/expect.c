#include "expect.h"

int expected, failed;

__attribute__((constructor)) static void no_transcript(void)
{
    silent = true;
}

int verdict(void)
{
    printf("%d checks, %d failed\n", expected, failed);
    return failed == 0 && expected > 0 ? 0 : 1;
}

int reply_error(const struct answer *answer)
{
    struct fuse_out_header out;
    silent = true; /* session_start() turns the transcript on */
    last_reply = (struct bytes){ NULL, 0 };
    feed(answer);
    if (last_reply.len < sizeof(out))
        return 1;
    memcpy(&out, last_reply.data, sizeof(out));
    EXPECT_EQ(out.len, last_reply.len);
    return out.error;
}

struct bytes reply_payload(void)
{
    size_t head = sizeof(struct fuse_out_header);
    if (last_reply.len < head)
        return (struct bytes){ NULL, 0 };
    return (struct bytes){ (const char *)last_reply.data + head, last_reply.len - head };
}
