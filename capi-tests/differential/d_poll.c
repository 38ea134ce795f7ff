/* poll: its handle, its reply and the wakeup that follows later. */
#include "harness.h"

static void forget_handle(void)
{
    if (kept_poll != NULL)
        fuse_pollhandle_destroy(kept_poll);
    kept_poll = NULL;
}

static void requests(uint32_t minor)
{
    static const uint32_t flags[] = { 0, FUSE_POLL_SCHEDULE_NOTIFY, 2, 3 };
    static const uint32_t events[] = { 0, 1, 0x4c3, 0xffffffff };
    EACH(flag, flags) {
        EACH(event, events) {
            request(FUSE_POLL, 3);
            PUT(fuse_poll_in, .fh = UINT64_MAX, .kh = 0x8877665544332211, .flags = *flag, .events = *event);
            run(NULL, "7.%u flags %u events %#x", minor, *flag, *event);
            if (kept_poll != NULL) {
                begin_case("7.%u flags %u events %#x wakeup", minor, *flag, *event);
                say("returned %d", fuse_lowlevel_notify_poll(kept_poll));
                write_errno = ENOENT;
                say("returned %d", fuse_lowlevel_notify_poll(kept_poll));
                write_errno = 0;
            }
            forget_handle();
        }
    }
}

int main(void)
{
    static const uint32_t minors[] = { 15, 20, 21, 38 };
    EACH(minor, minors) {
        session_start((struct setup){ .minor = *minor });
        requests(*minor);
        session_stop();
    }
    session_start((struct setup){ 0 });
    const unsigned revents[] = { 0, 1, 0x4c3, UINT_MAX };
    EACH(revent, revents) {
        plain_request(FUSE_POLL, 38);
        run(&(struct answer){ "poll", answer_poll, revent }, "revents %#x", *revent);
        forget_handle();
    }
    for (size_t i = 0; i < error_count; i++) {
        plain_request(FUSE_POLL, 38);
        run(&errors[i], "%s", errors[i].label);
        forget_handle();
    }
    session_stop();
    return 0;
}
