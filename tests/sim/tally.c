/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/sim/tally.h"

#include <string.h>

const char *const fault_names[FAULT_COUNT] = {
    [FAULT_SLOW] = "slow",
    [FAULT_HANG] = "hang",
    [FAULT_FAIL_BEFORE] = "fail-before-effect",
    [FAULT_FAIL_AFTER] = "fail-after-effect",
    [FAULT_PARTIAL_EFFECT] = "partial-effect",
    [FAULT_LATE_EFFECT] = "effect-after-timeout",
    [FAULT_LIE] = "lying-success",
    [FAULT_REPLY_LOST] = "reply-lost",
    [FAULT_REPLY_TWICE] = "reply-twice",
    [FAULT_REPLY_ASTRAY] = "reply-astray",
    [FAULT_GARBAGE] = "garbage-frame",
    [FAULT_DRIVER_CRASH] = "driver-crash",
    [FAULT_DRIVER_NO_START] = "driver-no-start",
    [FAULT_REFUSE] = "refusal",
    [FAULT_LIST_INCOMPLETE] = "list-incomplete",
    [FAULT_LIST_EMPTY] = "list-empty",
    [FAULT_LIST_ERROR] = "list-error",
    [FAULT_LIST_STALE] = "list-stale",
    [FAULT_LOOK_UNKNOWN] = "look-unknown",
    [FAULT_LOOK_SHORT] = "look-short",
    [FAULT_NOTICE_LOST] = "notice-lost",
    [FAULT_NOTICE_FALSE] = "notice-false",
    [FAULT_CORE_CRASH] = "core-crash",
    [FAULT_POWER_LOSS] = "power-loss",
    [FAULT_PAUSE] = "pause",
    [FAULT_CLOCK_JUMP] = "clock-jump",
    [FAULT_DISK_FULL] = "disk-full",
    [FAULT_DISK_ERROR] = "disk-error",
    [FAULT_SECOND_DAEMON] = "second-daemon",
    [FAULT_STORE_LOST] = "store-lost",
    [FAULT_STORE_RESTORED] = "store-restored",
    [FAULT_OTHER_VERSION] = "other-version",
    [FAULT_GIT_MERGE] = "git-merge",
    [FAULT_GIT_FORCE_PUSH] = "git-force-push",
    [FAULT_GIT_REWIND] = "git-rewind",
    [FAULT_GIT_CORRUPT] = "git-corrupt",
    [FAULT_GIT_MISSING] = "git-missing",
    [FAULT_GIT_INVALID] = "git-invalid",
    [FAULT_GIT_STALL] = "git-stall",
    [FAULT_GIT_EMPTIED] = "git-emptied",
    [FAULT_SOMEONE_DELETES] = "someone-deletes",
    [FAULT_SOMEONE_RENAMES] = "someone-renames",
    [FAULT_SOMEONE_RESIZES] = "someone-resizes",
    [FAULT_SOMEONE_STRIPS_TAG] = "someone-strips-tag",
    [FAULT_SOMEONE_CLONES] = "someone-clones",
    [FAULT_LOOKALIKE] = "look-alike",
    [FAULT_GUEST_STOPS] = "guest-stops",
    [FAULT_GUEST_CRASHES] = "guest-crashes",
    [FAULT_OPERATOR_APPROVES] = "operator-approves",
    [FAULT_OPERATOR_FREEZES] = "operator-freezes",
    [FAULT_OPERATOR_PURGES] = "operator-purges",
    [FAULT_FRAME_CUT] = "frame-cut",
    [FAULT_LIST_UNSORTED] = "list-unsorted",
    [FAULT_CLOCK_FROZEN] = "clock-frozen",
    [FAULT_DISK_READ_ONLY] = "disk-read-only",
    [FAULT_STORE_BUSY] = "store-busy",
    [FAULT_CLOCK_DRIFT] = "clock-drift",
    [FAULT_SHORT_READ] = "short-read",
    [FAULT_EFFECT_UNSYNCED] = "effect-unsynced",
    [FAULT_BIT_FLIP] = "bit-flip",
    [FAULT_CALL_CRASH] = "call-crash",
    [FAULT_OTHER_PROGRAM] = "other-program",
};

const char *const verb_names[VERBS] = {"create", "update", "restart", "delete", "release", "adopt"};
const char *const phase_names[PHASES] = {"durable", "sent", "done", "answered"};

enum verb verb_of(const char *word)
{
    enum verb verb = 0;
    while (verb < VERBS && strcmp(verb_names[verb], word) != 0)
        verb++;
    return verb;
}

unsigned fault_phases(enum fault fault)
{
    enum {
        DURABLE = 1 << PHASE_DURABLE,
        SENT = 1 << PHASE_SENT,
        DONE = 1 << PHASE_DONE,
        ANSWERED = 1 << PHASE_ANSWERED,
        ANY = DURABLE | SENT | DONE | ANSWERED,
    };
    static const unsigned phases[FAULT_COUNT] = {
        [FAULT_SLOW] = SENT,
        [FAULT_HANG] = SENT,
        [FAULT_FAIL_BEFORE] = SENT,
        [FAULT_REFUSE] = SENT,
        [FAULT_PARTIAL_EFFECT] = SENT,
        [FAULT_LATE_EFFECT] = SENT,
        [FAULT_LIE] = SENT,
        [FAULT_FAIL_AFTER] = DONE,
        [FAULT_REPLY_LOST] = DONE,
        [FAULT_REPLY_TWICE] = DONE,
        [FAULT_REPLY_ASTRAY] = DONE,
        [FAULT_DRIVER_CRASH] = ANY,
        [FAULT_CORE_CRASH] = ANY,
        [FAULT_POWER_LOSS] = ANY,
        [FAULT_PAUSE] = ANY,
        [FAULT_CLOCK_JUMP] = ANY,
        [FAULT_DISK_FULL] = ANY,
        [FAULT_DISK_ERROR] = ANY,
        [FAULT_CALL_CRASH] = SENT | DONE,
        [FAULT_SHORT_READ] = ANY,
        [FAULT_DISK_READ_ONLY] = ANY,
        [FAULT_STORE_BUSY] = ANY,
        [FAULT_STORE_LOST] = ANY,
        [FAULT_STORE_RESTORED] = ANY,
        [FAULT_OTHER_VERSION] = ANY,
        [FAULT_SECOND_DAEMON] = ANY,
        [FAULT_CLOCK_FROZEN] = ANY,
        [FAULT_BIT_FLIP] = ANY,
    };
    return phases[fault];
}

void tally_add(uint64_t *counter, uint64_t by)
{
    __atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}
