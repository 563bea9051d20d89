/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_SIM_TALLY_H
#define TESTS_SIM_TALLY_H

#include <stdint.h>

/* Everything that can go wrong, as the swarm picks it and the table counts it. */
enum fault {
    /* a driver and its frames */
    FAULT_SLOW,
    FAULT_HANG,
    FAULT_FAIL_BEFORE,
    FAULT_FAIL_AFTER,
    FAULT_PARTIAL_EFFECT,
    FAULT_LATE_EFFECT,
    FAULT_LIE,
    FAULT_REPLY_LOST,
    FAULT_REPLY_TWICE,
    FAULT_REPLY_ASTRAY,
    FAULT_GARBAGE,
    FAULT_DRIVER_CRASH,
    FAULT_DRIVER_NO_START,
    FAULT_REFUSE,
    FAULT_LIST_INCOMPLETE,
    FAULT_LIST_EMPTY,
    FAULT_LIST_ERROR,
    FAULT_LIST_STALE,
    FAULT_LOOK_UNKNOWN,
    FAULT_LOOK_SHORT,
    FAULT_NOTICE_LOST,
    FAULT_NOTICE_FALSE,
    /* the host */
    FAULT_CORE_CRASH,
    FAULT_POWER_LOSS,
    FAULT_PAUSE,
    FAULT_CLOCK_JUMP,
    FAULT_DISK_FULL,
    FAULT_DISK_ERROR,
    FAULT_SECOND_DAEMON,
    FAULT_STORE_LOST,
    FAULT_STORE_RESTORED,
    FAULT_OTHER_VERSION,
    /* Git */
    FAULT_GIT_MERGE,
    FAULT_GIT_FORCE_PUSH,
    FAULT_GIT_REWIND,
    FAULT_GIT_CORRUPT,
    FAULT_GIT_MISSING,
    FAULT_GIT_INVALID,
    FAULT_GIT_STALL,
    FAULT_GIT_EMPTIED,
    /* people and other programs */
    FAULT_SOMEONE_DELETES,
    FAULT_SOMEONE_RENAMES,
    FAULT_SOMEONE_RESIZES,
    FAULT_SOMEONE_STRIPS_TAG,
    FAULT_SOMEONE_CLONES,
    FAULT_LOOKALIKE,
    FAULT_GUEST_STOPS,
    FAULT_GUEST_CRASHES,
    FAULT_OPERATOR_APPROVES,
    FAULT_OPERATOR_FREEZES,
    FAULT_OPERATOR_PURGES,
    /* those that came later: drawn from a stream of their own, in a quarter of all seeds */
    FAULT_EXTRA,
    FAULT_FRAME_CUT = FAULT_EXTRA,
    FAULT_LIST_UNSORTED,
    FAULT_CLOCK_FROZEN,
    FAULT_DISK_READ_ONLY,
    FAULT_STORE_BUSY,
    /* and those after them, in the same way */
    FAULT_LATER,
    FAULT_CLOCK_DRIFT = FAULT_LATER,
    FAULT_SHORT_READ,
    FAULT_EFFECT_UNSYNCED,
    FAULT_BIT_FLIP,
    /* from the stream of what drivers are able to */
    FAULT_ABLE,
    FAULT_CALL_CRASH = FAULT_ABLE,
    FAULT_OTHER_PROGRAM,
    FAULT_COUNT,
};
extern const char *const fault_names[FAULT_COUNT];

enum verb { VERB_CREATE, VERB_UPDATE, VERB_RESTART, VERB_DELETE, VERB_RELEASE, VERB_ADOPT, VERBS };
extern const char *const verb_names[VERBS];
enum verb verb_of(const char *word); /* VERBS: none of them */

/* How far an operation has come. */
enum phase { PHASE_DURABLE, PHASE_SENT, PHASE_DONE, PHASE_ANSWERED, PHASES };
extern const char *const phase_names[PHASES];

/* Which of a fault's cells can be met: a bit for each phase; 0: it strikes no operation. */
unsigned fault_phases(enum fault fault);

/* What came of a bit of the store that turned while no daemon ran. */
enum flip {
    FLIP_HARMLESS, /* it reads as before */
    FLIP_OLDER,    /* the log ends before it, and what was durable since is gone */
    FLIP_REFUSED,  /* the next start refuses it */
    FLIP_BELIEVED, /* a row or an index is another, and nobody notices */
    FLIPS
};

enum { INVARIANTS_MAX = 40, MESSAGE_MAX = 480 };

/* Counts of all runs, in memory that the processes of all jobs share. */
struct tally {
    uint64_t seeds, events, simulated_ms, restarts, commits;
    uint64_t faults[FAULT_COUNT], armed[FAULT_COUNT]; /* armed: laid out for a call to meet */
    uint64_t flips[FLIPS];
    uint64_t ops[VERBS], confirmed[VERBS], effects[VERBS];
    uint64_t cells[VERBS][PHASES][FAULT_COUNT];
    uint64_t checks[INVARIANTS_MAX], violations[INVARIANTS_MAX];
    uint64_t crash_points, double_crashes, storm_deaths;
    uint64_t seconds_unmet; /* the recovery was over before the call of the second crash */
};

void tally_add(uint64_t *counter, uint64_t by);

#endif
