/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_PLAN_PLAN_H
#define RECONCILER_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/arena.h"
#include "model/diff.h"
#include "model/digest.h"
#include "model/error.h"
#include "model/resource.h"
#include "model/value.h"

/*
 * A plan: the steps that make the observed world equal the desired one.
 *
 * plan_make() is pure: its inputs are below, `now` among them, and the same
 * inputs give the same steps and the same hash. The command, the push hook and
 * the daemon call this one function. A plan leaves nothing to choose at
 * execution: uids, addresses and MACs are in it. It lives in its arena.
 */

/* ---- what is known of an object ----------------------------------------------------- */

struct match;
struct subject;

enum lifecycle {
    LIFE_NEW,      /* a uid was chosen and an intent written; not confirmed yet */
    LIFE_LIVE,     /* confirmed at least once */
    LIFE_RELEASED, /* left Git; kept with its data */
    LIFE_GONE,     /* its delete is confirmed; the row is the tombstone */
};

struct observation {
    bool known;    /* false: never looked at, or the last answer was no answer */
    bool absent;   /* known, and it is not there */
    bool released; /* its tag says so */
    uint64_t epoch;
    int64_t at;                 /* unix seconds of the look */
    const struct value *spec;   /* as the driver reported; NULL if absent or unknown */
    const struct value *booted; /* NULL if nothing runs */
    const struct value *status; /* never compared; NULL allowed */
    const struct value *damage; /* list of {"path","desired","observed"}; NULL allowed */
};

/* One row of the store's objects, and what was last seen of it. */
struct known {
    const char *uid;
    const char *kind;
    const char *project; /* NULL if rack-wide */
    const char *name;
    enum lifecycle life;
    uint64_t generation;         /* counts accepted desired forms */
    uint64_t epoch;              /* counts intents */
    bool protect;                /* sticky: of the last applied revision, not of this one */
    bool remove_deletes;         /* onRemove: delete, of the last applied revision; of what was
                                  * released: a person has given it up */
    const struct value *chosen;  /* map; never NULL once live */
    const struct value *applied; /* desired spec last confirmed, redacted; NULL if never */
    const struct value *tried;   /* spec of the last intent, redacted, of what only one object may
                                  * have (claims.c); NULL once that is confirmed */
    const struct value *labels;  /* of the last applied; NULL allowed */
    struct observation observed;
    const char *etag;            /* of the list that the observation belongs to; NULL: none */
    int64_t stopped_by_guest_at; /* unix seconds when a stop by the guest was first seen; 0 */
    unsigned start_failures;     /* consecutive, for restartPolicy's back-off */
    int64_t next_start;          /* unix seconds before which restartPolicy waits; 0 */
};

/* For qsort(): the order of plan_input.known. A kind that this program does not know comes last. */
int plan_known_order(const void *left, const void *right);

/* Once it leaves Git its data is destroyed and not kept: onRemove says so, of a kind that holds
 * any. */
bool spec_removes_data(const struct value *spec);

/* ---- policy and its records --------------------------------------------------------- */

struct plan_policy {
    int64_t budget_count;     /* destructive steps that are always allowed, default 3 */
    int64_t budget_percent;   /* or this share of what is there, default 5 */
    int64_t collapse_percent; /* share gone that holds a revision, default 30 */
};

struct freeze {
    const char *what; /* "changes", "healing", "deletions" */
    const char *who;
    const char *why;
    int64_t until; /* unix seconds; 0: until lifted */
};

/* A field that something else keeps setting back. */
struct contest {
    const char *uid;
    const char *path;
    unsigned count;
    int64_t next_try; /* unix seconds */
};

/* What was destroyed of a kind in the last 24 h, not approved. */
struct loss {
    const char *kind; /* "": nobody knows any more */
    int64_t count;
    int64_t gone; /* objects of it that are not live any more */
};

