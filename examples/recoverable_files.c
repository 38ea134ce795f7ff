/*
 * Files: opening, reading, writing. An open file has nothing here that belongs to this process: reads and writes take a
 * descriptor of their node, which is opened when it is missing. So a successor serves files that it never saw opened.
 *
 * Writes come with their offset, also those of files that are opened for appending: done twice, they are the same.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "recoverable.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

static bool for_writing(const struct fuse_file_info *fi)
{
	return (fi->flags & O_ACCMODE) != O_RDONLY;
}

/* Makes the kernel the reader and writer of the file, if that is wanted and possible. */
static void use(fuse_req_t req, fuse_ino_t ino, int fd, struct fuse_file_info *fi)
{
	fi->fh = 0;
	if (options.passthrough)
		fuse_passthrough_attach(req, ino, fd, fi);
}

static void rc_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int fd = file_borrow(ino, for_writing(fi));

	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	use(req, ino, fd, fi);
	file_give_back(ino);
	fuse_reply_open(req, fi);
}

/* Replies with a file that was just made, now or by a predecessor, under a name or without one. */
static void reply_created(fuse_req_t req, int fd, int error, struct fuse_file_info *fi, bool has_name)
{
	struct fuse_entry_param entry = { 0 };

	if (fd >= 0) {
		int path_fd = open(path_of(fd).text, O_PATH | O_CLOEXEC);
		error = path_fd < 0 ? errno : node_get(path_fd, &entry);
	}
	if (error) {
		fuse_reply_err(req, error);
	} else {
		if (!has_name) {
			unlinked_keep(entry.ino);
			entry.attr.st_nlink = 0;
		}
		use(req, entry.ino, fd, fi);
		fuse_reply_create(req, &entry, fi);
		node_put(entry.ino);
	}
	if (fd >= 0)
		close(fd);
}

static void rc_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	int dir = node_fd(parent), error = dir < 0 ? errno : before_making(req, dir, name);
	int flags = (fi->flags & O_ACCMODE) | O_NOFOLLOW | O_CLOEXEC, fd = -1;

	if (error == DO_IT) {
		become_caller(req);
		fd = openat(dir, name, flags | O_CREAT | O_EXCL, mode);
		error = errno;
		become_daemon();
	} else if (error == DONE) {
		fd = openat(dir, name, flags);
		error = errno;
	}
	reply_created(req, fd, error, fi, true);
}

/* Done twice, this leaves a file of which nobody knows: the next process removes it. */
static void rc_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi)
{
	int dir = node_fd(parent), fd = -1, error = errno;

	if (dir >= 0) {
		become_caller(req);
		fd = openat(dir, ".", (fi->flags & O_ACCMODE) | O_TMPFILE | O_CLOEXEC, mode);
		error = errno;
		become_daemon();
	}
	reply_created(req, fd, error, fi, false);
}

static void rc_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_passthrough_detach(req, ino, fi);
	file_closed(ino);
	fuse_reply_err(req, 0);
}

/* ---- inside files ---- */

static void rc_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct fuse_bufvec data = FUSE_BUFVEC_INIT(size);
	int fd = file_borrow(ino, false);
	(void)fi;
	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	data.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	data.buf[0].fd = fd;
	data.buf[0].pos = offset;
	fuse_reply_data(req, &data, FUSE_BUF_SPLICE_MOVE);
	file_give_back(ino);
}

static void rc_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *from, off_t offset,
			 struct fuse_file_info *fi)
{
	struct fuse_bufvec to = FUSE_BUFVEC_INIT(fuse_buf_size(from));
	int fd = file_borrow(ino, true);
	ssize_t written;
	(void)fi;
	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	to.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	to.buf[0].fd = fd;
	to.buf[0].pos = offset;
	written = fuse_buf_copy(&to, from, 0);
	file_give_back(ino);
	if (written < 0)
		fuse_reply_err(req, (int)-written);
	else
		fuse_reply_write(req, (size_t)written);
}

static void rc_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	int fd = file_borrow(ino, false);
	(void)fi;
	reply_result(req, fd < 0 ? -1 : data_only ? fdatasync(fd) : fsync(fd));
	if (fd >= 0)
		file_give_back(ino);
}

static void rc_syncfs(fuse_req_t req, fuse_ino_t ino)
{
	int dir = node_fd(ino), fd = dir < 0 ? -1 : openat(dir, ".", O_RDONLY | O_CLOEXEC);

	reply_result(req, fd < 0 ? -1 : syncfs(fd));
	if (fd >= 0)
		close(fd);
}

/* Of the modes only those come here that can be done twice. */
static void rc_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
			 struct fuse_file_info *fi)
{
	int fd = file_borrow(ino, true);
	(void)fi;
	reply_result(req, fd < 0 ? -1 : fallocate(fd, mode, offset, length));
	if (fd >= 0)
		file_give_back(ino);
}

/* The descriptor is shared, but nobody uses its position. */
static void rc_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	int fd = file_borrow(ino, false);
	off_t found = fd < 0 ? -1 : lseek(fd, offset, whence);
	(void)fi;
	if (found < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_lseek(req, found);
	if (fd >= 0)
		file_give_back(ino);
}

static void rc_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in, struct fuse_file_info *fi_in,
			       fuse_ino_t ino_out, off_t off_out, struct fuse_file_info *fi_out, size_t len, int flags)
{
	int in = file_borrow(ino_in, false), out = in < 0 ? -1 : file_borrow(ino_out, true);
	ssize_t copied = out < 0 ? -1 : copy_file_range(in, &off_in, out, &off_out, len, (unsigned int)flags);
	(void)fi_in;
	(void)fi_out;
	if (copied < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_write(req, (size_t)copied);
	if (in >= 0)
		file_give_back(ino_in);
	if (out >= 0)
		file_give_back(ino_out);
}

/* ---- extended attributes: those of backing_attr.c, once ---- */

static void rc_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	int fd = node_fd(ino), error = fd < 0 ? errno : DO_IT;

	/* Without XATTR_CREATE it may be set twice: with XATTR_REPLACE it is there before and afterwards. */
	if (error == DO_IT && flags & XATTR_CREATE)
		error = before_making_xattr(req, path_of(fd).text, name);
	if (error == DO_IT)
		reply_result(req, setxattr(path_of(fd).text, name, value, size, flags));
	else
		fuse_reply_err(req, error == DONE ? 0 : error);
}

static void rc_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	int fd = node_fd(ino), error = fd < 0 ? errno : before_removing_xattr(req, path_of(fd).text, name);

	if (error == DO_IT)
		reply_result(req, removexattr(path_of(fd).text, name));
	else
		fuse_reply_err(req, error == DONE ? 0 : error);
}

void files_add(struct fuse_lowlevel_ops *ops)
{
	ops->open = rc_open;
	ops->create = rc_create;
	ops->tmpfile = rc_tmpfile;
	ops->release = rc_release;
	ops->read = rc_read;
	ops->write_buf = rc_write_buf;
	ops->fsync = rc_fsync;
	ops->syncfs = rc_syncfs;
	ops->fallocate = rc_fallocate;
	ops->lseek = rc_lseek;
	ops->copy_file_range = rc_copy_file_range;
	attributes_add(ops);
	ops->setxattr = rc_setxattr;
	ops->removexattr = rc_removexattr;
	/* What statx() shows would count the link of a file that is kept without a name; the kernel asks for getattr then. */
	ops->statx = NULL;
}
