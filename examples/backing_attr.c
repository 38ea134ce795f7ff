/*
 * Attributes, ordinary and extended, and where symbolic links lead.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "backing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

struct fd_path path_of(int fd)
{
	struct fd_path path;
	snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
	return path;
}

void reply_result(fuse_req_t req, int result)
{
	fuse_reply_err(req, result == 0 ? 0 : errno);
}

static void pt_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;
	(void)fi;
	if (node_stat(ino, &st) != 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_attr(req, &st, node_timeout());
}

static void pt_statx(fuse_req_t req, fuse_ino_t ino, int flags, int mask, struct fuse_file_info *fi)
{
	struct statx stx;
	int fd = node_fd(ino);
	(void)fi;
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH | flags, (unsigned int)mask, &stx) != 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_statx(req, 0, &stx, node_timeout());
}

static int set_mode(int fd, mode_t mode)
{
	int result;

	/* The kernel took the set-group-ID bit out already where the caller may not set it. */
	keep_set_ids(true);
	result = chmod(path_of(fd).text, mode);
	keep_set_ids(false);
	return result;
}

static int set_owner(int fd, const struct stat *st, int to_set, bool by_root)
{
	uid_t uid = to_set & FUSE_SET_ATTR_UID ? st->st_uid : (uid_t)-1;
	gid_t gid = to_set & FUSE_SET_ATTR_GID ? st->st_gid : (gid_t)-1;
	int result;

	/* Clears set-user-ID in any case; set-group-ID of what nobody executes stays for root alone. */
	if (by_root)
		keep_set_ids(true);
	result = fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
	if (by_root)
		keep_set_ids(false);
	return result;
}

/* As a write by somebody without CAP_FSETID does. */
static int clear_set_ids(int fd)
{
	return fchownat(fd, "", (uid_t)-1, (gid_t)-1, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
}

static struct timespec time_to_set(struct timespec given, int to_set, int set, int now)
{
	if (to_set & now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	return to_set & set ? given : (struct timespec){ .tv_nsec = UTIME_OMIT };
}

static int set_times(int fd, const struct stat *st, int to_set)
{
	struct timespec times[2] = {
		time_to_set(st->st_atim, to_set, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW),
		time_to_set(st->st_mtim, to_set, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW),
	};
	return utimensat(fd, "", times, AT_EMPTY_PATH);
}

static void pt_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set, struct fuse_file_info *fi)
{
	const struct fuse_ctx *caller = fuse_req_ctx(req);
	int fd = node_fd(ino), result = fd < 0 ? -1 : 0;

	/*
	 * Nothing to set: somebody writes to a set-user-ID file or one with capabilities. The backing file would lose
	 * them by that write, too, but the kernel remembers the mode that this reply has.
	 */
	if (result == 0 && (to_set & ~(FUSE_SET_ATTR_KILL_SUID | FUSE_SET_ATTR_KILL_SGID)) == 0)
		result = clear_set_ids(fd);
	/* The owner first: that clears what the mode may set. */
	if (result == 0 && to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		result = set_owner(fd, st, to_set, caller && caller->uid == 0);
	if (result == 0 && to_set & FUSE_SET_ATTR_MODE)
		result = set_mode(fd, st->st_mode & 07777);
	if (result == 0 && to_set & FUSE_SET_ATTR_SIZE)
		result = truncate(path_of(fd).text, st->st_size);
	if (result == 0 && to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME))
		result = set_times(fd, st, to_set);
	if (result != 0)
		fuse_reply_err(req, errno);
	else
		pt_getattr(req, ino, fi);
}

static void pt_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	int fd = node_fd(ino);

	if (fd < 0 || fstatvfs(fd, &st) != 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_statfs(req, &st);
}

/*
 * Replies with the value or list that READ_INTO takes from the node's file, at `path.text`, into a buffer, or with its size
 * where that was asked.
 */
#define REPLY_XATTR(req, ino, size, read_into)                                                                         \
	do {                                                                                                           \
		int fd = node_fd(ino);                                                                                 \
		struct fd_path path = path_of(fd);                                                                     \
		char *value = malloc((size) + 1);                                                                      \
		ssize_t len = fd < 0 ? -1 : value ? (read_into) : (errno = ENOMEM, -1);                                \
		if (len < 0)                                                                                           \
			fuse_reply_err(req, errno);                                                                    \
		else if ((size) == 0)                                                                                  \
			fuse_reply_xattr(req, (size_t)len);                                                            \
		else                                                                                                   \
			fuse_reply_buf(req, value, (size_t)len);                                                       \
		free(value);                                                                                           \
	} while (0)

static void pt_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	REPLY_XATTR(req, ino, size, getxattr(path.text, name, value, size));
}

static void pt_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	REPLY_XATTR(req, ino, size, listxattr(path.text, value, size));
}

static void pt_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	int fd = node_fd(ino);
	reply_result(req, fd < 0 ? -1 : setxattr(path_of(fd).text, name, value, size, flags));
}

static void pt_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	int fd = node_fd(ino);
	reply_result(req, fd < 0 ? -1 : removexattr(path_of(fd).text, name));
}

static void pt_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[4097];
	int fd = node_fd(ino);
	ssize_t len = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof(target));

	if (len < 0 || len == sizeof(target)) {
		fuse_reply_err(req, len < 0 ? errno : ENAMETOOLONG);
		return;
	}
	target[len] = '\0';
	fuse_reply_readlink(req, target);
}

void attributes_add(struct fuse_lowlevel_ops *ops)
{
	ops->getattr = pt_getattr;
	ops->statx = pt_statx;
	ops->setattr = pt_setattr;
	ops->statfs = pt_statfs;
	ops->readlink = pt_readlink;
	ops->getxattr = pt_getxattr;
	ops->listxattr = pt_listxattr;
	ops->setxattr = pt_setxattr;
	ops->removexattr = pt_removexattr;
}