struct plan_input {
    const struct set *set;     /* desired */
    const char *commit;        /* hex of the revision; "" if none yet */
    const char *parent;        /* hash of the plan before this one; "" if none */
    const struct known *known; /* every row that is not GONE, ordered by (kind rank,
                                * project, name, uid) */
    size_t known_count;
    /* For names that were used before: number of GONE rows of an identity. May be NULL: 0. */
    uint64_t (*incarnations)(void *context, const char *kind, const char *project,
                             const char *name);
    void *incarnations_context;
    uint8_t seed[32]; /* the rack's random seed, for uids */
    int64_t now;      /* unix seconds */
    struct plan_policy policy;
    const struct freeze *freezes;
    size_t freeze_count;
    const char *const *approved; /* hold ids that a person approved */
    size_t approved_count;
    const struct value *holds; /* all that are known, approved or not; not read by the planner */
    const struct contest *contests;
    size_t contest_count;
    const struct loss *losses;
    size_t loss_count;
    int64_t left; /* objects that left Git in the last 24 h, not approved, and did not return */
    int64_t live; /* resources of the rack, where `known` is a part of it; 0: `known` is all */
    bool was_collapsing;  /* removals were held by this rule, and nobody approved it since */
    bool was_over_budget; /* the same of what would be destroyed */
    bool report_only;     /* after a lost store: show, and run nothing */
    const char *world;    /* digest of the rows of which `known` are some; NULL: `known` are all */
    int64_t world_at;     /* unix seconds of the oldest observation among them */
    const char *daemon_driver_of_instance; /* unused by drivers that share nothing; NULL ok */
};

/* ---- the plan ----------------------------------------------------------------------- */

enum action {
    ACTION_NONE,
    ACTION_CREATE,
    ACTION_UPDATE,
    ACTION_RESTART,
    ACTION_REPLACE, /* carried out as a delete and a create */
    ACTION_DELETE,
    ACTION_ADOPT,
    ACTION_RELEASE,
};
enum cause { CAUSE_PENDING, CAUSE_DRIFT };
enum disposition {
    RUN,      /* to be carried out now */
    DEFERRED, /* waits for a stop, a window, a back-off or an unknown observation */
    HELD,     /* by the guard; has a hold id */
    REPORTED, /* shown only, by policy */
    IGNORED,
    CONTESTED, /* someone else keeps setting it back; tried again later */
    FROZEN,
};
const char *action_text(enum action action);
const char *cause_text(enum cause cause);
const char *disposition_text(enum disposition disposition);

/* One changed field of a step. */
struct plan_field {
    const char *path;          /* "spec.size" */
    const struct field *field; /* NULL for damage */
    const struct value *from;  /* NULL: nothing */
    const struct value *to;    /* NULL: nothing */
    enum change change;        /* after the booted envelope had its say */
    enum cause cause;
    enum disposition disposition;
    const char *means;  /* "CPU hotplug", or NULL */
    const char *reason; /* why this class and disposition, a few words; or NULL */
};

struct step {
    unsigned id; /* from 1, in order of execution */
    enum action action;
    enum disposition disposition; /* of the step: RUN if anything of it runs */
    enum cause cause;
    const struct kind *kind;
    const char *project;
    const char *name;
    const char *uid;
    uint64_t generation;             /* that the object will have */
    const struct resource *resource; /* desired; NULL for delete and release */
    const struct known *known;       /* NULL for a create of something new */
    const struct value *spec;        /* what the driver is sent: desired with what was chosen. A
                                      * deferred or held field keeps its applied value here */
    const struct value *chosen;
    struct plan_field *fields;
    size_t field_count;
    unsigned *after; /* ids of the steps it waits for */
    size_t after_count;
    const char *hold;              /* hold id if HELD, or that a person approved; else NULL */
    const char *reason;            /* one sentence for people */
    const char *renamed_from;      /* or NULL */
    enum change impact;            /* on a running machine: CHANGE_LIVE none, RESTART, REPLACE */
    bool is_destructive;           /* counts against the budget */
    bool is_unrecorded;            /* private to plan/, as `subject` */
    bool *after_must;              /* of each `after`: without it this step cannot be done at all;
                                    * the others only come first if they run */
    const struct subject *subject; /* private to plan/ */
    unsigned *swaps;               /* ids of those that it exchanges something with, in a circle */
    size_t swap_count;             /* private to plan/, as `subject` */
};

/* An object that is as declared, while its row says that something else was applied last: the
 * process died before it could write that down, somebody did it by hand, or the store is an old
 * copy. There is no step for it; what was true before tells a change from drift, so it is
 * recorded. */
struct unrecorded {
    const struct known *known;
    const struct resource *resource;
    const struct value *spec; /* desired, with what was chosen */
    const struct value *chosen;
};

/* Rules on a whole revision, or on the rack. */
#define RULE_EMPTY "empty-set"
#define RULE_COLLAPSE "collapse"
#define RULE_BUDGET "deletion-budget"
#define RULE_REBUILD "rebuild"
#define RULE_RENAMED "renamed"
/* Those that no approval lifts. */
#define RULE_OWNERSHIP "ownership"
#define RULE_PROTECT "protect"

