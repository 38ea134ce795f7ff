/* INIT: what the callback is offered, what it may change, and the reply's exact bytes. */
#include "harness.h"

static const uint32_t ALL = 0xffffffff;

struct change {
    const char *label;
    void (*apply)(struct fuse_conn_info *conn);
};

static void alone(struct setup setup, uint32_t minor, uint32_t readahead, uint32_t flags, uint32_t flags2,
                  const char *label)
{
    setup.no_init = true;
    session_start(setup);
    put_init(minor, readahead, flags, flags2);
    run(NULL, "%s", label);
    session_stop();
}

static const char *label(const char *fmt, uint32_t a, uint32_t b)
{
    char *text = room(128);
    snprintf(text, 128, fmt, a, b);
    return text;
}

static void minors(void)
{
    static const uint32_t flag_words[] = { 0, 0x7fffffff & ~FUSE_INIT_EXT, 0xffffffff };
    for (uint32_t minor = 12; minor <= 45; minor++) {
        EACH(flags, flag_words)
            alone((struct setup){ 0 }, minor, 131072, *flags, *flags == ALL ? ALL : 0,
                  label("minor %u flags %#x", minor, *flags));
    }
}

static void single_flags(void)
{
    for (uint32_t bit = 1; bit != 0; bit <<= 1) {
        alone((struct setup){ 0 }, 38, 131072, bit, 0, label("flag %#x", bit, 0));
        alone((struct setup){ 0 }, 38, 131072, FUSE_INIT_EXT, bit, label("flags2 %#x", bit, 0));
        alone((struct setup){ 0 }, 38, 131072, 0, bit, label("flags2 %#x without INIT_EXT", bit, 0));
    }
}

static void readaheads(void)
{
    static const uint32_t sizes[] = { 0, 1, 4096, 65536, 131072, 1 << 20, 0x7fffffff, 0xffffffff };
    EACH(size, sizes)
        alone((struct setup){ 0 }, 38, *size, ALL, 0, label("readahead %u", *size, 0));
}

static uint32_t wanted;

static void want_it(struct fuse_conn_info *conn)
{
    conn->want = wanted;
}

static void want_less(struct fuse_conn_info *conn)
{
    conn->want &= ~wanted;
}

/* Of what the kernel offers, one thing more and one thing less than the library proposes. */
static void wants(void)
{
    for (uint32_t bit = 1; bit != 1u << 27; bit <<= 1) {
        wanted = bit;
        in_init = want_it;
        alone((struct setup){ 0 }, 38, 131072, ALL, ALL, label("want only %#x", bit, 0));
        in_init = want_less;
        alone((struct setup){ 0 }, 38, 131072, ALL, ALL, label("want all but %#x", bit, 0));
        in_init = want_it;
        alone((struct setup){ 0 }, 38, 131072, 0, 0, label("want unoffered %#x", bit, 0));
    }
    in_init = NULL;
}

#define CHANGE(name, statement)                          \
    static void name(struct fuse_conn_info *conn)        \
    {                                                    \
        statement;                                       \
    }

CHANGE(write_0, conn->max_write = 0)
CHANGE(write_1, conn->max_write = 1)
CHANGE(write_4096, conn->max_write = 4096)
CHANGE(write_4097, conn->max_write = 4097)
CHANGE(write_65536, conn->max_write = 65536)
CHANGE(write_huge, conn->max_write = 64 << 20)
CHANGE(write_max, conn->max_write = UINT_MAX)
CHANGE(read_max, conn->max_read = 8192)
CHANGE(readahead_0, conn->max_readahead = 0)
CHANGE(readahead_4096, conn->max_readahead = 4096)
CHANGE(readahead_max, conn->max_readahead = UINT_MAX)
CHANGE(background_0, conn->max_background = 0)
CHANGE(background_1, conn->max_background = 1)
CHANGE(background_5, conn->max_background = 5)
CHANGE(background_65535, conn->max_background = 65535)
CHANGE(background_65536, conn->max_background = 65536)
CHANGE(background_max, conn->max_background = UINT_MAX)
CHANGE(congestion_0, (conn->max_background = 100, conn->congestion_threshold = 0))
CHANGE(congestion_50, (conn->max_background = 100, conn->congestion_threshold = 50))
CHANGE(congestion_101, (conn->max_background = 100, conn->congestion_threshold = 101))
CHANGE(congestion_alone, conn->congestion_threshold = 70000)
CHANGE(gran_0, conn->time_gran = 0)
CHANGE(gran_1000, conn->time_gran = 1000)
CHANGE(gran_7, conn->time_gran = 7)
CHANGE(gran_second, conn->time_gran = 1000000000)
CHANGE(gran_more, conn->time_gran = UINT_MAX)
CHANGE(protocol, (conn->proto_major = 1, conn->proto_minor = 2, conn->capable = 0))
CHANGE(reserved, memset(conn->reserved, 0xff, sizeof(conn->reserved)))

