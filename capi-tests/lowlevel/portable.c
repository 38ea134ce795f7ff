/* Uses a function of our own where it is there, and runs where it is not. */
#include "harness.h"

#include <dlfcn.h>

static uint64_t (*number_of)(fuse_req_t req);

static void note(fuse_req_t req)
{
    bool right = number_of != NULL && number_of(req) == last_unique();
    printf("%s\n", number_of == NULL ? "absent" : right ? "present" : "WRONG");
}

int main(void)
{
#ifdef FUSEWIRE_VERSION
    number_of = fuse_req_unique;
    printf("fusewire's header\n");
#else
    number_of = (uint64_t (*)(fuse_req_t))dlsym(RTLD_DEFAULT, "fuse_req_unique");
    printf("libfuse's header\n");
#endif
    session_start((struct setup){ 0 });
    silent = true;
    in_callback = note;
    plain_request(FUSE_LOOKUP, 38);
    feed(NULL);
    session_stop();
    return 0;
}
