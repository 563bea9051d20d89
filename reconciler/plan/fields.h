/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_PLAN_FIELDS_H
#define RECONCILER_PLAN_FIELDS_H

#include "reconciler/plan/match.h"

/*
 * The differences of one subject, each with its cause, its class and what is to
 * become of it. Private to plan/.
 */
struct field_list {
    struct plan_field *items;
    size_t count;
    size_t room;
    bool is_unrecorded; /* what was applied last is not what is desired */
};

/* The three states of one subject, sensitive leaves as digests. Specs may be NULL. */
struct states {
    struct arena *arena;
    const struct match *match;
    const struct subject *subject;
    const struct value *desired;
    const struct value *applied;
    const struct value *observed;
    const struct value *booted;
    bool is_running;   /* restart fields have something to restart */
    bool is_confirmed; /* something was applied once */
};

struct states states_of(struct arena *arena, const struct match *match,
                        const struct subject *subject);

/* What the object is now, field by field: live fields as observed, restart fields as
 * booted, the rest as last applied (current.c). */
const struct value *states_current(const struct states *states);

/* All differences of an object that is there (fields.c). */
struct field_list fields_find(const struct states *states);
/* Those of desired and applied alone, while nobody could look. */
struct field_list fields_unseen(const struct states *states);
/* What a new object will be made of. */
struct field_list fields_new(const struct states *states);

/* Class, disposition and reason of one difference (policy.c). */
void field_judge(const struct states *states, struct plan_field *field);
/* What the manifest wants done about drift at a path ("object": all of it is gone): RUN,
 * REPORTED or IGNORED (policy.c). */
enum disposition drift_disposition(const struct resource *resource, const char *path);
/* A reference that changed its words and still leads to the same object (policy.c). */
bool field_leads_to_same(const struct states *states, const struct plan_field *field);
/* What one field's verdict means for the others (policy.c). */
void fields_settle(const struct states *states, struct field_list *list);

/* The leaf at "spec.a[b].c" of a spec, or NULL. */
const struct value *spec_at(const struct value *spec, const char *path);
/* redact.c */
struct value *spec_without_digests(struct arena *arena, const struct value *spec);
bool value_is_redacted(const struct value *value);

#endif
