/*
 * What must not happen twice. A daemon that was killed may have made a directory and not replied: its successor gets the
 * same request again and has to find out whether it is done.
 *
 * Two facts make that possible. Nobody but this daemon changes the folder that it shows. And the kernel holds the lock of
 * the directory from before the request until the reply, also over a change of daemons, so that no other request has to do
 * with its names meanwhile. So it is enough to write down, before the effect, how things were:
 *
 *     killed before the intent       there is no intent: as if the request came for the first time
 *     between intent and effect      the name is as the intent says: the effect is still to come
 *     between effect and reply       the name is no longer so, and only this request can have changed it: DONE
 *     after the reply was recorded   the library sends it, and the daemon does not see the request
 *
 * An effect that failed has changed nothing; it is tried again, and may fail with another errno than before, or succeed:
 * nobody was told. Requests that may well be done twice (writes at an offset, truncation, chmod) need none of this.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "recoverable.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>

/* What was there before the effect: for a name its inode number, for an attribute 1. */
typedef uint64_t was_there;
static const was_there nothing = 0;

static int look(int dir, const char *name, was_there *found)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		*found = st.st_ino;
	else if (errno == ENOENT)
		*found = nothing;
	else
		return errno;
	return 0;
}

static int look_at_xattr(const char *path, const char *name, was_there *found)
{
	if (getxattr(path, name, NULL, 0) >= 0)
		*found = 1;
	else if (errno == ENODATA)
		*found = nothing;
	else
		return errno;
	return 0;
}

/* What a predecessor wrote down for this request. */
static bool recorded(fuse_req_t req, was_there *before)
{
	return fuse_req_journaled(req, before, sizeof(*before)) == (int)sizeof(*before);
}

static int record(fuse_req_t req, was_there now)
{
	/* What cannot be recorded is not done: it could be done twice. */
	return -fuse_req_journal(req, &now, sizeof(now));
}

static int make_once(fuse_req_t req, was_there now)
{
	was_there before;

	if (recorded(req, &before))
		return now == nothing ? DO_IT : DONE;
	return now == nothing ? record(req, nothing) : EEXIST;
}

static int take_once(fuse_req_t req, was_there now, int missing)
{
	was_there before;

	if (recorded(req, &before))
		return now == before ? DO_IT : DONE;
	return now == nothing ? missing : record(req, now);
}

int before_making(fuse_req_t req, int dir, const char *name)
{
	was_there now = nothing;
	int error = look(dir, name, &now);
	return error ? error : make_once(req, now);
}

int before_taking(fuse_req_t req, int dir, const char *name)
{
	was_there now = nothing;
	int error = look(dir, name, &now);
	return error ? error : take_once(req, now, ENOENT);
}

int before_making_xattr(fuse_req_t req, const char *path, const char *name)
{
	was_there now = nothing;
	int error = look_at_xattr(path, name, &now);
	return error ? error : make_once(req, now);
}

int before_removing_xattr(fuse_req_t req, const char *path, const char *name)
{
	was_there now = nothing;
	int error = look_at_xattr(path, name, &now);
	return error ? error : take_once(req, now, ENODATA);
}
