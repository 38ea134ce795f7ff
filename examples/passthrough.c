/*
 * passthrough: shows a folder at another place. The kernel reads and writes the files by itself (fuse_passthrough_attach()
 * below), so that the daemon only sees names, attributes and opens.
 *
 *   cc -o passthrough passthrough*.c backing*.c $(pkg-config --cflags --libs fuse3) -pthread
 *   ./passthrough -f -o source=/some/folder /some/empty/folder
 *
 * All names of a file are one inode here, whose opens share one backing file. Where passthrough is not possible, this
 * daemon reads and writes the file itself, and the log says why once. Locks are the kernel's.
 *
 *   -o source=FOLDER       what to show (default /)
 *   -o no_passthrough      read and write everything here
 *   -o stack_depth=2       FOLDER may be on overlayfs (then nothing can be stacked on this file system)
 *   -o timeout=SECONDS     how long the kernel may remember names and attributes (default 1)
 *
 * As root it serves all users: allow_other, default_permissions. The other files: passthrough_nodes.c knows the inodes,
 * passthrough_names.c, passthrough_dir.c and backing_attr.c are the callbacks for what is not the inside of a file,
 * backing_user.c acts for users.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "passthrough.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fuse_session *session;

struct options options = { .stack_depth = 1, .timeout = 1.0 };

static void pt_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	if (!options.no_passthrough)
		fuse_session_enable_passthrough(conn, (uint32_t)options.stack_depth, FUSE_PASSTHROUGH_KILLPRIV);
	/* The same without: nobody here has CAP_FSETID where files change, so the kernel need not look. */
	fuse_set_feature_flag(conn, FUSE_CAP_HANDLE_KILLPRIV_V2);
}

/* ---- opening ---- */

/* Files that the kernel reads and writes take no descriptor here but that of their node. */
static const uint64_t the_kernels = UINT64_MAX;

static int fd_of(const struct fuse_file_info *fi)
{
	return fi->fh == the_kernels ? -1 : (int)fi->fh;
}

static void close_file(const struct fuse_file_info *fi)
{
	if (fi->fh != the_kernels)
		close(fd_of(fi));
}

/* Makes the kernel the reader and writer of the file that FD is, if that is possible; else FD serves. */
static void use(fuse_req_t req, fuse_ino_t ino, int fd, struct fuse_file_info *fi)
{
	fi->fh = (uint64_t)fd;
	if (options.no_passthrough || fuse_passthrough_attach(req, ino, fd, fi) != 0)
		return;
	fi->fh = the_kernels;
	fi->noflush = 1;
	close(fd);
}

/* A descriptor for one operation that the kernel leaves to the daemon; negative, with errno, if there is none. */
static int borrow(fuse_ino_t ino, const struct fuse_file_info *fi, int flags)
{
	return fi->fh == the_kernels ? open(path_of(node_of(ino)->fd).text, flags | O_CLOEXEC) : fd_of(fi);
}

/* The errno of what was done with it; the descriptor is no longer used. */
static int give_back(int fd, const struct fuse_file_info *fi, bool failed)
{
	int error = failed ? errno : 0;

	if (fi->fh == the_kernels && fd >= 0)
		close(fd);
	return error;
}

/* Open flags for a descriptor of ours: it serves buffers that are not aligned. */
static int own_flags(const struct fuse_file_info *fi)
{
	return (fi->flags & ~(O_DIRECT | O_NOFOLLOW)) | O_CLOEXEC;
}

static void pt_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat before = { 0 };
	int fd;

	if (fi->flags & O_TRUNC)
		fstat(node_of(ino)->fd, &before);
	fd = open(path_of(node_of(ino)->fd).text, own_flags(fi));
	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	/* The truncation took these bits away, and an open's reply cannot say so. */
	if (before.st_mode & (S_ISUID | S_ISGID))
		fuse_lowlevel_notify_inval_inode(session, ino, -1, 0);
	use(req, ino, fd, fi);
	if (fuse_reply_open(req, fi) != 0)
		close_file(fi);
}

