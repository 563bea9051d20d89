/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_ENGINE_RACK_H
#define TESTS_ENGINE_RACK_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include "reconciler/engine/core.h"
#include "tests/engine/part_text.h"

/*
 * A rack in memory for the core: a virtual clock, two drivers ("disk" for volumes,
 * "net" for networks and machines) whose objects are a table here, a real store, and
 * manifests by commit. Any call of the core to the outside can be made its last.
 */
enum { RACK_OBJECTS = 1024, RACK_MESSAGES = 4096 };

enum ledger_call {
    LEDGER_BEGIN,
    LEDGER_COMMIT,
    LEDGER_OBJECT,
    LEDGER_OBSERVATION,
    LEDGER_INTENT,
    LEDGER_EVENT,
    LEDGER_FACT,
    LEDGER_CALLS,
};

struct rack_object {
    char uid[33], kind[32], name[64];
    const struct value *spec;
    const struct value *booted; /* of a machine: the spec that it was started with */
    uint64_t epoch;             /* acknowledged, also when absent */
    uint64_t fence[2];          /* the highest that each driver has let in */
    bool exists, released;
    unsigned damages;      /* at most two; an apply mends one */
    int64_t deadline;      /* seconds that the last apply was given */
    unsigned made;         /* times that it came into being */
    unsigned applied;      /* effects, not repeats of one op */
    char op[65];           /* last one that had its effect */
    char asked[65];        /* last one that came, whether or not it had an effect */
    unsigned ops, repeats; /* different ones that came; the same one once more */
};

struct rack_message {
    const char *driver;
    const struct value *message;
};

struct rack {
    struct arena *arena;
    char dir[64];
    struct store *store;
    struct core *core;
    struct env env;
    struct ledger ledger;
    struct core_config config;
    int64_t now_ms, timer_ms;
    const char *commits[8]; /* manifests by number: commit "1" is commits[1] */
    char head[8];
    struct rack_object objects[RACK_OBJECTS];
    size_t object_count;
    struct rack_message queue[RACK_MESSAGES];
    size_t queue_first, queue_end;
    unsigned starts[2], kills[2];

    /* faults */
    int calls, crash_at; /* 0: never */
    jmp_buf crash;
    const char *mute;        /* driver that answers nothing but initialize */
    const char *partial;     /* driver whose lists break off */
    const char *greedy;      /* driver that lists what the other one holds */
    const char *refuse;      /* name of the object whose applies are refused */
    const char *refuse_kind; /* word of the refusal */
    const char *full_pool;   /* of which no volume of this size or larger finds room */
    const char *full_kind;   /* of which no object at all finds room; NULL: of any */
    int64_t full_from;
    unsigned full_after;          /* so many find room first */
    unsigned lose_replies;        /* answers to apply that never arrive, but the effect does */
    size_t hang_looks_of;         /* the next look at so many is never answered; 0: none */
    unsigned lose_applies;        /* applies that arrive and come to nothing, and no word of it */
    bool move_behind;             /* the next details are old when they arrive, after the notice */
    const struct value *set_back; /* what the next object looked at is once it was told */
    const char *etags;            /* what drivers say that their etags are made by; NULL: nothing */
    bool makes_groups;            /* drivers say that they carry out together what waits */
    const char *group_kind;       /* of this kind; NULL: of all */
    bool has_queue;               /* drivers say that they keep what they cannot begin at once */
    bool in_bursts;               /* what is there to be read is taken in before the next turn */
    bool in_reverse;              /* the last of a burst was ready first */
    int64_t lie_epoch;            /* what drivers say of every epoch; 0: the truth */
    bool deny_epochs;             /* deletes are not acknowledged */
    int64_t wall_ahead_ms;        /* of the wall clock, against what it should be */
    int64_t answer_ms;            /* how long each message is on its way */
    int64_t plan_ms;              /* how long reading all rows takes */

    int64_t most_under_way; /* of all steps, since it was set to 0 */
    bool is_restless;       /* the status of each object is another one at each look */
    bool has_tokens;        /* drivers say of which state their lists are */
    const char *unchanged;  /* token that they answer instead of any list; NULL: no */
    const char *stranger;   /* something in their places that bears no tag; NULL: nothing */

