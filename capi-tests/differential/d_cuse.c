/* CUSE: the device that CUSE_INIT asks for, each operation of a device, and what else a session of a device is asked.
 *
 * On so.4 the header's inline functions call what is new there:
 * covers: cuse_lowlevel_new_319 cuse_lowlevel_setup_319 cuse_lowlevel_main_319
 */
#include "harness.h"

#include <cuse_lowlevel.h>

static const char *one_string[] = { "DEVNAME=differential" };
static const struct cuse_info plain_info = { .dev_major = 240, .dev_minor = 7, .dev_info_argc = 1,
                                             .dev_info_argv = one_string };
static const struct cuse_info *info = &plain_info;
static struct cuse_lowlevel_ops device;

/* ---- callbacks: those of a file system have written down the same arguments with this node id ---- */

enum { NODE = 1 };

static void dev_init_done(void *userdata)
{
    say("init_done(userdata=%s)", userdata == &user_mark ? "ours" : "WRONG");
}

static void dev_open(fuse_req_t req, struct fuse_file_info *fi)
{
    recorder.open(req, NODE, fi);
}

static void dev_read(fuse_req_t req, size_t size, off_t off, struct fuse_file_info *fi)
{
    recorder.read(req, NODE, size, off, fi);
}

static void dev_write(fuse_req_t req, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
    recorder.write(req, NODE, buf, size, off, fi);
}

static void dev_flush(fuse_req_t req, struct fuse_file_info *fi)
{
    recorder.flush(req, NODE, fi);
}

static void dev_release(fuse_req_t req, struct fuse_file_info *fi)
{
    recorder.release(req, NODE, fi);
}

static void dev_fsync(fuse_req_t req, int datasync, struct fuse_file_info *fi)
{
    recorder.fsync(req, NODE, datasync, fi);
}

static void dev_ioctl(fuse_req_t req, int cmd, void *arg, struct fuse_file_info *fi, unsigned flags,
                      const void *in_buf, size_t in_size, size_t out_size)
{
    recorder.ioctl(req, NODE, (unsigned)cmd, arg, fi, flags, in_buf, in_size, out_size);
}

static void dev_poll(fuse_req_t req, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
    recorder.poll(req, NODE, fi, ph);
}

static struct cuse_lowlevel_ops all_callbacks(void)
{
    return (struct cuse_lowlevel_ops){
        .init = recorder.init, .init_done = dev_init_done, .destroy = recorder.destroy, .open = dev_open,
        .read = dev_read, .write = dev_write, .flush = dev_flush, .release = dev_release, .fsync = dev_fsync,
        .ioctl = dev_ioctl, .poll = dev_poll,
    };
}

/* ---- sessions ---- */

static struct fuse_session *make_device(const struct setup *setup)
{
    char *argv[] = { "differential", "-o", (char *)setup->options, NULL };
    struct fuse_args args = FUSE_ARGS_INIT(setup->options == NULL ? 1 : 3, argv);
    struct fuse_session *se = cuse_lowlevel_new(&args, info, &device, &user_mark);
    fuse_opt_free_args(&args);
    return se;
}

static void put_cuse_init(uint32_t major, uint32_t minor, uint32_t flags)
{
    request(CUSE_INIT, 0);
    header()->uid = 0;
    PUT(cuse_init_in, .major = major, .minor = minor, .flags = flags);
}

static void start_new(void)
{
    session_start((struct setup){ .make = make_device, .no_init = true });
}

static void start(uint32_t minor)
{
    start_new();
    put_cuse_init(7, minor, CUSE_UNRESTRICTED_IOCTL);
    silent = true;
    feed(NULL);
    silent = false;
}

static void drop_poll(void)
{
    if (kept_poll != NULL)
        fuse_pollhandle_destroy(kept_poll);
    kept_poll = NULL;
}

/* Every request that the protocol has, also those that no device gets. */
static void all_requests(const char *what, uint32_t minor)
{
    for (uint32_t opcode = 1; opcode < 60; opcode++) {
        if (plain_request(opcode, minor))
            run(NULL, "%s %s", what, opcode_name(opcode));
        drop_poll();
    }
}

/* ---- CUSE_INIT ---- */

