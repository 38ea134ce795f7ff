/*
 * memfs: a writable file system that lives in memory, for as long as its process.
 *
 *   cc -o memfs memfs.c memfs_store.c $(pkg-config --cflags --libs fuse3) -pthread
 *   ./memfs -f /some/empty/folder
 *
 * Files, directories, symbolic links, rename, truncation, holes (which take memory). The kernel does the permission
 * checks (default_permissions), so that nothing here has to know what a user may do.
 *
 *   -o size=N    megabytes that all files together may take (default 256)
 *
 * memfs_store.c holds the tree; this file answers the kernel out of it. Requests come in on several threads. One lock
 * guards everything: each callback does its work under it and replies after it let go, except where the reply points
 * into a file's bytes.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE /* RENAME_NOREPLACE */
#define FUSE_USE_VERSION 312

#include "memfs_store.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Only this process changes anything, and each change is reported in a reply: the kernel may cache as it likes. */
static const double cache_seconds = 3600.0;

/* The kernel knows a node by its address, and the root by the number that the protocol gives it. */
static struct node *node_of(fuse_ino_t inode)
{
	return inode == FUSE_ROOT_ID ? &store.root : (struct node *)(uintptr_t)inode;
}

static fuse_ino_t inode_of(struct node *node)
{
	return node == &store.root ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)node;
}

static void lock(void)
{
	pthread_mutex_lock(&store.lock);
}

static void unlock(void)
{
	pthread_mutex_unlock(&store.lock);
}

static void forget(fuse_ino_t inode, uint64_t count)
{
	lock();
	store_forget(node_of(inode), count);
	unlock();
}

static void fill_entry(struct node *node, struct fuse_entry_param *entry)
{
	*entry = (struct fuse_entry_param){
		.ino = inode_of(node),
		.generation = node->generation,
		.attr = node->st,
		.attr_timeout = cache_seconds,
		.entry_timeout = cache_seconds,
	};
}

/*
 * Ends a request that found or made a node. The caller counted one lookup for it under the lock; if the kernel did
 * not take the reply (who asked was interrupted), it will never forget it either.
 */
static void reply_entry(fuse_req_t req, const struct fuse_entry_param *entry, int error)
{
	if (error)
		fuse_reply_err(req, error);
	else if (fuse_reply_entry(req, entry) != 0)
		forget(entry->ino, 1);
}

/* ---- names ---- */

static void mem_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry;
	struct node *node;

	lock();
	node = store_find(node_of(parent), name);
	if (node) {
		node->lookups++;
		fill_entry(node, &entry);
	}
	unlock();
	reply_entry(req, &entry, node ? 0 : ENOENT);
}

static void mem_forget(fuse_req_t req, fuse_ino_t inode, uint64_t count)
{
	forget(inode, count);
	fuse_reply_none(req);
}

/* Makes a node for the caller of REQ; CONTENT is what a symbolic link points to. */
static int make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, const char *content,
		struct fuse_entry_param *entry)
{
	const struct fuse_ctx *caller = fuse_req_ctx(req);
	struct node *dir = node_of(parent), *node;
	int error;

	lock();
	error = store_make(dir, name, mode, caller->uid, caller->gid, &node);
	if (!error && content) {
		error = node_write(node, content, strlen(content), 0);
		if (error) {
			store_remove(dir, name, false);
			store_forget(node, 1);
		}
	}
	if (!error)
		fill_entry(node, entry);
	unlock();
	return error;
}

static void mem_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fuse_entry_param entry;
	int error = make(req, parent, name, S_IFDIR | (mode & 07777), NULL, &entry);

	reply_entry(req, &entry, error);
}

static void mem_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry;
	int error = make(req, parent, name, S_IFLNK | 0777, target, &entry);

	reply_entry(req, &entry, error);
}

static void mem_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *info)
{
	struct fuse_entry_param entry;
	int error = make(req, parent, name, S_IFREG | (mode & 07777), NULL, &entry);

	info->keep_cache = 1;
	if (error)
		fuse_reply_err(req, error);
	else if (fuse_reply_create(req, &entry, info) != 0)
		forget(entry.ino, 1);
}

