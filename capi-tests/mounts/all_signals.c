/* A file system in a program that has a handler for every real-time signal, as some language runtimes do: the loop must
 * run and end all the same. Exits with what the loop returned. usage: all_signals [-s] MOUNTPOINT */
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void handler(int signal)
{
	(void)signal;
}

static void get_attributes(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = {.st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2};
	(void)fi;
	fuse_reply_attr(req, &st, 0);
}

int main(int argc, char **argv)
{
	const struct fuse_lowlevel_ops ops = {.getattr = get_attributes};
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	struct fuse_cmdline_opts options;
	for (int signal = SIGRTMIN; signal <= SIGRTMAX; signal++)
		sigaction(signal, &action, NULL);
	if (fuse_parse_cmdline(&args, &options) != 0)
		return 101;
	struct fuse_session *se = fuse_session_new(&args, &ops, sizeof ops, NULL);
	if (!se || fuse_set_signal_handlers(se) != 0 || fuse_session_mount(se, options.mountpoint) != 0)
		return 102;
	int ended = options.singlethread ? fuse_session_loop(se) : fuse_session_loop_mt(se, NULL);
	fuse_session_unmount(se);
	fuse_remove_signal_handlers(se);
	fuse_session_destroy(se);
	free(options.mountpoint);
	fuse_opt_free_args(&args);
	return ended;
}
