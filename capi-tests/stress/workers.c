/*
 * The threads of loops: how many there are, what they have, and what happens when a daemon ends or cancels them.
 *
 *   workers <case>
 *
 * Requests come through a socket, so that no kernel waits for a thread that is gone.
 */
#include "session.h"

#include <limits.h>
#include <sys/resource.h>

enum { MOST = 8 };

static struct fuse_session *se;
static int peer;

/* ---- threads, counted from their first callback until they are gone ---- */

static pthread_key_t key;
static atomic_int alive, started, most_at_once, inside;

static void gone(void *unused)
{
    (void)unused;
    usleep(20000); /* whoever does not wait for the very end does not see this */
    atomic_fetch_sub(&alive, 1);
}

static void count_thread(void)
{
    if (pthread_getspecific(key) != NULL)
        return;
    pthread_setspecific(key, &key);
    atomic_fetch_add(&alive, 1);
    atomic_fetch_add(&started, 1);
}

/* ---- callbacks ---- */

static _Atomic(fuse_req_t) left;
static size_t stack_size;
static atomic_int wanted_inside;

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
    (void)ino;
    count_thread();
    int now = atomic_fetch_add(&inside, 1) + 1;
    for (int most = most_at_once; most < now && !atomic_compare_exchange_weak(&most_at_once, &most, now);)
        ;
    for (int i = 0; i < 5000 && most_at_once < wanted_inside; i++)
        usleep(1000);
    atomic_fetch_sub(&inside, 1);
    fuse_reply_err(req, ENOSYS);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    pthread_attr_t attr;
    int before;
    (void)parent;
    count_thread();
    if (strcmp(name, "stack") == 0) {
        MUST(pthread_getattr_np(pthread_self(), &attr) == 0, "pthread_getattr_np");
        MUST(pthread_attr_getstacksize(&attr, &stack_size) == 0, "pthread_attr_getstacksize");
        pthread_attr_destroy(&attr);
    } else if (strcmp(name, "leave") == 0) {
        left = req;
        pthread_exit(NULL);
    } else if (strcmp(name, "cancel") == 0) {
        pthread_cancel(pthread_self());
        pthread_testcancel(); /* workers cannot be cancelled */
    } else if (strcmp(name, "insist") == 0) {
        left = req;
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
        MUST(before == PTHREAD_CANCEL_DISABLE, "the state was %d", before);
        pthread_cancel(pthread_self());
        pthread_testcancel();
        MUST(false, "still there");
    }
    fuse_reply_err(req, ENOENT);
}

static const struct fuse_lowlevel_ops ops = { .lookup = on_lookup, .statfs = on_statfs };

/* ---- a session and its loop, on a thread of its own ---- */

static pthread_t looper;
static int looped;

static void *loop_single(void *unused)
{
    (void)unused;
    looped = fuse_session_loop(se);
    return NULL;
}

static void *loop_pool(void *config)
{
    looped = fuse_session_loop_mt(se, config);
    pthread_testcancel();
    return NULL;
}

static void begin(void *(*loop)(void *), struct fuse_loop_config *config)
{
    se = new_session(&ops, sizeof(ops));
    peer = connect_socket(se);
    looped = 77;
    MUST(pthread_create(&looper, NULL, loop, config) == 0, "pthread_create");
    MUST(receive_reply(peer) == 0, "INIT");
}

static void end(void)
{
    fuse_session_exit(se);
    pthread_join(looper, NULL);
    MUST(looped == 0, "the loop returned %d", looped);
    MUST(alive == 0, "%d threads of %d are left", alive, started);
    fuse_session_destroy(se);
    close(peer);
}

static struct fuse_loop_config *config_of(unsigned max, unsigned idle)
{
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_max_threads(config, max);
    fuse_loop_cfg_set_idle_threads(config, idle);
    return config;
}

static int ask(const char *name)
{
    send_request(peer, FUSE_LOOKUP, name, strlen(name) + 1);
    return receive_reply(peer);
}

static void keep_busy(int count)
{
    for (int i = 0; i < count; i++)
        send_request(peer, FUSE_STATFS, NULL, 0);
    for (int i = 0; i < count; i++)
        MUST(receive_reply(peer) == -ENOSYS, "statfs");
}

