/* FORGET and BATCH_FORGET with each set of callbacks that can receive them. Neither may be replied to. */
#include "harness.h"

static void singles(const char *callbacks)
{
    static const uint64_t counts[] = { 0, 1, UINT64_MAX };
    EACH(count, counts) {
        request(FUSE_FORGET, *count ^ 5);
        PUT(fuse_forget_in, .nlookup = *count);
        run(NULL, "%s FORGET %" PRIu64, callbacks, *count);
    }
}

static void batches(const char *callbacks)
{
    static const uint32_t counts[] = { 0, 1, 2, 100 };
    EACH(count, counts) {
        request(FUSE_BATCH_FORGET, 0);
        PUT(fuse_batch_forget_in, .count = *count);
        for (uint64_t i = 0; i < *count; i++)
            PUT(fuse_forget_one, .nodeid = 10 + i, .nlookup = i * i);
        run(NULL, "%s BATCH_FORGET %u", callbacks, *count);
    }
}

/* A daemon that answers all the same. */
static void answered(void)
{
    const struct answer answers[] = { ERR(0), ERR(EIO), NO_ANSWER };
    static const uint32_t opcodes[] = { FUSE_FORGET, FUSE_BATCH_FORGET };
    session_start((struct setup){ 0 });
    EACH(opcode, opcodes) {
        EACH(answer, answers) {
            plain_request(*opcode, 38);
            run(answer, "%s answered with %s", opcode_name(*opcode), answer->label);
            if (kept != NULL)
                fuse_reply_none(kept);
        }
    }
    session_stop();
}

int main(void)
{
    struct fuse_lowlevel_ops single = recorder, multi = recorder, none = recorder;
    single.forget_multi = NULL;
    multi.forget = NULL;
    none.forget = NULL;
    none.forget_multi = NULL;
    const struct {
        const char *label;
        const struct fuse_lowlevel_ops *ops;
    } sets[] = { { "both", &recorder }, { "forget", &single }, { "forget_multi", &multi }, { "neither", &none } };
    EACH(set, sets) {
        session_start((struct setup){ .ops = set->ops });
        singles(set->label);
        batches(set->label);
        session_stop();
    }
    answered();
    return 0;
}
