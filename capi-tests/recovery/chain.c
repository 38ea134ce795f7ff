/*
 * Sessions that follow each other on a mount while processes use it, each detached without a pause, some of whose workers
 * are just about to take a request. The exit status is 0 if nobody was forgotten.
 *
 *   chain single|pool|clone <mountpoint>
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ASKING = 4, SESSIONS = 40 };

static const char *loop;
static volatile unsigned long *answers, *mounted;

static void get_attr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    const struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
    /* Now and then one is slow: then there are many workers, which wait for requests afterwards. */
    if (random() % 50 == 0)
        usleep(300);
    fuse_reply_attr(req, &st, 0);
}

static const struct fuse_lowlevel_ops ops = { .getattr = get_attr };

static struct fuse_session *make(void)
{
    char *words[] = { "chain", NULL };
    struct fuse_args args = FUSE_ARGS_INIT(1, words);
    struct fuse_session *se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    if (se == NULL || fuse_session_set_recoverable(se, 0) != 0)
        exit(65);
    return se;
}

static void *serve(void *se)
{
    if (loop[0] == 's')
        return fuse_session_loop(se) == 0 ? NULL : se;
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_clone_fd(config, loop[0] == 'c');
    int result = fuse_session_loop_mt(se, config);
    fuse_loop_cfg_destroy(config);
    return result == 0 ? NULL : se;
}

static void ask(const char *mountpoint, volatile unsigned long *count)
{
    struct stat st;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (!*mounted)
        usleep(1000);
    while (stat(mountpoint, &st) == 0)
        ++*count;
    _exit(1);
}

/* Whether each of those who ask gets an answer within five seconds. */
static bool all_go_on(void)
{
    unsigned long before[ASKING];
    memcpy(before, (const void *)answers, sizeof(before));
    for (int i = 0; i < ASKING; i++)
        for (int patience = 5000; answers[i] == before[i]; patience--) {
            if (patience == 0)
                return false;
            usleep(1000);
        }
    return true;
}

int main(int argc, char **argv)
{
    pthread_t thread, next_thread;
    pid_t asking[ASKING];
    bool go_on = true;
    if (argc != 3)
        return 64;
    loop = argv[1];
    answers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    mounted = answers + ASKING;
    /* Before there is a session, of which they would have copies of files. */
    for (int i = 0; i < ASKING; i++)
        if ((asking[i] = fork()) == 0)
            ask(argv[2], answers + i);
    struct fuse_session *se = make();
    if (fuse_session_mount(se, argv[2]) != 0)
        return 66;
    *mounted = 1;
    pthread_create(&thread, NULL, serve, se);
    for (int i = 0; i < SESSIONS && go_on; i++) {
        go_on = all_go_on();
        int state = fuse_session_save_state(se), device = fcntl(fuse_session_fd(se), F_DUPFD_CLOEXEC, 3);
        struct fuse_session *next = make();
        if (fuse_session_detach(se) != 0 || fuse_session_restore_state(next, state, device) != 0)
            return 67;
        pthread_create(&next_thread, NULL, serve, next);
        pthread_join(thread, NULL);
        fuse_session_destroy(se);
        (se = next), (thread = next_thread);
    }
    go_on = go_on && all_go_on();
    printf("all go on: %d\n", go_on);
    for (int i = 0; i < ASKING; i++)
        kill(asking[i], SIGKILL);
    if (!go_on)
        fuse_lowlevel_notify_resend(se); /* so that they can be killed */
    for (int i = 0; i < ASKING; i++)
        waitpid(asking[i], NULL, 0);
    fuse_session_exit(se);
    pthread_join(thread, NULL);
    fuse_session_unmount(se);
    fuse_session_destroy(se);
    return !go_on;
}
