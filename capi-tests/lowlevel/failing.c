/* Breaks in the way that its argument names, with the handlers of fuse_set_fail_signal_handlers() in place. */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 319

#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void own_handler(int signal)
{
    (void)signal;
    _exit(42);
}

static void own_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
    printf("level %d: ", level);
    vprintf(fmt, ap);
    fflush(stdout);
}

static int overflow(volatile char *before)
{
    volatile char room[4096];
    room[0] = before[0];
    return overflow(room) + room[0];
}

/* Its name must be in the backtrace. */
__attribute__((noinline)) void break_here(const char *how);
void break_here(const char *how)
{
    static char stack[1 << 16];
    stack_t other = { .ss_sp = stack, .ss_size = sizeof(stack) };
    const struct rlimit no_core = { 0, 0 };
    setrlimit(RLIMIT_CORE, &no_core);
    if (strcmp(how, "null") == 0)
        *(volatile char *)16 = 1;
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "overflow") == 0 && sigaltstack(&other, NULL) == 0)
        overflow("x");
    raise(atoi(how));
}

int main(int argc, char **argv)
{
    static const struct fuse_lowlevel_ops ops = { 0 };
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
    if (argc < 3 || session == NULL)
        return 1;
    if (strcmp(argv[2], "own handler") == 0)
        signal(SIGBUS, own_handler);
    if (strcmp(argv[2], "own log") == 0)
        fuse_set_log_func(own_log);
    if (fuse_set_fail_signal_handlers(session) != 0 || fuse_set_signal_handlers(session) != 0)
        return 1;
    if (strcmp(argv[2], "removed") == 0)
        fuse_remove_signal_handlers(session);
    if (strcmp(argv[2], "destroyed") == 0)
        fuse_session_destroy(session);
    break_here(argv[1]);
    return 2;
}
