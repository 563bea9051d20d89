/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_CORE_H
#define RECONCILER_ENGINE_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/report.h"
#include "model/value.h"
#include "reconciler/engine/env.h"
#include "reconciler/plan/plan.h"

/*
 * The core of the engine: a level-triggered state machine that looks, plans,
 * journals, sends and looks again. It does no I/O of its own and has no clock:
 * everything comes in through the functions below and leaves through struct env,
 * so the same code runs under libev and under a test with a virtual clock.
 *
 *        ┌──────────────────────────── ops ended ───────────────────────────┐
 *        ▼                                                                  │
 *   observe ──► plan + guard ──► one transaction ──► send ──► claim ──► look again
 *        ▲                        (intents, rows)                      confirm, or fail
 *        └── target, notice, timer, approval                           and back off
 *
 * After each call that brings news, the caller calls core_pump() once: it commits
 * what was decided, and only then sends anything.
 */
struct core;

/* What the core is told of the site. Borrowed for the core's life. */
struct core_config {
    const char *rack;           /* name of the site */
    const char *rack_id;        /* 32 hexadecimal digits */
    const char *state_dir;      /* absolute */
    const char *key_file;       /* absolute */
    const char *const *drivers; /* names, no duplicates */
    size_t driver_count;
    /* Name of the driver that a class ("instance", ...) goes to; NULL if none. */
    const char *(*driver_of)(void *context, const char *class);
    /* The driver's part of the site's settings; NULL if none. */
    const struct value *(*settings_of)(void *context, const char *driver);
    void *context;
    unsigned parallelism; /* most steps under way at once for one driver */
    int64_t resync_ms;    /* between two full looks */
    struct plan_policy policy;
    uint8_t seed[32];
    const char *made_by; /* what a set and a plan depend on beside their inputs: this program, the
                          * kinds, the repository's limits. NULL: nothing is kept for others */
    bool effects;        /* false: observes and plans, writes and sends nothing */
    bool cached;         /* plans from what the store last saw; starts no driver */
};

/* Never fails; the store is read at core_start(). */
struct core *core_new(const struct env *env, const struct core_config *config);
void core_free(struct core *core); /* NULL is allowed */

/* Takes up what the store says: target, open intents; and starts the drivers. */
int core_start(struct core *core, struct error *err);

/* ---- what happens outside ----------------------------------------------------------- */

/* A head to make true. ERR_INVALID with the report filled: refused, the old target
 * stays. `who` may be NULL. `*revision` may be NULL. The same commit again only makes
 * the core look at once. */
int core_target(struct core *core, const char *commit, const char *who, struct report *report,
                int64_t *revision, struct error *err);
/* A commit that does not become the target, for the record: a revision of state "refused". */
struct refusal {
    const char *commit, *who, *author, *subject; /* NULL: not known */
    const char *why;                             /* the first problem */
    const struct value *problems;                /* as report_value() tells them */
};
int core_refused(struct core *core, const struct refusal *refusal, struct error *err);
/* A line that a driver wrote, without its newline. ERR_INVALID: it is no message. Some of a
 * library's chatter cost nothing; a driver that says nothing else is killed. */
int core_line(struct core *core, const char *driver, const char *line, size_t len,
              struct error *err);
void core_driver_down(struct core *core, const char *driver, const char *why);
void core_timer(struct core *core);
/* Approvals and freezes have changed in the store: plan again. */
void core_policy_changed(struct core *core);
/* Look at everything again. */
void core_look(struct core *core);
/* No further effect begins; those under way are left to the drivers and to the next start. */
void core_stop(struct core *core);
/* Carries out exactly the plan that has this hash and was made from this world, and is
 * refused (core_is_refused()) when the first fresh plan is another. */
void core_expect(struct core *core, const char *hash, const char *world);
/* What is written to the store from here on is one transaction with what the core writes until
 * its next pump ends. */
void core_begin(struct core *core);
/* An event of the caller's own, in order with the core's. */
void core_announce(struct core *core, const char *type, struct value *data, const char *text);

/* Decides, commits, sends, sets the timer. */
void core_pump(struct core *core);

/* ---- what it has come to ------------------------------------------------------------ */

/* The store failed (or is full): no more effects; `err` says why. */
bool core_has_failed(const struct core *core, struct error *err);
/* Number of full looks that have ended; a look asked for now ends at the next but
 * one at the latest, and core_look_goal() says at which. */
uint64_t core_looks(const struct core *core);
uint64_t core_look_goal(const struct core *core);
/* After a fresh full look, nothing is under way and nothing would change by waiting. */
bool core_is_settled(const struct core *core);
bool core_is_converged(const struct core *core);
/* No plan was fresh enough yet to be compared with the one of core_expect(); nothing was done. */
bool core_is_expecting(const struct core *core);
/* ERR_STALE: the plan is not the one that was expected; nothing was done. */
bool core_is_refused(const struct core *core, struct error *err);
/* A driver that could not start or be asked; fills `err` and returns its code, or 0. */
int core_driver_problem(const struct core *core, struct error *err);
/* Without effects: each driver has told its list, or failed to again and again; whoever asks is
 * told without those. */
bool core_list_fails(const struct core *core);
/* One that has never come up, with what it said. */
bool core_driver_unusable(const struct core *core, struct error *err);
/* With effects: all that is left to run is of kinds that no driver is named for; says so. */
bool core_is_undriven(const struct core *core, struct error *err);
/* When something will be tried again, in milliseconds of the wall clock; 0 if nothing waits. */
int64_t core_next_try(const struct core *core);

/* The last plan; NULL before the first. Lives until the next pump. */
const struct plan *core_plan(const struct core *core);
/* A plan for another set over the present observations, without side effects. */
const struct plan *core_plan_for(struct core *core, struct arena *arena, const struct set *set,
                                 const char *commit, struct error *err);
/* What is known of the whole of which a part is planned: of a rack that is as declared. */
struct part_world {
    const char *digest;
    int64_t observed_at; /* unix seconds of the oldest observation */
    int64_t live;        /* resources that are there */
};
/* A plan of a part of the rack, by a core without effects that plans from what is stored. */
struct part;
const struct plan *core_plan_part(struct core *core, struct arena *arena, const struct part *part,
                                  const struct part_world *world, const char *commit,
                                  struct error *err);
/* Whether all is as its commit declares, by a plan of the whole since which nothing was written:
 * then only what another commit changes can have a step. The plan of that, by its part, which
 * nothing comes of. */
bool core_is_at_rest(const struct core *core);
const struct plan *core_plan_change(struct core *core, struct arena *arena, const struct part *part,
                                    const char *commit, struct error *err);
/* RFC 3339 with milliseconds, in UTC. */
const char *core_time_text(struct arena *arena, int64_t wall_ms);
/* Operations now. */
struct core_load {
    int64_t queued;    /* wait for others, or for a driver */
    int64_t under_way; /* with a driver */
    int64_t blocked;   /* failed, and wait for their next try */
};
struct core_load core_load(const struct core *core);
const char *core_commit(const struct core *core); /* target; "" before the first */
/* Objects of ours that the last plan had no word of: [{"kind","project","name","uid"}]. */
struct value *core_unseen(struct core *core, struct arena *arena);
/* {"unmanaged":[...],"orphans":[...],"trash":[...]} as of the last full look, and those as
 * "unknown". */
struct value *core_strangers(struct core *core, struct arena *arena);

#endif