#define NAMED(name) { #name, name }
static const struct change changes[] = {
    NAMED(write_0), NAMED(write_1), NAMED(write_4096), NAMED(write_4097), NAMED(write_65536), NAMED(write_huge),
    NAMED(write_max), NAMED(read_max), NAMED(readahead_0), NAMED(readahead_4096), NAMED(readahead_max),
    NAMED(background_0), NAMED(background_1), NAMED(background_5), NAMED(background_65535), NAMED(background_65536),
    NAMED(background_max), NAMED(congestion_0), NAMED(congestion_50), NAMED(congestion_101), NAMED(congestion_alone),
    NAMED(gran_0), NAMED(gran_1000), NAMED(gran_7), NAMED(gran_second), NAMED(gran_more), NAMED(protocol),
    NAMED(reserved),
};

static const struct change *change;
static struct fuse_conn_info *kept_conn;

static void change_and_keep(struct fuse_conn_info *conn)
{
    change->apply(conn);
    kept_conn = conn;
}

/* Programs keep what the callback got, and look there later for what was agreed on. */
static void changed_by_callback(void)
{
    static const uint32_t some[] = { 38, 20, 12 };
    in_init = change_and_keep;
    for (change = changes; change < changes + COUNT(changes); change++) {
        EACH(minor, some) {
            session_start((struct setup){ .no_init = true });
            put_init(*minor, 131072, ALL >> 1, 0);
            run(NULL, "7.%u callback %s", *minor, change->label);
            say("kept %s", conn_text(kept_conn));
            session_stop();
        }
    }
    in_init = NULL;
}

static void callbacks_that_count(void)
{
    struct fuse_lowlevel_ops none = { 0 }, missing = recorder;
    alone((struct setup){ .ops = &none }, 38, 131072, ALL, ALL, "no callbacks");
    none.init = recorder.init;
    alone((struct setup){ .ops = &none }, 38, 131072, ALL, ALL, "only init");
#define WITHOUT(member)                                                                       \
    missing = recorder;                                                                       \
    missing.member = NULL;                                                                    \
    alone((struct setup){ .ops = &missing }, 38, 131072, ALL, ALL, "without " #member);
    WITHOUT(init)
    WITHOUT(write_buf)
    WITHOUT(write)
    WITHOUT(flock)
    WITHOUT(getlk)
    WITHOUT(setlk)
    WITHOUT(readdir)
    WITHOUT(readdirplus)
    WITHOUT(open)
    WITHOUT(opendir)
    WITHOUT(forget_multi)
    WITHOUT(retrieve_reply)
    WITHOUT(fallocate)
#undef WITHOUT
    alone((struct setup){ .splice = true }, 38, 131072, ALL, ALL, "with splice_send");
}

static void options(void)
{
    static const char *all[] = { "max_read=65536", "max_read=0", "max_read=1", "debug", "allow_other", "ro,nosuid" };
    EACH(option, all)
        alone((struct setup){ .options = *option }, 38, 131072, ALL, ALL, *option);
}

static void out_of_order(void)
{
    session_start((struct setup){ .no_init = true });
    for (uint32_t opcode = 1; opcode < 60; opcode++)
        if (plain_request(opcode, 38))
            run(NULL, "%s before INIT", opcode_name(opcode));
    put_init(38, 131072, ALL, 0);
    run(NULL, "INIT after requests");
    put_init(30, 4096, 0, 0);
    run(NULL, "INIT again");
    plain_request(FUSE_LOOKUP, 38);
    run(NULL, "LOOKUP after INIT again");
    request(FUSE_DESTROY, 0);
    run(NULL, "DESTROY");
    plain_request(FUSE_LOOKUP, 38);
    run(NULL, "LOOKUP after DESTROY");
    put_init(38, 131072, ALL, 0);
    run(NULL, "INIT after DESTROY");
    session_stop();
}

static void majors(void)
{
    static const uint32_t all[] = { 0, 1, 6, 8, 1000 };
    EACH(major, all) {
        session_start((struct setup){ .no_init = true });
        request(FUSE_INIT, 0);
        PUT(fuse_init_in, .major = *major, .minor = 3, .max_readahead = 4096, .flags = ALL);
        run(NULL, "major %u", *major);
        put_init(38, 131072, ALL & ~FUSE_INIT_EXT, 0);
        run(NULL, "major %u then 7", *major);
        session_stop();
    }
    session_start((struct setup){ .no_init = true });
    write_errno = ENODEV;
    put_init(38, 131072, ALL, 0);
    run(NULL, "reply refused");
    write_errno = 0;
    say("exited=%d", fuse_session_exited(session));
    session_stop();
}

int main(void)
{
    minors();
    single_flags();
    readaheads();
    wants();
    changed_by_callback();
    callbacks_that_count();
    options();
    out_of_order();
    majors();
    return 0;
}
