/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_CORE_STATE_H
#define RECONCILER_ENGINE_CORE_STATE_H

#include "model/hash.h"
#include "reconciler/engine/core.h"
#include "reconciler/engine/part.h"

/*
 * The core's own state, shared by core*.c and by nobody else.
 *
 *   core.c          life, target, pump, timer
 *   core_ledger.c   the batch: writes are gathered and committed before any send
 *   core_driver.c   driver client: requests, replies, notices, restarts
 *   core_observe.c  rounds: lists, details, what is absent, who is a stranger
 *   core_plan.c     a pass: input, plan, tasks
 *   core_hold.c     what is held, and what a person let through
 *   core_task_new.c what a step becomes before it is sent
 *   core_task.c     one step under way: send, claim, look, confirm or fail
 *   core_drift.c    drift rows, contests
 *   core_retry.c    back-off of objects
 *   core_room.c     back-off of places without room
 *   core_part.c     a plan of a part of the rack
 *   core_take.c     a target that is taken by its part
 */

/* More intents than any object will ever see; what a driver says beyond it is no epoch. */
#define EPOCH_MAX (INT64_C(1) << 53)
/* What a driver says beyond this is not taken over: no object has come so far, and a row of ours
 * must have next epochs left, or one lie would last for ever. */
#define EPOCH_CREDIBLE (EPOCH_MAX / 2)

struct json_rows;

enum driver_state {
    DRIVER_DOWN,     /* not running; started again at restart_at_ms */
    DRIVER_STARTING, /* initialize was sent */
    DRIVER_READY,
    DRIVER_DYING, /* killed; its end was not reported yet */
};

enum request_kind {
    REQUEST_INITIALIZE,
    REQUEST_LIST,
    REQUEST_DETAILS, /* of a round */
    REQUEST_LOOK,    /* to confirm a task */
    REQUEST_APPLY,
    REQUEST_CANCEL,
};

struct request {
    int64_t id;
    enum request_kind kind;
    int64_t deadline_ms; /* of the monotonic clock */
    uint64_t asked;      /* core.notices when it was made: what it can know of */
    struct task *task;   /* of APPLY and CANCEL; NULL once the task is gone */
    uint64_t round;      /* of LIST and DETAILS */
    struct request *prev, *next;
};

struct driver {
    const char *name;
    enum driver_state state;
    unsigned failures; /* starts that did not last */
    unsigned garbage;  /* lines of this run that were no messages */
    bool was_ready;    /* it came up at least once */
    int64_t restart_at_ms;
    int64_t ready_since_ms;
    struct error problem; /* why it is down; ERR_NONE if it is not */
    bool is_listed;       /* its last list was complete */
    bool keeps_etags;     /* what the store last saw of an object holds while its etag does */
    bool is_dirty;        /* said that anything may have changed */
    bool has_nameless;    /* it listed what bears our tag and could not say what it is */
    int64_t started_ms;
    char *unmanaged;      /* JSON list of its last list; NULL before the first */
    char *trash;          /* the same */
    char *token;          /* of its last list; NULL: it gave none */
    uint64_t since_round; /* that it was last asked in whether that list still holds; 0: never */
    int64_t listed_at;    /* unix seconds */
    unsigned in_flight;   /* tasks sent to it */
    unsigned alone_in_flight; /* of these, those that it carries out alone; only with groups */
    unsigned window;          /* most of them at once */
    bool keeps_queue;         /* what is sent beyond the first waits within it */
    bool makes_groups;        /* what waits within it is carried out together */
    uint64_t grouped_kinds;   /* of these kinds: a bit each, in the order of kinds_get() */
    struct task *waiting;     /* for it, in the order of the plan */
    unsigned list_failures;   /* since its last complete list */
    int64_t relist_at_ms;     /* when it is asked again; 0: it need not be */
    int64_t last_id;
    struct request *requests;
};

/* What a driver last said of a uid. There is one for each object at all times: what few of them
 * have stands in `rare`. */