/* Replies with a file that was just made. */
static void reply_created(fuse_req_t req, int fd, int error, struct fuse_file_info *fi)
{
	struct fuse_entry_param entry;

	if (fd >= 0) {
		int path_fd = open(path_of(fd).text, O_PATH | O_CLOEXEC);
		error = path_fd < 0 ? errno : entry_of(path_fd, &entry);
	}
	if (error) {
		if (fd >= 0)
			close(fd);
		fuse_reply_err(req, error);
		return;
	}
	use(req, entry.ino, fd, fi);
	if (fuse_reply_create(req, &entry, fi) != 0) {
		close_file(fi);
		node_forget(entry.ino, 1);
	}
}

static void pt_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	int dir = node_of(parent)->fd, flags = own_flags(fi) | O_NOFOLLOW, fd, error;

	become_caller(req);
	fd = openat(dir, name, flags | O_CREAT | O_EXCL, mode);
	error = errno;
	if (fd < 0 && error == EEXIST && !(flags & O_EXCL)) {
		/* Made by somebody else meanwhile: whether the caller may open that, nobody checked. */
		become_daemon();
		become_caller_strictly(req);
		fd = openat(dir, name, flags & ~O_CREAT);
		error = errno;
	}
	become_daemon();
	reply_created(req, fd, error, fi);
}

static void pt_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
	int fd, error;

	become_caller(req);
	fd = openat(node_of(parent)->fd, ".", own_flags(fi) | O_TMPFILE, mode);
	error = errno;
	become_daemon();
	reply_created(req, fd, error, fi);
}

static void pt_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_passthrough_detach(req, ino, fi);
	close_file(fi);
	fuse_reply_err(req, 0);
}

/* ---- inside files: reads and writes only where the kernel does not do them itself ---- */

static void pt_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct fuse_bufvec data = FUSE_BUFVEC_INIT(size);
	(void)ino;
	data.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	data.buf[0].fd = fd_of(fi);
	data.buf[0].pos = offset;
	fuse_reply_data(req, &data, FUSE_BUF_SPLICE_MOVE);
}

static void pt_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *from, off_t offset,
			 struct fuse_file_info *fi)
{
	struct fuse_bufvec to = FUSE_BUFVEC_INIT(fuse_buf_size(from));
	ssize_t written;
	(void)ino;
	to.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	to.buf[0].fd = fd_of(fi);
	to.buf[0].pos = offset;
	written = fuse_buf_copy(&to, from, 0);
	if (written < 0)
		fuse_reply_err(req, (int)-written);
	else
		fuse_reply_write(req, (size_t)written);
}

static void pt_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int copy = fi->fh == the_kernels ? -1 : dup(fd_of(fi));

	(void)ino;
	/* Some file systems report errors of earlier writes when a descriptor is closed. */
	fuse_reply_err(req, fi->fh == the_kernels || (copy >= 0 && close(copy) == 0) ? 0 : errno);
}

static void pt_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	int fd = borrow(ino, fi, O_RDONLY);
	fuse_reply_err(req, give_back(fd, fi, fd < 0 || (data_only ? fdatasync(fd) : fsync(fd)) != 0));
}

static void pt_syncfs(fuse_req_t req, fuse_ino_t ino)
{
	int fd = openat(node_of(ino)->fd, ".", O_RDONLY | O_CLOEXEC);
	int error = fd < 0 || syncfs(fd) != 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	fuse_reply_err(req, error);
}

static void pt_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
			 struct fuse_file_info *fi)
{
	int fd = borrow(ino, fi, O_WRONLY);
	fuse_reply_err(req, give_back(fd, fi, fd < 0 || fallocate(fd, mode, offset, length) != 0));
}

static void pt_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	int fd = borrow(ino, fi, O_RDONLY);
	off_t found = fd < 0 ? -1 : lseek(fd, offset, whence);
	int error = give_back(fd, fi, found < 0);

	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_lseek(req, found);
}

