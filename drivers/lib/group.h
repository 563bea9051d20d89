/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_GROUP_H
#define DRIVER_GROUP_H

#include "drivers/lib/call.h"
#include "drivers/lib/host.h"

/*
 * Steps that go together: who waits for whom, who goes with whom, and what each hears of it
 * (`group` of struct spinel_driver). There is no process and no clock here, so that a simulation
 * runs it as it is.
 */

/* What the process of a group says of one of it. */
struct outcome {
    uint32_t member;
    struct error err; /* code 0: done */
};

/* Whether the call waits for nothing: an apply does for an older one of its object, and for the
 * process of its group. */
bool call_may_start(const struct spinel_host *host, const struct call *call);

/* Whoever waits and is of the group of `first` goes with it: fills its members. */
void group_gather(const struct spinel_host *host, struct call *first, int64_t now_ms);

/* False: the group of `first` has no such member, or it was told already. */
bool group_outcome(const struct call *first, const struct outcome *outcome);

/* The process of `first` has ended. Who had no answer yet hears of whom that was for, and if it
 * was nobody's wish, steps go one by one for a while. */
void group_explain(struct spinel_host *host, const struct call *first, int64_t now_ms);

/* Something of a group was not done in time: steps go one by one for a while. */
void group_part(struct spinel_host *host, const struct call *call, int64_t now_ms);

#endif
