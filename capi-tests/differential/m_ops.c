/*
 * Mounts the file system in memory and writes down what the kernel asks of it: `m_ops <mountpoint> [option]...`.
 * Looking up "@<name>" begins the case <name>. With M_OPS_THREADS in the environment the multi-threaded loop serves.
 */
#include "memfs.h"

static void lookup_or_case(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (name[0] != '@') {
        recorder.lookup(req, parent, name);
        return;
    }
    begin_case("%s", name + 1);
    fuse_reply_err(req, ENOENT);
}

static int serve(struct fuse_session *se, const char *mountpoint)
{
    if (fuse_set_signal_handlers(se) != 0)
        return 3;
    if (fuse_session_mount(se, mountpoint) != 0)
        return 4;
    say("mounted");
    int result = getenv("M_OPS_THREADS") != NULL ? fuse_session_loop_mt(se, NULL) : fuse_session_loop(se);
    begin_case("end");
    say("loop returned %d exited %d", result, fuse_session_exited(se));
    fuse_session_unmount(se);
    fuse_remove_signal_handlers(se);
    return result < 0 ? 5 : result;
}

int main(int argc, char *argv[])
{
    if (argc < 2)
        return 2;
    const char *mountpoint = argv[1];
    struct fuse_lowlevel_ops ops = recorder;
    struct fuse_args args = FUSE_ARGS_INIT(argc - 1, argv + 1);
    ops.lookup = lookup_or_case;
    beneath = &memfs;
    begin_case("start");
    session = fuse_session_new(&args, &ops, sizeof(ops), &user_mark);
    if (session == NULL)
        return 2;
    int status = serve(session, mountpoint);
    fuse_session_destroy(session);
    say("destroyed");
    return status;
}