/* ---- cases ---- */

/* All have ended, to the very end, when the loop returns: a plug-in may be unloaded then. */
static void joined(void)
{
    struct fuse_loop_config *config = config_of(MOST, MOST);
    for (int i = 0; i < 20; i++) {
        started = most_at_once = 0;
        wanted_inside = MOST;
        begin(loop_pool, config);
        keep_busy(MOST);
        MUST(started == MOST, "%d threads", started);
        end();
    }
    fuse_loop_cfg_destroy(config);
}

static void max_threads(void)
{
    static const unsigned limits[] = { 1, 2, 5 };
    for (size_t i = 0; i < COUNT(limits); i++) {
        struct fuse_loop_config *config = config_of(limits[i], UINT_MAX);
        most_at_once = started = 0;
        wanted_inside = (int)limits[i];
        begin(loop_pool, config);
        keep_busy(3 * (int)limits[i] + 4);
        MUST(most_at_once == (int)limits[i], "%d at once, %u wanted", most_at_once, limits[i]);
        MUST(started == (int)limits[i], "%d threads of %u", started, limits[i]);
        end();
        fuse_loop_cfg_destroy(config);
    }
}

static void idle_threads(void)
{
    struct fuse_loop_config *config = config_of(MOST, 2);
    wanted_inside = MOST;
    begin(loop_pool, config);
    keep_busy(MOST);
    wanted_inside = 0;
    for (int i = 0; i < 500 && alive > 2; i++)
        usleep(10000);
    MUST(alive <= 2, "%d idle threads, 2 wanted", alive);
    for (int i = 0; i < 100; i++)
        MUST(ask("name") == -ENOENT, "not served");
    end();
    fuse_loop_cfg_destroy(config);
}

/* A callback that ends its thread: the request stays the daemon's, and another thread serves. */
static void leave(const char *how, unsigned max)
{
    struct fuse_loop_config *config = config_of(max, UINT_MAX);
    begin(loop_pool, config);
    for (int i = 0; i < 30; i++) {
        send_request(peer, FUSE_LOOKUP, how, strlen(how) + 1);
        MUST(ask("name") == -ENOENT, "not served after %d have left", i);
        fuse_req_t req;
        while ((req = atomic_exchange(&left, NULL)) == NULL)
            usleep(100); /* it is another thread that leaves */
        MUST(fuse_reply_err(req, EIO) == 0 && receive_reply(peer) == -EIO, "the request that was left");
    }
    end();
    fuse_loop_cfg_destroy(config);
}

static void thread_exits(void)
{
    leave("leave", 1);
    leave("leave", 4);
    leave("insist", 1);
}

static void all_leave_at_the_end(void)
{
    struct fuse_loop_config *config = config_of(4, UINT_MAX);
    begin(loop_pool, config);
    for (int i = 0; i < 20; i++)
        send_request(peer, FUSE_LOOKUP, "leave", 6);
    end();
    fuse_loop_cfg_destroy(config);
}

static void cancelled(void)
{
    struct fuse_loop_config *config = config_of(1, UINT_MAX);
    begin(loop_pool, config);
    for (int i = 0; i < 3; i++)
        MUST(ask("cancel") == -ENOENT, "not served");
    MUST(started == 1, "%d threads", started);
    /* Nor can the thread that waits for the workers. */
    pthread_cancel(looper);
    MUST(ask("name") == -ENOENT, "not served");
    end();
    fuse_loop_cfg_destroy(config);
}

/* In its receive, a loop on the caller's own thread can be cancelled, as on libfuse; the session is as good as before. */
static void single_cancelled(void)
{
    void *result;
    begin(loop_single, NULL);
    MUST(ask("name") == -ENOENT, "not served");
    usleep(20000);
    pthread_cancel(looper);
    MUST(pthread_join(looper, &result) == 0 && result == PTHREAD_CANCELED, "not cancelled");
    MUST(pthread_create(&looper, NULL, loop_single, NULL) == 0, "pthread_create");
    MUST(ask("name") == -ENOENT, "not served by the second loop");
    end();
}

