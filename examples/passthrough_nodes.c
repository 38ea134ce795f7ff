/*
 * The inodes that the kernel knows. A hard link is another name of the same node, so that all of its opens share one
 * backing id.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "passthrough.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHAINS = 1 << 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *chains[CHAINS];
static struct node root;
static uint64_t made;

static struct node **chain_of(dev_t dev, ino_t number)
{
	return &chains[(number ^ dev * 31) % CHAINS];
}

struct node *node_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? &root : (struct node *)(uintptr_t)ino;
}

fuse_ino_t ino_of(const struct node *node)
{
	return node == &root ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)node;
}

int node_fd(fuse_ino_t ino)
{
	return node_of(ino)->fd;
}

int node_stat(fuse_ino_t ino, struct stat *st)
{
	return fstat(node_fd(ino), st);
}

double node_timeout(void)
{
	return options.timeout;
}

int nodes_init(const char *source)
{
	struct stat st;

	root.fd = open(source, O_PATH | O_CLOEXEC);
	if (root.fd < 0 || fstat(root.fd, &st) != 0)
		return errno;
	root.dev = st.st_dev;
	root.number = st.st_ino;
	root.type = st.st_mode & S_IFMT;
	root.lookups = 1;
	*chain_of(root.dev, root.number) = &root;
	return 0;
}

static struct node *find(const struct stat *st)
{
	struct node *node = *chain_of(st->st_dev, st->st_ino);
	while (node && (node->number != st->st_ino || node->dev != st->st_dev))
		node = node->next;
	return node;
}

static struct node *make(int fd, const struct stat *st)
{
	struct node **chain = chain_of(st->st_dev, st->st_ino), *node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	*node = (struct node){
		.next = *chain,
		.dev = st->st_dev,
		.number = st->st_ino,
		.fd = fd,
		.type = st->st_mode & S_IFMT,
		.generation = ++made,
	};
	return *chain = node;
}

int node_get(int path_fd, struct node **node, struct stat *st)
{
	bool known;

	if (fstat(path_fd, st) != 0) {
		int error = errno;
		close(path_fd);
		return error;
	}
	pthread_mutex_lock(&lock);
	*node = find(st);
	known = *node != NULL;
	if (!known)
		*node = make(path_fd, st);
	if (*node)
		(*node)->lookups++;
	pthread_mutex_unlock(&lock);
	if (known || !*node)
		close(path_fd);
	return *node ? 0 : ENOMEM;
}

void node_forget(fuse_ino_t ino, uint64_t count)
{
	struct node *node = node_of(ino), **place;

	pthread_mutex_lock(&lock);
	node->lookups -= count;
	if (node == &root || node->lookups > 0) {
		pthread_mutex_unlock(&lock);
		return;
	}
	for (place = chain_of(node->dev, node->number); *place != node; place = &(*place)->next)
		;
	*place = node->next;
	pthread_mutex_unlock(&lock);
	close(node->fd);
	free(node);
}
