/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_STORE_STORE_H
#define RECONCILER_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/value.h"
#include "reconciler/plan/plan.h"

/*
 * The store: one SQLite database in WAL mode, `<stateDir>/spinel.db`, or the
 * same in `<stateDir>/core` (home.h). A ledger and a cache: lose it, and the
 * world's tags and Git rebuild it in report-only mode. One writer (who holds the lock); readers
 * open it read-only beside it. Rows that are read land in the caller's arena. Every function
 * returns 0 or a negative error code; a failed fsync, a full disk (ERR_NO_SPACE) and corruption
 * (ERR_CORRUPT) are told apart, and the caller stops effects on all three.
 */
struct store;

enum store_mode {
    STORE_WRITE, /* makes and migrates it if needed; takes the lock */
    STORE_READ,  /* ERR_NOT_FOUND if there is none yet */
};

/* ERR_BUSY names the pid that holds the lock; ERR_STALE: made by a newer Spinel. */
int store_open(const char *state_dir, enum store_mode mode, struct store **out, struct error *err);
/* The lock of a writer, as store_open() takes it: nobody opens the store to write until `*lock_fd`
 * (-1 before) is closed. */
int store_lock(const char *state_dir, int *lock_fd, struct error *err);
/* What store_open() would say of the lock of a writer, now. */
int store_lock_test(const char *state_dir, struct error *err);
/* A writer's: it was too large to be read through when it was opened. */
bool store_is_unchecked(const struct store *store);
/* Reads it through, which takes seconds; ERR_CORRUPT. */
int store_check(struct store *store, struct error *err);
/* The next writer reads it through before anything else, however large it is. */
void store_mark_damaged(const struct store *store);
void store_close(struct store *store); /* NULL is allowed */

/* One batch, one transaction, durable (synchronous=FULL) when commit returns 0.
 * Writing functions called outside of one run in a transaction of their own. */
int store_begin(struct store *store, struct error *err);
int store_commit(struct store *store, struct error *err);
void store_rollback(struct store *store);
/* From now on tells how long each durable commit took. */
void store_watch_commits(struct store *store, void (*committed)(void *context, int64_t ns),
                         void *context);
/* Many reads of one state of the store, and without a lock for each. Not within a batch, and
 * not for long: what others write meanwhile cannot be folded into the database. */
int store_snapshot_begin(struct store *store, struct error *err);
void store_snapshot_end(struct store *store);
bool store_in_batch(const struct store *store);
bool store_is_writable(const struct store *store);

/* Made at random once, at the first open for writing. */
int store_seed(struct store *store, uint8_t seed[32], struct error *err);
int store_rack_id(struct store *store, char rack_id[33], struct error *err);

/* ---- revisions ---------------------------------------------------------------------- */
struct revision {
    int64_t id;
    const char *commit; /* hex */
    const char *parent; /* commit that was the target before; "" for the first */
    const char *author;
    const char *subject;
    const char *pushed_by; /* user name of the pusher; "" if unknown */
    const char *state;     /* "target", "applied", "superseded", "refused" */
    const char *message;   /* why refused, or "" */
    int64_t at;            /* unix seconds when accepted */
    int64_t converged_at;  /* 0 if never */
    int64_t resources;     /* declared */
};
int store_revision_add(struct store *store, const struct revision *revision, int64_t *id,
                       struct error *err);
int store_revision_state(struct store *store, int64_t id, const char *state, int64_t converged_at,
                         struct error *err);
/* The newest that is target or applied; ERR_NOT_FOUND before the first. */
int store_revision_target(struct store *store, struct arena *arena, struct revision *out,
                          struct error *err);
/* The newest that the rack was true to at least once; ERR_NOT_FOUND before the first. */
int store_revision_good(struct store *store, struct arena *arena, struct revision *out,
                        struct error *err);
/* What a reader wants of a long list: `limit` rows after the first `offset`. */
struct page {
    size_t offset, limit;
};
/* Newest first. */
int store_revisions(struct store *store, struct arena *arena, struct page page,
                    struct revision **out, size_t *count, struct error *err);

/* The parse cache: by blob and kinds_digest(). `*documents` NULL if not cached. */
int store_parse_get(struct store *store, struct arena *arena, const char *blob,
                    const struct value **documents, struct error *err);
/* Whether anything at all is cached: 1 or 0. */
int store_has_parses(struct store *store, struct error *err);
int store_parse_put(struct store *store, const char *blob, const struct value *documents,
                    struct error *err);

/* Which manifests have a key (model/mention.h), of the commit that the fact "mentions" tells.
 * `limit` paths at most, in order. */