    unsigned loads, loads_at_apply; /* sets that were read; at the first apply since that was 0 */
    struct part_text text;          /* that parts are made of */
    unsigned events_converged, events_failed, applies, plans, looks, details;
    unsigned lists, lists_unchanged, reads; /* of all rows */
    const char *hint;                       /* that it comes with */
    const char *lie;         /* name of the object of which "done" is said and nothing done */
    const char *lie_verb;    /* for this verb only; NULL: for all */
    const char *blur;        /* name of the object that cannot be told about, in answers to looks */
    const char *blur_all;    /* the same of all whose names begin so */
    const char *foreign_all; /* all whose names begin so have lost their tag */
    const char *hide;        /* name of the object that such answers leave out */
    const char *torn;        /* commit that cannot be read */
    const char *bare;        /* name of the object that is shown without a spec */
    bool vanish;             /* what is to be released is gone by then */
    bool keeps_chosen;       /* drivers tell what was chosen for an object */
    const char *damaged;     /* field that a damage is of; NULL: the state of the world */
    const char *exit_reason; /* why a machine does not run; NULL: nobody says */
    bool lose_cancels;
    bool silent_fence; /* a refusal as stale does not tell the epoch */
    bool keep_replies; /* answers to apply are kept, and come with that to cancel */
    const struct value *kept;
    int fail_at[LEDGER_CALLS]; /* the n-th call of each fails, as on a full disk; 0: never */
    char failed[256];          /* the text of the last op.failed */
    unsigned events_full;      /* of place.full */
    char full[256];            /* the text of the last */
    int64_t applied_at[256];   /* virtual time of each */
};

struct rack *rack_new(void);
void rack_free(struct rack *rack);
/* From now on a core takes targets by their part where it can. */
void rack_take_parts(struct rack *rack);
/* Starts a core on the rack's store with `commit` as target. */
void rack_boot(struct rack *rack, const char *commit);
/* The core is gone, as after kill -9; what drivers had in hand is done or lost with it. */
void rack_die(struct rack *rack);
/* Runs until settled or for `limit_ms` of virtual time; true if settled. */
bool rack_run(struct rack *rack, int64_t limit_ms);
struct rack_object *rack_object(struct rack *rack, const char *kind, const char *name);
/* Objects of this identity that exist. */
unsigned rack_count(const struct rack *rack, const char *kind, const char *name);
/* Loses the store, keeps the world. */
void rack_forget(struct rack *rack);
/* Puts a copy of the store aside, and back later, as from a backup. */
void rack_backup(struct rack *rack);
void rack_restore(struct rack *rack);
/* A driver ends by itself; what it had in hand is lost with it. */
void rack_lose_driver(struct rack *rack, const char *driver);
/* Set-up and tear-down of a cmocka test: commits 1 to 3 have volume "db" of 1 GiB and VPC "net",
 * the same with 2 GiB, and the VPC alone. */
int rack_setup_volume(void **state);
int rack_teardown(void **state);
/* Boots with the commit, and has to settle within a minute. */
void rack_settle(struct rack *rack, const char *commit);
/* The same of a store that was lost or came back: it waits to be approved. */
void rack_rebuild(struct rack *rack, const char *commit);
/* Another commit is the target of the core that runs. */
void rack_target(struct rack *rack, const char *commit);
/* Somebody lets a store that was lost or came back be filled from what is there. */
void rack_approve_rebuild(struct rack *rack);
/* Somebody lets through all that is held. */
void rack_approve_all(struct rack *rack);
/* The record of the first object of the kind; NULL if there is none. */
const struct known *rack_row(struct rack *rack, const char *kind);
/* The size in bytes of volume "db" as it is; 0 if there is none. */
int64_t rack_size(struct rack *rack);
/* Somebody gives a volume another size, and tells nobody. */
void rack_resize(struct rack *rack, struct rack_object *volume, int64_t bytes);
void rack_notice(struct rack *rack, const char *driver, const char *uid, const char *why);

#endif
