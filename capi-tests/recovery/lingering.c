/*
 * Compiled into the recoverable example with `-Wl,--wrap`: it takes its time between the intent and the effect, and between
 * the effect and the reply, so that most kills meet requests there.
 *
 * With FORGETFUL a successor knows nothing of what its predecessor did: what a daemon is without a journal.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 319

#include <fuse_lowlevel.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef FORGETFUL
enum { ONE_OF = 1 };
#else
enum { ONE_OF = 4 };
#endif

/* Some requests, for up to 3 ms. */
static void linger(void)
{
	long dice = random();

	if (dice % ONE_OF == 0)
		usleep((useconds_t)(dice / ONE_OF % 3000));
}

int __real_fuse_req_journal(fuse_req_t req, const void *cookie, size_t len);
int __wrap_fuse_req_journal(fuse_req_t req, const void *cookie, size_t len)
{
	int result = __real_fuse_req_journal(req, cookie, len);
	linger();
	return result;
}

int __real_fuse_reply_err(fuse_req_t req, int error);
int __wrap_fuse_reply_err(fuse_req_t req, int error)
{
	linger();
	return __real_fuse_reply_err(req, error);
}

int __real_fuse_reply_entry(fuse_req_t req, const struct fuse_entry_param *entry);
int __wrap_fuse_reply_entry(fuse_req_t req, const struct fuse_entry_param *entry)
{
	linger();
	return __real_fuse_reply_entry(req, entry);
}

int __real_fuse_reply_create(fuse_req_t req, const struct fuse_entry_param *entry, const struct fuse_file_info *fi);
int __wrap_fuse_reply_create(fuse_req_t req, const struct fuse_entry_param *entry, const struct fuse_file_info *fi)
{
	linger();
	return __real_fuse_reply_create(req, entry, fi);
}

#ifdef FORGETFUL
static int handle_all(fuse_req_t req, uint32_t opcode, fuse_ino_t ino)
{
	(void)req;
	(void)opcode;
	(void)ino;
	return FUSE_RESEND_HANDLE;
}

int __real_fuse_session_set_recoverable(struct fuse_session *se, size_t node_bytes);
int __wrap_fuse_session_set_recoverable(struct fuse_session *se, size_t node_bytes)
{
	static const struct fuse_resend_ops ops = { .size = sizeof(ops), .classify = handle_all };
	int error = fuse_session_set_resend_ops(se, &ops);
	return error ? error : __real_fuse_session_set_recoverable(se, node_bytes);
}

int __wrap_fuse_req_journaled(fuse_req_t req, void *cookie, size_t size)
{
	(void)req;
	(void)cookie;
	(void)size;
	return 0;
}
#endif
