/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_PLAN_STEPS_H
#define RECONCILER_PLAN_STEPS_H

#include "reconciler/plan/fields.h"

/*
 * From subjects to steps, and from steps to an order. Private to plan/.
 */

/* What is to be done about one subject: true with `*step`, false if nothing (step.c). */
bool step_make(struct arena *arena, const struct match *match, const struct subject *subject,
               struct step *step);

/* Brings action, disposition, cause, spec and impact of an update in line with its fields;
 * of any step, with its own disposition. To be called again after fields changed. */
void step_settle(struct arena *arena, struct step *step);

/* Puts what would run of the step into another disposition, with why. */
void step_withhold(struct step *step, enum disposition disposition, const char *reason);

bool step_removes(const struct step *step); /* delete or release */

/* Orders the steps, numbers them and fills `after` (order.c). */
void steps_order(struct arena *arena, struct plan *plan);

/* A step that waits for one that does not run does not run either: it is held with it,
 * or deferred (order.c). Steps must be in order. */
void steps_wait(struct arena *arena, struct plan *plan);

/* What is the same for the same commit, world and steps, and not who came before: the digest of
 * the document's canonical JSON without hash, parent and observed (document.c). */
void plan_digest(const struct plan *plan, char hash[DIGEST_TEXT]);

/* Fills `world` and `observed_at` of the plan (world.c). */
void world_digest(struct arena *arena, const struct plan_input *input, struct plan *plan);

/* The same digest by parts: each row's, in any order, and their sum in the order of rows. What a
 * row shares with others must live until world_end(), which is to be called in any case. */
struct world;
struct world *world_new(struct arena *arena);
void world_row(struct world *world, const struct known *known, uint8_t digest[DIGEST_BYTES]);
void world_add(struct world *world, const uint8_t digest[DIGEST_BYTES]);
char *world_end(struct world *world, char *hex);

/* What a spec refers to, NICs and Seed of an Instance included (refs.c). */
struct subject_list {
    const struct subject **items;
    size_t count;
};
struct subject_list spec_refs(struct arena *arena, const struct match *match,
                              const struct kind *kind, const char *project, const char *name,
                              const struct value *spec);

#endif
