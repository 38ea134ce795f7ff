/*
 * recoverable: shows a folder at another place, and can be killed or replaced under the applications that use it: they wait
 * for a moment, and go on.
 *
 *   cc -o recoverable recoverable*.c backing*.c $(pkg-config --cflags --libs fuse3) -pthread
 *   fusewire-keep -- ./recoverable -f --source=/some/folder --unlinked=/some/other /some/empty/folder
 *
 * fusewire-keep holds the connection and starts this program again when it dies; systemd can do the same. By itself it is a
 * file system as any other. What makes it recoverable, to be read in this order:
 *
 *   recoverable.c           declares it, and hands over to a new version (SIGUSR1)
 *   recoverable_nodes.c     inodes are file handles in the library's node table instead of pointers
 *   recoverable_files.c     an open file has no state here
 *   recoverable_once.c      what must not be done twice is written down before it is done
 *   recoverable_unlinked.c  files without a name outlive this process, too
 *   recoverable_names.c, recoverable_dir.c, backing_*.c: the callbacks that are left
 *
 *   --source=FOLDER        what to show: one file system, which nobody else changes meanwhile
 *   --unlinked=FOLDER      where files stay that are removed while they are open: on the same file system, outside of
 *                          what is shown, for this mount alone
 *   -o passthrough         the kernel reads and writes the files by itself
 *   -o timeout=SECONDS     how long the kernel may remember names and attributes (default 1)
 *
 * Needs root. Serves all users: allow_other, default_permissions. Locks are the kernel's, and so survive.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "recoverable.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fuse_session *session;

struct options options = { .timeout = 1.0 };

static void rc_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	/* A successor gets here with what the kernel offered to the first process, and has to want the same. */
	if (options.passthrough)
		fuse_session_enable_passthrough(conn, 1, FUSE_PASSTHROUGH_KILLPRIV);
	fuse_set_feature_flag(conn, FUSE_CAP_HANDLE_KILLPRIV_V2);
	/* Truncation comes as a request of its own then, under the file's lock: done twice, nobody can tell. */
	fuse_unset_feature_flag(conn, FUSE_CAP_ATOMIC_O_TRUNC);
}

/* ---- a planned upgrade ---- */

enum { PATIENCE_MS = 2000 };

/* The mount is the next process's: nothing that belongs to it is tidied up here. */
static atomic_bool handed_over;
/* The loop has ended. */
static atomic_bool ended;

/* Waits for SIGUSR1, then ends the loop and leaves the mount as it is. */
static void *hand_over(void *signals)
{
	int number, left;

	sigwait(signals, &number);
	if (ended)
		return NULL;
	/* What is in flight is done first. A request that takes longer than that is the successor's, as after a crash. */
	left = fuse_session_pause(session, PATIENCE_MS);
	if (left > 0)
		fuse_log(FUSE_LOG_WARNING, "recoverable: %d requests are left to the next process\n", left);
	if (ended)
		return NULL;
	handed_over = true;
	fuse_session_detach(session);
	return NULL;
}

static pthread_t upgrade;

static int await_upgrade(void)
{
	static sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	/* Before there are other threads: they all inherit this. */
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	return pthread_create(&upgrade, NULL, hand_over, &signals);
}

/* Before the session goes away: nobody hands it over any more, and who does so now has done it afterwards. */
static void end_upgrade(void)
{
	ended = true;
	pthread_kill(upgrade, SIGUSR1);
	pthread_join(upgrade, NULL);
}

/* ---- starting ---- */

static int loop(const struct fuse_cmdline_opts *command)
{
	struct fuse_loop_config *config;
	int status;

	users_init();
	if (command->singlethread)
		return fuse_session_loop(session);
	config = fuse_loop_cfg_create();
	fuse_loop_cfg_set_clone_fd(config, (unsigned int)command->clone_fd);
	fuse_loop_cfg_set_max_threads(config, command->max_threads);
	status = fuse_session_loop_mt(session, config);
	fuse_loop_cfg_destroy(config);
	return status;
}

/* After the mount, before the first request. */
static int get_ready(void)
{
	bool inherited = nodes_are_inherited();

	if (nodes_check() == 0 && unlinked_adopt() == 0 && await_upgrade() == 0)
		return 0;
	/* Who has started this with the wrong folder is not to take a mount away from those who use it. */
	if (inherited)
		fuse_session_detach(session);
	else
		fuse_session_unmount(session);
	return -1;
}

static int serve(const struct fuse_cmdline_opts *command)
{
	int status = -1;

	if (fuse_set_signal_handlers(session) != 0)
		return -1;
	/* Mounts; or takes the connection over, if one is kept for this process, as soon as its predecessor is gone. */
	if (fuse_session_mount(session, command->mountpoint) == 0) {
		fuse_daemonize(command->foreground);
		if (get_ready() == 0) {
			status = loop(command);
			end_upgrade();
			if (!handed_over) {
				fuse_session_unmount(session);
				unlinked_remove_all();
			}
		}
	}
	fuse_remove_signal_handlers(session);
	return status;
}

static int run(struct fuse_args *args, const struct fuse_cmdline_opts *command)
{
	struct fuse_lowlevel_ops ops = { .init = rc_init };
	int status = -1, error;

	if (nodes_open(options.source) != 0 || unlinked_open(options.unlinked) != 0)
		return -1;
	fuse_opt_add_arg(args, "-oallow_other,default_permissions");
	umask(0);
	raise_limit();
	names_add(&ops);
	directories_add(&ops);
	files_add(&ops);
	session = fuse_session_new(args, &ops, sizeof(ops), NULL);
	if (!session)
		return -1;
	error = fuse_session_set_recoverable(session, NODE_BYTES);
	if (error == 0)
		status = serve(command);
	else
		fprintf(stderr, "recoverable: %s\n", strerror(-error));
	fuse_session_destroy(session);
	return status;
}

static void help(const char *program)
{
	printf("usage: %s [options] --source=FOLDER <mountpoint>\n\n", program);
	fuse_cmdline_help();
	fuse_lowlevel_help();
	printf("    --source=FOLDER        what to show\n"
	       "    --unlinked=FOLDER      where files stay that are removed while they are open\n"
	       "    -o passthrough         the kernel reads and writes the files by itself\n"
	       "    -o timeout=SECONDS     for names and attributes (default 1)\n");
}

int main(int argc, char *argv[])
{
	static const struct fuse_opt specs[] = {
		{ "--source=%s", offsetof(struct options, source), 0 },
		{ "source=%s", offsetof(struct options, source), 0 },
		{ "--unlinked=%s", offsetof(struct options, unlinked), 0 },
		{ "passthrough", offsetof(struct options, passthrough), 1 },
		{ "timeout=%lf", offsetof(struct options, timeout), 0 },
		FUSE_OPT_END,
	};
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct fuse_cmdline_opts command = { 0 };
	int status = -1;

	if (fuse_opt_parse(&args, &options, specs, NULL) == 0 && fuse_parse_cmdline(&args, &command) == 0) {
		if (command.show_help) {
			help(argv[0]);
			status = 0;
		} else if (command.show_version) {
			fuse_lowlevel_version();
			status = 0;
		} else if (!command.mountpoint || !options.source) {
			fprintf(stderr, "usage: %s [options] --source=FOLDER <mountpoint>\n", argv[0]);
		} else {
			status = run(&args, &command);
		}
	}
	free(command.mountpoint);
	free(options.source);
	free(options.unlinked);
	fuse_opt_free_args(&args);
	/* A positive status is the number of the signal that ended the loop: an orderly end, too. */
	return status < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
