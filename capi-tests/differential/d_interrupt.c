/* INTERRUPT before, during and after its request, and what the request's handle says about it. */
#include "harness.h"

static void put_interrupt(uint64_t of)
{
    request(FUSE_INTERRUPT, 0);
    PUT(fuse_interrupt_in, .unique = of);
}

static void on_interrupt(fuse_req_t req, void *data)
{
    say("interrupt function data=%s interrupted=%d", str(data), fuse_req_interrupted(req));
}

static void on_interrupt_answer(fuse_req_t req, void *data)
{
    say("interrupt function answers, data=%s", str(data));
    fuse_reply_err(req, EINTR);
}

static void state(fuse_req_t req)
{
    say("interrupted=%d", fuse_req_interrupted(req));
}

static void register_and_state(fuse_req_t req)
{
    say("interrupted=%d", fuse_req_interrupted(req));
    fuse_req_interrupt_func(req, on_interrupt, "registered in the callback");
    say("registered, interrupted=%d", fuse_req_interrupted(req));
}

/* Leaves a request unanswered and gives its unique. */
static uint64_t leave(const char *what, uint32_t opcode, fuse_interrupt_func_t func)
{
    plain_request(opcode, 38);
    uint64_t unique = last_unique();
    run(&NO_ANSWER, "%s: left unanswered", what);
    if (func != NULL)
        fuse_req_interrupt_func(kept, func, "registered later");
    return unique;
}

static void in_flight(uint32_t opcode)
{
    const char *name = opcode_name(opcode);
    uint64_t unique = leave(name, opcode, on_interrupt);
    fuse_req_t req = kept;
    put_interrupt(unique);
    run(NULL, "%s in flight: interrupt", name);
    state(req);
    put_interrupt(unique);
    run(NULL, "%s in flight: second interrupt", name);
    begin_case("%s in flight: function changed", name);
    fuse_req_interrupt_func(req, on_interrupt, "registered when interrupted");
    fuse_req_interrupt_func(req, NULL, NULL);
    state(req);
    begin_case("%s in flight: answer", name);
    say("returned %d", fuse_reply_err(req, EINTR));
    put_interrupt(unique);
    run(NULL, "%s answered: interrupt", name);
}

static void answered_by_function(void)
{
    uint64_t unique = leave("function that answers", FUSE_READ, on_interrupt_answer);
    put_interrupt(unique);
    run(NULL, "function that answers: interrupt");
}

static void without_function(void)
{
    uint64_t unique = leave("no function", FUSE_READ, NULL);
    fuse_req_t req = kept;
    put_interrupt(unique);
    run(NULL, "no function: interrupt");
    state(req);
    begin_case("no function: registered too late");
    fuse_req_interrupt_func(req, on_interrupt, "too late");
    say("returned %d", fuse_reply_err(req, 0));

    unique = leave("function taken back", FUSE_READ, on_interrupt);
    req = kept;
    fuse_req_interrupt_func(req, NULL, NULL);
    put_interrupt(unique);
    run(NULL, "function taken back: interrupt");
    say("returned %d", fuse_reply_err(req, 0));
}

/* The interrupt may overtake its request; the library must remember it, for that one. */
static void before_the_request(void)
{
    uint64_t next = last_unique() + 4;
    put_interrupt(next);
    run(NULL, "interrupt first");
    in_callback = register_and_state;
    plain_request(FUSE_LOOKUP, 38);
    run(NULL, "interrupt first: its request");
    plain_request(FUSE_LOOKUP, 38);
    run(NULL, "interrupt first: another request");

    put_interrupt(last_unique() + 6);
    run(NULL, "interrupt of the one after next");
    plain_request(FUSE_LOOKUP, 38);
    run(NULL, "interrupt of the one after next: next");
    plain_request(FUSE_LOOKUP, 38);
    run(NULL, "interrupt of the one after next: the one after");
    in_callback = NULL;

    put_interrupt(12345678);
    run(NULL, "interrupt of nothing");
    put_interrupt(0);
    run(NULL, "interrupt of 0");
    put_interrupt(UINT64_MAX);
    run(NULL, "interrupt of the last");
    for (int i = 0; i < 5; i++) {
        plain_request(FUSE_GETATTR, 38);
        run(NULL, "requests after lone interrupts: %d", i);
    }
}

static void two_in_flight(void)
{
    uint64_t first = leave("first of two", FUSE_READ, on_interrupt);
    fuse_req_t one = kept;
    leave("second of two", FUSE_WRITE, on_interrupt);
    fuse_req_t two = kept;
    put_interrupt(first);
    run(NULL, "two in flight: interrupt of the first");
    say("first %d second %d", fuse_req_interrupted(one), fuse_req_interrupted(two));
    begin_case("two in flight: answers");
    say("returned %d", fuse_reply_err(two, 0));
    say("returned %d", fuse_reply_err(one, EINTR));
}

int main(void)
{
    session_start((struct setup){ 0 });
    in_callback = state;
    plain_request(FUSE_LOOKUP, 38);
    run(NULL, "never interrupted");
    in_callback = NULL;
    in_flight(FUSE_READ);
    in_flight(FUSE_SETLKW);
    in_flight(FUSE_OPEN);
    answered_by_function();
    without_function();
    two_in_flight();
    before_the_request();
    session_stop();
    return 0;
}
