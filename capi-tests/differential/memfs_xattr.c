/* The extended attributes of the file system in memory. */
#include "memfs.h"

#include <sys/xattr.h>

enum { XATTRS = 64 };

static struct xattr {
    fuse_ino_t ino;
    char name[64], value[256];
    size_t size;
} xattrs[XATTRS];

static struct xattr *find_xattr(fuse_ino_t ino, const char *name)
{
    EACH(xattr, xattrs)
        if (xattr->ino == ino && strcmp(xattr->name, name) == 0)
            return xattr;
    return NULL;
}

static int set_xattr(fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
    struct xattr *xattr = find_xattr(ino, name);
    if (xattr != NULL && (flags & XATTR_CREATE))
        return EEXIST;
    if (xattr == NULL && (flags & XATTR_REPLACE))
        return ENODATA;
    if (strlen(name) >= sizeof(xattr->name) || size > sizeof(xattr->value))
        return ENOSPC;
    if (xattr == NULL && (xattr = find_xattr(0, "")) == NULL)
        return ENOSPC;
    *xattr = (struct xattr){ .ino = ino, .size = size };
    strcpy(xattr->name, name);
    memcpy(xattr->value, value, size);
    return 0;
}

void memfs_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
    fuse_reply_err(req, set_xattr(ino, name, value, size, flags));
}

/* A size of 0 asks how much it is. */
static void reply_sized(fuse_req_t req, size_t size, const char *data, size_t len)
{
    if (size == 0)
        fuse_reply_xattr(req, len);
    else if (size < len)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, data, len);
}

void memfs_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    struct xattr *xattr = find_xattr(ino, name);
    if (xattr == NULL)
        fuse_reply_err(req, ENODATA);
    else
        reply_sized(req, size, xattr->value, xattr->size);
}

void memfs_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    char list[XATTRS * 64];
    size_t len = 0;
    EACH(xattr, xattrs)
        if (xattr->ino == ino)
            len += (size_t)sprintf(list + len, "%s", xattr->name) + 1;
    reply_sized(req, size, list, len);
}

void memfs_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    struct xattr *xattr = find_xattr(ino, name);
    if (xattr != NULL)
        *xattr = (struct xattr){ 0 };
    fuse_reply_err(req, xattr == NULL ? ENODATA : 0);
}
