/*
 * Names: lookup, making, linking, moving, removing.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "recoverable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

void reply_node(fuse_req_t req, int error, const struct fuse_entry_param *entry)
{
	if (error) {
		fuse_reply_err(req, error);
		return;
	}
	/* With the reply the kernel has looked the node up once more, which the library counts. */
	fuse_reply_entry(req, entry);
	node_put(entry->ino);
}

static int find(int dir, const char *name, struct fuse_entry_param *entry)
{
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? errno : node_get(fd, entry);
}

static void rc_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { 0 };
	int dir = node_fd(parent), error = dir < 0 ? errno : find(dir, name, &entry);

	if (error == ENOENT && options.timeout > 0) {
		/* That there is no such name may be remembered, too. */
		entry.entry_timeout = options.timeout;
		fuse_reply_entry(req, &entry);
		return;
	}
	reply_node(req, error, &entry);
}

/* The library has counted them already. */
static void rc_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	(void)count;
	node_forgotten(ino);
	fuse_reply_none(req);
}

static void rc_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		node_forgotten(forgets[i].ino);
	fuse_reply_none(req);
}

/* ---- making ---- */

/* 0, DONE or an errno of before_making(), which is followed by the effect if it says so. */
static int begin(fuse_req_t req, int dir, const char *name)
{
	int error = dir < 0 ? errno : before_making(req, dir, name);

	if (error == DO_IT)
		become_caller(req);
	return error;
}

/* Replies with what was made under a name, now (with this result) or by a predecessor. */
static void reply_made(fuse_req_t req, int error, int result, int dir, const char *name)
{
	struct fuse_entry_param entry = { 0 };

	if (error == DO_IT) {
		error = result == 0 ? DONE : errno;
		become_daemon();
	}
	if (error == DONE)
		error = find(dir, name, &entry);
	reply_node(req, error, &entry);
}

static void rc_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	int dir = node_fd(parent), error = begin(req, dir, name);
	reply_made(req, error, error == DO_IT ? mknodat(dir, name, mode, rdev) : 0, dir, name);
}

static void rc_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	int dir = node_fd(parent), error = begin(req, dir, name);
	reply_made(req, error, error == DO_IT ? mkdirat(dir, name, mode) : 0, dir, name);
}

static void rc_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	int dir = node_fd(parent), error = begin(req, dir, name);
	reply_made(req, error, error == DO_IT ? symlinkat(target, dir, name) : 0, dir, name);
}

static void rc_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	int from = node_fd(ino), dir = from < 0 ? -1 : node_fd(parent);
	int error = dir < 0 ? errno : before_making(req, dir, name);
	int result = 0;

	if (error == DO_IT) {
		result = linkat(from, "", dir, name, AT_EMPTY_PATH);
		error = result == 0 ? DONE : errno;
	}
	reply_made(req, error, result, dir, name);
}

/* ---- taking away ---- */

/* What a name leads to may be in use, and stays for whoever uses it. */
static void keep_what_is_at(int dir, const char *name)
{
	struct fuse_entry_param entry = { 0 };

	if (find(dir, name, &entry) != 0)
		return;
	if (!S_ISDIR(entry.attr.st_mode) && entry.attr.st_nlink == 1)
		unlinked_keep(entry.ino);
	node_put(entry.ino);
}

static void take_away(fuse_req_t req, fuse_ino_t parent, const char *name, int flags)
{
	int dir = node_fd(parent), error = dir < 0 ? errno : before_taking(req, dir, name);

	if (error == DO_IT) {
		if (!(flags & AT_REMOVEDIR))
			keep_what_is_at(dir, name);
		error = unlinkat(dir, name, flags) == 0 ? DONE : errno;
	}
	fuse_reply_err(req, error == DONE ? 0 : error);
}

static void rc_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	take_away(req, parent, name, 0);
}

static void rc_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	take_away(req, parent, name, AT_REMOVEDIR);
}

static void rc_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
		      unsigned int flags)
{
	int from = node_fd(parent), to = from < 0 ? -1 : node_fd(new_parent);
	/* Also where two names change places, something else is at the old one afterwards. */
	int error = to < 0 ? errno : before_taking(req, from, name);

	if (error == DO_IT) {
		if (!(flags & (RENAME_EXCHANGE | RENAME_NOREPLACE)))
			keep_what_is_at(to, new_name);
		error = syscall(SYS_renameat2, from, name, to, new_name, flags) == 0 ? DONE : errno;
	}
	fuse_reply_err(req, error == DONE ? 0 : error);
}

void names_add(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = rc_lookup;
	ops->forget = rc_forget;
	ops->forget_multi = rc_forget_multi;
	ops->mknod = rc_mknod;
	ops->mkdir = rc_mkdir;
	ops->symlink = rc_symlink;
	ops->link = rc_link;
	ops->unlink = rc_unlink;
	ops->rmdir = rc_rmdir;
	ops->rename = rc_rename;
}
