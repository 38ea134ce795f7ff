/* Every opcode without a callback for it, opcodes nobody knows, and the form each takes in older protocols. */
#include "harness.h"

static void without_callbacks(void)
{
    struct fuse_lowlevel_ops none = { 0 };
    session_start((struct setup){ .ops = &none });
    for (uint32_t opcode = 1; opcode < 60; opcode++)
        if (plain_request(opcode, 38))
            run(NULL, "no callback %s", opcode_name(opcode));
    session_stop();
}

static void want_all(struct fuse_conn_info *conn)
{
    conn->want = conn->capable;
}

/* What the kernel may do without is asked for all the same, as long as nobody says ENOSYS. */
static void opens_without_callbacks(void)
{
    const struct fuse_lowlevel_ops only_init = { .init = recorder.init };
    static const uint32_t opens[] = { FUSE_OPEN, FUSE_OPENDIR };
    in_init = want_all;
    session_start((struct setup){ .ops = &only_init });
    in_init = NULL;
    EACH(opcode, opens) {
        plain_request(*opcode, 38);
        run(NULL, "everything wanted, no callback %s", opcode_name(*opcode));
    }
    session_stop();
}

/* A callback may drop its request; then there is no reply. One of another kind is the daemon's own affair. */
static void unusual_answers(void)
{
    static const double second = 1;
    const struct answer answers[] = {
        { "none", answer_none, NULL },
        { "attr", answer_attr, &second },
        { "buf", answer_buf, &(struct bytes){ "any bytes", 9 } },
    };
    session_start((struct setup){ 0 });
    EACH(answer, answers) {
        for (uint32_t opcode = 1; opcode < 60; opcode++)
            if (plain_request(opcode, 38))
                run(answer, "%s answered with %s", opcode_name(opcode), answer->label);
    }
    session_stop();
}

static void unknown_opcodes(void)
{
    static const uint32_t all[] = { 0, 7, 19, 52, 54, 60, 100, 4095, 4096, 4097, 0x10000, 0x80000000, 0xffffffff };
    session_start((struct setup){ 0 });
    EACH(opcode, all) {
        request(*opcode, 7);
        put(pattern(64), 64);
        run(NULL, "unknown opcode %u", *opcode);
    }
    session_stop();
}

static void older_protocols(void)
{
    static const uint32_t minors[] = { 12, 13, 15, 16, 18, 21, 23, 24, 28, 31, 36, 38, 45 };
    EACH(minor, minors) {
        session_start((struct setup){ .minor = *minor });
        for (uint32_t opcode = 1; opcode < 60; opcode++)
            if (plain_request(opcode, *minor))
                run(NULL, "7.%u %s", *minor, opcode_name(opcode));
        session_stop();
    }
}

static void contexts(void)
{
    static const uint32_t ids[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff };
    session_start((struct setup){ 0 });
    EACH(id, ids) {
        plain_request(FUSE_CREATE, 38);
        header()->uid = *id;
        header()->gid = *id ^ 1;
        header()->pid = *id;
        run(NULL, "caller %#x", *id);
    }
    static const uint64_t nodes[] = { 0, 1, UINT64_MAX };
    EACH(node, nodes) {
        plain_request(FUSE_GETATTR, 38);
        header()->nodeid = *node;
        run(NULL, "nodeid %#" PRIx64, *node);
    }
    session_stop();
}

/* A table of callbacks as long as an older or a newer program's. */
static void table_sizes(void)
{
    static const size_t sizes[] = { 0, 8, offsetof(struct fuse_lowlevel_ops, fallocate), 336, 352, 352 + 64 };
    EACH(size, sizes) {
        union {
            struct fuse_lowlevel_ops ops;
            char bytes[512];
        } table = { .bytes = { 0 } };
        table.ops = recorder;
        session_start((struct setup){ .ops = &table.ops, .op_size = *size, .op_size_given = true });
        for (uint32_t opcode = 1; opcode < 60; opcode++)
            if (plain_request(opcode, 38))
                run(NULL, "table of %zu bytes %s", *size, opcode_name(opcode));
        session_stop();
    }
}

int main(void)
{
    without_callbacks();
    opens_without_callbacks();
    unusual_answers();
    unknown_opcodes();
    older_protocols();
    contexts();
    table_sizes();
    return 0;
}
