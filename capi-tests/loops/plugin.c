/*
 * Loads the library, mounts, serves, unmounts and unloads it, again and again, as a plug-in of a long-lived program
 * does. It is linked against no libfuse.
 *
 *   plugin <library> <cycles> <mountpoint>
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 312

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void *library;
static struct fuse_session *se;
static const char *mountpoint;

#define CALL(function, ...) ((__typeof__(function) *)find(#function))(__VA_ARGS__)

static void *find(const char *name)
{
	void *function = dlsym(library, name);

	if (function == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		_exit(70);
	}
	return function;
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct stat st = { .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };

	(void)fi;
	CALL(fuse_reply_attr, req, &st, 0);
}

static void *use_and_exit(void *unused)
{
	struct stat st;

	(void)unused;
	if (stat(mountpoint, &st) != 0 || st.st_ino != 1)
		fprintf(stderr, "%s: %s\n", mountpoint, strerror(errno));
	CALL(fuse_session_exit, se);
	return NULL;
}

static void cycle(const char *file, int number)
{
	static const struct fuse_lowlevel_ops ops = { .getattr = on_getattr };
	char *argv[] = { "plugin", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	pthread_t user;

	library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		_exit(71);
	}
	/* dlsym() finds the old one by the name alone, as does every program that loads the library itself. */
	struct fuse_session *(*make)(struct fuse_args *, const struct fuse_lowlevel_ops *, size_t, void *) =
		find("fuse_session_new");

	se = make(&args, &ops, sizeof(ops), NULL);
	if (se == NULL || CALL(fuse_session_mount, se, mountpoint) != 0)
		_exit(72);
	pthread_create(&user, NULL, use_and_exit, NULL);
	int result = number % 2 ? CALL(fuse_session_loop, se)
				: ((int (*)(struct fuse_session *, void *))find("fuse_session_loop_mt"))(se, NULL);

	pthread_join(user, NULL);
	if (result != 0)
		fprintf(stderr, "the loop returned %d\n", result);
	CALL(fuse_session_unmount, se);
	CALL(fuse_session_destroy, se);
	CALL(fuse_opt_free_args, &args);
	dlclose(library);
	/* What the library left to be called by signals is called now. */
	for (int signal = SIGRTMIN; signal <= SIGRTMAX; signal++) {
		struct sigaction action;

		if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
			raise(signal);
	}
}

static int entries(const char *folder)
{
	DIR *dir = opendir(folder);
	int count = 0;

	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static long resident_kib(void)
{
	long size, resident;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file == NULL || fscanf(file, "%ld %ld", &size, &resident) != 2)
		_exit(73);
	fclose(file);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 64;
	mountpoint = argv[3];
	alarm(40);
	cycle(argv[1], 0);
	cycle(argv[1], 1);
	usleep(20000); /* the kernel lists a thread for a moment after it was joined */
	int fds = entries("/proc/self/fd"), threads = entries("/proc/self/task");
	long before = resident_kib();

	for (int i = 0; i < atoi(argv[2]); i++)
		cycle(argv[1], i);
	usleep(20000);
	printf("%d fds, %d threads, %ld KiB more\n", entries("/proc/self/fd") - fds, entries("/proc/self/task") - threads,
	       resident_kib() - before);
	return 0;
}
