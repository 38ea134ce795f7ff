/* Security contexts of requests, well-formed and not. */
#include "expect.h"

#include <pthread.h>

enum { AREA = 512, GROUPS = 32 };

static uint8_t area[AREA];
static size_t area_len;

static void add(const void *data, size_t len)
{
    memcpy(area + area_len, data, len);
    area_len += len;
}

static void pad(void)
{
    while (area_len % 8 != 0)
        area[area_len++] = 0xee;
}

static void add_words(uint32_t first, uint32_t second)
{
    const uint32_t words[] = { first, second };
    add(words, sizeof(words));
}

static void add_context(const char *name, const char *value)
{
    add_words((uint32_t)strlen(value), 0);
    add(name, strlen(name) + 1);
    add(value, strlen(value));
    pad();
}

/* The extension that begins at `from` ends here. */
static void close_extension(size_t from)
{
    const uint32_t size = (uint32_t)(area_len - from);
    memcpy(area + from, &size, sizeof(size));
}

/* Sends MKDIR with the area behind it, and does `check` in the callback. */
static void send(void (*check)(fuse_req_t req))
{
    pad();
    in_callback = check;
    request(FUSE_MKDIR, 1);
    PUT(fuse_mkdir_in, .mode = 0755);
    put_str("a name");
    put("", 1); /* to a multiple of 8 */
    put(area, area_len);
    /* total_extlen, in units of 8 bytes; older kernel headers have padding there */
    const uint16_t units = (uint16_t)(area_len / 8);
    memcpy((char *)header() + 36, &units, sizeof(units));
    EXPECT_EQ(reply_error(NULL), 0);
    in_callback = NULL;
    area_len = 0;
}

static void expect_next(fuse_req_t req, const char *name, const char *value)
{
    const char *have_name = NULL, *have_value = NULL;
    uint32_t len = 0;
    EXPECT_EQ(fuse_req_secctx_next(req, &have_name, &have_value, &len), 0);
    EXPECT(have_name != NULL && strcmp(have_name, name) == 0);
    EXPECT(len == strlen(value) && have_value != NULL && memcmp(have_value, value, len) == 0);
}

static void two(fuse_req_t req)
{
    for (int round = 0; round < 2; round++) {
        EXPECT_EQ(fuse_req_secctx_count(req), 2);
        expect_next(req, "security.selinux", "system_u:object_r:tmp_t");
        expect_next(req, "security.b", "x");
        EXPECT_EQ(fuse_req_secctx_next(req, NULL, NULL, NULL), -ENOENT);
        EXPECT_EQ(fuse_req_secctx_next(req, NULL, NULL, NULL), -ENOENT);
        fuse_req_secctx_reset(req);
    }
    EXPECT_EQ(fuse_req_secctx_next(req, NULL, NULL, NULL), 0);
    expect_next(req, "security.b", "x");
}

static void none(fuse_req_t req)
{
    EXPECT_EQ(fuse_req_secctx_count(req), 0);
    EXPECT_EQ(fuse_req_secctx_next(req, NULL, NULL, NULL), -ENOENT);
    fuse_req_secctx_reset(req);
}

static void malformed(fuse_req_t req)
{
    EXPECT_EQ(fuse_req_secctx_count(req), 1);
    EXPECT_EQ(fuse_req_secctx_next(req, NULL, NULL, NULL), -EIO);
    EXPECT_EQ(fuse_req_secctx_next(req, NULL, NULL, NULL), -EIO);
}

static void good_then_cut(fuse_req_t req)
{
    EXPECT_EQ(fuse_req_secctx_count(req), 2);
    expect_next(req, "n", "v");
    EXPECT_EQ(fuse_req_secctx_next(req, NULL, NULL, NULL), -EIO);
}

static void add_two(void)
{
    size_t from = area_len;
    add_words(0, 2);
    add_context("security.selinux", "system_u:object_r:tmp_t");
    add_context("security.b", "x");
    close_extension(from);
}

static void areas(void)
{
    add_two();
    send(two);
    /* Groups come first. */
    add_words(24, GROUPS);
    add_words(1, 1000);
    add_words(0, 0);
    add_two();
    send(two);
    send(none);
    add_words(8, 0);
    send(none);
    add_words(16, GROUPS);
    add_words(0, 0);
    send(none);
    /* Sizes that lie. */
    add_words(7, 1);
    send(none);
    add_words(4096, 1);
    send(none);
    add_words(UINT32_MAX, 1);
    send(none);
}

static void contexts(void)
{
    add_words(8, 1);
    send(malformed);
    add_words(16, 1);
    add_words(3, 0);
    send(malformed);
    add_words(24, 1);
    add_words(3, 0);
    add("noNULish", 8);
    send(malformed);
    add_words(24, 1);
    add_words(4096, 0);
    add("name\0val", 8);
    send(malformed);
    add_words(24, 1);
    add_words(0, 0);
    add("name\0val", 8);
    send(malformed);
    size_t from = area_len;
    add_words(0, 2);
    add_context("n", "v");
    close_extension(from);
    send(good_then_cut);
}

static void *read_elsewhere(void *req)
{
    expect_next(req, "security.selinux", "system_u:object_r:tmp_t");
    return NULL;
}

/* The message is gone when the callback has returned; the contexts are not. */
static void answered_later(void)
{
    pthread_t thread;
    const char *name, *value;
    add_two();
    request(FUSE_SYMLINK, 1);
    put_str("link");
    put_str("to");
    put(area, area_len);
    const uint16_t units = (uint16_t)(area_len / 8);
    memcpy((char *)header() + 36, &units, sizeof(units));
    EXPECT_EQ(reply_error(&NO_ANSWER), 1);
    fuse_req_t req = kept;
    if (pthread_create(&thread, NULL, read_elsewhere, req) != 0 || pthread_join(thread, NULL) != 0)
        abort();
    EXPECT_EQ(fuse_req_secctx_next(req, &name, &value, NULL), 0);
    EXPECT(strcmp(name, "security.b") == 0 && value[0] == 'x');
    /* A hook that is taken away leaves them. */
    fuse_req_interrupt_func(req, NULL, NULL);
    EXPECT_EQ(fuse_req_secctx_count(req), 2);
    EXPECT_EQ(fuse_reply_err(req, EIO), 0);
    EXPECT_EQ(fuse_req_secctx_count(req), 0);
    EXPECT_EQ(fuse_req_secctx_next(req, NULL, NULL, NULL), -EINVAL);
    fuse_req_secctx_reset(req);
    area_len = 0;
    /* The next request in its place has none. */
    send(none);
}

int main(void)
{
    session_start((struct setup){ .minor = 45 });
    areas();
    contexts();
    answered_later();
    session_stop();
    return verdict();
}
