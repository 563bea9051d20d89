/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_ENV_H
#define RECONCILER_ENGINE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/report.h"
#include "model/resource.h"
#include "model/value.h"
#include "reconciler/store/store.h"

/*
 * The seam: all time, randomness, I/O, driver frames and store calls of the core
 * go through here. Production binds libev, SQLite and libgit2; a test binds a
 * virtual clock and drivers in memory, and may stop the world at any call.
 */

/* The store's functions that the core uses, with the store's own meaning. */
struct ledger {
    int (*begin)(struct store *, struct error *);
    int (*commit)(struct store *, struct error *);
    void (*rollback)(struct store *);
    int (*revision_add)(struct store *, const struct revision *, int64_t *, struct error *);
    int (*revision_state)(struct store *, int64_t, const char *, int64_t, struct error *);
    int (*revision_target)(struct store *, struct arena *, struct revision *, struct error *);
    int (*objects)(struct store *, struct arena *, struct known **, size_t *, struct error *);
    int (*objects_each)(struct store *, struct arena *, store_row_taken *, void *, struct error *);
    int (*sightings_each)(struct store *, store_sighting_taken *, void *, struct error *);
    int (*objects_named)(struct store *, struct arena *, const char *, const char *, const char *,
                         struct known **, size_t *, struct error *);
    int (*objects_renamed)(struct store *, struct arena *, size_t, struct known **, size_t *,
                           struct error *);
    int (*object_put)(struct store *, const struct known *, struct error *);
    int (*observation_put)(struct store *, const char *, const struct observation *, const char *,
                           struct error *);
    int (*etags_drop)(struct store *, struct error *);
    int (*observed_at)(struct store *, int64_t *, struct error *);
    int (*incarnations)(struct store *, const char *, const char *, const char *, uint64_t *,
                        struct error *);
    int (*intent_put)(struct store *, const struct intent *, struct error *);
    int (*intents_open)(struct store *, struct arena *, struct intent **, size_t *, struct error *);
    int (*destroyed_since)(struct store *, struct arena *, int64_t, struct loss **, size_t *,
                           struct error *);
    int (*left_since)(struct store *, int64_t, int64_t *, struct error *);
    int (*leavings_forget)(struct store *, struct error *);
    int (*plan_put)(struct store *, const char *, const char *, int64_t, const struct value *,
                    struct error *);
    int (*hold_put)(struct store *, const char *, const char *, const char *, int64_t,
                    struct error *);
    int (*hold_drop)(struct store *, const char *, struct error *);
    int (*holds)(struct store *, struct arena *, struct value **, struct error *);
    int (*freezes)(struct store *, struct arena *, struct freeze **, size_t *, struct error *);
    int (*event_add)(struct store *, const struct event *, int64_t *, struct error *);
    int (*drift_seen)(struct store *, const struct drift_row *, struct error *);
    int (*drift_healed)(struct store *, const char *, const char *, int64_t, const char *,
                        struct error *);
    int (*drifts)(struct store *, struct arena *, int64_t, struct drift_row **, size_t *,
                  struct error *);
    int (*fact_put)(struct store *, const char *, const char *, struct error *);
    int (*fact_get)(struct store *, struct arena *, const char *, const char **, struct error *);
};

extern const struct ledger ledger_store; /* the real store */

/* What a pass came to: a look at the world (if there was one), then a plan. */
struct pass {
    bool has_looked, is_full; /* full: at everything, else at what was told of */
    const char *detected_by;  /* "notice", "resync", "plan" */
    int64_t look_ms, plan_ms;
    int64_t objects; /* known */
};

struct part;
/* From the commit that the rack is true to, which declares so many resources, to another. */
struct part_change {
    const char *from, *to;
    size_t declared;
};

struct env {
    void *context;                     /* first argument of all but the ledger's */
    int64_t (*mono_ms)(void *context); /* never goes back */
    int64_t (*wall_ms)(void *context); /* unix milliseconds */
    void (*random)(void *context, void *out, size_t len);

    /* One wake-up, by core_timer(), at this time of the monotonic clock; negative: none. */
    void (*timer)(void *context, int64_t mono_ms);

    /* Starts the driver; failure comes later, as core_driver_down(). A send to a driver
     * that is on its way up is kept until it is. A killed driver's children die too, and
     * it ends with core_driver_down(). None of these calls back into the core. */
    void (*driver_start)(void *context, const char *driver);
    void (*driver_send)(void *context, const char *driver, const struct value *message);
    void (*driver_kill)(void *context, const char *driver);

    /* An event, after it is durable. Borrowed. */
    void (*emit)(void *context, const struct event *event);
    void (*log)(void *context, const char *name, const char *text);
    void (*passed)(void *context, const struct pass *pass); /* NULL: nobody counts */

    /* The set that a commit declares, and its author and subject. */
    int (*load)(void *context, struct arena *arena, const char *commit, const struct set **set,
                struct report *report, struct error *err);
    int (*describe)(void *context, struct arena *arena, const char *commit, const char **author,
                    const char **subject, struct error *err);
    /* Parts of the rack (part.h). `part_make` NULL: there are none, the whole is loaded. */
    bool (*part_make)(void *context, struct arena *arena, const struct part_change *change,
                      struct part *part);
    bool (*part_covers)(void *context, const struct part *part, const struct plan *plan);
    void (*part_free)(void *context, struct part *part);

    const struct ledger *ledger;
    struct store *store;
};

#endif