static void init_alone(const char *name, uint32_t major, uint32_t minor, uint32_t flags)
{
    start_new();
    put_cuse_init(major, minor, flags);
    run(NULL, "%s", name);
    say("exited %d", fuse_session_exited(session));
    session_stop();
}

static void versions(void)
{
    static const uint32_t minors[] = { 0, 8, 11, 12, 13, 16, 18, 23, 28, 31, 36, 38, 45, 1000 };
    static const uint32_t flags[] = { 0, CUSE_UNRESTRICTED_IOCTL, UINT32_MAX };
    EACH(minor, minors) {
        EACH(flag, flags) {
            char name[64];
            snprintf(name, sizeof(name), "CUSE_INIT 7.%u flags %#x", *minor, *flag);
            init_alone(name, 7, *minor, *flag);
        }
    }
    static const uint32_t majors[] = { 0, 6, 8, 1000 };
    EACH(major, majors) {
        start_new();
        put_cuse_init(*major, 38, 0);
        run(NULL, "CUSE_INIT of major %u", *major);
        put_cuse_init(7, 38, 0);
        run(NULL, "CUSE_INIT of major %u, then 7", *major);
        session_stop();
    }
}

static void devices(void)
{
    static char long_string[4097];
    memset(long_string, 'x', sizeof(long_string) - 1);
    static const char *three[] = { "DEVNAME=a", "", "KEY=value with spaces \xff" };
    static const char *longest[] = { long_string + 1 }, *too_long[] = { long_string };
    static const char *both[] = { long_string + 1, "" };
    static const struct cuse_info infos[] = {
        { 0 },
        { .dev_major = UINT_MAX, .dev_minor = UINT_MAX, .flags = UINT_MAX },
        { .flags = CUSE_UNRESTRICTED_IOCTL, .dev_info_argc = 1, .dev_info_argv = one_string },
        { .flags = 2, .dev_info_argc = 0, .dev_info_argv = one_string },
        { .dev_info_argc = 3, .dev_info_argv = three },
        { .dev_info_argc = 1, .dev_info_argv = longest },
        { .dev_info_argc = 1, .dev_info_argv = too_long },
        { .dev_info_argc = 2, .dev_info_argv = both },
    };
    EACH(tried, infos) {
        begin_case("device %zu is made", (size_t)(tried - infos));
        info = tried;
        struct fuse_session *se = make_device(&(struct setup){ 0 });
        say("%s", se == NULL ? "refused" : "made");
        if (se != NULL) {
            fuse_session_destroy(se);
            char name[64];
            snprintf(name, sizeof(name), "device %zu", (size_t)(tried - infos));
            init_alone(name, 7, 38, 0);
        }
    }
    info = &plain_info;
}

/* ---- what the init callback may change ---- */

#define CHANGE(name, statement)                         \
    static void name(struct fuse_conn_info *conn)       \
    {                                                   \
        statement;                                      \
    }

CHANGE(write_0, conn->max_write = 0)
CHANGE(write_1, conn->max_write = 1)
CHANGE(write_65536, conn->max_write = 65536)
CHANGE(write_huge, conn->max_write = 64 << 20)
CHANGE(write_max, conn->max_write = UINT_MAX)
CHANGE(read_65536, conn->max_read = 65536)
CHANGE(wants_all, conn->want = UINT_MAX)
CHANGE(wants_ioctl_dir, conn->want = FUSE_CAP_IOCTL_DIR)
CHANGE(wants_no_open, conn->want = FUSE_CAP_NO_OPEN_SUPPORT)
CHANGE(version, (conn->proto_major = 1, conn->proto_minor = 2, conn->capable = UINT_MAX))
CHANGE(background, (conn->max_background = 5, conn->congestion_threshold = 3, conn->time_gran = 9))

