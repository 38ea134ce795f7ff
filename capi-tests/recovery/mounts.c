/*
 * Several mounts of a process that a service manager keeps one for. Says what each did on standard output, and what the
 * library logged on standard error.
 *
 *   mounts second|retry|plain <mountpoint> <another>
 *
 * second: takes a kept mount over, then makes an ordinary one. retry: cannot take it over, and tries again. plain: nothing is
 * kept, both are ordinary.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct fuse_lowlevel_ops ops;

static struct fuse_session *make(size_t node_bytes)
{
    char *words[] = { "mounts", NULL };
    struct fuse_args args = FUSE_ARGS_INIT(1, words);
    struct fuse_session *se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    if (se == NULL || (node_bytes && fuse_session_set_recoverable(se, node_bytes) != 0))
        exit(65);
    return se;
}

static struct fuse_session *mounted(const char *what, size_t node_bytes, const char *mountpoint)
{
    struct fuse_session *se = make(node_bytes);
    int result = fuse_session_mount(se, mountpoint);
    printf("%s: %s\n", what, result == 0 ? "mounted" : strerrorname_np(errno));
    return se;
}

/* Makes a mount and becomes a process that it is passed to, as a service manager does. */
static void pass(char **argv)
{
    struct fuse_session *se = mounted("predecessor", 256, argv[2]);
    int state = fuse_session_save_state(se), device = fcntl(fuse_session_fd(se), F_DUPFD, 100);
    state = fcntl(state, F_DUPFD, 100);
    fuse_session_detach(se);
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_FDNAMES", "fusewire-device:fusewire-state", 1);
    fflush(stdout);
    if (dup2(device, 3) != 3 || dup2(state, 4) != 4 || close(device) || close(state))
        exit(66);
    execv("/proc/self/exe", argv);
    exit(67);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 64;
    bool plain = strcmp(argv[1], "plain") == 0, retry = strcmp(argv[1], "retry") == 0;
    if (!plain && !getenv("LISTEN_FDS"))
        pass(argv);
    struct stat before, after;
    struct fuse_session *one = mounted("first", plain ? 0 : retry ? 512 : 256, argv[2]);
    fstat(fuse_session_fd(one), &before);
    struct fuse_session *two = mounted("second", retry ? 256 : 0, argv[retry ? 2 : 3]);
    if (!retry) {
        int error = fstat(fuse_session_fd(one), &after);
        printf("the first's device: %s\n", !error && before.st_rdev == after.st_rdev ? "the same" : "another");
        fuse_session_unmount(two);
        fuse_session_unmount(one);
    }
    fuse_session_destroy(two);
    fuse_session_destroy(one);
    return 0;
}
