/* fuse_log() with arguments of every kind: in registers, in vector registers, and on the stack. Prints what arrives. */
#define FUSE_USE_VERSION 319
#include <fuse_log.h>
#include <stdio.h>

static void on_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
    printf("%d ", level);
    vprintf(fmt, ap);
    printf("\n");
}

int main(void)
{
    fuse_set_log_func(on_log);
    fuse_log(FUSE_LOG_INFO, "nothing");
    fuse_log(FUSE_LOG_ERR, "%d %s %c %ld %u %x %lld %p", -1, "text", 'c', 1L << 40, 4000000000u, 0xabcd, -(1LL << 50),
             (void *)16);
    fuse_log(FUSE_LOG_DEBUG, "%.1f %.2f %.3f %.1f %.1f %.1f %.1f %.1f %.1f %.1f", 1.5, -2.25, 3.125, 4.0, 5.0, 6.0, 7.0,
             8.0, 9.0, 10.0);
    fuse_log(FUSE_LOG_WARNING, "%d %.1f %d %.1f %d %.1f %d %.1f %d %.1f %d %.1f %d %.1f %d %.1f %s %.1Lf", 1, 1.5, 2,
             2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8, 8.5, "end", 9.5L);
    return 0;
}