static void changed_by_callback(void)
{
    static const struct {
        const char *label;
        void (*apply)(struct fuse_conn_info *conn);
    } changes[] = {
        { "write_0", write_0 }, { "write_1", write_1 }, { "write_65536", write_65536 }, { "write_huge", write_huge },
        { "write_max", write_max }, { "read_65536", read_65536 }, { "wants_all", wants_all },
        { "wants_ioctl_dir", wants_ioctl_dir }, { "wants_no_open", wants_no_open }, { "version", version },
        { "background", background },
    };
    struct cuse_lowlevel_ops only_init = { .init = recorder.init };
    EACH(change, changes) {
        char name[64];
        snprintf(name, sizeof(name), "callback %s", change->label);
        in_init = change->apply;
        init_alone(name, 7, 38, 0);
        device = only_init;
        start(38);
        in_init = NULL;
        plain_request(FUSE_OPEN, 38);
        run(NULL, "%s: OPEN without a callback", name);
        request(FUSE_IOCTL, 1);
        PUT(fuse_ioctl_in, .fh = 9, .flags = FUSE_IOCTL_DIR, .cmd = 1);
        run(NULL, "%s: IOCTL of a directory without a callback", name);
        session_stop();
        device = all_callbacks();
    }
}

static struct fuse_conn_info *kept_conn;

static void keep(struct fuse_conn_info *conn)
{
    kept_conn = conn;
}

static void kept_by_callback(void)
{
    in_init = keep;
    start(38);
    in_init = NULL;
    plain_request(FUSE_OPEN, 38);
    run(NULL, "what the callback got, later");
    say("kept %s", conn_text(kept_conn));
    session_stop();
}

/* ---- order ---- */

static void out_of_order(void)
{
    start_new();
    all_requests("before CUSE_INIT:", 38);
    put_init(38, 131072, 0, 0);
    run(NULL, "INIT to a device");
    put_cuse_init(7, 38, 0);
    run(NULL, "CUSE_INIT after requests");
    put_cuse_init(7, 31, 0);
    run(NULL, "CUSE_INIT again");
    put_init(38, 131072, 0, 0);
    run(NULL, "INIT after CUSE_INIT");
    plain_request(FUSE_OPEN, 38);
    run(NULL, "OPEN after those");
    request(FUSE_DESTROY, 0);
    run(NULL, "DESTROY");
    plain_request(FUSE_OPEN, 38);
    run(NULL, "OPEN after DESTROY");
    put_cuse_init(7, 38, 0);
    run(NULL, "CUSE_INIT after DESTROY");
    session_stop();

    session_start((struct setup){ .no_init = true });
    put_cuse_init(7, 38, 0);
    run(NULL, "CUSE_INIT to a file system");
    session_stop();

    start_new();
    write_errno = ENODEV;
    put_cuse_init(7, 38, 0);
    run(NULL, "reply refused");
    write_errno = 0;
    plain_request(FUSE_OPEN, 38);
    run(NULL, "OPEN after the refused reply");
    session_stop();
}

/* ---- operations ---- */