struct seen {
    char uid[UID_TEXT];
    bool has_details; /* the store (or `object`) holds what belongs to epoch and etag */
    bool has_row;     /* the store has an object of this uid that is not gone */
    bool is_dirty;
    bool is_running;  /* an Instance whose guest ran at the last look */
    bool has_stopped; /* it no longer did, and nothing of ours stopped it */
    struct driver *driver;
    uint64_t epoch, row_epoch; /* row_epoch: what the store knows of */
    uint64_t listed_round;     /* of the last list that had it */
    char *etag;                /* of the list; NULL if not listed */
    struct seen_rare *rare;    /* NULL: nothing of it */
    struct seen *prev, *next;  /* in the order in which uids came */
    struct seen *chained;      /* private to core_seen.c */
};

struct seen_rare {
    uint64_t fence;             /* that a driver has refused us for; 0: none */
    char *why;                  /* of the last notice; NULL if none */
    uint64_t noticed;           /* number of the notice that made it dirty; 0: none yet */
    uint64_t looked;            /* number of the last notice that a look came after */
    int64_t running_since;      /* unix seconds; 0 if unknown */
    char *identity;             /* JSON of kind, project, name and what was chosen: to tell
                                 * strangers */
    const struct value *object; /* without effects: the answer itself */
};

struct seen_table {
    struct seen *first, *last;
    size_t count;
    struct seen **slots;
    size_t slot_count;   /* a power of two, or 0 */
    struct arena *arena; /* of them all */
    struct seen *spare;  /* that were dropped */
};

struct retry {
    char uid[UID_TEXT];
    char what[DIGEST_TEXT]; /* verb and fields that it was for */
    unsigned attempts;
    int64_t not_before_ms; /* of the monotonic clock */
    bool until_target;     /* only a new target helps (or the slow resync) */
    bool holds_up;         /* a step waits for it, so that its end is worth a look */
    bool is_due_marked;    /* its uid was marked dirty when it came due */
    uint64_t due_notice;   /* by that notice */
    bool is_awaited;       /* in core.awaited: holds something up, and is not due yet */
    struct retry *prev, *next;
    UT_hash_handle hh;
};

enum task_state {
    TASK_WAITING, /* its intent is durable; others come first */
    TASK_SENT,
    TASK_CANCELLING, /* past its deadline */
    TASK_PAUSED,     /* looks at look_at_ms */
    TASK_LOOKING,
};

/* One step under way. Owns what it needs, so that plans may come and go meanwhile. */
struct task {
    struct arena *arena;
    enum task_state state;
    const struct kind *kind;
    struct driver *driver;      /* that carries it out; NULL: by being recorded */
    struct driver *look_driver; /* that holds the object */
    struct intent intent;
    struct known after; /* the row once it is confirmed */
    const struct value *arguments;
    enum cause cause;
    const struct plan_field *fields; /* those that run */
    size_t field_count;
    char what[DIGEST_TEXT];
    unsigned step, of;
    unsigned pending; /* tasks that it waits for */
    bool is_doomed;   /* it is dropped before anything else happens */
    struct dependant *dependants;
    int64_t started_ms, answered_ms; /* 0: not yet */
    int64_t progress_ms;             /* when its driver's word on it was kept last; 0: never */
    bool is_told_whole;              /* 100 % was among them */
    int64_t deadline_ms, look_at_ms, look_pause_ms, look_until_ms;
    int64_t look;         /* of TASK_LOOKING: the request's id, which others may share */
    bool is_alone;        /* of alone_in_flight */
    int64_t revision;     /* of the target that it was begun for */
    bool is_measure;      /* what left before it counts no more once it is confirmed */
    const char *approval; /* hold id that is used up once it is confirmed; NULL: none */
    bool is_late;         /* past its deadline: confirmed or failed at the next look */
    struct task **list;   /* that it is in: one of those that wait, or core.active */
    struct task *prev, *next;
    UT_hash_handle hh; /* by uid; in the order of the plan */
};

struct dependant {
    struct task *task;
    struct dependant *next;
};

