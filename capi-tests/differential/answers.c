/* Answers that the programs choose from, and the values most of them use. */
#include "harness.h"

const struct stat sample_stat = {
    .st_dev = 0x1122, .st_ino = 0x0102030405060708, .st_mode = S_IFREG | 0640, .st_nlink = 3, .st_uid = 501,
    .st_gid = 502, .st_rdev = 0x0305, .st_size = 0x123456789a, .st_blksize = 8192, .st_blocks = 77,
    .st_atim = { 1700000001, 1 }, .st_mtim = { 1700000002, 999999999 }, .st_ctim = { -3, 3 },
};

const struct fuse_entry_param sample_entry = {
    .ino = 42, .generation = 7, .attr = {
        .st_ino = 42, .st_mode = S_IFDIR | 0755, .st_nlink = 2, .st_size = 4096, .st_blocks = 8, .st_blksize = 512,
        .st_mtim = { 12, 34 },
    }, .attr_timeout = 1.5, .entry_timeout = 2.25,
};

const struct answer NO_ANSWER = { "unanswered", NULL, NULL };

const struct answer errors[] = {
    ERR(0),   ERR(ENOENT), ERR(ENOSYS), ERR(EINTR), ERR(511), ERR(512),     ERR(999),
    ERR(1000), ERR(1001), ERR(-1), ERR(-EIO), ERR(-999), ERR(-1000), ERR(INT_MAX), ERR(-INT_MAX),
};
const size_t error_count = COUNT(errors);

int answer_err(fuse_req_t req, const void *err)
{
    return fuse_reply_err(req, *(const int *)err);
}

int answer_none(fuse_req_t req, const void *unused)
{
    (void)unused;
    fuse_reply_none(req);
    return 0;
}

int answer_entry(fuse_req_t req, const void *entry)
{
    return fuse_reply_entry(req, entry);
}

int answer_create(fuse_req_t req, const void *fi)
{
    return fuse_reply_create(req, &sample_entry, fi);
}

int answer_attr(fuse_req_t req, const void *timeout)
{
    return fuse_reply_attr(req, &sample_stat, *(const double *)timeout);
}

int answer_open(fuse_req_t req, const void *fi)
{
    return fuse_reply_open(req, fi);
}

int answer_readlink(fuse_req_t req, const void *text)
{
    return fuse_reply_readlink(req, text);
}

int answer_write(fuse_req_t req, const void *size)
{
    return fuse_reply_write(req, *(const size_t *)size);
}

int answer_buf(fuse_req_t req, const void *arg)
{
    const struct bytes *bytes = arg;
    return fuse_reply_buf(req, bytes->data, bytes->len);
}

int answer_xattr(fuse_req_t req, const void *size)
{
    return fuse_reply_xattr(req, *(const size_t *)size);
}

int answer_statfs(fuse_req_t req, const void *statvfs)
{
    return fuse_reply_statfs(req, statvfs);
}

int answer_lock(fuse_req_t req, const void *flock)
{
    return fuse_reply_lock(req, flock);
}

int answer_bmap(fuse_req_t req, const void *index)
{
    return fuse_reply_bmap(req, *(const uint64_t *)index);
}

int answer_lseek(fuse_req_t req, const void *off)
{
    return fuse_reply_lseek(req, *(const off_t *)off);
}

int answer_poll(fuse_req_t req, const void *revents)
{
    return fuse_reply_poll(req, *(const unsigned *)revents);
}

int answer_ioctl(fuse_req_t req, const void *result)
{
    return fuse_reply_ioctl(req, *(const int *)result, "out!", 4);
}