static void pt_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in, struct fuse_file_info *fi_in,
			       fuse_ino_t ino_out, off_t off_out, struct fuse_file_info *fi_out, size_t len, int flags)
{
	int in = borrow(ino_in, fi_in, O_RDONLY), out = borrow(ino_out, fi_out, O_WRONLY), error;
	ssize_t copied = -1;

	if (in >= 0 && out >= 0)
		copied = copy_file_range(in, &off_in, out, &off_out, len, (unsigned int)flags);
	error = give_back(in, fi_in, copied < 0);
	give_back(out, fi_out, false);
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_write(req, (size_t)copied);
}

/* ---- starting ---- */

static void add_operations(struct fuse_lowlevel_ops *ops)
{
	*ops = (struct fuse_lowlevel_ops){
		.init = pt_init,
		.open = pt_open,
		.create = pt_create,
		.tmpfile = pt_tmpfile,
		.release = pt_release,
		.read = pt_read,
		.write_buf = pt_write_buf,
		.flush = pt_flush,
		.fsync = pt_fsync,
		.syncfs = pt_syncfs,
		.fallocate = pt_fallocate,
		.lseek = pt_lseek,
		.copy_file_range = pt_copy_file_range,
	};
	names_add(ops);
	attributes_add(ops);
	directories_add(ops);
}

static int serve(const struct fuse_cmdline_opts *command)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int status = -1;

	fuse_loop_cfg_set_clone_fd(config, (unsigned int)command->clone_fd);
	if (fuse_set_signal_handlers(session) == 0) {
		if (fuse_session_mount(session, command->mountpoint) == 0) {
			fuse_daemonize(command->foreground);
			users_init();
			status = command->singlethread ? fuse_session_loop(session) : fuse_session_loop_mt(session, config);
			fuse_session_unmount(session);
		}
		fuse_remove_signal_handlers(session);
	}
	fuse_loop_cfg_destroy(config);
	return status;
}

static int run(struct fuse_args *args, const struct fuse_cmdline_opts *command)
{
	struct fuse_lowlevel_ops ops;
	const char *source = options.source ? options.source : "/";
	int status = -1, error = nodes_init(source);

	if (error) {
		fprintf(stderr, "%s: %s\n", source, strerror(error));
		return -1;
	}
	if (geteuid() == 0)
		fuse_opt_add_arg(args, "-oallow_other,default_permissions");
	umask(0);
	raise_limit();
	add_operations(&ops);
	session = fuse_session_new(args, &ops, sizeof(ops), NULL);
	if (session) {
		status = serve(command);
		fuse_session_destroy(session);
	}
	return status;
}

int main(int argc, char *argv[])
{
	static const struct fuse_opt specs[] = {
		{ "source=%s", offsetof(struct options, source), 0 },
		{ "no_passthrough", offsetof(struct options, no_passthrough), 1 },
		{ "stack_depth=%d", offsetof(struct options, stack_depth), 0 },
		{ "timeout=%lf", offsetof(struct options, timeout), 0 },
		FUSE_OPT_END,
	};
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct fuse_cmdline_opts command = { 0 };
	int status = -1;

	if (fuse_opt_parse(&args, &options, specs, NULL) == 0 && fuse_parse_cmdline(&args, &command) == 0) {
		if (command.show_help) {
			printf("usage: %s [options] <mountpoint>\n\n", argv[0]);
			fuse_cmdline_help();
			fuse_lowlevel_help();
			printf("    -o source=FOLDER       what to show (default /)\n"
			       "    -o no_passthrough      read and write everything in the daemon\n"
			       "    -o stack_depth=2       the folder may be on overlayfs\n"
			       "    -o timeout=SECONDS     for names and attributes (default 1)\n");
			status = 0;
		} else if (command.show_version) {
			fuse_lowlevel_version();
			status = 0;
		} else if (!command.mountpoint) {
			fprintf(stderr, "usage: %s [options] <mountpoint>\n", argv[0]);
		} else {
			status = run(&args, &command);
		}
	}
	free(command.mountpoint);
	free(options.source);
	fuse_opt_free_args(&args);
	/* A positive status is the number of the signal that ended the loop: an orderly end, too. */
	return status < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
