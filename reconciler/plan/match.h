/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_PLAN_MATCH_H
#define RECONCILER_PLAN_MATCH_H

#include "model/net.h"
#include "reconciler/plan/plan.h"

/*
 * Who is who: each desired resource beside the row that is known of it, and the
 * rows that nobody desires any more. Private to plan/.
 */
struct subject {
    const struct kind *kind;
    const char *project; /* NULL if rack-wide */
    const char *name;
    const struct resource *resource; /* NULL: it left the set */
    const struct known *known;       /* NULL: nothing is known of it */
    const struct subject *owner;     /* the Instance that a NIC or a Seed belongs to, or NULL */
    const struct subject *holder;    /* the running Instance that holds this Volume open, or NULL */
    const char *renamed_from;        /* the name that its row still bears, or NULL */
    bool is_twin;                    /* a second row of an identity; never touched */
    bool is_running;                 /* a guest runs in it, or in its owner */
    const char *uid;                 /* filled by choose_all(), as the rest */
    const struct value *chosen;      /* map */
    const struct value *spec;        /* desired with what was chosen; NULL if it left */
    const struct value *settled;     /* as it will be once the plan is carried out: without what
                                      * is refused, held or put off. NULL: as `spec` says */
    const char *lacks;               /* why it cannot be made yet, as a sentence; or NULL */
    const struct subject
        *lacks_until; /* it goes, gets a new record, or is seen; NULL: nobody's turn */
    bool is_renewed;  /* `spec` is its record, by present names; the manifest comes after that */
};

struct name_entry;

struct match {
    const struct plan_input *input;
    struct subject *subjects; /* the set's, in its order, then those that left */
    size_t count;
    size_t desired;
    struct name_entry *names; /* sorted; names that were moved away from are in it too */
    size_t name_count;
    const struct subject **by_uid; /* of those on record; NULL until somebody asks (told.c) */
    size_t uid_count;
    struct contest *contests; /* the input's, sorted */
    bool has_tried;           /* known_tried() of somebody: hardly ever */
    bool has_names_in_use;    /* somebody lacks a name that records still have for another */
};

const struct match *match_make(struct arena *arena, const struct plan_input *input);

/* Of what the set declares. */
const struct subject *match_declared(const struct match *match, const struct resource *resource);

/* As a record's reference: in `project` first, then rack-wide. `kind` by name. */
const struct subject *match_resolve(const struct match *match, const char *kind,
                                    const char *project, const char *name);

/* Reads what was seen of it by the names of now, where its driver says whom it means (told.c). */
void match_read_told(struct arena *arena, struct match *match, struct subject *subject);

/* As a manifest's reference: what is declared by that name comes before what bore it. */
const struct subject *match_wanted(const struct match *match, const char *kind, const char *project,
                                   const char *name);

/* The present name of what records mean by one that is to be another's; NULL: no such name. */
const char *match_present_name(const struct match *match, const char *kind, const char *project,
                               const char *name);

/* If its record has such a name, it is to have what that record means, and no more (renew.c). */
void match_renew(struct arena *arena, const struct match *match, struct subject *subject);

/* The record of someone else setting this field back, or NULL. */
const struct contest *match_contest(const struct match *match, const char *uid, const char *path);

/* The specs of a row, NULL where the store or the driver says null. */
const struct value *known_applied(const struct known *known);
const struct value *known_observed(const struct known *known);
const struct value *known_booted(const struct known *known);
/* By the record or by what the object itself was seen to say: the two are lifted together. */
bool known_protects(const struct known *known);
/* Released, and nobody has given it up since. */
bool known_was_released(const struct known *known);
/* And nothing is to be done for it. It is released once more where it does not say that it is: an
 * adoption that could not be confirmed has come through, and it is not declared any more. */
bool known_is_kept(const struct known *known);
const struct value *known_tried(const struct known *known); /* of what nobody can look at */

/* Fills uid, chosen and spec of every subject (choose.c). */
void choose_all(struct arena *arena, struct match *match);
/* The spec of a NIC with its uid and a row, and its address, if both address and MAC are what its
 * manifest says or was chosen before; else NULL. Not seen to: another NIC that has the address by
 * its manifest. */
const struct value *choose_nothing(struct arena *arena, const struct subject *nic,
                                   const struct resource *subnet, struct address *address);

#endif
