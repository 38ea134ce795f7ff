/*
 * hello: the smallest file system worth mounting. One read-only directory, one file.
 *
 *   cc -o hello hello.c $(pkg-config --cflags --libs fuse3)
 *   ./hello -f /some/empty/folder     # -f: stay in the foreground, Ctrl-C ends it
 *   cat /some/empty/folder/hello.txt
 *
 * The kernel names files by number ("inode"), asks one thing at a time, and gets exactly one reply to each request.
 * So each callback below ends in one fuse_reply_*() call on every path.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define FUSE_USE_VERSION 312

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char file_name[] = "hello.txt";
static const char file_text[] = "Hello from a file system in user space.\n";

enum {
	ROOT = FUSE_ROOT_ID, /* fixed by the protocol */
	FILE_INODE,          /* any other number is ours to give */
};

/* Nothing here ever changes: the kernel may remember what it heard for an hour before it asks again. */
static const double cache_seconds = 3600.0;

static int fill_attributes(fuse_ino_t inode, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = inode;
	switch (inode) {
	case ROOT:
		st->st_mode = S_IFDIR | 0555;
		st->st_nlink = 2;
		return 0;
	case FILE_INODE:
		st->st_mode = S_IFREG | 0444;
		st->st_nlink = 1;
		st->st_size = sizeof(file_text) - 1;
		return 0;
	default:
		return ENOENT;
	}
}

/* "Which inode is called NAME in the directory PARENT?" */
static void hello_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {
		.ino = FILE_INODE,
		.attr_timeout = cache_seconds,
		.entry_timeout = cache_seconds,
	};

	if (parent != ROOT || strcmp(name, file_name) != 0) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	fill_attributes(entry.ino, &entry.attr);
	fuse_reply_entry(req, &entry);
}

/* stat(2) */
static void hello_getattr(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *info)
{
	struct stat st;
	int error = fill_attributes(inode, &st);

	(void)info;
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_attr(req, &st, cache_seconds);
}

static void hello_open(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *info)
{
	(void)inode;
	if ((info->flags & O_ACCMODE) != O_RDONLY) {
		fuse_reply_err(req, EROFS);
		return;
	}
	info->keep_cache = 1; /* what was read before is still true */
	fuse_reply_open(req, info);
}

static void hello_read(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *info)
{
	size_t length = sizeof(file_text) - 1;
	size_t start = (size_t)offset < length ? (size_t)offset : length;
	size_t rest = length - start;

	(void)inode;
	(void)info;
	/* Fewer bytes than asked for mean the end of the file. */
	fuse_reply_buf(req, file_text + start, size < rest ? size : rest);
}

/*
 * The listing. OFFSET is 0, or what was given as the offset of the last entry that the kernel took: where to go on
 * from. An empty reply is the end.
 */
static void hello_readdir(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *info)
{
	static const struct {
		const char *name;
		fuse_ino_t inode;
	} entries[] = { { ".", ROOT }, { "..", ROOT }, { file_name, FILE_INODE } };
	const off_t count = sizeof(entries) / sizeof(entries[0]);
	char buffer[512]; /* room for these three and more */
	size_t used = 0;

	(void)info;
	if (inode != ROOT) {
		fuse_reply_err(req, ENOTDIR);
		return;
	}
	if (size > sizeof(buffer))
		size = sizeof(buffer);
	for (off_t i = offset; i < count; i++) {
		struct stat st;
		size_t need;

		fill_attributes(entries[i].inode, &st);
		need = fuse_add_direntry(req, buffer + used, size - used, entries[i].name, &st, i + 1);
		if (need > size - used)
			break; /* did not fit: the kernel comes again for it */
		used += need;
	}
	fuse_reply_buf(req, buffer, used);
}

static const struct fuse_lowlevel_ops operations = {
	.lookup = hello_lookup,
	.getattr = hello_getattr,
	.open = hello_open,
	.read = hello_read,
	.readdir = hello_readdir,
};

/* Mounts, serves until it is unmounted or told to end by a signal, and unmounts. */
static int serve(struct fuse_session *session, const struct fuse_cmdline_opts *options)
{
	int result = -1;

	if (fuse_set_signal_handlers(session) != 0)
		return -1;
	if (fuse_session_mount(session, options->mountpoint) == 0) {
		if (fuse_daemonize(options->foreground) == 0)
			result = fuse_session_loop(session);
		fuse_session_unmount(session);
	}
	fuse_remove_signal_handlers(session);
	return result;
}

int main(int argc, char *argv[])
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct fuse_cmdline_opts options;
	struct fuse_session *session;
	int result = -1;

	if (fuse_parse_cmdline(&args, &options) != 0)
		return EXIT_FAILURE;
	if (options.show_help || !options.mountpoint) {
		printf("usage: %s [options] <mountpoint>\n\n", argv[0]);
		fuse_cmdline_help();
		fuse_lowlevel_help();
		result = options.show_help ? 0 : -1;
	} else {
		session = fuse_session_new(&args, &operations, sizeof(operations), NULL);
		if (session) {
			result = serve(session, &options);
			fuse_session_destroy(session);
		}
	}
	free(options.mountpoint);
	fuse_opt_free_args(&args);
	/* A positive result is the number of the signal that ended the loop: an orderly end, too. */
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
