/*
 * Serves a pool whose first getattr is not answered. SIGUSR1 has it sent again, and fails it then.
 *
 *   resent clone|shared <mountpoint>
 */
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static atomic_int held;

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    const struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
    (void)fi;
    if (atomic_exchange(&held, 1))
        fuse_reply_attr(req, &st, 0);
    else
        puts("held");
}

static int classify(fuse_req_t req, uint32_t opcode, fuse_ino_t ino)
{
    (void)req, (void)opcode, (void)ino;
    return -EIO;
}

static const struct fuse_lowlevel_ops ops = { .getattr = on_getattr };

static sigset_t asks;

static void *ask(void *se)
{
    for (int number; sigwait(&asks, &number) == 0;)
        printf("resend: %d\n", fuse_lowlevel_notify_resend(se));
    return NULL;
}

int main(int argc, char *argv[])
{
    const struct fuse_resend_ops resend = { sizeof(resend), classify, NULL };
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    pthread_t thread;
    if (argc != 3)
        return 64;
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&asks);
    sigaddset(&asks, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &asks, NULL);
    struct fuse_session *se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    if (se == NULL || fuse_session_set_resend_ops(se, &resend) != 0 || fuse_set_signal_handlers(se) != 0 ||
        fuse_session_mount(se, argv[2]) != 0 || pthread_create(&thread, NULL, ask, se) != 0)
        return 65;
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_clone_fd(config, strcmp(argv[1], "clone") == 0);
    int result = fuse_session_loop_mt(se, config);
    fuse_loop_cfg_destroy(config);
    fuse_remove_signal_handlers(se);
    fuse_session_unmount(se);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    fuse_session_destroy(se);
    return result == SIGTERM ? 0 : 1;
}
