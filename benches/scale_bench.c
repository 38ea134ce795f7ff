/* Many threads and many requests in flight on one session, without the kernel: a session on fuse_session_custom_io whose
 * writev only counts. Each thread gives getattr requests to the library and keeps its part of IN_FLIGHT unanswered.
 * usage: scale_bench MODE THREADS IN_FLIGHT COUNT     COUNT requests by each thread
 *   same        a thread answers what it received
 *   other       it answers what its neighbour received
 *   apart       as same, but each thread is a process of its own: what the machine takes for so much at once
 *   interrupt   one thread: IN_FLIGHT requests, then COUNT interrupts of any of them
 * prints: NAME VALUE a line; nanoseconds of CPU time and of wall time of a thread for one, and by how many KiB the
 * process grew since a tenth as many were served. Threads have processors of their own as far as there are: two on one
 * would not meet. Build against either library. */
#define FUSE_USE_VERSION 34
#define _GNU_SOURCE
#include <fuse_lowlevel.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Every so many requests a thread looks at what others do, so that what is measured is the library and not this. */
enum { MOST = 64, ROOM = 1 << 15, BATCH = 32 };

/* What one thread received, for one thread to answer. */
struct ring {
	_Alignas(128) atomic_ulong put;
	_Alignas(128) atomic_ulong taken;
	fuse_req_t reqs[ROOM];
};

static struct fuse_session *se;
static struct ring rings[MOST];
static atomic_int ended[MOST];
static unsigned long threads, hold, count, place;
static int to_other;
static _Thread_local struct ring *own;
static _Thread_local unsigned long received, replies;

static void op_init(void *u, struct fuse_conn_info *c) { (void)u; (void)c; }

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino; (void)fi;
	own->reqs[received++ % ROOM] = req;
}

static const struct fuse_lowlevel_ops ops = { .init = op_init, .getattr = op_getattr };

static ssize_t io_writev(int fd, struct iovec *iov, int n, void *u)
{
	ssize_t t = 0;
	(void)fd; (void)u;
	for (int i = 0; i < n; i++) t += iov[i].iov_len;
	replies++;
	return t;
}

static ssize_t io_read(int fd, void *b, size_t l, void *u) { (void)fd; (void)b; (void)l; (void)u; return -ENODEV; }

/* Answers until no more than `keep` are left. */
static void answer(struct ring *ring, unsigned long keep)
{
	struct stat st = { .st_ino = 2, .st_mode = S_IFREG | 0644, .st_nlink = 1, .st_size = 4096 };
	unsigned long at = atomic_load_explicit(&ring->taken, memory_order_relaxed);
	unsigned long put = atomic_load_explicit(&ring->put, memory_order_acquire);
	while (put - at > keep) fuse_reply_attr(ring->reqs[at++ % ROOM], &st, 1.0);
	atomic_store_explicit(&ring->taken, at, memory_order_release);
}

static void process(void *message, unsigned long unique, unsigned opcode, size_t len)
{
	struct fuse_in_header *h = message;
	struct fuse_buf buf = { .mem = message, .size = len };
	h->nodeid = 2; h->pid = 1; h->opcode = opcode; h->len = len; h->unique = unique;
	fuse_session_process_buf(se, &buf);
}

static void getattr(unsigned long unique)
{
	static _Thread_local char message[sizeof(struct fuse_in_header) + sizeof(struct fuse_getattr_in)] __attribute__((aligned(64)));
	process(message, unique, FUSE_GETATTR, sizeof message);
}

/* The calling thread runs on the nth processor of those that it may use. */
static void stay_on(unsigned long nth)
{
	cpu_set_t may, one;
	int cpu = 0;
	sched_getaffinity(0, sizeof may, &may);
	for (nth %= CPU_COUNT(&may); nth || !CPU_ISSET(cpu, &may); cpu++) nth -= CPU_ISSET(cpu, &may) != 0;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof one, &one);
}

