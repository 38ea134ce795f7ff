/* A program made for services, on a library without them. */
#define FUSE_USE_VERSION 319
#include "expect.h"

#include <fuse_service.h>

int main(void)
{
    char *argv[] = { "daemon", "-f", NULL };
    struct fuse_args args = FUSE_ARGS_INIT(2, argv);
    struct fuse_cmdline_opts opts = { 0 };
    struct fuse_service *service = (struct fuse_service *)argv;
    int fd = 7;

    EXPECT_EQ(fuse_service_accept(&service), 0);
    EXPECT(service == NULL && !fuse_service_accepted(service));
    EXPECT(!fuse_service_can_allow_other(service) && !fuse_service_can_fuseblk(service));
    EXPECT_EQ(fuse_service_append_args(service, &args), -EOPNOTSUPP);
    EXPECT_EQ(fuse_service_parse_cmdline_opts(&args, &opts), -1);
    EXPECT_EQ(args.argc, 2);
    EXPECT(fuse_service_cmdline(2, (const char *const *)argv, &args) == NULL);
    EXPECT_EQ(fuse_service_request_file(service, "/x", 0, 0, FUSE_SERVICE_REQUEST_FILE_QUIET), -EOPNOTSUPP);
    EXPECT_EQ(fuse_service_request_blockdev(service, "/x", 0, 0, 0, 512), -EOPNOTSUPP);
    EXPECT_EQ(fuse_service_receive_file(service, "/x", &fd), -EOPNOTSUPP);
    EXPECT_EQ(fd, -1);
    EXPECT_EQ(fuse_service_finish_file_requests(service), -EOPNOTSUPP);
    fuse_service_expect_mount_format(service, S_IFDIR);
    EXPECT_EQ(fuse_service_session_mount(service, NULL, S_IFDIR, &opts), -EOPNOTSUPP);
    EXPECT_EQ(fuse_service_send_goodbye(service, 0), -EOPNOTSUPP);
    EXPECT_EQ(fuse_service_exit(3), 3);
    fuse_service_release(service);
    service = (struct fuse_service *)argv;
    fuse_service_destroy(&service);
    EXPECT(service == NULL);
    return verdict();
}
