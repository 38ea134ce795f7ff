/* A small file system in memory, deterministic in all it answers: inode numbers count up, time stands still. */
#ifndef MEMFS_H
#define MEMFS_H

#include "harness.h"

extern const struct fuse_lowlevel_ops memfs;

#endif
