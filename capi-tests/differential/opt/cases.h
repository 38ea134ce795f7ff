/* What the cases share: numbering, text output that any byte survives, argument lists. */
#ifndef CASES_H
#define CASES_H

#define FUSE_USE_VERSION 312
#define _GNU_SOURCE
#include <fuse_lowlevel.h>
#include <fuse_log.h>
#include <fuse_opt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Starts and ends a case. The end says whether something was logged, but not what. */
void begin(const char *area, const char *name, const char *input);
void end(void);

void print_string(const char *label, const char *s);
void print_args(const struct fuse_args *args);

/* An argument list written with | between the arguments. */
struct list {
	char text[512];
	char *argv[32];
	struct fuse_args args;
};

void split(struct list *list, const char *text);

/* The areas. */
void opt_cases(void);
void cmdline_cases(void);
void conn_cases(void);
void loop_config_cases(void);
void daemonize_cases(void);
/* On its own: libfuse 3.14 hangs when the standard streams are closed. */
void daemonize_closed_case(void);

#endif
