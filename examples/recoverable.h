/*
 * What the files of the recoverable example share.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef RECOVERABLE_H
#define RECOVERABLE_H

#include "backing.h"

#include <stdint.h>

#ifndef FUSEWIRE_VERSION
#error "the node table and the journal are fusewire's: compile against its headers"
#endif

/* ---- recoverable.c ---- */

extern struct fuse_session *session;

extern struct options {
	char *source;
	char *unlinked;
	int passthrough;
	double timeout;
} options;

/* ---- recoverable_nodes.c: the inodes that the kernel knows, each named by its file handle ---- */

/* The most bytes that name a node: the type of the file handle and the handle. */
enum { NODE_BYTES = 64 };

/* Opens what is shown. 0, or -1 after a line that says why. */
int nodes_open(const char *source);
/* After the mount: is it a predecessor's? */
bool nodes_are_inherited(void);
/* After the mount: this process shows what its predecessor showed. 0, or -1 after a line that says why. */
int nodes_check(void);

/*
 * Fills in the entry of an O_PATH descriptor, which is consumed, and holds its node until node_put(): over the reply, by
 * which the kernel comes to know the node. 0 or an errno.
 */
int node_get(int path_fd, struct fuse_entry_param *entry);
void node_put(fuse_ino_t ino);
/* After a forget: is the node gone? */
void node_forgotten(fuse_ino_t ino);

/* A descriptor of the file for reading or for writing, whoever opened it and when. Negative, with errno; give it back. */
int file_borrow(fuse_ino_t ino, bool writing);
void file_give_back(fuse_ino_t ino);
/* One who had the file open has closed it. The others get a descriptor anew when they need one. */
void file_closed(fuse_ino_t ino);

/* ---- recoverable_unlinked.c: files without a name that are still in use ---- */

/* Opens the directory that keeps them. 0, or -1 after a line that says why. */
int unlinked_open(const char *path);
/* After the mount: has it for this process alone, and removes what nobody uses any more. 0, or -1 after a line. */
int unlinked_adopt(void);
/* The file is about to lose its last name, or has none: it lives until the kernel forgets it. */
void unlinked_keep(fuse_ino_t ino);
/* Is it kept? Then stat() on the file counts a link that nobody else sees. */
bool unlinked_is_kept(fuse_ino_t ino);
/* The kernel has forgotten the node. */
void unlinked_forgotten(fuse_ino_t ino);
/* After the unmount: nothing is in use any more. */
void unlinked_remove_all(void);

/* ---- recoverable_once.c: what must not happen twice ---- */

/* The effect has to happen now. */
enum { DO_IT = 0, DONE = -1 };

/*
 * Before a name is made in a directory, and before the one that is there is removed or moved away: DO_IT, after the intent
 * is in the journal; DONE if a predecessor of this process has done it for this very request, and could not reply any
 * more; else the errno to reply with.
 */
int before_making(fuse_req_t req, int dir, const char *name);
int before_taking(fuse_req_t req, int dir, const char *name);
/* The same for an extended attribute of the file that the path leads to. */
int before_making_xattr(fuse_req_t req, const char *path, const char *name);
int before_removing_xattr(fuse_req_t req, const char *path, const char *name);

/* ---- the callbacks ---- */

void names_add(struct fuse_lowlevel_ops *ops);
void files_add(struct fuse_lowlevel_ops *ops);
void directories_add(struct fuse_lowlevel_ops *ops);

/* Replies with a node that node_get() gave, and puts it. */
void reply_node(fuse_req_t req, int error, const struct fuse_entry_param *entry);

#endif