int store_mention_put(struct store *store, int64_t key, const char *path, struct error *err);
int store_mention_drop(struct store *store, int64_t key, const char *path, struct error *err);
int store_mentions_clear(struct store *store, struct error *err);
int store_mentions(struct store *store, struct arena *arena, int64_t key, size_t limit,
                   const char *const **paths, size_t *count, struct error *err);

/* ---- objects ------------------------------------------------------------------------ */
/* All rows but the GONE ones, in plan_input's order, observations included. */
int store_objects(struct store *store, struct arena *arena, struct known **out, size_t *count,
                  struct error *err);
/*
 * The same rows one at a time, in no order. What only this row has (its uid, name and etag) is
 * there until `taken` returns; what rows share lives in the arena. It ends when `taken` says false.
 */
typedef bool store_row_taken(void *context, const struct known *row);
int store_objects_each(struct store *store, struct arena *arena, store_row_taken *taken,
                       void *context, struct error *err);
/* Of a row, what tells whether the world has changed since it was looked at. Borrowed. */
struct sighting {
    const char *uid, *kind;
    const char *etag; /* NULL: none */
    uint64_t epoch, seen_epoch;
    bool is_known, is_absent, is_running;
};
typedef void store_sighting_taken(void *context, const struct sighting *sighting);
int store_sightings_each(struct store *store, store_sighting_taken *taken, void *context,
                         struct error *err);
/* Of these, those of one identity; those that bore another name before, `limit` at most; the NICs
 * of a project for which an address was chosen. Each by an index, and in no order. */
int store_objects_named(struct store *store, struct arena *arena, const char *kind,
                        const char *project, const char *name, struct known **out, size_t *count,
                        struct error *err);
int store_objects_renamed(struct store *store, struct arena *arena, size_t limit,
                          struct known **out, size_t *count, struct error *err);
int store_nics_at(struct store *store, struct arena *arena, const char *project,
                  const char *address, struct known **out, size_t *count, struct error *err);
/* 1 if there is such a row, 0 if not. */
int store_has_object(struct store *store, const char *uid, struct error *err);
/* Writes all of it but the observation; keyed by uid. */
int store_object_put(struct store *store, const struct known *known, struct error *err);
/* Gives a released object up, or a volume that may still lie in a pool's trash: from now on it is
 * one that is to be destroyed, so the plan has its deletion and the guard its say.
 * ERR_NOT_FOUND: nothing of the kind has this uid; ERR_DENIED: it is protected. */
int store_object_purge(struct store *store, const char *uid, struct error *err);
/* Writes the observation only, and its etag (may be NULL). */
int store_observation_put(struct store *store, const char *uid,
                          const struct observation *observation, const char *etag,
                          struct error *err);
/* When the oldest of the observations was made that store_objects() gives, in unix seconds; 0:
 * there is none. */
int store_observed_at(struct store *store, int64_t *at, struct error *err);
/* From now on no observation is known to belong to what a driver lists. */
int store_etags_drop(struct store *store, struct error *err);
/* GONE rows of an identity. */
int store_incarnations(struct store *store, const char *kind, const char *project, const char *name,
                       uint64_t *count, struct error *err);

/* ---- intents ------------------------------------------------------------------------ */
struct intent {
    const char *op; /* op_key, primary key */
    const char *uid;
    uint64_t epoch;
    const char *verb; /* "create", ... */
    const char *plan; /* hash */
    const char *arguments_digest;
    const char *state; /* "pending", "claimed", "confirmed", "failed", "superseded" */
    unsigned attempts;
    int64_t created_at;       /* unix seconds */
    int64_t finished_at;      /* 0 while open */
    int64_t not_before;       /* unix seconds of the next try; 0 */
    const char *error;        /* last error with its hint, "" if none */
    const struct value *step; /* what `history` shows: {"action","kind","project","name","fields"};
                               * NULL: what was written before */
    bool is_destructive;
    bool is_approved;
    bool leaves_git; /* deletes or releases what was declared: counts as gone from the set */
};
int store_intent_put(struct store *store, const struct intent *intent, struct error *err);
/* pending and claimed ones, oldest first. */
int store_intents_open(struct store *store, struct arena *arena, struct intent **out, size_t *count,
                       struct error *err);
/* Newest first; uid NULL: of all. */
int store_intents(struct store *store, struct arena *arena, const char *uid, struct page page,
                  struct intent **out, size_t *count, struct error *err);
/* Objects that were destroyed since `since` without approval: by an intent that is
 * confirmed or claimed; or, for all that is known, by one that failed or was given up. By kind. */
int store_destroyed_since(struct store *store, struct arena *arena, int64_t since,
                          struct loss **out, size_t *count, struct error *err);