struct contested {
    char uid[UID_TEXT];
    char *path;
    unsigned count;      /* heals within the window */
    int64_t first, last; /* unix seconds */
    int64_t next_try;
    struct contested *prev, *next;
};

/* A message that leaves once the batch is durable. */
struct outgoing {
    struct driver *driver;
    const struct value *message;
    struct outgoing *next;
};

struct round {
    bool is_active, is_full;
    uint64_t number;
    unsigned waiting;    /* requests that are out */
    int64_t began_ms;    /* of the monotonic clock */
    int64_t took_ms;     /* the last that ended */
    int64_t patience_ms; /* when the plan is made without those that have not answered */
    bool is_overdue;
    bool has_more; /* overdue, and something came that no plan knows of */
    bool is_news;  /* it ended and no plan was made of it yet */
    bool is_still; /* full, and all was as declared when it began: what was seen, the rows and the
                    * plan without a line hold until something else is told */
    const char *detected_by;
};

/* A target that was taken by its part: what the part is looked at and planned for, until that has
 * become of it. */
struct taken {
    struct arena *arena; /* NULL: there is none */
    struct part part;
    char world[DIGEST_TEXT]; /* of the rack that it is a part of, which was at rest */
    int64_t observed_at, live;
    uint64_t round;    /* that looks at its objects; 0: not begun */
    uint64_t writes;   /* core.writes, if nothing but its own objects was written since */
    bool *is_looked;   /* by row: it was just now, and is as it was */
    bool *is_promised; /* by row: it is tightened by what the commit promises */
};

struct core {
    const struct env *env;
    struct core_config config;
    struct driver *drivers;
    struct arena *own; /* lives as long as the core */

    /* target */
    struct arena *target_arena;
    const struct set *set; /* NULL before the first target, and until it follows (core_take.c) */
    char commit[65];
    int64_t revision;
    bool is_applied;    /* the target was true at least once */
    int64_t target_ms;  /* monotonic, when it became the target */
    int64_t plan_ms;    /* how long the last plan took to make */
    int64_t planned_ms; /* monotonic, when it was made */
    struct taken taken; /* what is left to do for a target that was taken by its part */

    /* what was seen */
    struct seen_table seen;
    uint64_t notices; /* counts what was marked dirty */
    struct retry *retries;
    struct retry *awaited; /* of these, those whose time is to be waited for */
    struct room *rooms;    /* places where something failed for want of space */
    struct contested *contests;
    char *orphans_text;         /* last fact written; NULL before the first */
    char *unseen_text;          /* likewise */
    struct arena *object_arena; /* without effects: what drivers answered */
    struct round round;
    uint64_t looks; /* full rounds ended */
    bool wants_full, wants_plan;
    bool is_asked; /* the full look that is wanted: somebody did, so that whole lists are */
    int64_t coalesce_at_ms; /* when dirty uids are looked at; 0: none are */
    int64_t resync_at_ms;

    /* the last plan */
    const struct part *part; /* that a plan is being made of (core_part.c); NULL: of all */
    struct arena *plan_arena;
    struct plan_input *input;
    const struct plan *plan;
    const char **step_uids; /* of the plan's steps that run, sorted; in plan_arena */
    bool plan_is_fresh;     /* made from a full round that all drivers answered */
    uint64_t writes;        /* rows of objects and observations written so far */
    uint64_t planned_write; /* `writes` when the last plan of the whole was made */
    unsigned blocked;       /* steps that back off */
    unsigned stuck;         /* of these, those that wait for a new target */
    char last_plan[DIGEST_TEXT];
    char parent[DIGEST_TEXT];
    struct task *tasks;
    struct task *waiting; /* of these, those that no driver carries out and that did not begin */
    struct task *active;  /* and those that did begin */
    int64_t replan_at_s;  /* something that was deferred may run then; 0: nothing */
    unsigned step_count;  /* of the plan, those that run */
    int64_t row_count;    /* that the last of the whole was made from */
    bool has_run;         /* something ended since the last full round began */
    bool is_converged;
    bool was_announced;    /* "converged" was said, and nothing happened since */
    int64_t announced_try; /* of the last "waiting" */
    char expected_hash[DIGEST_TEXT], expected_world[DIGEST_TEXT]; /* "": any plan will do */
    struct error refusal;                                         /* of an expected plan */
    bool is_reader;   /* without effects from its beginning */
    bool is_restored; /* the world knows more than the store: report only */

