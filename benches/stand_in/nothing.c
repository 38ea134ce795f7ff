/* A libfuse3.so.3 that does nothing: it calls dispatch_bench's callback, and its writev for the reply, whose bytes it does
 * not make. What dispatch_bench takes with it is what the benchmark spends itself. */
#define FUSE_USE_VERSION 34
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

struct fuse_session {
	struct fuse_lowlevel_ops ops;
	struct fuse_custom_io io;
	void *userdata;
	int fd;
};

struct fuse_session *fuse_session_new(struct fuse_args *args, const struct fuse_lowlevel_ops *ops, size_t size, void *userdata)
{
	struct fuse_session *se = calloc(1, sizeof *se);
	(void)args;
	if (!se) return NULL;
	memcpy(&se->ops, ops, size < sizeof se->ops ? size : sizeof se->ops);
	se->userdata = userdata;
	return se;
}
int fuse_session_custom_io(struct fuse_session *se, const struct fuse_custom_io *io, int fd)
{
	se->io = *io;
	se->fd = fd;
	return 0;
}
void fuse_session_destroy(struct fuse_session *se) { free(se); }

static int reply(fuse_req_t req, size_t size)
{
	static char bytes[4096];
	struct fuse_session *se = (void *)req;
	struct iovec iov[2] = { { bytes, sizeof(struct fuse_out_header) }, { bytes, size } };
	return se->io.writev(se->fd, iov, 2, se->userdata) < 0;
}
int fuse_reply_attr(fuse_req_t req, const struct stat *attr, double timeout)
{ (void)attr; (void)timeout; return reply(req, sizeof(struct fuse_attr_out)); }
int fuse_reply_entry(fuse_req_t req, const struct fuse_entry_param *e)
{ (void)e; return reply(req, sizeof(struct fuse_entry_out)); }
int fuse_reply_buf(fuse_req_t req, const char *buf, size_t size) { (void)buf; return reply(req, size); }
int fuse_reply_write(fuse_req_t req, size_t count) { (void)count; return reply(req, sizeof(struct fuse_write_out)); }
void fuse_reply_none(fuse_req_t req) { (void)req; }

size_t fuse_add_direntry(fuse_req_t req, char *buf, size_t bufsize, const char *name, const struct stat *st, off_t off)
{ (void)req; (void)buf; (void)bufsize; (void)name; (void)st; (void)off; return 40; }
size_t fuse_add_direntry_plus(fuse_req_t req, char *buf, size_t bufsize, const char *name, const struct fuse_entry_param *e, off_t off)
{ (void)req; (void)buf; (void)bufsize; (void)name; (void)e; (void)off; return 168; }

void fuse_session_process_buf(struct fuse_session *se, const struct fuse_buf *buf)
{
	const struct fuse_in_header *head = buf->mem;
	const void *arg = head + 1;
	fuse_req_t req = (void *)se;
	const struct fuse_read_in *read = arg;
	const struct fuse_write_in *write = arg;
	switch (head->opcode) {
	case FUSE_GETATTR: se->ops.getattr(req, head->nodeid, NULL); break;
	case FUSE_LOOKUP: se->ops.lookup(req, head->nodeid, arg); break;
	case FUSE_FORGET: se->ops.forget(req, head->nodeid, ((const struct fuse_forget_in *)arg)->nlookup); break;
	case FUSE_READ: se->ops.read(req, head->nodeid, read->size, read->offset, NULL); break;
	case FUSE_READDIR: se->ops.readdir(req, head->nodeid, read->size, read->offset, NULL); break;
	case FUSE_READDIRPLUS: se->ops.readdirplus(req, head->nodeid, read->size, read->offset, NULL); break;
	case FUSE_WRITE: se->ops.write(req, head->nodeid, (const char *)(write + 1), write->size, write->offset, NULL); break;
	}
}
