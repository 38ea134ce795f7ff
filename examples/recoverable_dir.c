/*
 * Listing directories. Nothing of an open directory is kept: each part of a listing opens it anew, and where the last one
 * ended is what the backing file system calls that place, which stays right over time (network file systems need the same).
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "recoverable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One part of a listing as it is made. */
struct part {
	fuse_req_t req;
	DIR *dir;
	bool plus;
	char *buffer;
	size_t size, used;
	fuse_ino_t *held; /* nodes that are named in it, held until it is sent */
	size_t held_count;
};

static DIR *open_dir(fuse_ino_t ino)
{
	int dir = node_fd(ino), fd = dir < 0 ? -1 : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (!stream && fd >= 0)
		close(fd);
	return stream;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Adds an entry with its attributes: the bytes that it needs, more than SIZE if it was not added. */
static size_t add_plus(struct part *part, const struct dirent *entry, char *at, size_t size)
{
	struct fuse_entry_param found = { .attr = { .st_ino = entry->d_ino, .st_mode = (mode_t)entry->d_type << 12 } };
	size_t needed;

	if (!is_dots(entry->d_name)) {
		int fd = openat(dirfd(part->dir), entry->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		/* Gone meanwhile, or no descriptor left: the name alone, which the kernel looks up if it is needed. */
		if (fd >= 0 && node_get(fd, &found) != 0)
			found.ino = 0;
	}
	needed = fuse_add_direntry_plus(part->req, at, size, entry->d_name, &found, entry->d_off);
	if (found.ino != 0 && needed <= size)
		part->held[part->held_count++] = found.ino;
	else if (found.ino != 0)
		node_put(found.ino);
	return needed;
}

/* Whether the entry had room. */
static bool add(struct part *part, const struct dirent *entry)
{
	struct stat st = { .st_ino = entry->d_ino, .st_mode = (mode_t)entry->d_type << 12 };
	size_t size = part->size - part->used, needed;
	char *at = part->buffer + part->used;

	if (part->plus)
		needed = add_plus(part, entry, at, size);
	else
		needed = fuse_add_direntry(part->req, at, size, entry->d_name, &st, entry->d_off);
	if (needed > size)
		return false;
	part->used += needed;
	return true;
}

static void send(struct part *part, off_t offset)
{
	const struct dirent *entry;

	if (offset != 0)
		seekdir(part->dir, offset);
	do {
		errno = 0;
		entry = readdir(part->dir);
	} while (entry && add(part, entry));
	/* What is in the buffer is sent; an error comes again at the next call. */
	if (!entry && errno != 0 && part->used == 0)
		fuse_reply_err(part->req, errno);
	else
		fuse_reply_buf(part->req, part->buffer, part->used);
	for (size_t i = 0; i < part->held_count; i++)
		node_put(part->held[i]);
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	/* An entry with attributes takes more bytes than a node's number: there is room for all of them. */
	struct part part = { .req = req, .plus = plus, .size = size, .buffer = malloc(size), .held = malloc(size) };

	part.dir = open_dir(ino);
	if (part.dir && part.buffer && part.held)
		send(&part, offset);
	else
		fuse_reply_err(req, part.dir ? ENOMEM : errno);
	if (part.dir)
		closedir(part.dir);
	free(part.buffer);
	free(part.held);
}

static void rc_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, offset, false);
}

static void rc_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, ino, size, offset, true);
}

static void rc_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	DIR *dir = open_dir(ino);
	(void)fi;
	reply_result(req, !dir ? -1 : data_only ? fdatasync(dirfd(dir)) : fsync(dirfd(dir)));
	if (dir)
		closedir(dir);
}

void directories_add(struct fuse_lowlevel_ops *ops)
{
	/* opendir and releasedir have nothing to do: the library answers them. */
	ops->readdir = rc_readdir;
	ops->readdirplus = rc_readdirplus;
	ops->fsyncdir = rc_fsyncdir;
}
