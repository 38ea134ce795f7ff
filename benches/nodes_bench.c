/* The table of nodes of a recoverable session (fuse_node_get() and others), without a request: what a node takes of time
 * and memory when there are many. Only for a library that has it.
 * usage: nodes_bench COUNT MOUNTPOINT     COUNT 0: as many as there can be
 * prints: NAME VALUE a line; ns for a call, seconds, bytes. Names are 16 bytes, as of a file handle. */
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The system's headers do not have them. */
extern int fuse_session_set_recoverable(struct fuse_session *se, size_t node_bytes) __attribute__((weak));
extern fuse_ino_t fuse_node_get(struct fuse_session *se, const void *bytes, size_t len) __attribute__((weak));
extern int fuse_node_put(struct fuse_session *se, fuse_ino_t ino) __attribute__((weak));
extern int64_t fuse_node_nlookup(struct fuse_session *se, fuse_ino_t ino) __attribute__((weak));

static const struct fuse_lowlevel_ops ops;
static struct fuse_session *se;
static fuse_ino_t *nodes;
static uint64_t sink;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* KiB of a line of /proc/self/status */
static unsigned long status(const char *name)
{
	char line[256];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, name, strlen(name))) sscanf(strchr(line, ':') + 1, "%lu", &kib);
	if (f) fclose(f);
	return kib;
}

static fuse_ino_t get(uint64_t number)
{
	uint64_t name[2] = { number, number * 0x9e3779b97f4a7c15u };
	return fuse_node_get(se, name, sizeof name);
}

static uint64_t any(uint64_t below)
{
	static uint64_t x = 88172645463325252u;
	x ^= x << 13; x ^= x >> 7; x ^= x << 17;
	return x % below;
}

static double each(uint64_t calls, uint64_t count, int random, int by_name)
{
	double from = now();
	for (uint64_t i = 0; i < calls; i++) {
		uint64_t which = random ? any(count) : i % count;
		if (by_name) sink += get(which);
		else sink += fuse_node_nlookup(se, nodes[which]);
	}
	return (now() - from) / calls;
}

static double grow(uint64_t from, uint64_t to)
{
	double longest = 0, start = now(), last = start;
	for (uint64_t i = from; i < to; i++) {
		if (!(nodes[i] = get(i))) { perror("fuse_node_get"); exit(1); }
		double t = now();
		if (t - last > longest) longest = t - last;
		last = t;
	}
	printf("longest_ms %.2f\n", longest / 1e6);
	return (last - start) / (to - from);
}

static void measure(uint64_t count)
{
	unsigned long anon = status("RssAnon"), shared = status("RssShmem");
	printf("make_ns %.0f\n", grow(0, count));
	printf("shared_bytes %.1f\n", (status("RssShmem") - shared) * 1024.0 / count);
	printf("own_bytes %.1f\n", (status("RssAnon") - anon) * 1024.0 / count);
	uint64_t few = count < 1000 ? count : 1000;
	printf("by_nodeid_warm_ns %.0f\n", each(1000000, few, 0, 0));
	printf("by_nodeid_random_ns %.0f\n", each(1000000, count, 1, 0));
	printf("by_name_warm_ns %.0f\n", each(1000000, few, 0, 1));
	printf("by_name_random_ns %.0f\n", each(1000000, count, 1, 1));
}

/* How it ends where there is no room. */
static void fill(void)
{
	uint64_t count = 0;
	while (get(count)) count++;
	printf("most %lu\nerrno %d\n", (unsigned long)count, errno);
}

int main(int argc, char **argv)
{
	if (argc < 3) return 2;
	if (!fuse_node_get) { fprintf(stderr, "this library has no table of nodes\n"); return 1; }
	char *av[] = { argv[0], NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, av);
	uint64_t count = strtoull(argv[1], 0, 0);
	se = fuse_session_new(&args, &ops, sizeof ops, NULL);
	if (!se || fuse_session_set_recoverable(se, 16) || fuse_session_mount(se, argv[2])) return 1;
	nodes = calloc(count + 1, sizeof *nodes);
	for (uint64_t i = 0; i <= count; i++) nodes[i] = 1; /* its own pages are there before */
	if (count) measure(count); else fill();
	fuse_session_unmount(se);
	fuse_session_destroy(se);
	return sink == 42;
}
