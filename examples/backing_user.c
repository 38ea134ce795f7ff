/*
 * Whom a thread acts for. File system credentials and capabilities are the thread's own; nothing here concerns the
 * others.
 *
 * The kernel has checked what the caller may do (default_permissions). What is left: new files belong to the caller,
 * and what a caller without CAP_FSETID writes loses its set-user-ID and set-group-ID bits.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "backing.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HALVES = 2 };

/* What the daemon may, and whether it may act for others at all. */
static struct __user_cap_data_struct permitted[HALVES];
static bool privileged;

static void set_effective(uint32_t low, uint32_t high)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[HALVES];

	memcpy(sets, permitted, sizeof(sets));
	sets[0].effective = low & permitted[0].permitted;
	sets[1].effective = high & permitted[1].permitted;
	if (syscall(SYS_capset, &header, sets) != 0)
		fuse_log(FUSE_LOG_ERR, "capset: %s\n", strerror(errno));
}

static uint32_t bit(int capability)
{
	return UINT32_C(1) << capability;
}

void users_init(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	if (syscall(SYS_capget, &header, permitted) != 0)
		return;
	privileged = geteuid() == 0 && (permitted[0].effective & bit(CAP_SETUID)) != 0;
	/* Those of who started the daemon, often root's: what a thread is refused as its caller they would let it have. */
	if (privileged && setgroups(0, NULL) != 0)
		fuse_log(FUSE_LOG_ERR, "setgroups: %s\n", strerror(errno));
	/* What is effective now is all that it ever is: a daemon that gave up more keeps to that. */
	permitted[0].permitted = permitted[0].effective;
	permitted[1].permitted = permitted[1].effective;
	keep_set_ids(false);
}

void keep_set_ids(bool keep)
{
	set_effective(keep ? ~UINT32_C(0) : ~bit(CAP_FSETID), ~UINT32_C(0));
}

static void become(fuse_req_t req, uint32_t capabilities)
{
	const struct fuse_ctx *caller = fuse_req_ctx(req);

	if (!privileged || !caller)
		return;
	setfsgid(caller->gid);
	setfsuid(caller->uid);
	if (caller->uid != 0)
		set_effective(capabilities, 0);
}

void become_caller(fuse_req_t req)
{
	become(req, bit(CAP_DAC_OVERRIDE) | bit(CAP_MKNOD));
}

void become_caller_strictly(fuse_req_t req)
{
	become(req, 0);
}

void become_daemon(void)
{
	if (!privileged)
		return;
	setfsuid(0);
	setfsgid(0);
	/* Becoming root brought CAP_FSETID back. */
	keep_set_ids(false);
}

void raise_limit(void)
{
	struct rlimit limit;
	FILE *file = fopen("/proc/sys/fs/nr_open", "re");
	unsigned long most = 0;

	if (file) {
		if (fscanf(file, "%lu", &most) != 1)
			most = 0;
		fclose(file);
	}
	limit = (struct rlimit){ .rlim_cur = most, .rlim_max = most };
	if (most && setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return;
	/* Not root: as far as it goes. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}
