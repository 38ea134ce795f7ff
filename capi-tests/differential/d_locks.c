/* Locks of both kinds, in and out; a session without the flock callback gets the flock forms as well. */
#include "harness.h"

#include <fcntl.h>

static const uint32_t opcodes[] = { FUSE_GETLK, FUSE_SETLK, FUSE_SETLKW };

static void lock_requests(const char *session_kind)
{
    static const uint32_t types[] = { F_RDLCK, F_WRLCK, F_UNLCK, 7 };
    static const uint32_t kinds[] = { 0, FUSE_LK_FLOCK, 2 };
    static const struct {
        uint64_t start, end;
    } ranges[] = { { 0, INT64_MAX }, { 5, 5 }, { 100, 299 }, { 0, UINT64_MAX }, { 10, 3 } };
    EACH(opcode, opcodes) {
        EACH(type, types) {
            EACH(kind, kinds) {
                request(*opcode, 3);
                PUT(fuse_lk_in, .fh = 9, .owner = 0xabcdef0123456789, .lk = { 0, INT64_MAX, *type, 4711 },
                    .lk_flags = *kind);
                run(NULL, "%s %s type %u kind %u", session_kind, opcode_name(*opcode), *type, *kind);
            }
        }
        EACH(range, ranges) {
            request(*opcode, 3);
            PUT(fuse_lk_in, .fh = 9, .owner = 1, .lk = { range->start, range->end, F_WRLCK, 1 });
            run(NULL, "%s %s range %zu", session_kind, opcode_name(*opcode), (size_t)(range - ranges));
        }
    }
}

static void lock_replies(void)
{
    const struct flock locks[] = {
        { .l_type = F_UNLCK },
        { .l_type = F_RDLCK, .l_start = 5, .l_len = 10, .l_pid = 77 },
        { .l_type = F_WRLCK, .l_start = 5, .l_len = 0, .l_pid = -1 },
        { .l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = 0, .l_len = 1 },
        { .l_type = F_WRLCK, .l_start = 10, .l_len = -5 },
        { .l_type = -1, .l_start = -1, .l_len = INT64_MAX, .l_pid = 1 },
        { .l_type = F_UNLCK, .l_start = 5, .l_len = 10, .l_pid = 77 },
    };
    EACH(lock, locks) {
        plain_request(FUSE_GETLK, 38);
        run(&(struct answer){ "lock", answer_lock, lock }, "GETLK reply %zu", (size_t)(lock - locks));
    }
    EACH(opcode, opcodes) {
        for (size_t i = 0; i < error_count; i++) {
            plain_request(*opcode, 38);
            run(&errors[i], "%s %s", opcode_name(*opcode), errors[i].label);
        }
    }
}

int main(void)
{
    struct fuse_lowlevel_ops without_flock = recorder, without_setlk = recorder;
    without_flock.flock = NULL;
    without_setlk.setlk = NULL;

    session_start((struct setup){ 0 });
    lock_requests("both callbacks");
    lock_replies();
    session_stop();
    session_start((struct setup){ .ops = &without_flock });
    lock_requests("no flock callback");
    session_stop();
    session_start((struct setup){ .ops = &without_setlk });
    lock_requests("no setlk callback");
    session_stop();
    return 0;
}
