/*
 * The inodes that the kernel knows. The library's node table has their numbers, their lookup counts and, as the name of each,
 * its file handle, by which it is found whatever its path is by now; the table outlives this process. What is kept here are
 * descriptors: they save time, and whoever takes over opens them anew.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "recoverable.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHAINS = 1 << 16, READING = 0, WRITING = 1 };

/* The descriptors of one node. */
struct node {
	struct node *next; /* in its chain */
	fuse_ino_t ino;
	int path_fd;
	int data_fd[2]; /* for reading and for writing, -1 for none */
	int borrowed;
	bool closing; /* the data descriptors, when nobody borrows them */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *chains[CHAINS];
static int source_fd = -1;
static dev_t source_dev;

/* ---- names of nodes ---- */

struct name {
	size_t len;
	unsigned char bytes[NODE_BYTES];
};

/* A file handle with room for the longest. */
union handle {
	struct file_handle head;
	char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static int name_of(int path_fd, struct name *name)
{
	union handle handle = { .head.handle_bytes = sizeof(name->bytes) - sizeof(handle.head.handle_type) };
	int mount_id;

	if (name_to_handle_at(path_fd, "", &handle.head, &mount_id, AT_EMPTY_PATH) != 0)
		return errno;
	memcpy(name->bytes, &handle.head.handle_type, sizeof(handle.head.handle_type));
	memcpy(name->bytes + sizeof(handle.head.handle_type), handle.head.f_handle, handle.head.handle_bytes);
	name->len = sizeof(handle.head.handle_type) + handle.head.handle_bytes;
	return 0;
}

static int open_name(const struct name *name)
{
	union handle handle = { .head.handle_bytes = (unsigned int)(name->len - sizeof(handle.head.handle_type)) };

	memcpy(&handle.head.handle_type, name->bytes, sizeof(handle.head.handle_type));
	memcpy(handle.head.f_handle, name->bytes + sizeof(handle.head.handle_type), handle.head.handle_bytes);
	return open_by_handle_at(source_fd, &handle.head, O_PATH | O_CLOEXEC);
}

/* The node's file by its name; negative, with errno. */
static int open_node(fuse_ino_t ino)
{
	struct name name;
	int len = fuse_node_read(session, ino, name.bytes, sizeof(name.bytes));

	if (len < (int)sizeof(int)) {
		errno = len < 0 ? -len : ESTALE;
		return -1;
	}
	name.len = (size_t)len;
	return open_name(&name);
}

int nodes_open(const char *source)
{
	struct stat st;
	struct name name;
	int error = 0;

	source_fd = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (source_fd < 0 || fstat(source_fd, &st) != 0)
		error = errno;
	else
		error = name_of(source_fd, &name);
	/* This needs CAP_DAC_READ_SEARCH, and a file system that knows handles. */
	if (!error) {
		int fd = open_name(&name);
		error = fd < 0 ? errno : 0;
		if (fd >= 0)
			close(fd);
	}
	if (error) {
		fuse_log(FUSE_LOG_ERR, "recoverable: %s cannot be opened by its file handle: %s\n", source, strerror(error));
		return -1;
	}
	source_dev = st.st_dev;
	return 0;
}

bool nodes_are_inherited(void)
{
	struct name name;
	/* The root gets its name when the first process has mounted. */
	return fuse_node_read(session, FUSE_ROOT_ID, name.bytes, sizeof(name.bytes)) > 0;
}

int nodes_check(void)
{
	struct name name, before;
	int len, error = name_of(source_fd, &name);

	if (error) {
		fuse_log(FUSE_LOG_ERR, "recoverable: %s: %s\n", options.source, strerror(error));
		return -1;
	}
	len = fuse_node_read(session, FUSE_ROOT_ID, before.bytes, sizeof(before.bytes));
	if (len > 0) {
		if ((size_t)len == name.len && memcmp(before.bytes, name.bytes, name.len) == 0)
			return 0;
		fuse_log(FUSE_LOG_ERR, "recoverable: %s is not the folder that this mount has shown so far\n", options.source);
		return -1;
	}
	error = -fuse_node_update(session, FUSE_ROOT_ID, name.bytes, name.len);
	if (error)
		fuse_log(FUSE_LOG_ERR, "recoverable: the root of the node table: %s\n", strerror(error));
	return error ? -1 : 0;
}

/* ---- descriptors; all of it under the lock ---- */

static struct node **place_of(fuse_ino_t ino)
{
	struct node **place = &chains[(ino ^ ino >> 32) % CHAINS];
	while (*place && (*place)->ino != ino)
		place = &(*place)->next;
	return place;
}

/* Enters a node with its descriptor, which is consumed; one that is there stays. NULL with errno. */
static struct node *enter(fuse_ino_t ino, int path_fd)
{
	struct node **place = place_of(ino);

