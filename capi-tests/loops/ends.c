/*
 * Mounts, serves with one of the loops, and says how that ended.
 *
 *   ends single|pool|clone|own <mountpoint>
 *
 * Compiled once for each API version whose multi-threaded loop has a form of its own. The file system is an empty
 * folder; looking up `exit` ends the session in the callback, `deaf` blocks all signals of
 * the thread that serves, `cancel` has a thread cancelled; SIGUSR1 ends the session on another thread, SIGUSR2 in a signal handler.
 */
#define _GNU_SOURCE
#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 312
#endif

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fuse_session *se;

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };

	(void)fi;
	fuse_reply_attr(req, &st, 3600);
}

static void *wait_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void cancel_a_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, wait_for_ever, NULL);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	if (strcmp(name, "exit") == 0)
		fuse_session_exit(se);
	if (strcmp(name, "cancel") == 0)
		cancel_a_thread();
	if (strcmp(name, "deaf") == 0) {
		sigset_t all;

		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, NULL);
	}
	fuse_reply_err(req, ENOENT);
}

static const struct fuse_lowlevel_ops ops = { .getattr = on_getattr, .lookup = on_lookup };

static void *exit_on_another_thread(void *signals)
{
	int number;

	sigwait(signals, &number);
	fuse_session_exit(se);
	return NULL;
}

static void exit_in_handler(int number)
{
	(void)number;
	fuse_session_exit(se);
}

/* As an event loop does it that watches other things, too. */
static int own_loop(void)
{
	struct fuse_buf buf = { .mem = NULL };
	struct epoll_event event = { .events = EPOLLIN };
	int fd = fuse_session_fd(se), epoll = epoll_create1(EPOLL_CLOEXEC), result = 0, empty = 0;

	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		return 77;
	while (!fuse_session_exited(se)) {
		result = fuse_session_receive_buf(se, &buf);
		if (result > 0) {
			fuse_session_process_buf(se, &buf);
			continue;
		}
		if (result != -EAGAIN && result != -EINTR)
			break;
		empty += result == -EAGAIN;
		/* A signal that comes between the two interrupts nothing: it is seen a moment later. */
		if (!fuse_session_exited(se))
			epoll_wait(epoll, &event, 1, 100);
	}
	free(buf.mem);
	printf("nothing to receive: %s\n", empty > 0 ? "yes" : "never");
	/* Whether the exit came while something was there or not is chance. */
	return result > 0 || result == -EAGAIN || result == -EINTR ? 0 : result;
}

static int pool(int clone_fd)
{
#if FUSE_USE_VERSION < 32
	return fuse_session_loop_mt(se, clone_fd);
#elif FUSE_USE_VERSION < 312
	struct fuse_loop_config config = { .clone_fd = clone_fd, .max_idle_threads = 5 };

	return fuse_session_loop_mt(se, &config);
#else
	struct fuse_loop_config *config = fuse_loop_cfg_create();

	fuse_loop_cfg_set_clone_fd(config, clone_fd);
	fuse_loop_cfg_set_max_threads(config, 4);
	int result = fuse_session_loop_mt(se, config);

	fuse_loop_cfg_destroy(config);
	return result;
#endif
}

static int loop(const char *kind)
{
	if (strcmp(kind, "own") == 0)
		return own_loop();
	if (strcmp(kind, "single") == 0)
		return fuse_session_loop(se);
	return pool(strcmp(kind, "clone") == 0);
}

int main(int argc, char *argv[])
{
	static const struct sigaction action = { .sa_handler = exit_in_handler, .sa_flags = SA_RESTART };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	pthread_t thread;
	sigset_t usr1;

	if (argc != 3)
		return 64;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	pthread_create(&thread, NULL, exit_on_another_thread, &usr1);
	sigaction(SIGUSR2, &action, NULL);
	se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (se == NULL || fuse_set_signal_handlers(se) != 0 || fuse_session_mount(se, argv[2]) != 0)
		return 65;
	int result = loop(argv[1]);

	printf("the loop returned %d, exited: %d\n", result, fuse_session_exited(se));
	fuse_session_reset(se);
	printf("after a reset: %d\n", fuse_session_exited(se));
	fuse_remove_signal_handlers(se);
	fuse_session_unmount(se);
	fuse_session_destroy(se);
	return result != 0;
}