struct hold {
    const char *id;     /* short, stable for the same revision, rule and set of steps */
    const char *rule;   /* one of those above, "protect", "ownership", ... */
    const char *reason; /* sentence with the numbers */
    size_t steps;
    bool approvable; /* protect and ownership are not lifted by approval */
};

struct plan {
    const char *commit;
    const char *parent;
    char hash[DIGEST_TEXT];  /* of commit, observed world and steps */
    char world[DIGEST_TEXT]; /* of the observations that it was made from */
    int64_t observed_at;     /* unix seconds of the oldest observation used; 0 if none */
    struct step *steps;
    size_t step_count;
    struct unrecorded *unrecorded;
    size_t unrecorded_count;
    struct hold *holds;
    size_t hold_count;
    size_t *approval_steps; /* of each of plan_input.approved: how many steps it lets through */
    bool *approval_ends;    /* of each: it is of one step, and ends with it */
    bool *approval_waits;   /* of each: what cannot be looked at may be what it lets through */
    size_t run, deferred, held, reported;     /* of all steps; frozen and contested ones count
                                               * as deferred */
    size_t action_counts[ACTION_RELEASE + 1]; /* of all steps but the derived ones' */
    /* More leaves Git's set, or is destroyed, than may be without approval, or it did when it was
     * held first: until it is done or taken back, whether it is held, approved or not to be done
     * now. */
    bool collapses, overspends;
    size_t resources;          /* declared */
    size_t unseen;             /* steps that may destroy something, which is not known yet */
    size_t unknown;            /* objects that nobody could look at */
    const struct match *match; /* private to plan/ */
};

/* Never fails: what is wrong with the input is in the plan. */
const struct plan *plan_make(struct arena *arena, const struct plan_input *input);

/* What plan_make() gives when it finds nothing at all to tell: the same document and hash from
 * the little that they depend on then. `world` is an earlier plan's. */
const struct plan *plan_settled(struct arena *arena, const char *commit, const char *parent,
                                size_t resources, const char *world, int64_t observed_at);

/* 2 if anything would run, else 3 if anything is held, else 0. */
int plan_exit(const struct plan *plan);

/* The document of `spinel plan --json` (spinel/plan/v1), and more members than the
 * contract asks for: holds, impact, parent, world. Sensitive values are not in it. */
struct value *plan_value(struct arena *arena, const struct plan *plan);

/* The arguments of `apply` to a driver, without op, epoch and deadline. */
struct value *step_arguments(struct arena *arena, const struct plan *plan,
                             const struct plan_input *input, const struct step *step);

/* Whether objects of the kind have what only one may have at a time: a volume, an address, a port.
 */
bool plan_kind_claims(const struct kind *kind);

/* `spec` with every sensitive leaf replaced by a text "keyed:<digest>"; one that is so
 * already stays. known.applied must be redacted with plan_input.seed as `key`: that is
 * what plan_make() compares it with. */
struct value *plan_redact(struct arena *arena, const struct kind *kind, const struct value *spec,
                          const uint8_t key[32]);

/* The same, sharing with `spec` what leads to no secret. */
const struct value *spec_redacted(struct arena *arena, const struct kind *kind,
                                  const struct value *spec, const uint8_t key[32]);

/* Sets the leaf at a path such as "spec.a[b].c" of a spec, or takes it out if `value` is NULL;
 * returns the spec. */
struct value *spec_put(struct arena *arena, const struct kind *kind, struct value *spec,
                       const char *path, const struct value *value);

/* Which driver class of the site file carries a step out ("instance", "volume",
 * "network"; NULL: none, it is confirmed by being recorded): the kind's, but for
 * growth of a volume that a running instance holds, which is "instance". */
const char *step_driver_class(const struct step *step);

/* Whether it removes what was declared, was there at least once, and belongs to nothing else. What
 * was released left Git earlier; that it goes for good is somebody's word, not a revision's. */
bool step_leaves_git(const struct step *step);

/* A saved plan, of a document that plan_value() gave, here or in another process: what `plan -o`
 * writes and `apply FILE` reads. */
struct value *plan_save_document(struct arena *arena, const struct value *document);
/* ERR_INVALID if it is not a saved plan or was altered. */
int plan_saved_check(const struct value *saved, const char **hash, const char **commit,
                     const char **world, struct error *err);

#endif