static void mem_readlink(fuse_req_t req, fuse_ino_t inode)
{
	char target[PATH_MAX];
	struct node *node = node_of(inode);
	size_t length;

	lock();
	length = (size_t)node->st.st_size < sizeof(target) ? (size_t)node->st.st_size : sizeof(target) - 1;
	memcpy(target, node->data, length);
	unlock();
	target[length] = '\0';
	fuse_reply_readlink(req, target);
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *name, bool as_dir)
{
	int error;

	lock();
	error = store_remove(node_of(parent), name, as_dir);
	unlock();
	fuse_reply_err(req, error);
}

static void mem_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, false);
}

static void mem_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, true);
}

static void mem_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
		       unsigned int flags)
{
	int error = EINVAL; /* exchange and whiteout are not for us */

	if ((flags & ~(unsigned int)RENAME_NOREPLACE) == 0) {
		lock();
		error = store_move(node_of(parent), name, node_of(new_parent), new_name, !(flags & RENAME_NOREPLACE));
		unlock();
	}
	fuse_reply_err(req, error);
}

/* A reply that is being filled with directory entries. */
struct listing {
	fuse_req_t req;
	char *bytes;
	size_t size;
	size_t used;
};

/* Adds an entry, after which the listing goes on at NEXT; false if there is no room left for it. */
static bool list(struct listing *to, const char *name, const struct node *node, off_t next)
{
	size_t room = to->size - to->used;
	size_t need = fuse_add_direntry(to->req, to->bytes + to->used, room, name, &node->st, next);

	if (need > room)
		return false;
	to->used += need;
	return true;
}

/* Offsets 1 and 2 come after "." and "..", then an entry's position + 2 after each. */
static void list_dir(struct listing *to, const struct node *dir, off_t offset)
{
	bool room = true;

	if (offset < 1)
		room = list(to, ".", dir, 1);
	if (room && offset < 2)
		room = list(to, "..", dir->parent ? dir->parent : dir, 2);
	for (const struct entry *entry = dir->entries; room && entry; entry = entry->next)
		if (entry->position + 2 > offset)
			room = list(to, entry->name, entry->node, entry->position + 2);
}

static void mem_readdir(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *info)
{
	struct listing listing = { .req = req, .bytes = malloc(size), .size = size };

	(void)info;
	if (!listing.bytes) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	lock();
	list_dir(&listing, node_of(inode), offset);
	unlock();
	fuse_reply_buf(req, listing.bytes, listing.used);
	free(listing.bytes);
}

/* ---- attributes ---- */

static void mem_getattr(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *info)
{
	struct stat st;

	(void)info;
	lock();
	st = node_of(inode)->st;
	unlock();
	fuse_reply_attr(req, &st, cache_seconds);
}

static int set_attributes(struct node *node, const struct stat *st, int which)
{
	int error = which & FUSE_SET_ATTR_SIZE ? node_truncate(node, st->st_size) : 0;

	if (error)
		return error;
	if (which & FUSE_SET_ATTR_MODE)
		node->st.st_mode = (node->st.st_mode & S_IFMT) | (st->st_mode & 07777);
	if (which & FUSE_SET_ATTR_UID)
		node->st.st_uid = st->st_uid;
	if (which & FUSE_SET_ATTR_GID)
		node->st.st_gid = st->st_gid;
	if (which & FUSE_SET_ATTR_ATIME)
		node->st.st_atim = which & FUSE_SET_ATTR_ATIME_NOW ? time_now() : st->st_atim;
	if (which & FUSE_SET_ATTR_MTIME)
		node->st.st_mtim = which & FUSE_SET_ATTR_MTIME_NOW ? time_now() : st->st_mtim;
	node->st.st_ctim = time_now();
	return 0;
}

static void mem_setattr(fuse_req_t req, fuse_ino_t inode, struct stat *st, int which, struct fuse_file_info *info)
{
	struct node *node = node_of(inode);
	struct stat result;
	int error;

	(void)info;
	lock();
	error = set_attributes(node, st, which);
	result = node->st;
	unlock();
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_attr(req, &result, cache_seconds);
}

static void mem_statfs(fuse_req_t req, fuse_ino_t inode)
{
	struct statvfs st = { .f_bsize = BLOCK, .f_frsize = BLOCK, .f_namemax = NAME_MAX };

	(void)inode;
	lock();
	st.f_blocks = store.max_bytes / BLOCK;
	st.f_bfree = st.f_bavail = (store.max_bytes - store.bytes) / BLOCK;
	st.f_ffree = st.f_favail = st.f_bfree;
	st.f_files = store.nodes + st.f_ffree;
	unlock();
	fuse_reply_statfs(req, &st);
}

