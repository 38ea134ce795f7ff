/* Serves nothing, then fails to mount: on the way every variable of the environment is met that the library reads.
 * usage: raised MOUNTPOINT */
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <unistd.h>

static ssize_t over(int fd, void *buf, size_t len, void *userdata)
{
	(void)fd, (void)buf, (void)len, (void)userdata;
	errno = ENODEV;
	return -1;
}

static ssize_t nowhere(int fd, struct iovec *iov, int count, void *userdata)
{
	(void)fd, (void)iov, (void)count, (void)userdata;
	errno = EIO;
	return -1;
}

int main(int argc, char **argv)
{
	const struct fuse_lowlevel_ops ops = {0};
	const struct fuse_custom_io io = {.writev = nowhere, .read = over};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv), others = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *se = fuse_session_new(&args, &ops, sizeof ops, NULL);
	struct fuse_session *mounts = fuse_session_new(&others, &ops, sizeof ops, NULL);
	if (argc < 2 || !se || !mounts)
		return 101;
	if (fuse_session_custom_io(se, &io, open("/dev/null", O_RDWR | O_CLOEXEC)) != 0)
		return 102;
	fuse_session_loop_mt(se, NULL);
	int mounted = fuse_session_mount(mounts, argv[1]);
	fuse_session_unmount(mounts);
	fuse_session_destroy(se);
	fuse_session_destroy(mounts);
	fuse_opt_free_args(&args);
	fuse_opt_free_args(&others);
	return mounted == 0 ? 103 : 0;
}
