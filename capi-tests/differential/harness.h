/*
 * What the differential programs share: a session whose replies are captured instead of sent to a kernel, ready-made
 * requests, callbacks that write down their arguments, and answers to choose from.
 *
 * A program prints one transcript: "<case> | <event>" per line. The runner compares the transcripts of two libraries.
 */
#ifndef HARNESS_H
#define HARNESS_H

#define _GNU_SOURCE
#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif

#include <errno.h>
#include <fuse_lowlevel.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define EACH(item, table) for (__typeof__(&(table)[0]) item = (table); item < (table) + COUNT(table); item++)

/* ---- transcript (text.c) ---- */

/* Nothing is written down. */
extern bool silent;
__attribute__((format(printf, 1, 2))) void begin_case(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);
/* The texts live until a few dozen later calls. */
const char *quoted(const void *text, size_t len);
const char *str(const char *text);
const char *words(const void *data, size_t len);
const char *fi_text(const struct fuse_file_info *fi);
const char *conn_text(const struct fuse_conn_info *conn); /* record.c */
/* Reading the vector uses it up; `memory` is then one with the same data. */
const char *bufvec_text(struct fuse_bufvec *bufv, struct fuse_bufvec *memory);
char *room(size_t len);
const char *pattern(size_t len);
/* A file that has these bytes, and stands at their end. The caller closes it. */
int pattern_file(size_t len);

/* ---- answers (answers.c): how a callback replies ---- */

struct answer {
    const char *label;
    int (*send)(fuse_req_t req, const void *arg); /* NULL: the request stays unanswered, see `kept` */
    const void *arg;
};

struct bytes {
    const void *data;
    size_t len;
};

int answer_err(fuse_req_t req, const void *int_errno);
int answer_none(fuse_req_t req, const void *unused);
int answer_entry(fuse_req_t req, const void *entry_param);
int answer_create(fuse_req_t req, const void *file_info);
int answer_attr(fuse_req_t req, const void *double_timeout);
int answer_open(fuse_req_t req, const void *file_info);
int answer_readlink(fuse_req_t req, const void *text);
int answer_write(fuse_req_t req, const void *size);
int answer_buf(fuse_req_t req, const void *bytes);
int answer_xattr(fuse_req_t req, const void *size);
int answer_statfs(fuse_req_t req, const void *statvfs);
int answer_lock(fuse_req_t req, const void *flock);
int answer_bmap(fuse_req_t req, const void *u64);
int answer_lseek(fuse_req_t req, const void *off);
int answer_poll(fuse_req_t req, const void *unsigned_revents);
int answer_ioctl(fuse_req_t req, const void *int_result);

#define ERR(n) ((struct answer){ "err " #n, answer_err, &(const int){ n } })

extern const struct answer NO_ANSWER;
extern const struct stat sample_stat;
extern const struct fuse_entry_param sample_entry;
/* Errnos at and beyond both ends of what a reply may carry. */
extern const struct answer errors[];
extern const size_t error_count;

/* ---- callbacks (record.c) ---- */

/* Every callback: writes its arguments down, then answers as `run` was told or, told nothing, as fits the opcode. */
extern const struct fuse_lowlevel_ops recorder;
/* A file system that answers in the recorder's place. */
extern const struct fuse_lowlevel_ops *beneath;
/* Runs inside the callback before it answers. */
extern void (*in_callback)(fuse_req_t req);
/* Changes what the init callback sees, after it was written down. */
extern void (*in_init)(struct fuse_conn_info *conn);
extern const struct answer *chosen;
/* The last request that was left unanswered. */
extern fuse_req_t kept;
extern struct fuse_pollhandle *kept_poll;

void conclude(fuse_req_t req, const struct answer *natural);

/* ---- requests and session (harness.c) ---- */

struct setup {
    const struct fuse_lowlevel_ops *ops; /* NULL: recorder */
    bool op_size_given;                  /* else sizeof(*ops) */
    size_t op_size;
    uint32_t minor;                      /* 0: 38 */
    uint32_t flags, flags2;              /* both 0: everything that 7.38 knows */
    const char *options;                 /* for -o */
    bool splice;                         /* provide splice_send, and accept requests from a pipe */
    bool splice_in;                      /* provide splice_receive, for `receive` */
    bool no_init;
    struct fuse_session *(*make)(const struct setup *setup); /* NULL: fuse_session_new() */
};

extern struct fuse_session *session;
/* What the next write of a reply fails with; 0: it succeeds. */
extern int write_errno;
extern bool feed_by_pipe;
/* The last message that the library sent; valid until the next few. */
extern struct bytes last_reply;
/* What the library answered to INIT; it decides the form of some requests. */
extern struct fuse_init_out init_reply;
extern int user_mark; /* its address is the session's userdata */

void session_start(struct setup setup);
void session_stop(void);

void request(uint32_t opcode, uint64_t nodeid);
void put(const void *data, size_t len);
void put_str(const char *text);
#define PUT(type, ...) put(&(struct type){ __VA_ARGS__ }, sizeof(struct type))
struct fuse_in_header *header(void);
uint64_t last_unique(void);
/* Feeds the request as it stands, under the case that has begun. */
void feed(const struct answer *answer);
/* The same, but received by fuse_session_receive_buf(), into the buffer that lasts for the program. */
void receive(const struct answer *answer);
/* begin_case + feed */
__attribute__((format(printf, 2, 3))) void run(const struct answer *answer, const char *fmt, ...);
void put_setxattr(uint32_t size, uint32_t flags, uint32_t setxattr_flags);
void put_init(uint32_t minor, uint32_t readahead, uint32_t flags, uint32_t flags2);

/* A plain request of any opcode up to FUSE_TMPFILE, in the form that the minor version has; false: none exists. */
bool plain_request(uint32_t opcode, uint32_t minor);
const char *opcode_name(uint32_t opcode);

#endif