static void *run(void *arg)
{
	unsigned long me = (size_t)arg, other = to_other ? (me + 1) % threads : me;
	stay_on(place + me);
	own = &rings[me];
	for (unsigned long i = 0; i < count; i++) {
		getattr((me * count + i + 1) * 2);
		if (i % BATCH) continue;
		atomic_store_explicit(&own->put, received, memory_order_release);
		answer(&rings[other], hold);
		while (received - atomic_load_explicit(&own->taken, memory_order_acquire) > 2 * hold + 2 * BATCH) {
			sched_yield();
			answer(&rings[other], hold);
		}
	}
	atomic_store(&own->put, received);
	atomic_store(&ended[me], 1);
	while (!atomic_load(&ended[other])) { answer(&rings[other], 0); sched_yield(); }
	answer(&rings[other], 0);
	return (void *)replies;
}

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void interrupts(void)
{
	static struct { struct fuse_in_header h; struct fuse_interrupt_in i; } message;
	own = &rings[0];
	for (unsigned long i = 0; i < hold; i++) getattr((i + 1) * 2);
	double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	for (unsigned long i = 0; i < count; i++) {
		message.i.unique = (i * 7919 % hold + 1) * 2;
		process(&message, message.i.unique | 1, FUSE_INTERRUPT, sizeof message);
	}
	printf("cpu_ns %.1f\n", (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e9 / count);
	atomic_store(&own->put, received);
	answer(own, 0);
}

/* KiB of memory of the process' own. */
static long resident(void)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f)) sscanf(line, "RssAnon: %ld", &kib);
	if (f) fclose(f);
	return kib;
}

/* All threads, each with so many requests; how many were answered. */
static unsigned long all(unsigned long requests)
{
	pthread_t t[MOST];
	unsigned long total = 0;
	void *done;
	count = requests;
	for (size_t i = 0; i < threads; i++) {
		atomic_store(&ended[i], 0);
		atomic_store(&rings[i].put, 0);
		atomic_store(&rings[i].taken, 0);
	}
	for (size_t i = 0; i < threads; i++) pthread_create(&t[i], 0, run, (void *)i);
	for (size_t i = 0; i < threads; i++) { pthread_join(t[i], &done); total += (unsigned long)done; }
	return total;
}

static int timed(unsigned long requests)
{
	for (size_t i = 0; i < threads; i++) memset(rings[i].reqs, 1, sizeof rings[i].reqs);
	unsigned long answered = all(requests / 10), expected = requests / 10 * threads + requests * threads;
	long grown = resident();
	double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
	answered += all(requests);
	printf("cpu_ns %.1f\n", (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e9 / (requests * threads));
	printf("wall_ns %.1f\n", (seconds(CLOCK_MONOTONIC) - wall) * 1e9 / requests);
	printf("grown_kib %ld\n", resident() - grown);
	return answered != expected;
}

int main(int argc, char **argv)
{
	if (argc < 5) return 2;
	threads = strtoul(argv[2], 0, 0);
	count = strtoul(argv[4], 0, 0);
	if (threads < 1 || threads > MOST || !(hold = strtoul(argv[3], 0, 0) / threads) || hold > ROOM / 2 - 64) return 2;
	to_other = !strcmp(argv[1], "other");
	while (!strcmp(argv[1], "apart") && threads > 1)
		if (!fork()) { place = threads - 1; threads = 1; }
		else threads--;
	char *av[] = { argv[0], NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, av);
	struct fuse_custom_io io = { .writev = io_writev, .read = io_read };
	se = fuse_session_new(&args, &ops, sizeof ops, NULL);
	if (!se || fuse_session_custom_io(se, &io, open("/dev/null", O_RDWR))) return 1;
	static struct { struct fuse_in_header h; struct fuse_init_in in; } init = {
		.in = { .major = 7, .minor = 31, .max_readahead = 131072, .flags = 0xfffffff & ~(1u << 30) } };
	process(&init, 1, FUSE_INIT, sizeof init);
	int failed = 0;
	if (!strcmp(argv[1], "interrupt")) interrupts();
	else failed = timed(count);
	fuse_session_destroy(se);
	for (int status; wait(&status) > 0;) failed |= status;
	return failed != 0;
}