/* ---- contents ---- */

static void mem_open(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *info)
{
	int error = 0;

	/* O_TRUNC comes with the open (FUSE_CAP_ATOMIC_O_TRUNC is on by default): no setattr follows */
	if (info->flags & O_TRUNC) {
		struct stat empty = { .st_size = 0 };

		lock();
		error = set_attributes(node_of(inode), &empty, FUSE_SET_ATTR_SIZE);
		unlock();
	}
	info->keep_cache = 1;
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_open(req, info);
}

static void mem_read(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *info)
{
	struct node *node = node_of(inode);
	off_t rest;

	(void)info;
	/* The reply is sent out of the file's own memory, so that nothing is copied: the lock holds it in place. */
	lock();
	rest = node->st.st_size - offset;
	if (rest <= 0)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, node->data + offset, size < (size_t)rest ? size : (size_t)rest);
	unlock();
}

static void mem_write(fuse_req_t req, fuse_ino_t inode, const char *bytes, size_t size, off_t offset,
		      struct fuse_file_info *info)
{
	int error;

	(void)info;
	lock();
	error = node_write(node_of(inode), bytes, size, offset);
	unlock();
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_write(req, size);
}

/* ---- the program ---- */

static const struct fuse_lowlevel_ops operations = {
	.lookup = mem_lookup,
	.forget = mem_forget,
	.getattr = mem_getattr,
	.setattr = mem_setattr,
	.readlink = mem_readlink,
	.mkdir = mem_mkdir,
	.unlink = mem_unlink,
	.rmdir = mem_rmdir,
	.symlink = mem_symlink,
	.rename = mem_rename,
	.open = mem_open,
	.read = mem_read,
	.write = mem_write,
	.statfs = mem_statfs,
	.readdir = mem_readdir,
	.create = mem_create,
};

struct settings {
	unsigned int megabytes;
};

static const struct fuse_opt settings_spec[] = {
	{ "size=%u", offsetof(struct settings, megabytes), 0 },
	FUSE_OPT_END,
};

static int loop(struct fuse_session *session, const struct fuse_cmdline_opts *options)
{
	struct fuse_loop_config *config;
	int result = -1;

	if (options->singlethread)
		return fuse_session_loop(session);
	config = fuse_loop_cfg_create();
	if (config) {
		fuse_loop_cfg_set_clone_fd(config, (unsigned int)options->clone_fd);
		fuse_loop_cfg_set_max_threads(config, options->max_threads);
		result = fuse_session_loop_mt(session, config);
		fuse_loop_cfg_destroy(config);
	}
	return result;
}

static int serve(struct fuse_args *args, const struct fuse_cmdline_opts *options)
{
	struct fuse_session *session = fuse_session_new(args, &operations, sizeof(operations), NULL);
	int result = -1;

	if (!session)
		return -1;
	if (fuse_set_signal_handlers(session) == 0) {
		if (fuse_session_mount(session, options->mountpoint) == 0) {
			if (fuse_daemonize(options->foreground) == 0)
				result = loop(session, options);
			fuse_session_unmount(session);
		}
		fuse_remove_signal_handlers(session);
	}
	fuse_session_destroy(session);
	return result;
}

int main(int argc, char *argv[])
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct settings settings = { .megabytes = 256 };
	struct fuse_cmdline_opts options;
	int result = -1;

	if (fuse_opt_parse(&args, &settings, settings_spec, NULL) != 0 || fuse_parse_cmdline(&args, &options) != 0)
		return EXIT_FAILURE;
	if (options.show_help || !options.mountpoint) {
		printf("usage: %s [options] <mountpoint>\n\n    -o size=N              megabytes for all files (256)\n", argv[0]);
		fuse_cmdline_help();
		fuse_lowlevel_help();
		result = options.show_help ? 0 : -1;
	} else if (fuse_opt_add_arg(&args, "-odefault_permissions") == 0) {
		store_init((uint64_t)settings.megabytes << 20, getuid(), getgid());
		result = serve(&args, &options);
	}
	free(options.mountpoint);
	fuse_opt_free_args(&args);
	/* A positive result is the number of the signal that ended the loop: an orderly end, too. */
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
