/*
 * Every function about recovery, called as it must not be and as it may be: what it returns. A real mount, which nobody
 * uses. Says what is not as it should be; the exit status is how much of that there was.
 */
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed;

#define EXPECT(call, want)                                                                                             \
    do {                                                                                                               \
        long long have_ = (long long)(call), want_ = (long long)(want);                                                \
        if (have_ != want_) {                                                                                          \
            failed++;                                                                                                  \
            printf("%d: %s is %lld instead of %lld\n", __LINE__, #call, have_, want_);                                 \
        }                                                                                                              \
    } while (0)

static const struct fuse_lowlevel_ops ops = { 0 };

static struct fuse_session *new_session(const char *option)
{
    char *argv[] = { "calls", "-o", (char *)option, NULL };
    struct fuse_args args = FUSE_ARGS_INIT(option ? 3 : 1, argv);
    struct fuse_session *se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    fuse_opt_free_args(&args);
    return se;
}

static void before_the_mount(struct fuse_session *se)
{
    struct fuse_resend_ops none = { sizeof(none), NULL, NULL }, odd = { 3, NULL, NULL };
    EXPECT(fuse_session_save_state(se), -ENOTSUP);
    EXPECT(fuse_session_detach(se), -ENOTSUP);
    EXPECT(fuse_session_restore_state(se, 0, 0), -ENOTSUP);
    EXPECT(fuse_session_set_recoverable(se, 4097), -EINVAL);
    EXPECT(fuse_session_set_recoverable(se, 16), 0);
    EXPECT(fuse_session_set_recoverable(se, 16), -EBUSY);
    EXPECT(fuse_session_set_recoverable(NULL, 16), -EINVAL);
    EXPECT(fuse_session_set_resend_ops(se, NULL), -EINVAL);
    EXPECT(fuse_session_set_resend_ops(se, &odd), -EINVAL);
    EXPECT(fuse_session_set_resend_ops(se, &none), 0);
    EXPECT(fuse_session_set_resend_ops(se, &none), -EBUSY);
    EXPECT(fuse_session_save_state(se), -ENOTCONN);
    EXPECT(fuse_session_detach(se), -ENOTCONN);
    EXPECT(fuse_session_pause(se, 10), -ENOTCONN);
    EXPECT(fuse_session_resume(se), -ENOTCONN);
    EXPECT(fuse_session_restore_state(se, -1, 0), -EBADF);
    EXPECT(fuse_session_has_resend(se), 0);
    EXPECT(fuse_lowlevel_notify_resend(se), -ENOSYS);
    EXPECT(fuse_node_get(se, "x", 1), 0);
    EXPECT(errno, ENOTSUP);
    EXPECT(fuse_node_put(se, 1), -ENOTSUP);
}

static void nodes(struct fuse_session *se)
{
    char name[16];
    EXPECT(fuse_node_read(se, FUSE_ROOT_ID, name, sizeof(name)), 0);
    EXPECT(fuse_node_update(se, FUSE_ROOT_ID, "root", 4), 0);
    EXPECT(fuse_node_get(se, "root", 4), FUSE_ROOT_ID);
    EXPECT(fuse_node_put(se, FUSE_ROOT_ID), 0);
    EXPECT(fuse_node_put(se, FUSE_ROOT_ID), -EINVAL);
    fuse_ino_t node = fuse_node_get(se, "a", 1), other = fuse_node_get(se, "b", 1);
    EXPECT(node != 0 && node != other, 1);
    EXPECT(fuse_node_get(se, "seventeen bytes..", 17), 0);
    EXPECT(errno, EMSGSIZE);
    EXPECT(fuse_node_get(se, NULL, 4), 0);
    EXPECT(errno, EINVAL);
    EXPECT(fuse_node_read(se, node, name, 0), -ERANGE);
    EXPECT(fuse_node_read(se, node, name, sizeof(name)), 1);
    EXPECT(name[0], 'a');
    EXPECT(fuse_node_update(se, node, "b", 1), -EEXIST);
    EXPECT(fuse_node_update(se, node, "c", 1), 0);
    EXPECT(fuse_node_update(se, node, "seventeen bytes..", 17), -EMSGSIZE);
    EXPECT(fuse_node_nlookup(se, node), 0);
    EXPECT(fuse_node_put(se, node), 1);
    EXPECT(fuse_node_put(se, node), -ESTALE);
    EXPECT(fuse_node_nlookup(se, node), -ESTALE);
    fuse_ino_t again = fuse_node_get(se, "a", 1);
    EXPECT(again != node, 1);
    EXPECT(fuse_node_generation(se, again), again >> 32);
}

static void while_mounted(struct fuse_session *se)
{
    EXPECT(fuse_session_set_recoverable(se, 16), -EBUSY);
    int one = fuse_session_save_state(se), two = fuse_session_save_state(se);
    struct stat first, second;
    EXPECT(one >= 0 && two > one, 1);
    EXPECT(fcntl(one, F_GETFD), FD_CLOEXEC);
    EXPECT(fstat(one, &first) == 0 && fstat(two, &second) == 0 && first.st_ino == second.st_ino, 1);
    close(one);
    close(two);
    struct fuse_buf buf = { .mem = NULL };
    EXPECT(fuse_session_pause(se, 10), 0);
    /* Although INIT waits. */
    EXPECT(fuse_session_receive_buf(se, &buf), -EAGAIN);
    EXPECT(fuse_session_resume(se), 0);
    EXPECT(fuse_session_receive_buf(se, &buf) > 0, 1);
    free(buf.mem);
    EXPECT(fuse_session_restore_state(se, 0, 0), -EBUSY);
    EXPECT(fuse_req_journal(NULL, "x", 1), -EINVAL);
    EXPECT(fuse_req_journal(NULL, "x", 49), -EMSGSIZE);
    EXPECT(fuse_req_journaled(NULL, NULL, 0), -EINVAL);
    EXPECT(fuse_req_is_resend(NULL), 0);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 99;
    struct fuse_session *guarded = new_session("auto_unmount"), *se = new_session(NULL);
    if (!guarded || !se)
        return 98;
    EXPECT(fuse_session_set_recoverable(guarded, 0), -EINVAL);
    fuse_session_destroy(guarded);
    before_the_mount(se);
    EXPECT(fuse_session_mount(se, argv[1]), 0);
    nodes(se);
    while_mounted(se);
    fuse_session_unmount(se);
    EXPECT(fuse_session_detach(se), -ENOTCONN);
    EXPECT(fuse_session_pause(se, 10), -ENOTCONN);
    EXPECT(fuse_session_resume(se), -ENOTCONN);
    fuse_session_destroy(se);
    return failed;
}
