/* A small file system in memory, deterministic in all it answers: inode numbers count up, time stands still. */
#ifndef MEMFS_H
#define MEMFS_H

#include "harness.h"

extern const struct fuse_lowlevel_ops memfs;

void memfs_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags);
void memfs_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void memfs_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void memfs_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

#endif
