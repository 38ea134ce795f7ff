/*
 * What the small file systems here share: their life from the command line to the end, and numbers that a test reads as
 * attributes of the root. Included after FUSE_USE_VERSION is set.
 */
#ifndef SMALL_FS_H
#define SMALL_FS_H

#include <errno.h>
#include <fuse_lowlevel.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number under the name of an attribute. */
struct number {
    const char *name;
    const int64_t *value;
};

/* Answers a getxattr with the number of that name; numbers end with one without a name. */
static inline void reply_number(fuse_req_t req, const struct number *numbers, const char *name, size_t size)
{
    char text[24];

    while (numbers->name != NULL && strcmp(numbers->name, name) != 0)
        numbers++;
    if (numbers->name == NULL) {
        fuse_reply_err(req, ENODATA);
        return;
    }
    int len = snprintf(text, sizeof(text), "%" PRId64, *numbers->value);
    if (size == 0)
        fuse_reply_xattr(req, (size_t)len);
    else
        fuse_reply_buf(req, text, (size_t)len);
}

/* Mounts and serves until a signal or the unmount, with one thread unless `threads` and the command line say otherwise;
 * the status to exit with. `session` is set as long as there is one. */
static inline int serve(struct fuse_args *args, const struct fuse_lowlevel_ops *ops, int threads,
                        struct fuse_session **session)
{
    struct fuse_cmdline_opts command;
    int status = -1;

    if (fuse_parse_cmdline(args, &command) != 0)
        return 1;
    *session = fuse_session_new(args, ops, sizeof(*ops), NULL);
    if (*session != NULL && fuse_set_signal_handlers(*session) == 0 &&
        fuse_session_mount(*session, command.mountpoint) == 0) {
        status = threads && !command.singlethread ? fuse_session_loop_mt(*session, NULL) : fuse_session_loop(*session);
        fuse_session_unmount(*session);
        fuse_remove_signal_handlers(*session);
    }
    if (*session != NULL)
        fuse_session_destroy(*session);
    *session = NULL;
    free(command.mountpoint);
    fuse_opt_free_args(args);
    return status < 0;
}

#endif
