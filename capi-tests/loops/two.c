/*
 * Two file systems in one process, both served at once, each on a thread of its own.
 *
 *   two <order of destruction: 12|21> <mountpoint> <mountpoint>
 *
 * SIGTERM ends the one that asked for signals last, SIGUSR1 the other.
 */
#define FUSE_USE_VERSION 312

#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct one {
	struct fuse_session *se;
	pthread_t thread;
	ino_t root;
	int result;
	char *mountpoint;
} both[2] = { { .root = 101 }, { .root = 102 } };

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct one *one = fuse_req_userdata(req);
	const struct stat st = { .st_ino = one->root, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };

	(void)fi, (void)ino;
	fuse_reply_attr(req, &st, 0);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	fuse_reply_err(req, ENOENT);
}

static const struct fuse_lowlevel_ops ops = { .getattr = on_getattr, .lookup = on_lookup };

static void *serve(void *which)
{
	struct one *one = which;

	one->result = one == both ? fuse_session_loop(one->se) : fuse_session_loop_mt(one->se, NULL);
	return NULL;
}

static void exit_first(int number)
{
	(void)number;
	fuse_session_exit(both[0].se);
}

static void join(int i)
{
	pthread_join(both[i].thread, NULL);
	printf("loop %d returned %d, exited: %d and %d\n", i + 1, both[i].result, fuse_session_exited(both[0].se),
	       fuse_session_exited(both[1].se));
	fflush(stdout);
}

int main(int argc, char *argv[])
{
	if (argc != 4)
		return 64;
	signal(SIGUSR1, exit_first);
	for (int i = 0; i < 2; i++) {
		struct fuse_args args = FUSE_ARGS_INIT(1, argv);

		both[i].mountpoint = argv[2 + i];
		both[i].se = fuse_session_new(&args, &ops, sizeof(ops), &both[i]);
		if (both[i].se == NULL || fuse_set_signal_handlers(both[i].se) != 0 ||
		    fuse_session_mount(both[i].se, both[i].mountpoint) != 0)
			return 65;
	}
	for (int i = 0; i < 2; i++)
		pthread_create(&both[i].thread, NULL, serve, &both[i]);
	join(1);
	join(0);
	for (int i = 0; i < 2; i++) {
		struct one *one = &both[argv[1][i] - '1'];

		if (one == &both[1])
			fuse_remove_signal_handlers(one->se);
		fuse_session_unmount(one->se);
		fuse_session_destroy(one->se);
	}
	puts("gone");
	return 0;
}
