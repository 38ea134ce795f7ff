/* covers: fuse_session_loop_mt_312. A loop leaves the exit in force; fuse_session_reset() takes it back. */
#include "expect.h"

#include <signal.h>

static int serve(int threads)
{
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_max_threads(config, 2);
    int status = threads ? fuse_session_loop_mt(session, config) : fuse_session_loop(session);
    fuse_loop_cfg_destroy(config);
    return status;
}

/* The custom read of the harness says ENODEV, as an unmounted device does. */
static void after_an_unmount(int threads)
{
    session_start((struct setup){ 0 });
    EXPECT_EQ(fuse_session_exited(session), 0);
    EXPECT_EQ(serve(threads), 0);
    EXPECT_EQ(fuse_session_exited(session), 1);
    fuse_session_reset(session);
    EXPECT_EQ(fuse_session_exited(session), 0);
    session_stop();
}

static void after_a_signal(int threads)
{
    session_start((struct setup){ 0 });
    EXPECT_EQ(fuse_set_signal_handlers(session), 0);
    raise(SIGTERM);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(serve(threads), SIGTERM);
        EXPECT_EQ(fuse_session_exited(session), 1);
    }
    fuse_session_reset(session);
    EXPECT_EQ(fuse_session_exited(session), 0);
    EXPECT_EQ(serve(threads), 0);
    fuse_remove_signal_handlers(session);
    session_stop();
}

int main(void)
{
    for (int threads = 0; threads < 2; threads++) {
        after_an_unmount(threads);
        after_a_signal(threads);
    }
    return verdict();
}
