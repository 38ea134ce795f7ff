/* Command line, connection options, loop configuration, daemonizing. */
#include "cases.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/wait.h>

/* --- fuse_parse_cmdline --- */

int parse_cmdline_old(struct fuse_args *args, struct fuse_cmdline_opts *opts);
int fuse_parse_cmdline_30(struct fuse_args *args, struct fuse_cmdline_opts *opts);
int fuse_parse_cmdline_312(struct fuse_args *args, struct fuse_cmdline_opts *opts);
__asm__(".symver parse_cmdline_old, fuse_parse_cmdline@FUSE_3.0");

static const struct {
	const char *name;
	int (*parse)(struct fuse_args *args, struct fuse_cmdline_opts *opts);
	size_t size;
} cmdlines[] = {
	{ "default", fuse_parse_cmdline, 48 },
	{ "3.0", parse_cmdline_old, 40 },
	{ "_30", fuse_parse_cmdline_30, 40 },
	{ "_312", fuse_parse_cmdline_312, 48 },
};

static void cmdline_case(size_t which, const char *text)
{
	union {
		struct fuse_cmdline_opts opts;
		unsigned char bytes[64];
	} u;
	struct list list;
	size_t changed = 0;

	memset(&u, 0xa5, sizeof(u));
	split(&list, text);
	begin("cmdline", cmdlines[which].name, text);
	int res = cmdlines[which].parse(&list.args, &u.opts);
	for (size_t i = 0; i < sizeof(u); i++)
		if (u.bytes[i] != 0xa5)
			changed = i + 1;
	printf(" res=%d touched=%zu", res, changed);
	if (res == 0 || cmdlines[which].size == 48) {
		struct fuse_cmdline_opts *o = &u.opts;
		printf(" s=%d f=%d d=%d nosub=%d V=%d h=%d clone=%d idle=%u", o->singlethread, o->foreground, o->debug,
		       o->nodefault_subtype, o->show_version, o->show_help, o->clone_fd, o->max_idle_threads);
		if (cmdlines[which].size == 48)
			printf(" max=%u", o->max_threads);
		print_string("mountpoint", o->mountpoint);
		free(o->mountpoint);
	}
	print_args(&list.args);
	end();
	fuse_opt_free_args(&list.args);
}

void cmdline_cases(void)
{
	static const char *const lines[] = {
		"p", "/usr/bin/p", "/usr/bin/", "/", "", "./a/b.c", "p,q", "p|-f", "p|-s", "p|-d", "p|-h", "p|--help", "p|-V",
		"p|--version", "p|-f|-s|-d|-h|-V", "p|-odebug", "p|-o|debug,ro", "p|-oclone_fd", "p|-oclone_fd=1", "p|-fs",
		"p|-omax_threads=5", "p|-omax_threads=", "p|-omax_threads=x", "p|-omax_threads=-1", "p|-omax_threads",
		"p|-omax_threads= 7x", "p|-omax_threads=4294967297", "p|-omax_idle_threads=3", "p|-omax_idle_threads=",
		"p|-omax_idle_threads=100001", "p|-omax_idle_threads=0,max_threads=0", "p|-omax_threads=99999999999999999999",
		"p|-ofsname=x", "p|-osubtype=y", "p|-ofsname=x,subtype=y", "p|-ofsname=", "p|-ofsname", "p|fsname=x", "p|--fsname=x",
		"p|/", "p|/tmp/..", "p|.", "p|link", "p|file", "p|nowhere", "p|", "p|/|/", "p|/|nowhere", "p|/etc/passwd/x",
		"p|/dev/fd/3", "p|/dev/fd/0", "p|/dev/fd/x", "p|/dev/fd/3x", "p|/dev/fd/ 3", "p|/dev/fd/+3",
		"p|/dev/fd/-3", "p|/dev/fd/2147483647", "p|/dev/fd/2147483648", "p|/dev/fd/4294967299", "p|/dev/fd/3/",
		"p|/dev/fd/0003", "p|/dev/fd/3|/", "p|--", "p|--|/", "p|--|-f", "p|/|--", "p|-oro,allow_other|/", "p|-o",
		"p|-x|/|-oro|--unknown", "p|-ono_such,debug,fsname=a\\,b|/", "p|-d|-odebug|/", "p|-f|-omax_threads=2|/|extra",
		"p|-o|-h,-f|/", "p|-oh,f|/", "p|-onodefault_subtype|/", "p|-r|/", "p|-oallow_root,auto_unmount|/|-s",
	};
	for (size_t w = 0; w < COUNT(cmdlines); w++)
		for (size_t i = 0; i < COUNT(lines); i++)
			cmdline_case(w, lines[i]);
}

/* --- connection options --- */

static void conn_case(const char *text)
{
	static const unsigned sets[] = { 0, ~0u, 0xffffu, FUSE_CAP_SPLICE_READ | FUSE_CAP_ASYNC_DIO };
	struct list list;

	split(&list, text);
	begin("conn", "parse", text);
	struct fuse_conn_info_opts *opts = fuse_parse_conn_info_opts(&list.args);
	printf(" opts=%s", opts ? "yes" : "NULL");
	print_args(&list.args);
	end();
	fuse_opt_free_args(&list.args);
	for (size_t c = 0; opts && c < COUNT(sets); c++)
		for (size_t w = 0; w < COUNT(sets); w++) {
			struct fuse_conn_info conn = { .proto_major = 7, .proto_minor = 31, .max_write = 11, .max_read = 12,
						       .max_readahead = 13, .capable = sets[c], .want = sets[w],
						       .max_background = 14, .congestion_threshold = 15, .time_gran = 16 };
			fuse_apply_conn_info_opts(opts, &conn);
			const unsigned *words = (const unsigned *) &conn;
			printf("     capable=%x want=%x:", sets[c], sets[w]);
			for (size_t i = 0; i < sizeof(conn) / sizeof(*words); i++)
				printf(" %x", words[i]);
			putchar('\n');
		}
	free(opts);
}