    /* the batch */
    bool is_open;
    bool is_stopping;
    struct error failure;
    struct arena *batch_arena;
    struct event *events;
    size_t event_count, event_room;
    struct outgoing *outgoing, **outgoing_end;
};

/* Who an event is about; all NULL allowed. */
struct about {
    const char *uid, *kind, *project, *name;
};

int64_t core_now_s(const struct core *core);
int64_t core_now_ms(const struct core *core);

/* core.c */
bool all_drivers_are_listed(const struct core *core);
/* Loads the set of a target that was taken by its part; false: there is none, or the core has
 * failed. */
bool target_follow(struct core *core);

/* core_ledger.c: all quietly do nothing without effects or after a failure */
bool batch_open(struct core *core);
void batch_commit(struct core *core);
void core_fail(struct core *core, const struct error *err);
struct arena *batch_arena(struct core *core);
void save_object(struct core *core, const struct known *known);
void save_observation(struct core *core, const char *uid, const struct observation *observation,
                      const char *etag);
void save_intent(struct core *core, const struct intent *intent);
void save_fact(struct core *core, const char *key, const char *text);
const char *load_fact(struct core *core, struct arena *arena, const char *key);
void core_event(struct core *core, const char *type, const struct about *about, struct value *data,
                const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* core_driver.c */
struct driver *driver_find(struct core *core, const char *name);
struct driver *driver_of_class(struct core *core, const char *class);
struct driver *driver_of_kind(struct core *core, const char *kind); /* NULL: none holds it */
struct request *driver_request(struct core *core, struct driver *driver, enum request_kind kind,
                               const char *method, struct value *params, int64_t timeout_ms);
void driver_log(const struct core *core, const struct driver *driver, const char *text);
void driver_forget_task(struct core *core, const struct task *task);
void drivers_start_due(struct core *core);
void drivers_expire(struct core *core);
void driver_kill(struct core *core, struct driver *driver, const char *why);
int64_t drivers_next_ms(const struct core *core);
/* When one is started or asked again; INT64_MAX: none is to be. */
int64_t drivers_next_try_ms(const struct core *core);

/* core_seen.c */
struct seen *seen_find(struct core *core, const char *uid); /* NULL: never */
/* Of a uid that is not there yet. */
struct seen *seen_add(struct core *core, const char *uid);
void seen_drop(struct core *core, struct seen *seen);
void seen_clear(struct core *core);
const struct seen_rare *seen_rare(const struct seen *seen); /* never NULL */
struct seen_rare *seen_rare_set(struct seen *seen);         /* to be written to */

/* core_observe.c */
void round_begin(struct core *core);
/* Two halves of it: begins one, and asks a driver for these uids. */
void round_open(struct core *core, bool is_full);
void round_ask(struct core *core, struct driver *driver, struct value *uids);
/* What is still answered is taken in, and nobody waits for it. */
void round_abandon(struct core *core);
void round_expire(struct core *core);
void round_list_answer(struct core *core, struct driver *driver, uint64_t round,
                       const struct value *result, struct json_rows *rows);
void round_details_answer(struct core *core, struct driver *driver, const struct request *request,
                          const struct value *result);
void driver_list_failed(struct core *core, struct driver *driver);
void round_lost(struct core *core, struct driver *driver, uint64_t round);
/* Reads OBJECT; the observation borrows from it. */
/* What a driver's answer says, without secrets; shares the answer and `arena`. */
struct observation observation_read(const struct core *core, struct arena *arena,
                                    const struct value *object);
/* Takes in one OBJECT of the answer to a request: store, seen, restart policy. What was noticed
 * after the driver was asked stays to be looked at. */
void object_observed(struct core *core, struct driver *driver, const struct request *request,
                     const struct value *object);
/* What was seen of a driver's objects before counts no more. */
void seen_forget(struct core *core, const struct driver *driver);
void seen_mark_dirty(struct core *core, struct driver *driver, const char *uid, const char *why);
void seen_free(struct core *core);
/* Notes which drivers hold something of ours that has no row and no name yet: it may be what
 * is about to be made, so nothing new is made there. */
void nameless_find(struct core *core);
/* Takes stock of rows: who has one, who ran when the store was last written. */
void seen_take_rows(struct core *core, const struct known *rows, size_t count);
void seen_set_row(struct core *core, const struct known *row);
int64_t round_next_ms(const struct core *core);

/* core_strangers.c */
/* What a driver lists beside objects; whether it is something else than it was. */
bool strangers_take(struct driver *driver, const struct value *result);
void strangers_free(struct driver *driver);
void strangers_save(struct core *core); /* in the store, at the end of a full round */
void unseen_save(struct core *core);    /* likewise, once a plan is made of what was seen */
/* That they cannot be looked at, once until something else was said. */
void unseen_announce(struct core *core, const struct known *first, size_t count);
/* Ours, with a driver of its own, and the last plan had no word of it. */
bool row_is_unseen(struct core *core, const struct known *row);

/* core_plan.c */
struct plan_input *input_make(struct core *core, struct arena *arena, const struct set *set,
                              const char *commit);
/* Gives a row what was seen since it was stored; what that is lives in the arena. */
void observation_refresh(struct core *core, struct arena *arena, struct known *row);
void core_replan(struct core *core);
/* Writes down that the object is as `spec`, the resource's with what was chosen. */
void row_settle(struct core *core, const struct known *row, const struct resource *resource,
                const struct value *spec);

/* The last plan, which has no line, is the one of what was just looked at, too. */
void pass_renew(struct core *core);
/* Whether the last plan has a step of this uid that runs. */
bool plan_runs(const struct core *core, const char *uid);
/* A row as it is once a step is confirmed. `resource` NULL for delete and release. */
struct known row_confirmed(struct core *core, struct arena *arena, const struct known *row,
                           enum lifecycle life, const struct resource *resource,
                           const struct value *spec);

/* core_hold.c */
/* What is approved, and which holds of a whole revision stand. */
void holds_read(struct core *core, struct arena *arena, struct plan_input *input);
/* After a plan of the whole: raises what is new of its holds, notes which stand, and drops those of
 * which nothing is left, and approvals whose steps have ended. */
void holds_settle(struct core *core);
/* One that was used up lets nothing more through. */
void hold_drop(struct core *core, const char *id);
/* Whether the hold is of a collapse or an empty set; NULL: it is none. */
bool hold_is_of_set(const struct core *core, const char *id);
/* What has left Git until now counts no more. */
void leavings_forget(struct core *core);
/* Those of the target, and their approvals, since another commit is to be the target. */
void holds_end(struct core *core);

/* core_schedule.c */
/* Begins what runs of the last plan, and settles what is open of earlier ones. */
void tasks_schedule(struct core *core);

/* core_quiet.c */
/* A plan without a line, made as rows are read, for a core that only reads; NULL: whatever is to be
 * planned, the whole of it has to be. */
const struct plan *quiet_find(struct core *core, struct arena *arena);

/* core_part.c */
/* As input_make(), of the rows of a part. */
struct plan_input *part_input_make(struct core *core, struct arena *arena, const struct part *part,
                                   const struct part_world *world, const char *commit);

/* core_take.c */
/* Makes the part that `commit` concerns, if the rack is at rest and it is a simple one. */
bool take_make(struct core *core, const char *commit, struct taken *taken);
/* It comes to nothing: what is left to do is done by the whole. */
void take_drop(struct core *core, struct taken *taken);
/* Begins to look at its objects. */
void take_look(struct core *core);
/* An object was told of; true if it is one of the part's and as it was. */
bool take_note(struct core *core, const struct request *request, const char *uid,
               const struct observation *now);
/* Its plan, which becomes the core's; false: there is none, and if there was a part, it is given up
 * for a look at the whole. */
bool take_plan(struct core *core);

/* core_rebuild.c */
/* Takes objects that bear our tag, have no row and are declared back into the store, and
 * raises what the store knows of epochs to what the world knows. */
void rebuild_input(struct core *core, struct plan_input *input, struct arena *arena);

/* core_promise.c */
/* Writes down what the accepted `set` promises of objects that are there. */
void promises_keep(struct core *core, struct arena *arena, const struct set *set);
/* The same of the rows of a part, in two steps: false, and it is not to be taken, if a name is
 * promised; writes them down. */
bool promises_find(struct taken *taken);
void promises_write(struct core *core, const struct taken *taken);

/* core_task_new.c */
/* What a step does, as back-off tells it from another of the same object: hex. */
const char *step_what(const struct step *step, char *what);
struct task *task_new(struct core *core, const struct step *step, const struct intent *open);
void task_link(struct task *task, struct task *before); /* task waits for before */

/* core_task.c */
struct task *task_of_uid(struct core *core, const char *uid); /* NULL: none */
/* Puts a task into this list, out of the one that it is in; NULL: into none. All tasks of a rack
 * may wait while a few are under way: each turn walks the lists that it has something to do in. */
void task_list(struct task *task, struct task **list);
/* Most tasks at once with a driver that has just started. */
unsigned window_begin(const struct core *core, const struct driver *driver);
void tasks_drop_waiting(struct core *core);
void tasks_advance(struct core *core); /* starts what may start; deadlines; repeated looks */
void tasks_free(struct core *core);
/* A refusal as stale, with the epoch that the driver has seen; 0 if it did not say. */
void task_fenced(struct core *core, const struct task *task, int64_t epoch);
void task_answered(struct core *core, struct task *task, const struct error *refusal,
                   bool is_final);
void task_cancelled(struct core *core, struct task *task);
/* One of those that wait for this look; NULL: none is left. */
struct task *task_of_look(const struct core *core, const struct driver *driver, int64_t look);
void task_looked(struct core *core, struct task *task, const struct value *object);
void tasks_driver_lost(struct core *core, struct driver *driver);
int64_t tasks_next_ms(const struct core *core);

/* core_drift.c */
/* Where an object that is not there at all is drift: the path of its row. */
#define DRIFT_WHOLE "object"
void drift_record(struct core *core);
void contests_load(struct core *core);
void contests_free(struct core *core);
int64_t contests_next_s(const struct core *core); /* unix seconds; INT64_MAX: none */
const struct contest *contests_input(struct core *core, struct arena *arena, size_t *count);
void drift_healed_by(struct core *core, const struct task *task);

/* core_retry.c */
struct retry *retry_find(struct core *core, const char *uid);
bool retry_blocks(struct core *core, const char *uid, const char *what);
int64_t retry_failed(struct core *core, const char *uid, const char *what, bool until_target);
void retry_confirmed(struct core *core, const char *uid, const char *what);
void retries_settle(struct core *core); /* forgets those whose step is gone */
void retries_reset(struct core *core);
void retries_wake(struct core *core); /* marks uids whose time has come */
int64_t retries_next_ms(const struct core *core);
int64_t backoff_ms(struct core *core, unsigned attempts);

/* core_room.c */
/* A step failed. True: its place has just turned out to be full, or to be full for what is smaller,
 * too, and what else waits to go there is to be dropped. */
bool room_lacks(struct core *core, const struct task *task, const struct error *err);
void room_is_there(struct core *core, const struct task *task); /* a step was done */
void rooms_schedule(struct core *core); /* before it is asked which steps may begin */
bool room_blocks(struct core *core, const struct step *step);
bool room_is_full_for(const struct core *core, const struct task *task);
void rooms_reset(struct core *core);
void rooms_wake(struct core *core); /* asks for a plan when one is to find out */
int64_t rooms_next_ms(const struct core *core);

#endif
