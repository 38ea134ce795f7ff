/*
 * A daemon's own I/O with clone_fd: each worker has a channel of its own, replies leave through the one that their
 * request came through, and all are closed with the session.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 317

#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define MUST(condition) ((condition) ? (void)0 : failed(__LINE__, #condition))

enum { CHANNELS = 3 };

static struct fuse_session *se;
static int master;
static int peers[CHANNELS + 1];
static atomic_int clones;

static void failed(int line, const char *what)
{
	fprintf(stderr, "%d: %s\n", line, what);
	_exit(1);
}

static ssize_t io_read(int fd, void *buf, size_t len, void *userdata)
{
	(void)userdata;
	MUST(fd != master); /* which no worker serves */
	return read(fd, buf, len);
}

static ssize_t io_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	(void)userdata;
	return writev(fd, iov, count);
}

static int io_clone_fd(int from)
{
	int ends[2], number = clones;

	MUST(from == master && number < CHANNELS);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	peers[number] = ends[1];
	atomic_fetch_add(&clones, 1);
	return ends[0];
}

static pthread_barrier_t all_inside;

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	pthread_barrier_wait(&all_inside);
	fuse_reply_err(req, ENOENT);
}

static void send_request(int peer, uint32_t opcode, uint64_t unique, const void *arguments, size_t len)
{
	struct fuse_in_header head = { .len = sizeof(head) + len, .opcode = opcode, .nodeid = 1, .unique = unique };
	struct iovec parts[] = { { &head, sizeof(head) }, { (void *)arguments, len } };

	MUST(writev(peer, parts, 2) == (ssize_t)head.len);
}

static struct fuse_out_header receive_reply(int peer)
{
	struct {
		struct fuse_out_header head;
		char payload[4096];
	} reply;

	MUST(read(peer, &reply, sizeof(reply)) >= (ssize_t)sizeof(reply.head));
	return reply.head;
}

static void *loop(void *config)
{
	MUST(fuse_session_loop_mt(se, config) == 0);
	return NULL;
}

static void wait_for_clones(int count)
{
	for (int i = 0; i < 5000 && clones < count; i++)
		usleep(1000);
	MUST(clones == count);
}

int main(void)
{
	static const struct fuse_lowlevel_ops ops = { .lookup = on_lookup };
	static const struct fuse_custom_io io = { .read = io_read, .writev = io_writev, .clone_fd = io_clone_fd };
	const struct fuse_init_in init = { .major = 7, .minor = 38 };
	char *argv[] = { "custom_clone", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	pthread_t looper;
	int ends[2];
	char byte;

	alarm(20);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	master = ends[0];
	pthread_barrier_init(&all_inside, NULL, CHANNELS);
	se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	MUST(se != NULL && fuse_session_custom_io(se, &io, sizeof(io), master) == 0);
	fuse_loop_cfg_set_clone_fd(config, 1);
	fuse_loop_cfg_set_max_threads(config, CHANNELS);
	pthread_create(&looper, NULL, loop, config);
	wait_for_clones(1);
	send_request(peers[0], FUSE_INIT, 2, &init, sizeof(init));
	MUST(receive_reply(peers[0]).error == 0);
	/* Each is served by its own worker: none of the callbacks returns before all were called. */
	for (int i = 0; i < CHANNELS; i++) {
		wait_for_clones(clones > i ? (int)clones : i + 1);
		send_request(peers[i], FUSE_LOOKUP, 100 + i, "name", 5);
	}
	for (int i = 0; i < CHANNELS; i++) {
		struct fuse_out_header head = receive_reply(peers[i]);

		MUST(head.unique == 100u + i && head.error == -ENOENT);
	}
	fuse_session_exit(se);
	pthread_join(looper, NULL);
	MUST(recv(peers[0], &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN); /* kept for the next loop */
	fuse_session_destroy(se);
	for (int i = 0; i < CHANNELS; i++)
		MUST(read(peers[i], &byte, 1) == 0);
	MUST(read(ends[1], &byte, 1) == 0);
	fuse_loop_cfg_destroy(config);
	fuse_opt_free_args(&args);
	return 0;
}
