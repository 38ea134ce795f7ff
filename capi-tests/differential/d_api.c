/* What a program asks the library about itself, the session and a request. */
#include "harness.h"

#include <signal.h>

static void ask_request(fuse_req_t req)
{
    gid_t groups[8] = { 0 };
    say("userdata %s", fuse_req_userdata(req) == &user_mark ? "ours" : "WRONG");
    say("interrupted %d", fuse_req_interrupted(req));
    say("groups of an own task %d", fuse_req_getgroups(req, COUNT(groups), groups) >= 0);
    say("groups counted %d", fuse_req_getgroups(req, 0, NULL) >= 0);
}

static void ask_nobody(fuse_req_t req)
{
    gid_t groups[8] = { 0 };
    say("groups of no task %d", fuse_req_getgroups(req, COUNT(groups), groups));
}

static void exit_in_callback(fuse_req_t req)
{
    (void)req;
    fuse_session_exit(session);
}

static void requests(void)
{
    in_callback = ask_request;
    plain_request(FUSE_LOOKUP, 38);
    header()->pid = (uint32_t)getpid();
    run(&NO_ANSWER, "own request");
    begin_case("own request answered");
    say("returned %d", fuse_reply_err(kept, 0));
    in_callback = ask_nobody;
    static const uint32_t pids[] = { 0, 0x7ffffffe };
    EACH(pid, pids) {
        plain_request(FUSE_LOOKUP, 38);
        header()->pid = *pid;
        run(NULL, "request of task %u", *pid);
    }
    in_callback = NULL;
}

static void exiting(void)
{
    begin_case("exit");
    say("exited %d", fuse_session_exited(session));
    fuse_session_exit(session);
    say("exited %d", fuse_session_exited(session));
    plain_request(FUSE_LOOKUP, 38);
    run(NULL, "request after exit");
    begin_case("loop after exit");
    say("returned %d", fuse_session_loop(session));
    say("exited %d", fuse_session_exited(session));
    begin_case("reset");
    fuse_session_reset(session);
    say("exited %d", fuse_session_exited(session));
    in_callback = exit_in_callback;
    plain_request(FUSE_LOOKUP, 38);
    run(NULL, "exit in a callback");
    in_callback = NULL;
    say("exited %d", fuse_session_exited(session));
    fuse_session_reset(session);
}

/* The custom read of the harness says ENODEV, as an unmounted device does. */
static void reading(void)
{
    struct fuse_buf buf = { 0 };
    begin_case("receive");
    say("fd %s", fuse_session_fd(session) >= 0 ? "set" : "missing");
    say("returned %d exited %d", fuse_session_receive_buf(session, &buf), fuse_session_exited(session));
    free(buf.mem);
    fuse_session_reset(session);
    begin_case("loop over an unmounted device");
    say("returned %d", fuse_session_loop(session));
    say("exited %d", fuse_session_exited(session));
    fuse_session_reset(session);
}

static void signals(void)
{
    static const int all[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE };
    begin_case("signal handlers");
    say("set %d", fuse_set_signal_handlers(session));
    say("set again %d", fuse_set_signal_handlers(session));
    EACH(sig, all) {
        fuse_session_reset(session);
        raise(*sig);
        say("signal %d exited %d", *sig, fuse_session_exited(session));
    }
    fuse_remove_signal_handlers(session);
    EACH(sig, all) {
        struct sigaction action;
        sigaction(*sig, NULL, &action);
        say("signal %d default %d", *sig, action.sa_handler == SIG_DFL);
    }
    begin_case("signal kept by the program");
    signal(SIGINT, SIG_IGN);
    say("set %d", fuse_set_signal_handlers(session));
    raise(SIGINT);
    say("exited %d", fuse_session_exited(session));
    fuse_remove_signal_handlers(session);
    signal(SIGINT, SIG_DFL);
}

static ssize_t no_write(int fd, struct iovec *iov, int count, void *userdata)
{
    (void)fd, (void)iov, (void)count, (void)userdata;
    return -1;
}

static ssize_t no_read(int fd, void *buf, size_t len, void *userdata)
{
    (void)fd, (void)buf, (void)len, (void)userdata;
    return -1;
}

static void custom_io(void)
{
    const struct fuse_custom_io all[] = { { 0 }, { .read = no_read }, { .writev = no_write },
                                          { .read = no_read, .writev = no_write } };
    EACH(io, all) {
        begin_case("custom io %zu", (size_t)(io - all));
        struct setup setup = { .no_init = true };
        session_start(setup);
        begin_case("custom io %zu on fd -1", (size_t)(io - all));
        say("returned %d", fuse_session_custom_io(session, io, -1));
        session_stop();
    }
    session_start((struct setup){ .no_init = true });
    begin_case("custom io NULL");
    say("returned %d", fuse_session_custom_io(session, NULL, 5));
    session_stop();
}

static void new_sessions(void)
{
    static char *argvs[][4] = {
        { "name" }, { "" }, { "name", "-o", "max_read=5" }, { "name", "-o", "nonsense" }, { "name", "stray" },
        { "name", "-o", "fsname=x,subtype=y" }, { "name", "-o", "max_read=x" }, { "name", "--unknown" },
        { "name", "-d" }, { "name", "-o", "allow_other,allow_root" }, { "name", "-o", "" }, { "name", "-o" },
    };
    EACH(argv, argvs) {
        int count = 1;
        while (count < 4 && (*argv)[count] != NULL)
            count++;
        struct fuse_args args = FUSE_ARGS_INIT(count, *argv);
        begin_case("new session %zu: %s %s", (size_t)(argv - argvs), count > 1 ? (*argv)[1] : "",
                   count > 2 ? (*argv)[2] : "");
        struct fuse_session *se = fuse_session_new(&args, &recorder, sizeof(recorder), NULL);
        say("%s", se == NULL ? "refused" : "made");
        say("fd %d exited %d", se == NULL ? -2 : fuse_session_fd(se), se == NULL ? -2 : fuse_session_exited(se));
        if (se != NULL)
            fuse_session_destroy(se);
        fuse_opt_free_args(&args);
    }
    struct fuse_args none = FUSE_ARGS_INIT(0, NULL);
    begin_case("new session without argv[0]");
    say("%s", fuse_session_new(&none, &recorder, sizeof(recorder), NULL) == NULL ? "refused" : "made");
}

int main(void)
{
    begin_case("version");
    say("fuse_version %d", fuse_version());
    say("fuse_pkgversion %s", fuse_pkgversion());
    fuse_lowlevel_version();
    session_start((struct setup){ 0 });
    requests();
    exiting();
    reading();
    signals();
    session_stop();
    custom_io();
    new_sessions();
    return 0;
}
