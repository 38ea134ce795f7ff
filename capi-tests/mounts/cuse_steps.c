/* A device without callbacks, in the steps that cuse_lowlevel_main() does at once. Its status is what the loop said. */
#define FUSE_USE_VERSION 319

#include <cuse_lowlevel.h>
#include <stdio.h>

int main(int argc, char *argv[])
{
    const char *strings[] = { "DEVNAME=steps" };
    const struct cuse_info info = { .dev_info_argc = 1, .dev_info_argv = strings };
    const struct cuse_lowlevel_ops ops = { .open = NULL };
    int multithreaded = -1;
    struct fuse_session *se = cuse_lowlevel_setup(argc, argv, &info, &ops, &multithreaded, NULL);
    if (se == NULL)
        return 1;
    printf("multithreaded %d\n", multithreaded);
    fflush(stdout);
    int status = multithreaded ? fuse_session_loop_mt(se, NULL) : fuse_session_loop(se);
    cuse_lowlevel_teardown(se);
    return status;
}