	if (*place) {
		close(path_fd);
		return *place;
	}
	*place = malloc(sizeof(**place));
	if (*place)
		**place = (struct node){ .ino = ino, .path_fd = path_fd, .data_fd = { -1, -1 } };
	else
		close(path_fd);
	return *place;
}

static struct node *find(fuse_ino_t ino)
{
	struct node *node = *place_of(ino);
	int fd;

	if (node)
		return node;
	/* Not used yet by this process. */
	fd = open_node(ino);
	return fd < 0 ? NULL : enter(ino, fd);
}

static void close_data(struct node *node)
{
	for (int i = READING; i <= WRITING; i++) {
		if (node->data_fd[i] >= 0)
			close(node->data_fd[i]);
		node->data_fd[i] = -1;
	}
	node->closing = false;
}

static int data_fd(struct node *node, int which)
{
	if (node->data_fd[which] < 0) {
		int flags = (which == WRITING ? O_WRONLY : O_RDONLY) | O_CLOEXEC;
		node->data_fd[which] = open(path_of(node->path_fd).text, flags);
	}
	return node->data_fd[which];
}

static void drop(fuse_ino_t ino)
{
	struct node **place, *node;

	pthread_mutex_lock(&lock);
	place = place_of(ino);
	node = *place;
	if (node)
		*place = node->next;
	pthread_mutex_unlock(&lock);
	if (!node)
		return;
	close_data(node);
	close(node->path_fd);
	free(node);
}

/* ---- for the callbacks ---- */

int node_fd(fuse_ino_t ino)
{
	struct node *node;
	int fd;

	if (ino == FUSE_ROOT_ID)
		return source_fd;
	pthread_mutex_lock(&lock);
	node = find(ino);
	fd = node ? node->path_fd : -1;
	pthread_mutex_unlock(&lock);
	return fd;
}

/* Nobody is to see the link by which an unlinked file is kept. */
static void hide_link(fuse_ino_t ino, struct stat *st)
{
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 0 && unlinked_is_kept(ino))
		st->st_nlink--;
}

int node_stat(fuse_ino_t ino, struct stat *st)
{
	int fd = node_fd(ino);

	if (fd < 0 || fstat(fd, st) != 0)
		return -1;
	hide_link(ino, st);
	return 0;
}

double node_timeout(void)
{
	return options.timeout;
}

int node_get(int path_fd, struct fuse_entry_param *entry)
{
	struct name name;
	struct node *node = NULL;
	int error = fstat(path_fd, &entry->attr) != 0 ? errno : 0;

	if (!error && entry->attr.st_dev != source_dev)
		error = EXDEV; /* something is mounted there: its handles are not ours */
	if (!error)
		error = name_of(path_fd, &name);
	if (!error) {
		entry->ino = fuse_node_get(session, name.bytes, name.len);
		error = entry->ino == 0 ? errno : 0;
	}
	if (error) {
		close(path_fd);
		return error;
	}
	pthread_mutex_lock(&lock);
	node = enter(entry->ino, path_fd);
	pthread_mutex_unlock(&lock);
	if (!node) {
		node_put(entry->ino);
		return ENOMEM;
	}
	/* Most often it has one name, by which it was found. */
	if (entry->attr.st_nlink > 1)
		hide_link(entry->ino, &entry->attr);
	entry->generation = fuse_node_generation(session, entry->ino);
	entry->attr_timeout = entry->entry_timeout = options.timeout;
	return 0;
}

static void gone(fuse_ino_t ino)
{
	unlinked_forgotten(ino);
	drop(ino);
}

void node_put(fuse_ino_t ino)
{
	if (fuse_node_put(session, ino) == 1)
		gone(ino);
}

void node_forgotten(fuse_ino_t ino)
{
	if (fuse_node_nlookup(session, ino) == -ESTALE)
		gone(ino);
}

int file_borrow(fuse_ino_t ino, bool writing)
{
	struct node *node;
	int fd;

	pthread_mutex_lock(&lock);
	node = find(ino);
	fd = node ? data_fd(node, writing ? WRITING : READING) : -1;
	if (fd >= 0)
		node->borrowed++;
	pthread_mutex_unlock(&lock);
	return fd;
}

void file_give_back(fuse_ino_t ino)
{
	struct node *node;

	pthread_mutex_lock(&lock);
	node = *place_of(ino);
	if (node && --node->borrowed == 0 && node->closing)
		close_data(node);
	pthread_mutex_unlock(&lock);
}

void file_closed(fuse_ino_t ino)
{
	struct node *node;

	pthread_mutex_lock(&lock);
	node = *place_of(ino);
	if (node && node->borrowed > 0)
		node->closing = true;
	else if (node)
		close_data(node);
	pthread_mutex_unlock(&lock);
}
