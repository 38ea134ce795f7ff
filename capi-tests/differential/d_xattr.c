/* Extended attributes: names and values as they arrive, sizes and lists as they are answered. */
#include "harness.h"

static void setting(void)
{
    static const size_t sizes[] = { 0, 1, 7, 8, 255, 65536 };
    static const uint32_t all[] = { 0, 1, 2, 3, 0x80000000 };
    EACH(size, sizes) {
        EACH(flags, all) {
            request(FUSE_SETXATTR, 3);
            put_setxattr((uint32_t)*size, *flags, 1);
            put_str("user.name");
            put(pattern(*size), *size);
            run(NULL, "SETXATTR size %zu flags %#x", *size, *flags);
        }
    }
    static const char *names[] = { "", "u", "system.posix_acl_access", "user.\xff\x01" };
    EACH(name, names) {
        request(FUSE_SETXATTR, 3);
        put_setxattr(4, 0, 0);
        put_str(*name);
        put("\0v\0v", 4);
        run(NULL, "SETXATTR name %zu", (size_t)(name - names));
        request(FUSE_GETXATTR, 3);
        PUT(fuse_getxattr_in, .size = 64);
        put_str(*name);
        run(NULL, "GETXATTR name %zu", (size_t)(name - names));
        request(FUSE_REMOVEXATTR, 3);
        put_str(*name);
        run(NULL, "REMOVEXATTR name %zu", (size_t)(name - names));
    }
}

static void reading(uint32_t opcode)
{
    static const uint32_t sizes[] = { 0, 1, 65536, 0xffffffff };
    const size_t counts[] = { 0, 1, 65536, UINT32_MAX, (size_t)UINT32_MAX + 3 };
    const struct bytes values[] = { { NULL, 0 }, { "v", 1 }, { "user.a\0user.bb\0", 15 }, { pattern(65536), 65536 } };
    EACH(size, sizes) {
        request(opcode, 3);
        PUT(fuse_getxattr_in, .size = *size, .padding = 9);
        put_str("user.name");
        run(NULL, "%s size %u", opcode_name(opcode), *size);
    }
    EACH(count, counts) {
        plain_request(opcode, 38);
        run(&(struct answer){ "xattr", answer_xattr, count }, "%s count %zu", opcode_name(opcode), *count);
    }
    EACH(value, values) {
        plain_request(opcode, 38);
        run(&(struct answer){ "buf", answer_buf, value }, "%s value of %zu", opcode_name(opcode), value->len);
    }
}

int main(void)
{
    static const uint32_t opcodes[] = { FUSE_SETXATTR, FUSE_GETXATTR, FUSE_LISTXATTR, FUSE_REMOVEXATTR };
    session_start((struct setup){ 0 });
    setting();
    reading(FUSE_GETXATTR);
    reading(FUSE_LISTXATTR);
    EACH(opcode, opcodes) {
        for (size_t i = 0; i < error_count; i++) {
            plain_request(*opcode, 38);
            run(&errors[i], "%s %s", opcode_name(*opcode), errors[i].label);
        }
    }
    session_stop();
    return 0;
}
