/*
 * Names: lookup, making, linking, moving, removing.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "passthrough.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int entry_of(int path_fd, struct fuse_entry_param *entry)
{
	struct node *node;
	int error;

	*entry = (struct fuse_entry_param){ .attr_timeout = options.timeout, .entry_timeout = options.timeout };
	error = node_get(path_fd, &node, &entry->attr);
	if (error)
		return error;
	entry->ino = ino_of(node);
	entry->generation = node->generation;
	return 0;
}

void reply_node(fuse_req_t req, int error, const struct fuse_entry_param *entry)
{
	if (error)
		fuse_reply_err(req, error);
	else if (fuse_reply_entry(req, entry) != 0)
		node_forget(entry->ino, 1);
}

static int find(fuse_ino_t parent, const char *name, struct fuse_entry_param *entry)
{
	int fd = openat(node_of(parent)->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? errno : entry_of(fd, entry);
}

static void pt_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { 0 };
	int error = find(parent, name, &entry);

	if (error == ENOENT && options.timeout > 0) {
		/* That there is no such name may be remembered, too. */
		entry.entry_timeout = options.timeout;
		fuse_reply_entry(req, &entry);
		return;
	}
	reply_node(req, error, &entry);
}

static void pt_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	node_forget(ino, count);
	fuse_reply_none(req);
}

static void pt_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		node_forget(forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* Replies with what was made under a name, unless RESULT says that it was not. */
static void reply_made(fuse_req_t req, int result, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry;
	int error = result == 0 ? 0 : errno;

	become_daemon();
	if (!error)
		error = find(parent, name, &entry);
	reply_node(req, error, &entry);
}

static void pt_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	become_caller(req);
	reply_made(req, mknodat(node_of(parent)->fd, name, mode, rdev), parent, name);
}

static void pt_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	become_caller(req);
	reply_made(req, mkdirat(node_of(parent)->fd, name, mode), parent, name);
}

static void pt_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	become_caller(req);
	reply_made(req, symlinkat(target, node_of(parent)->fd, name), parent, name);
}

static void pt_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	int to = node_of(parent)->fd, from = node_of(ino)->fd;
	int result = linkat(from, "", to, name, AT_EMPTY_PATH);

	/* Without CAP_DAC_READ_SEARCH there is another way, for all but symbolic links. */
	if (result != 0 && errno == ENOENT)
		result = linkat(AT_FDCWD, path_of(from).text, to, name, AT_SYMLINK_FOLLOW);
	reply_made(req, result, parent, name);
}

static void pt_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_result(req, unlinkat(node_of(parent)->fd, name, 0));
}

static void pt_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_result(req, unlinkat(node_of(parent)->fd, name, AT_REMOVEDIR));
}

static void pt_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
		      unsigned int flags)
{
	int from = node_of(parent)->fd, to = node_of(new_parent)->fd;
	reply_result(req, (int)syscall(SYS_renameat2, from, name, to, new_name, flags));
}

void names_add(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = pt_lookup;
	ops->forget = pt_forget;
	ops->forget_multi = pt_forget_multi;
	ops->mknod = pt_mknod;
	ops->mkdir = pt_mkdir;
	ops->symlink = pt_symlink;
	ops->link = pt_link;
	ops->unlink = pt_unlink;
	ops->rmdir = pt_rmdir;
	ops->rename = pt_rename;
}