/* Objects that left Git since `since` without approval, and neither they are live nor another that
 * was made under their name since; of those that bore one name after the other one counts. */
int store_left_since(struct store *store, int64_t since, int64_t *count, struct error *err);
/* Those that have left by now count no more, whenever that was. In a batch. */
int store_leavings_forget(struct store *store, struct error *err);

/* ---- plans, holds, freezes ---------------------------------------------------------- */
int store_plan_put(struct store *store, const char *hash, const char *commit, int64_t at,
                   const struct value *document, struct error *err);
int store_plan_get(struct store *store, struct arena *arena, const char *hash,
                   const struct value **document, struct error *err);
/* Marks a saved plan as used; ERR_CONFLICT if it was used before. */
int store_plan_use(struct store *store, const char *hash, int64_t at, struct error *err);
int store_plans(struct store *store, struct arena *arena, size_t limit, struct value **list,
                struct error *err); /* [{"hash","commit","at","used"}], newest first */

int store_hold_put(struct store *store, const char *id, const char *rule, const char *reason,
                   int64_t at, struct error *err); /* known already is fine */
int store_hold_approve(struct store *store, const char *id, const char *who, int64_t at,
                       struct error *err); /* ERR_NOT_FOUND, ERR_CONFLICT if approved already */
/* {"hold","rule","reason","commit","steps"}: what an approval lets through. The last two are of the
 * newest plan that has the hold, and left out if none of the newest few has. ERR_NOT_FOUND. */
int store_hold_get(struct store *store, struct arena *arena, const char *id, struct value **hold,
                   struct error *err);
/* Takes a hold and its approval back; one that is not there is no error. */
int store_hold_drop(struct store *store, const char *id, struct error *err);
int store_holds(struct store *store, struct arena *arena, struct value **list,
                struct error *err); /* [{"id","rule","reason","at","approvedBy","approvedAt"}] */
int store_freeze_put(struct store *store, const struct freeze *freeze, int64_t at,
                     struct error *err);
int store_freeze_lift(struct store *store, const char *what, struct error *err);
int store_freezes(struct store *store, struct arena *arena, struct freeze **out, size_t *count,
                  struct error *err);

/* ---- events and drift --------------------------------------------------------------- */
struct event {
    int64_t seq;      /* rises by one; written by the store */
    int64_t at_ms;    /* unix milliseconds */
    const char *type; /* docs/control-protocol.md */
    const char *text; /* one sentence */
    const char *uid;  /* NULL allowed, as all below */
    const char *kind;
    const char *project;
    const char *name;
    const struct value *data;
};
int store_event_add(struct store *store, const struct event *event, int64_t *seq,
                    struct error *err);
/* After `seq`, oldest first, at most `limit`; negative `seq`: the newest `limit`. */
int store_events(struct store *store, struct arena *arena, int64_t seq, size_t limit,
                 struct event **out, size_t *count, struct error *err);
/* Before `seq`, newest first, at most `limit`; uid NULL: of all. */
int store_events_before(struct store *store, struct arena *arena, const char *uid, int64_t seq,
                        size_t limit, struct event **out, size_t *count, struct error *err);

struct drift_row {
    int64_t id;
    const char *uid, *kind, *project, *name;
    const char *path;
    const char *desired;  /* JSON text */
    const char *observed; /* JSON text */
    int64_t since;        /* unix seconds */
    int64_t last_seen;
    const char *detected_by; /* "notice", "resync", "plan" */
    const char *cause;       /* probable cause, "unknown" beyond evidence */
    const char *disposition;
    const char *reason;    /* why it is dealt with so; NULL and "": nothing to say */
    int64_t healed_at;     /* 0 while open */
    const char *healed_by; /* op, or "" */
    int64_t count;         /* times it came back (flapping) */
};
/* Opens or refreshes the open row of (uid, path). */
int store_drift_seen(struct store *store, const struct drift_row *row, struct error *err);
int store_drift_healed(struct store *store, const char *uid, const char *path, int64_t at,
                       const char *by, struct error *err);
/* Open ones, and those healed at or after `since`, oldest first. */
int store_drifts(struct store *store, struct arena *arena, int64_t since, struct drift_row **out,
                 size_t *count, struct error *err);

/* Small facts that survive a restart ("unmanaged", "contests", ...). `*text` NULL if not set.
 * "settled" is gone as soon as any object or observation is written. */
int store_fact_put(struct store *store, const char *key, const char *text, struct error *err);
int store_fact_get(struct store *store, struct arena *arena, const char *key, const char **text,
                   struct error *err);
/* One that is a list of maps in JSON; `*list` is empty if it is not set. */
int store_fact_list(struct store *store, struct arena *arena, const char *key, struct value **list,
                    struct error *err);

#endif
