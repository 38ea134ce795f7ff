/* A library with one fault, to see that the comparison finds it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/types.h>

typedef int reply_lseek(void *req, off_t off);

int fuse_reply_lseek(void *req, off_t off)
{
    reply_lseek *next = (reply_lseek *)dlsym(RTLD_NEXT, "fuse_reply_lseek");
    return next(req, off + 1);
}
