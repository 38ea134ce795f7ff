/*
 * What the stress programs share: a session without a kernel, requests from memory, and replies counted as they leave.
 *
 * A program exits with 0, or says what went wrong and aborts, so that checkers show where it was.
 */
#ifndef SESSION_H
#define SESSION_H

#define _GNU_SOURCE
#define FUSE_USE_VERSION 314

#include <errno.h>
#include <fuse_lowlevel.h>
#include <inttypes.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define MUST(condition, ...) ((condition) ? (void)0 : failed(__FILE__, __LINE__, #condition, __VA_ARGS__))

__attribute__((noreturn, format(printf, 4, 5))) void failed(const char *file, int line, const char *condition,
                                                            const char *fmt, ...);

/* Called with each message that the library sends, on the thread that sends it. */
extern void (*on_message)(const struct fuse_out_header *head, const void *payload, size_t len);

/* Log lines of the library are counted, not shown. */
extern atomic_int log_lines;
void count_log_lines(void);

struct fuse_session *new_session(const struct fuse_lowlevel_ops *ops, size_t op_size);
/* What the session's next receive gets; without it there is nothing to read. */
void offer(const void *message, size_t len);
/* How often a message was received through a pipe. */
extern int spliced;
/* Without a kernel: messages go to on_message. */
void connect_memory(struct fuse_session *se);
struct fuse_session *memory_session(const struct fuse_lowlevel_ops *ops);
void feed(struct fuse_session *se, const void *message, size_t len);
void feed_init(struct fuse_session *se);
/* Feeds a request of a head and what is given. */
void feed_request(struct fuse_session *se, uint32_t opcode, uint64_t unique, const void *arguments, size_t len);

/* Connects a session to a socket, whose other end is returned, and sends INIT there. */
int connect_socket(struct fuse_session *se);
/* Sends a request through the other end, and does not wait. */
void send_request(int peer, uint32_t opcode, const void *arguments, size_t len);
/* The error of the next reply. */
int receive_reply(int peer);

/* A generator of numbers for each thread that asks; the same seed gives the same numbers. */
extern _Thread_local uint64_t seed;
uint64_t random_number(void);
bool one_in(unsigned n);

double now_ms(void);

#endif