static void with_and_without_callbacks(void)
{
    static const uint32_t minors[] = { 12, 15, 16, 31, 38, 45 };
    EACH(minor, minors) {
        char name[64];
        snprintf(name, sizeof(name), "7.%u", *minor);
        start(*minor);
        all_requests(name, *minor);
        session_stop();
    }
    device = (struct cuse_lowlevel_ops){ 0 };
    init_alone("no callbacks: CUSE_INIT", 7, 38, 0);
    start(38);
    all_requests("no callbacks:", 38);
    session_stop();
#define WITHOUT(member)                               \
    device = all_callbacks();                         \
    device.member = NULL;                             \
    init_alone("without " #member, 7, 38, 0);         \
    start(38);                                        \
    all_requests("without " #member ":", 38);         \
    session_stop();
    WITHOUT(init)
    WITHOUT(init_done)
    WITHOUT(destroy)
    WITHOUT(open)
    WITHOUT(read)
    WITHOUT(write)
    WITHOUT(flush)
    WITHOUT(release)
    WITHOUT(fsync)
    WITHOUT(ioctl)
    WITHOUT(poll)
#undef WITHOUT
    device = all_callbacks();
}

static const uint32_t own[] = { FUSE_OPEN, FUSE_READ, FUSE_WRITE, FUSE_FLUSH, FUSE_RELEASE, FUSE_FSYNC, FUSE_IOCTL,
                                FUSE_POLL };

static void answers(void)
{
    start(38);
    EACH(opcode, own) {
        for (size_t i = 0; i < error_count; i++) {
            plain_request(*opcode, 38);
            run(&errors[i], "%s answered %s", opcode_name(*opcode), errors[i].label);
            drop_poll();
        }
        plain_request(*opcode, 38);
        run(&NO_ANSWER, "%s left unanswered", opcode_name(*opcode));
        begin_case("%s answered late", opcode_name(*opcode));
        say("userdata %s", fuse_req_userdata(kept) == &user_mark ? "ours" : "WRONG");
        say("returned %d", fuse_reply_err(kept, EIO));
        drop_poll();
    }
    session_stop();
}

static void arguments(void)
{
    static const uint32_t flags[] = { 0, 1, 3, UINT32_MAX };
    start(38);
    EACH(flag, flags) {
        request(FUSE_OPEN, 0);
        PUT(fuse_open_in, .flags = *flag, .open_flags = *flag);
        run(NULL, "OPEN flags %#x", *flag);
        request(FUSE_WRITE, 0);
        PUT(fuse_write_in, .fh = UINT64_MAX, .offset = INT64_MAX, .size = 5, .write_flags = *flag, .lock_owner = 3,
            .flags = *flag);
        put("hello", 5);
        run(NULL, "WRITE flags %#x", *flag);
        request(FUSE_READ, 0);
        PUT(fuse_read_in, .fh = 1, .offset = UINT64_MAX, .size = UINT32_MAX, .read_flags = *flag, .flags = *flag);
        run(NULL, "READ flags %#x", *flag);
        request(FUSE_RELEASE, 0);
        PUT(fuse_release_in, .fh = 1, .flags = *flag, .release_flags = *flag, .lock_owner = 4);
        run(NULL, "RELEASE flags %#x", *flag);
        request(FUSE_FSYNC, 0);
        PUT(fuse_fsync_in, .fh = 1, .fsync_flags = *flag);
        run(NULL, "FSYNC flags %#x", *flag);
    }
    static const uint32_t sizes[] = { 0, 1, 4096, 131072, 1 << 20 };
    EACH(size, sizes) {
        request(FUSE_WRITE, 0);
        PUT(fuse_write_in, .size = *size);
        put(pattern(*size), *size);
        run(NULL, "WRITE of %u bytes", *size);
    }
    session_stop();
}

static int answer_retry(fuse_req_t req, const void *arg)
{
    const size_t *count = arg;
    struct iovec iov[300];
    for (size_t i = 0; i < COUNT(iov); i++)
        iov[i] = (struct iovec){ (void *)(0x1000 + i * 16), i };
    return fuse_reply_ioctl_retry(req, iov, count[0], iov + 1, count[1]);
}

static void ioctls(void)
{
    static const uint32_t minors[] = { 12, 15, 16, 38 };
    static const size_t counts[][2] = { { 0, 0 }, { 1, 0 }, { 0, 1 }, { 2, 3 }, { 256, 256 }, { 257, 0 } };
    EACH(minor, minors) {
        start(*minor);
        for (uint32_t flags = 0; flags < 32; flags++) {
            request(FUSE_IOCTL, 0);
            PUT(fuse_ioctl_in, .fh = 9, .flags = flags, .cmd = 0xc0045401, .arg = 0x7fffffff1000, .in_size = 4,
                .out_size = 8);
            put("data", 4);
            run(NULL, "7.%u IOCTL flags %#x", *minor, flags);
        }
        EACH(count, counts) {
            request(FUSE_IOCTL, 0);
            PUT(fuse_ioctl_in, .fh = 9, .flags = FUSE_IOCTL_UNRESTRICTED, .cmd = 0xffffffff, .arg = UINT64_MAX);
            run(&(struct answer){ "retry", answer_retry, count }, "7.%u IOCTL retry %zu, %zu", *minor, (*count)[0],
                (*count)[1]);
        }
        session_stop();
    }
}

static void polls(void)
{
    start(38);
    for (uint32_t flags = 0; flags < 4; flags++) {
        request(FUSE_POLL, 0);
        PUT(fuse_poll_in, .fh = 1, .kh = 0x8877665544332211, .flags = flags, .events = 0x4c3);
        run(NULL, "POLL flags %u", flags);
        begin_case("POLL flags %u wakeup", flags);
        if (kept_poll != NULL)
            say("returned %d", fuse_lowlevel_notify_poll(kept_poll));
        drop_poll();
    }
    session_stop();
}

static void interrupts(void)
{
    start(38);
    plain_request(FUSE_READ, 38);
    uint64_t unique = last_unique();
    run(&NO_ANSWER, "READ to be interrupted");
    fuse_req_t req = kept;
    request(FUSE_INTERRUPT, 0);
    PUT(fuse_interrupt_in, .unique = unique);
    run(NULL, "INTERRUPT");
    begin_case("interrupted READ");
    say("interrupted %d", fuse_req_interrupted(req));
    say("returned %d", fuse_reply_err(req, EINTR));
    session_stop();
}

/* Requests that come through a pipe, as they do where the device is spliced. */
static void by_pipe(void)
{
    session_start((struct setup){ .make = make_device, .no_init = true, .splice = true });
    feed_by_pipe = true;
    put_cuse_init(7, 38, 0);
    run(NULL, "by pipe: CUSE_INIT");
    all_requests("by pipe:", 38);
    feed_by_pipe = false;
    session_stop();
}

/* ---- command lines ---- */

static void new_sessions(void)
{
    static char *argvs[][4] = {
        { "name" }, { "" }, { "name", "-o", "max_read=5" }, { "name", "-o", "nonsense" }, { "name", "stray" },
        { "name", "-o", "fsname=x,subtype=y" }, { "name", "--unknown" }, { "name", "-d" }, { "name", "-o", "ro" },
    };
    EACH(argv, argvs) {
        int count = 1;
        while (count < 4 && (*argv)[count] != NULL)
            count++;
        struct fuse_args args = FUSE_ARGS_INIT(count, *argv);
        begin_case("new session %zu", (size_t)(argv - argvs));
        struct fuse_session *se = cuse_lowlevel_new(&args, info, &device, NULL);
        say("%s", se == NULL ? "refused" : "made");
        if (se != NULL) {
            say("left: %d arguments, fd %d, exited %d", args.argc, fuse_session_fd(se), fuse_session_exited(se));
            fuse_session_destroy(se);
        }
        fuse_opt_free_args(&args);
    }
    static const char *options[] = { "allow_other", "ro", "max_read=65536" };
    EACH(option, options) {
        session_start((struct setup){ .make = make_device, .no_init = true, .options = *option });
        put_cuse_init(7, 38, 0);
        run(NULL, "option %s", *option);
        plain_request(FUSE_OPEN, 38);
        run(NULL, "option %s: OPEN", *option);
        session_stop();
    }
}

/* None of these gets as far as serving: where there is a /dev/cuse, only those that are refused before. */
static void setups(void)
{
    static char *argvs[][5] = {
        { "name", "-o", "nonsense" }, { "name", "-f", "-o", "nonsense" }, { "name", "-s", "--unknown" },
        { "name", "-f", "/nowhere/at/all" }, { "name", "-f", "/", "/" }, { "name", "-h", "-s", "-o", "nonsense" },
        { "name" }, { "name", "-f" }, { "name", "-s" }, { "name", "-f", "/" }, { "name", "-h" }, { "name", "-V" },
        { "name", "-o", "subtype=x" }, { "name", "-o", "fsname=x,max_idle_threads=3" }, { "name", "-f", "-d" },
    };
    static const size_t refused = 6;
    EACH(argv, argvs) {
        size_t number = (size_t)(argv - argvs);
        if (number >= refused && access("/dev/cuse", F_OK) == 0)
            break;
        int count = 1, multithreaded = 77;
        while (count < 5 && (*argv)[count] != NULL)
            count++;
        begin_case("setup %zu", number);
        struct fuse_session *se = cuse_lowlevel_setup(count, *argv, info, &device, &multithreaded, NULL);
        say("%s, multithreaded %d", se == NULL ? "refused" : "made", multithreaded);
        begin_case("main %zu", number);
        say("status %d", cuse_lowlevel_main(count, *argv, info, &device, NULL));
    }
}

int main(void)
{
    device = all_callbacks();
    versions();
    devices();
    changed_by_callback();
    kept_by_callback();
    out_of_order();
    with_and_without_callbacks();
    answers();
    arguments();
    ioctls();
    polls();
    interrupts();
    by_pipe();
    new_sessions();
    setups();
    return 0;
}
