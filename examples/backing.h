/*
 * What the examples share that show a folder of another file system, the backing one.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef BACKING_H
#define BACKING_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define FUSE_USE_VERSION 319

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <sys/stat.h>

/* ---- what each of them has of its own ---- */

/* The node's O_PATH descriptor, which stays the node's. Negative, with errno, if its file is gone. */
int node_fd(fuse_ino_t ino);
/* What stat() shows of the node. 0, or -1 with errno. */
int node_stat(fuse_ino_t ino, struct stat *st);
/* Seconds for which the kernel may keep names and attributes. */
double node_timeout(void);

/* ---- backing_user.c: whom this thread acts for ---- */

/* As many descriptors as the system allows: inodes that the kernel knows take one each. */
void raise_limit(void);
/* Before the first request: everybody goes without CAP_FSETID, so that whoever writes clears set-user-ID bits. */
void users_init(void);
/* What this thread makes belongs to the caller from now on. The kernel has checked that the caller may. */
void become_caller(fuse_req_t req);
/* As above, and what this thread opens is checked anew. */
void become_caller_strictly(fuse_req_t req);
void become_daemon(void);
/* For chmod and chown, which keep a set-group-ID bit only with CAP_FSETID. */
void keep_set_ids(bool keep);

/* ---- backing_attr.c ---- */

/* A path that leads to the descriptor's file, whatever its name is by now. */
struct fd_path {
	char text[32];
};
struct fd_path path_of(int fd);
/* Replies with errno, or with success. */
void reply_result(fuse_req_t req, int result);
/* The callbacks for attributes, ordinary and extended, and for symbolic links. */
void attributes_add(struct fuse_lowlevel_ops *ops);

#endif
