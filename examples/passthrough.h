/*
 * What the files of the passthrough example share.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef PASSTHROUGH_H
#define PASSTHROUGH_H

#include "backing.h"

#include <stdint.h>

#ifndef FUSEWIRE_VERSION
#error "fuse_passthrough_attach() and its kin are fusewire's: compile against its headers"
#endif

/* ---- passthrough.c ---- */

extern struct options {
	char *source;
	int no_passthrough;
	int stack_depth;
	double timeout; /* seconds for which the kernel may keep names and attributes */
} options;

/* ---- passthrough_nodes.c: the inodes that the kernel knows, one node for each (device, inode number) ---- */

struct node {
	struct node *next; /* in its chain */
	dev_t dev;
	ino_t number;
	int fd;              /* O_PATH: holds the inode, so that its number is not used again */
	mode_t type;         /* S_IFREG and its like */
	uint64_t lookups;    /* references that the kernel holds */
	uint64_t generation; /* tells it from an earlier node at the same address */
};

/* Makes the root's node. 0 or an errno. */
int nodes_init(const char *source);
/* The node of an open file or O_PATH descriptor, which is the node's from now on, with one lookup more. 0 or an errno. */
int node_get(int path_fd, struct node **node, struct stat *st);
void node_forget(fuse_ino_t ino, uint64_t count);
struct node *node_of(fuse_ino_t ino);
fuse_ino_t ino_of(const struct node *node);

/* ---- the callbacks ---- */

/* What a lookup found, or something made: replies, and takes the lookup back if nobody wants it. */
void reply_node(fuse_req_t req, int error, const struct fuse_entry_param *entry);
/* The entry for an O_PATH descriptor, which is consumed. 0 or an errno. */
int entry_of(int path_fd, struct fuse_entry_param *entry);

void names_add(struct fuse_lowlevel_ops *ops);
void directories_add(struct fuse_lowlevel_ops *ops);

#endif
