"""A file system of one file on pyfuse3 and trio. Argument: the mount point."""

import errno
import os
import stat
import sys

import pyfuse3
import trio

NAME, TEXT = b"message", b"hello world\n"
FILE = pyfuse3.ROOT_INODE + 1


class OneFile(pyfuse3.Operations):
    async def getattr(self, inode, ctx=None):
        entry = pyfuse3.EntryAttributes()
        if inode == pyfuse3.ROOT_INODE:
            entry.st_mode = stat.S_IFDIR | 0o755
        elif inode == FILE:
            entry.st_mode, entry.st_size = stat.S_IFREG | 0o644, len(TEXT)
        else:
            raise pyfuse3.FUSEError(errno.ENOENT)
        entry.st_ino = inode
        return entry

    async def lookup(self, parent_inode, name, ctx=None):
        if parent_inode != pyfuse3.ROOT_INODE or name != NAME:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return await self.getattr(FILE)

    async def opendir(self, inode, ctx):
        return inode

    async def readdir(self, fh, start_id, token):
        if start_id == 0:
            pyfuse3.readdir_reply(token, NAME, await self.getattr(FILE), 1)

    async def open(self, inode, flags, ctx):
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise pyfuse3.FUSEError(errno.EACCES)
        return pyfuse3.FileInfo(fh=inode)

    async def read(self, fh, off, size):
        return TEXT[off : off + size]


async def serve():
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(15) as signals:
            nursery.start_soon(pyfuse3.main)
            async for _ in signals:
                pyfuse3.terminate()
                break


options = set(pyfuse3.default_options) | {"fsname=pyfuse3"}
pyfuse3.init(OneFile(), sys.argv[1], options)
trio.run(serve)
pyfuse3.close()
