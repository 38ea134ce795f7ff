/*
 * Programs about what only the newer library has, where there is no other to compare with: they say themselves what
 * must come out. Requests and replies are those of the differential harness, its transcript off.
 */
#ifndef EXPECT_H
#define EXPECT_H

#include "harness.h"

extern int expected, failed;

/* Counts the check and, if it fails, says where. */
#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        expected++;                                                                                                    \
        if (!(condition)) {                                                                                            \
            failed++;                                                                                                  \
            printf("%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #condition);                               \
        }                                                                                                              \
    } while (0)

#define EXPECT_EQ(have, want)                                                                                          \
    do {                                                                                                               \
        long long have_ = (long long)(have), want_ = (long long)(want);                                                \
        expected++;                                                                                                    \
        if (have_ != want_) {                                                                                          \
            failed++;                                                                                                  \
            printf("%s:%d: %s: %s is %lld (%#llx) instead of %lld (%#llx)\n", __FILE__, __LINE__, __func__, #have,     \
                   have_, have_, want_, want_);                                                                        \
        }                                                                                                              \
    } while (0)

/* The end of main(): its exit status. */
int verdict(void);

/* Feeds the request as it stands and gives the error in the reply; 1 when there was none. */
int reply_error(const struct answer *answer);
/* The payload of the last reply. */
struct bytes reply_payload(void);

#endif