/* No address space for the buffer is an error of the loop, and the session is as good as before. */
static void no_memory(void)
{
    const struct rlimit none = { 0, RLIM_INFINITY }, all = { RLIM_INFINITY, RLIM_INFINITY };
    count_log_lines();
    se = new_session(&ops, sizeof(ops));
    peer = connect_socket(se);
    MUST(setrlimit(RLIMIT_AS, &none) == 0, "setrlimit");
    int single = fuse_session_loop(se), lines = log_lines, pool = fuse_session_loop_mt(se, NULL);
    MUST(setrlimit(RLIMIT_AS, &all) == 0, "setrlimit");
    MUST(single == -ENOMEM && pool == -ENOMEM, "%d and %d", single, pool);
    MUST(lines >= 1 && log_lines > lines, "%d lines, then %d", lines, log_lines);
    MUST(pthread_create(&looper, NULL, loop_pool, NULL) == 0, "pthread_create");
    MUST(receive_reply(peer) == 0 && ask("name") == -ENOENT, "not served");
    /* A pool that cannot grow serves with what it has. */
    MUST(setrlimit(RLIMIT_AS, &none) == 0, "setrlimit");
    keep_busy(3);
    MUST(setrlimit(RLIMIT_AS, &all) == 0, "setrlimit");
    end();
}

/* Memory is only used where messages were. */
static void buffers_are_lean(void)
{
    struct fuse_loop_config *config = config_of(64, UINT_MAX);
    wanted_inside = 64;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    begin(loop_pool, config);
    keep_busy(64);
    getrusage(RUSAGE_SELF, &after);
    end();
    MUST(after.ru_maxrss - before.ru_maxrss < 8192, "%ld KiB more", after.ru_maxrss - before.ru_maxrss);
    fuse_loop_cfg_destroy(config);
}

static size_t stack_of_a_worker(const char *asked)
{
    if (asked != NULL)
        setenv("FUSE_THREAD_STACK", asked, 1);
    else
        unsetenv("FUSE_THREAD_STACK");
    struct fuse_loop_config *config = config_of(2, UINT_MAX);
    begin(loop_pool, config);
    MUST(ask("stack") == -ENOENT, "not served");
    end();
    fuse_loop_cfg_destroy(config);
    return stack_size;
}

static void stack(void)
{
    pthread_attr_t attr;
    size_t usual, found;
    pthread_attr_init(&attr);
    pthread_attr_getstacksize(&attr, &usual);
    count_log_lines();
    MUST((found = stack_of_a_worker(NULL)) == usual, "%zu, usually %zu", found, usual);
    static const char *const nonsense[] = { "many", "", "-1", "1", "99999999999999999999" };
    for (size_t i = 0; i < COUNT(nonsense); i++) {
        log_lines = 0;
        MUST((found = stack_of_a_worker(nonsense[i])) == usual, "'%s': %zu", nonsense[i], found);
        MUST(log_lines >= 1, "'%s': no line", nonsense[i]);
    }
    /* The larger one last: the C library keeps a stack for the next thread that is content with it. */
    log_lines = 0;
    MUST((found = stack_of_a_worker("1048576")) == 1048576, "%zu", found);
    MUST((found = stack_of_a_worker("12582912")) == 12582912, "%zu", found);
    MUST(log_lines == 0, "%d lines", log_lines);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    { "joined", joined },
    { "max_threads", max_threads },
    { "idle_threads", idle_threads },
    { "thread_exits", thread_exits },
    { "all_leave_at_the_end", all_leave_at_the_end },
    { "cancelled", cancelled },
    { "single_cancelled", single_cancelled },
    { "no_memory", no_memory },
    { "buffers_are_lean", buffers_are_lean },
    { "stack", stack },
};

int main(int argc, char **argv)
{
    MUST(argc == 2, "workers <case>");
    MUST(pthread_key_create(&key, gone) == 0, "pthread_key_create");
    alarm(30);
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (strcmp(cases[i].name, argv[1]) == 0) {
            cases[i].run();
            return 0;
        }
    }
    MUST(false, "no case %s", argv[1]);
}
