/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "memfs_store.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct store store = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct timespec time_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return time;
}

/* ---- nodes ---- */

static void node_init(struct node *node, mode_t mode, uid_t uid, gid_t gid)
{
	node->generation = ++store.nodes_made;
	node->st.st_ino = node->generation;
	node->st.st_mode = mode;
	node->st.st_nlink = S_ISDIR(mode) ? 1 : 0; /* a directory's "." */
	node->st.st_uid = uid;
	node->st.st_gid = gid;
	node->st.st_blksize = BLOCK;
	node->st.st_atim = node->st.st_mtim = node->st.st_ctim = time_now();
	store.nodes++;
}

void store_init(uint64_t max_bytes, uid_t uid, gid_t gid)
{
	store.max_bytes = max_bytes;
	node_init(&store.root, S_IFDIR | 0755, uid, gid);
	store.root.st.st_nlink++; /* the mount point's name for it */
}

static void free_if_unused(struct node *node)
{
	if (node->st.st_nlink > 0 || node->lookups > 0 || node == &store.root)
		return;
	store.bytes -= node->capacity;
	store.nodes--;
	free(node->data);
	free(node);
}

void store_forget(struct node *node, uint64_t count)
{
	node->lookups -= count < node->lookups ? count : node->lookups;
	free_if_unused(node);
}

static void set_size(struct node *node, size_t size)
{
	node->st.st_size = (off_t)size;
	node->st.st_blocks = (blkcnt_t)((size + 511) / 512);
	node->st.st_mtim = node->st.st_ctim = time_now();
}

/* Makes room for SIZE bytes, at least doubling, so that appending stays cheap. The new bytes are zero. */
static int reserve(struct node *node, size_t size)
{
	uint64_t left = store.max_bytes - store.bytes;
	size_t more = size > node->capacity ? size - node->capacity : 0;
	size_t spare = node->capacity > BLOCK ? node->capacity : BLOCK;
	char *data;

	if (more == 0)
		return 0;
	if (more > left)
		return ENOSPC;
	if (more < spare && spare <= left)
		more = spare;
	data = realloc(node->data, node->capacity + more);
	if (!data)
		return ENOMEM;
	memset(data + node->capacity, 0, more);
	node->data = data;
	node->capacity += more;
	store.bytes += more;
	return 0;
}

int node_write(struct node *node, const char *bytes, size_t size, off_t offset)
{
	size_t end;
	int error;

	if (offset < 0 || __builtin_add_overflow((size_t)offset, size, &end) || end > SSIZE_MAX)
		return EFBIG;
	error = reserve(node, end);
	if (error)
		return error;
	memcpy(node->data + offset, bytes, size);
	set_size(node, end > (size_t)node->st.st_size ? end : (size_t)node->st.st_size);
	return 0;
}

int node_truncate(struct node *node, off_t size)
{
	int error;

	if (size < 0)
		return EINVAL;
	if (size == 0) {
		store.bytes -= node->capacity;
		free(node->data);
		node->data = NULL;
		node->capacity = 0;
	} else if (size > node->st.st_size) {
		error = reserve(node, (size_t)size);
		if (error)
			return error;
	} else {
		/* what is past the end must read as zero if the file grows again */
		memset(node->data + size, 0, (size_t)(node->st.st_size - size));
	}
	set_size(node, (size_t)size);
	return 0;
}

/* ---- names ---- */

/* The link that points at the entry NAME, or at the end of the list. */
static struct entry **find_entry(struct node *dir, const char *name)
{
	struct entry **link = &dir->entries;

	while (*link && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

struct node *store_find(struct node *dir, const char *name)
{
	struct entry *entry = *find_entry(dir, name);

	return entry ? entry->node : NULL;
}

static struct entry *entry_new(const char *name)
{
	size_t length = strlen(name) + 1;
	struct entry *entry = calloc(1, sizeof(*entry) + length);

	if (entry)
		memcpy(entry->name, name, length);
	return entry;
}

static void touch(struct node *dir, struct node *node)
{
	dir->st.st_mtim = dir->st.st_ctim = node->st.st_ctim = time_now();
}

/* Puts ENTRY at the end of DIR as the name of NODE. */
static void attach(struct node *dir, struct entry *entry, struct node *node)
{
	struct entry **link = &dir->entries;

	while (*link)
		link = &(*link)->next;
	entry->node = node;
	entry->position = ++dir->last_position;
	*link = entry;
	node->st.st_nlink++;
	if (is_dir(node)) {
		node->parent = dir;
		dir->st.st_nlink++; /* the new one's ".." */
	}
	touch(dir, node);
}

static void detach(struct node *dir, const char *name)
{
	struct entry **link = find_entry(dir, name), *entry = *link;

	*link = entry->next;
	entry->node->st.st_nlink--;
	if (is_dir(entry->node))
		dir->st.st_nlink--;
	touch(dir, entry->node);
	free(entry);
}

int store_make(struct node *dir, const char *name, mode_t mode, uid_t uid, gid_t gid, struct node **made)
{
	struct entry *entry;
	struct node *node;

	if (dir->st.st_nlink == 0)
		return ENOENT; /* somebody still stands in a directory that was removed */
	if (store_find(dir, name))
		return EEXIST;
	if (dir->st.st_mode & S_ISGID) {
		gid = dir->st.st_gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
	}
	node = calloc(1, sizeof(*node));
	entry = entry_new(name);
	if (!node || !entry) {
		free(node);
		free(entry);
		return ENOMEM;
	}
	node_init(node, mode, uid, gid);
	node->lookups = 1;
	attach(dir, entry, node);
	*made = node;
	return 0;
}

int store_remove(struct node *dir, const char *name, bool as_dir)
{
	struct node *node = store_find(dir, name);

	if (!node)
		return ENOENT;
	if (is_dir(node) != as_dir)
		return as_dir ? ENOTDIR : EISDIR;
	if (node->entries)
		return ENOTEMPTY;
	detach(dir, name);
	if (as_dir) {
		node->st.st_nlink = 0; /* its "." goes with its name */
		node->parent = NULL;   /* which may be gone before this one is forgotten */
	}
	free_if_unused(node);
	return 0;
}

static bool is_inside(const struct node *dir, const struct node *tree)
{
	while (dir && dir != tree)
		dir = dir->parent;
	return dir == tree;
}

int store_move(struct node *from, const char *name, struct node *to, const char *new_name, bool replace)
{
	struct node *node = store_find(from, name), *target = store_find(to, new_name);
	struct entry *entry;
	int error;

	if (!node || to->st.st_nlink == 0)
		return ENOENT;
	if (target && !replace)
		return EEXIST;
	if (target == node)
		return 0;
	if (is_dir(node) && is_inside(to, node))
		return EINVAL;
	entry = entry_new(new_name);
	if (!entry)
		return ENOMEM;
	error = target ? store_remove(to, new_name, is_dir(node)) : 0;
	if (error) {
		free(entry);
		return error;
	}
	detach(from, name);
	attach(to, entry, node);
	return 0;
}
