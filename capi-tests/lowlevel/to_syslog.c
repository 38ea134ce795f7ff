/* Logs to the system's log, which LOG_PERROR makes write to stderr too. */
#define FUSE_USE_VERSION 319

#include <fuse_lowlevel.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

static void own_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
    (void)ap;
    printf("own: %d %s", level, fmt);
}

int main(int argc, char **argv)
{
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    static const struct fuse_lowlevel_ops ops = { 0 };
    char ident[] = "a-daemon";

    fuse_log(FUSE_LOG_INFO, "%s\n", "plain");
    fuse_log_enable_syslog(ident, LOG_PERROR, LOG_DAEMON);
    fuse_log(FUSE_LOG_ERR, "%d and %.1f\n", 7, 0.5);
    setlogmask(LOG_UPTO(LOG_ERR));
    fuse_log(FUSE_LOG_INFO, "masked\n");
    setlogmask(LOG_UPTO(LOG_DEBUG));
    /* A line of the library's own. */
    if (fuse_session_new(&args, &ops, sizeof(ops), NULL) != NULL)
        return 1;
    fuse_set_log_func(own_log);
    fuse_log(FUSE_LOG_INFO, "by function\n");
    fuse_set_log_func(NULL);
    fuse_log_close_syslog();
    ident[0] = 'X';
    fuse_log(FUSE_LOG_ERR, "closed\n");
    return 0;
}
