/*
 * Files without a name that are still in use. The backing file system removes such a file when its last descriptor closes,
 * and this daemon's descriptors close when it dies. So before a file loses its last name it gets another one, in a directory
 * that is given for that (-o unlinked=DIR): its node's number, in hexadecimal. That name goes when the kernel forgets the
 * node, which it does when nobody uses the file any more.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "recoverable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int kept_dir = -1;
static atomic_long kept; /* how many: most of the time there is none to look for */

struct kept_name {
	char text[17];
};

static struct kept_name name_of(fuse_ino_t ino)
{
	struct kept_name name;
	snprintf(name.text, sizeof(name.text), "%016" PRIx64, (uint64_t)ino);
	return name;
}

int unlinked_open(const char *path)
{
	if (!path) {
		fuse_log(FUSE_LOG_WARNING, "recoverable: without -o unlinked=DIR files that are removed while they are open "
					   "do not outlive this process\n");
		return 0;
	}
	kept_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (kept_dir < 0)
		fuse_log(FUSE_LOG_ERR, "recoverable: %s: %s\n", path, strerror(errno));
	return kept_dir < 0 ? -1 : 0;
}

void unlinked_keep(fuse_ino_t ino)
{
	/* Where that is not possible, as in a full file system, the file still lives as long as this process. */
	if (kept_dir >= 0 && linkat(node_fd(ino), "", kept_dir, name_of(ino).text, AT_EMPTY_PATH) == 0)
		kept++;
}

bool unlinked_is_kept(fuse_ino_t ino)
{
	return kept > 0 && faccessat(kept_dir, name_of(ino).text, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void unlinked_forgotten(fuse_ino_t ino)
{
	if (kept > 0 && unlinkat(kept_dir, name_of(ino).text, 0) == 0)
		kept--;
}

/* Removes what is kept, but for nodes that the kernel knows if IN_USE stay. */
static void sweep(bool in_use_stays)
{
	int fd = kept_dir < 0 ? -1 : openat(kept_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	kept = 0;
	while ((entry = readdir(dir))) {
		char *end;
		fuse_ino_t ino = strtoull(entry->d_name, &end, 16);

		if (*end != '\0' || strlen(entry->d_name) != sizeof(struct kept_name) - 1)
			continue;
		if (in_use_stays && fuse_node_nlookup(session, ino) > 0)
			kept++;
		else
			unlinkat(kept_dir, entry->d_name, 0);
	}
	closedir(dir);
}

int unlinked_adopt(void)
{
	/* The lock goes with the process, so that its successor gets it. */
	if (kept_dir >= 0 && flock(kept_dir, LOCK_EX | LOCK_NB) != 0) {
		fuse_log(FUSE_LOG_ERR, "recoverable: %s: %s\n", options.unlinked, strerror(errno));
		return -1;
	}
	sweep(true);
	return 0;
}

void unlinked_remove_all(void)
{
	sweep(false);
}
