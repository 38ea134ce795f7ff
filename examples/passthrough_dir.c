/*
 * Directories: listing them, with and without attributes.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "passthrough.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An open directory. The kernel lets one reader at a time use it. */
struct listing {
	DIR *dir;
	off_t offset;         /* where the next entry is */
	struct dirent *entry; /* read, but not sent yet */
};

static struct listing *listing_of(const struct fuse_file_info *fi)
{
	return (struct listing *)(uintptr_t)fi->fh;
}

static void pt_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	int fd = openat(node_of(ino)->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = fd < 0 ? errno : ENOMEM;

	if (listing && fd >= 0)
		listing->dir = fdopendir(fd);
	if (!listing || !listing->dir) {
		free(listing);
		if (fd >= 0)
			close(fd);
		fuse_reply_err(req, error);
		return;
	}
	fi->fh = (uintptr_t)listing;
	if (fuse_reply_open(req, fi) != 0) {
		closedir(listing->dir);
		free(listing);
	}
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Adds the entry that is read to the buffer: the bytes that it needs, more than SIZE if it was not added. */
static size_t add(fuse_req_t req, struct listing *listing, char *at, size_t size, bool plus)
{
	const struct dirent *entry = listing->entry;
	struct fuse_entry_param found = { .attr = { .st_ino = entry->d_ino, .st_mode = (mode_t)entry->d_type << 12 } };
	size_t needed;
	int fd;

	if (!plus)
		return fuse_add_direntry(req, at, size, entry->d_name, &found.attr, entry->d_off);
	if (!is_dots(entry->d_name)) {
		fd = openat(dirfd(listing->dir), entry->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		/* Gone meanwhile, or no descriptor left: the name alone, which the kernel looks up if it is needed. */
		if (fd >= 0 && entry_of(fd, &found) != 0)
			found.ino = 0;
	}
	needed = fuse_add_direntry_plus(req, at, size, entry->d_name, &found, entry->d_off);
	if (needed > size && found.ino != 0)
		node_forget(found.ino, 1);
	return needed;
}

/* The next entry, read unless it is waiting; NULL at the end, or on an error. */
static struct dirent *next_entry(struct listing *listing)
{
	if (!listing->entry)
		listing->entry = readdir(listing->dir);
	return listing->entry;
}

static void list(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi, bool plus)
{
	struct listing *listing = listing_of(fi);
	char *buffer = malloc(size);
	size_t used = 0, needed;

	if (!buffer) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	if (offset != listing->offset) {
		seekdir(listing->dir, offset);
		listing->entry = NULL;
		listing->offset = offset;
	}
	errno = 0;
	while (next_entry(listing)) {
		needed = add(req, listing, buffer + used, size - used, plus);
		if (needed > size - used)
			break;
		used += needed;
		listing->offset = listing->entry->d_off;
		listing->entry = NULL;
		errno = 0;
	}
	/* What is in the buffer has been counted as looked up and must be sent; an error comes again at the next call. */
	if (used == 0 && !listing->entry && errno != 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_buf(req, buffer, used);
	free(buffer);
}

static void pt_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)ino;
	list(req, size, offset, fi, false);
}

static void pt_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)ino;
	list(req, size, offset, fi, true);
}

static void pt_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct listing *listing = listing_of(fi);
	(void)ino;
	closedir(listing->dir);
	free(listing);
	fuse_reply_err(req, 0);
}

static void pt_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	int fd = dirfd(listing_of(fi)->dir);
	(void)ino;
	fuse_reply_err(req, (data_only ? fdatasync(fd) : fsync(fd)) == 0 ? 0 : errno);
}

void directories_add(struct fuse_lowlevel_ops *ops)
{
	ops->opendir = pt_opendir;
	ops->readdir = pt_readdir;
	ops->readdirplus = pt_readdirplus;
	ops->releasedir = pt_releasedir;
	ops->fsyncdir = pt_fsyncdir;
}