void conn_cases(void)
{
	static const char *const lines[] = {
		"p", "p|mnt|-x", "p|-omax_write=4096", "p|-omax_write=", "p|-omax_write=x", "p|-omax_write=0",
		"p|-omax_write=-1", "p|-omax_write", "p|-omax_write=1,max_write=2", "p|-omax_readahead=7", "p|-omax_readahead=",
		"p|-omax_background=8", "p|-omax_background=y", "p|-ocongestion_threshold=9", "p|-ocongestion_threshold=",
		"p|-otime_gran=1000", "p|-otime_gran=", "p|-oasync_read", "p|-osync_read", "p|-osync_read,async_read",
		"p|-oatomic_o_trunc", "p|-ono_atomic_o_trunc", "p|-ono_remote_lock", "p|-ono_remote_flock",
		"p|-ono_remote_posix_lock", "p|-osplice_write", "p|-ono_splice_write", "p|-osplice_move", "p|-ono_splice_move",
		"p|-osplice_read", "p|-ono_splice_read", "p|-osplice_read,no_splice_read", "p|-ono_splice_read,splice_read",
		"p|-oauto_inval_data", "p|-ono_auto_inval_data", "p|-oreaddirplus=no", "p|-oreaddirplus=yes",
		"p|-oreaddirplus=auto", "p|-oreaddirplus", "p|-ono_readdirplus", "p|-oreaddirplus=maybe", "p|-oreaddirplus=",
		"p|-oreaddirplus=no,readdirplus=yes", "p|-oreaddirplus=yes,readdirplus=no", "p|-oreaddirplus=no,readdirplus=auto",
		"p|-oreaddirplus=yes,readdirplus=auto", "p|-oasync_dio", "p|-ono_async_dio", "p|-owriteback_cache",
		"p|-ono_writeback_cache", "p|-oro,splice_read,max_write=1,fsname=x|mnt|--", "splice_read", "p|splice_read",
		"p|-splice_read", "p|--max_write=3", "p|max_write=3", "p|-o", "p|-omax_read=5", "p|-oall\\,one,async_dio",
	};
	for (size_t i = 0; i < COUNT(lines); i++)
		conn_case(lines[i]);
}

/* --- the rest --- */

void loop_config_cases(void)
{
	static const unsigned counts[] = { 0, 1, 10, 100000, 100001, UINT_MAX - 1, UINT_MAX };
	struct fuse_loop_config *config = fuse_loop_cfg_create();

	for (size_t i = 0; i < COUNT(counts); i++) {
		begin("loop", "idle_threads", "");
		printf(" %u", counts[i]);
		fuse_loop_cfg_set_idle_threads(config, counts[i]);
		end();
		begin("loop", "max_threads", "");
		fuse_loop_cfg_set_max_threads(config, counts[i]);
		end();
		begin("loop", "clone_fd", "");
		fuse_loop_cfg_set_clone_fd(config, counts[i]);
		end();
	}
	fuse_loop_cfg_destroy(config);
	fuse_loop_cfg_destroy(NULL);
}

static void show_fd(FILE *out, int fd)
{
	char path[64], target[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	fprintf(out, " fd%d=%s", fd, target);
}

static void daemonize_case(int foreground, int closed)
{
	int ends[2], status = -1;
	char line[4096] = "";

	begin("daemonize", foreground ? "foreground" : "background", closed ? "streams closed" : "");
	fflush(stdout);
	if (pipe(ends))
		abort();
	pid_t pid = fork();
	if (pid == 0) {
		FILE *out = fdopen(ends[1], "w");
		char cwd[PATH_MAX];
		pid_t before = getpid();

		close(ends[0]);
		for (int fd = 0; closed && fd < 3; fd++)
			close(fd);
		fprintf(out, " res=%d", fuse_daemonize(foreground));
		fprintf(out, " forked=%d leader=%d cwd=%s", getpid() != before, getsid(0) == getpid(), getcwd(cwd, sizeof(cwd)));
		if (!foreground)
			for (int fd = 0; fd < 3; fd++)
				show_fd(out, fd);
		/* What the library opened for itself must be gone. */
		for (int fd = closed && foreground ? 0 : 3; fd < 64; fd++)
			if (fd != fileno(out) && fcntl(fd, F_GETFD) != -1)
				fprintf(out, " open=%d", fd);
		fclose(out);
		_exit(3);
	}
	close(ends[1]);
	FILE *in = fdopen(ends[0], "r");
	if (!fgets(line, sizeof(line), in))
		strcpy(line, " nothing");
	fclose(in);
	waitpid(pid, &status, 0);
	printf("%s status=%d", line, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	end();
}

void daemonize_cases(void)
{
	daemonize_case(0, 0);
	daemonize_case(1, 0);
	daemonize_case(1, 1);
}

void daemonize_closed_case(void)
{
	daemonize_case(0, 1);
}
