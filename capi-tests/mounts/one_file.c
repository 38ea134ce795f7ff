/* A file system that is one regular file, mounted on a regular file, as virtual machine image exports do it. */
#define FUSE_USE_VERSION 312

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdlib.h>
#include <string.h>

static const char text[] = "one file\n";

static void one_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = { .st_ino = ino, .st_mode = S_IFREG | 0444, .st_nlink = 1, .st_size = sizeof(text) - 1 };

	(void)fi;
	fuse_reply_attr(req, &st, 1.0);
}

static void one_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	size_t start = (size_t)off < sizeof(text) - 1 ? (size_t)off : sizeof(text) - 1;
	size_t rest = sizeof(text) - 1 - start;

	(void)ino;
	(void)fi;
	fuse_reply_buf(req, text + start, rest < size ? rest : size);
}

int main(int argc, char *argv[])
{
	static const struct fuse_lowlevel_ops ops = { .getattr = one_getattr, .read = one_read };
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct fuse_cmdline_opts opts;
	struct fuse_session *session;
	int result = -1;

	if (fuse_parse_cmdline(&args, &opts) != 0)
		return 1;
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (session && fuse_set_signal_handlers(session) == 0 && fuse_session_mount(session, opts.mountpoint) == 0) {
		result = fuse_session_loop(session);
		fuse_session_unmount(session);
	}
	if (session) {
		fuse_remove_signal_handlers(session);
		fuse_session_destroy(session);
	}
	free(opts.mountpoint);
	fuse_opt_free_args(&args);
	return result < 0;
}
