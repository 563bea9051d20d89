/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_TORTURE_TALLY_H
#define TESTS_TORTURE_TALLY_H

/* How many failures of which function were tried, and what they came to. */
enum tally {
    TALLY_SAME,   /* it ended as if nothing had happened */
    TALLY_ERROR,  /* an error was said */
    TALLY_ABORT,  /* out of memory, as documented */
    TALLY_BAD,    /* none of these */
    TALLY_MISSED, /* the call was not made this time */
    TALLIES
};

void tally_add(const char *function, enum tally tally);
unsigned tally_count(enum tally tally); /* of all functions */
void tally_print(void);

#endif
