/*
 * What memfs holds: nodes and the names they have. Knows nothing of FUSE.
 *
 * Every function is called with store.lock held. Those that return int give 0 or an errno.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef MEMFS_STORE_H
#define MEMFS_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

enum { BLOCK = 4096 };

/* A name in a directory. */
struct entry {
	struct entry *next;
	struct node *node;
	off_t position; /* from 1; grows along the list and is never reused, so a listing can go on whatever is removed */
	char name[];
};

/* A file, directory or symbolic link. */
struct node {
	struct stat st;
	uint64_t generation; /* tells it from an earlier node at the same address */
	uint64_t lookups;    /* references that the kernel holds; open files are among them */
	/* of a file its bytes, of a link its target */
	char *data;
	size_t capacity;
	/* of a directory */
	struct node *parent;
	struct entry *entries;
	off_t last_position;
};

extern struct store {
	pthread_mutex_t lock;
	struct node root;
	uint64_t nodes_made;
	uint64_t nodes;
	uint64_t bytes; /* that all files take, with the room they have to grow */
	uint64_t max_bytes;
} store;

/* Makes the root, and sets how many bytes all files together may take. */
void store_init(uint64_t max_bytes, uid_t uid, gid_t gid);

/* The node called NAME, or NULL. */
struct node *store_find(struct node *dir, const char *name);

/* Makes a node called NAME, with one lookup counted. */
int store_make(struct node *dir, const char *name, mode_t mode, uid_t uid, gid_t gid, struct node **made);

/* Takes the name of a directory (which must be empty) or of something else away. */
int store_remove(struct node *dir, const char *name, bool as_dir);

/* rename(2). */
int store_move(struct node *from, const char *name, struct node *to, const char *new_name, bool replace);

/* Counts COUNT lookups off; a node without lookups and names is freed. */
void store_forget(struct node *node, uint64_t count);

int node_write(struct node *node, const char *bytes, size_t size, off_t offset);
int node_truncate(struct node *node, off_t size);
struct timespec time_now(void);

static inline bool is_dir(const struct node *node)
{
	return S_ISDIR(node->st.st_mode);
}

#endif
