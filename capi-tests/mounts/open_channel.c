/* Mounts, gives up all rights, and becomes the daemon: what mount.fuse3 does for -o drop_privileges. Arguments: mount
 * point, options, then the daemon's command, in which @ stands for the device. covers: fuse_open_channel */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Declared by no header of libfuse before 3.19. */
int fuse_open_channel(const char *mountpoint, const char *options);

static int drop(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { { 0 } };

    return prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0) ||
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_capset, &header, none);
}

int main(int argc, char **argv)
{
    char device[32];
    int fd = argc > 3 ? fuse_open_channel(argv[1], argv[2]) : -1;

    if (fd < 0)
        return errno == EPERM ? 11 : 10;
    if (fcntl(fd, F_GETFD) != FD_CLOEXEC || fcntl(fd, F_SETFD, 0) != 0 || drop() != 0)
        return 12;
    snprintf(device, sizeof(device), "/dev/fd/%d", fd);
    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], "@") == 0)
            argv[i] = device;
    execv(argv[3], argv + 3);
    return 13;
}
