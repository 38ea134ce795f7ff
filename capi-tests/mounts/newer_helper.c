/* Stands in for the fusermount3 of libfuse 3.19, as far as a library sees it: --auto-unmount, --sync-init and their
 * protocols, which older ones lack. Set-user-id root. Says how it was called in the file that HELPER_CALLS names. */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int channel;

static void send_device(int device)
{
    char byte = 0, control[CMSG_SPACE(sizeof(device))];
    struct iovec one = { &byte, 1 };
    struct msghdr message = { .msg_iov = &one, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(device));
    memcpy(CMSG_DATA(rights), &device, sizeof(device));
    if (sendmsg(channel, &message, 0) != 1)
        exit(4);
}

/* 0 or an errno. */
static int mount_device(int device, const char *mountpoint)
{
    char data[PATH_MAX];
    struct stat st;

    if (stat(mountpoint, &st) != 0)
        return errno;
    snprintf(data, sizeof(data), "fd=%d,rootmode=%o,user_id=%u,group_id=%u", device, st.st_mode & S_IFMT, getuid(), getgid());
    return mount("newer", mountpoint, "fuse", MS_NOSUID | MS_NODEV, data) == 0 ? 0 : errno;
}

static int guard_mount(const char *mountpoint)
{
    char byte;

    /* As the real one: nothing of the caller's but the socket stays open. */
    close_range(0, channel - 1, 0);
    close_range(channel + 1, ~0U, 0);
    setsid();
    while (read(channel, &byte, 1) > 0)
        ;
    return umount2(mountpoint, MNT_DETACH) != 0;
}

int main(int argc, char **argv)
{
    static const struct option known[] = { { "auto-unmount", 0, NULL, 'U' }, { "sync-init", 0, NULL, 'S' },
                                           { "version", 0, NULL, 'V' },      { NULL, 0, NULL, 0 } };
    const char *options = "", *calls = getenv("HELPER_CALLS"), *number = getenv("_FUSE_COMMFD");
    bool guard_only = false, wait = false, take_down = false;
    int device, error;
    FILE *log = calls ? fopen(calls, "a") : NULL;

    for (int i = 1; log && i < argc; i++)
        fprintf(log, "%s%c", argv[i], i + 1 < argc ? ' ' : '\n');
    if (log)
        fclose(log);
    for (int c; (c = getopt_long(argc, argv, "o:uqz", known, NULL)) != -1;) {
        if (c == 'V')
            return puts("fusermount3 version: 3.19.0") < 0;
        if (c == '?')
            return 1;
        options = c == 'o' ? optarg : options;
        guard_only |= c == 'U';
        wait |= c == 'S';
        take_down |= c == 'u';
    }
    if (optind != argc - 1)
        return 2;
    if (take_down)
        return umount2(argv[optind], MNT_DETACH) != 0;
    if (!number)
        return 3;
    channel = atoi(number);
    if (guard_only)
        return guard_mount(argv[optind]);
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (wait) {
        char byte;
        int32_t status;

        send_device(device);
        if (recv(channel, &byte, 1, 0) != 1)
            return 5;
        error = getenv("HELPER_REFUSES") ? EBUSY : mount_device(device, argv[optind]);
        status = -error;
        if (send(channel, &status, sizeof(status), 0) != sizeof(status) || error)
            return 6;
    } else {
        if ((error = mount_device(device, argv[optind])) != 0)
            return fprintf(stderr, "fusermount3: %s\n", strerror(error)), 7;
        send_device(device);
    }
    close(device);
    return strstr(options, "auto_unmount") ? guard_mount(argv[optind]) : 0;
}
