/*
 * fuse_daemonize() while the process that waits for it is killed. Says on standard output how both ended: the daemon ends
 * with status 7.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Stands before the C library's: the library calls it between fork() and what it tells. */
pid_t setsid(void)
{
    pid_t waiting = getppid();
    kill(waiting, SIGKILL);
    while (getppid() == waiting)
        usleep(1000);
    return (pid_t)syscall(SYS_setsid);
}

int main(void)
{
    int status;
    pid_t ended, waiting;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if ((waiting = fork()) == 0) {
        signal(SIGPIPE, SIG_DFL);
        _exit(fuse_daemonize(0) == 0 ? 7 : 8);
    }
    while ((ended = wait(&status)) > 0)
        printf("%s: %s %d\n", ended == waiting ? "who waited" : "daemon", WIFSIGNALED(status) ? "signal" : "status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return 0;
}
