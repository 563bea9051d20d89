/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A plan of a part of the rack (part.h): the same inputs but for the rows and the set, and what all
 * rows came to when the rack was found to be as declared.
 */
#include "reconciler/engine/core_state.h"

#include "model/invariant.h"
#include "reconciler/engine/part.h"

struct plan_input *part_input_make(struct core *core, struct arena *arena, const struct part *part,
                                   const struct part_world *world, const char *commit)
{
    invariant(part->set && !core->part, "a part is planned within another");
    core->part = part;
    struct plan_input *input = input_make(core, arena, part->set, commit);
    core->part = NULL;
    if (!input)
        return NULL;
    input->world = world->digest;
    input->world_at = world->observed_at;
    input->live = world->live;
    invariant(input->known_count == part->row_count, "%zu rows of a part are planned with, of %zu",
              input->known_count, part->row_count);
    return input;
}

const struct plan *core_plan_part(struct core *core, struct arena *arena, const struct part *part,
                                  const struct part_world *world, const char *commit,
                                  struct error *err)
{
    invariant(core->is_reader && core->config.cached && !core->round.is_active,
              "a part is planned by a core that only reads");
    struct plan_input *input = part_input_make(core, arena, part, world, commit);
    if (!input) {
        *err = core->failure;
        return NULL;
    }
    return plan_make(arena, input);
}

const struct plan *core_plan_change(struct core *core, struct arena *arena, const struct part *part,
                                    const char *commit, struct error *err)
{
    invariant(core_is_at_rest(core), "a part is planned of a rack that is not at rest");
    const struct plan *now = core->plan;
    const struct part_world world = {now->world, now->observed_at, (int64_t)now->resources};
    bool had_effects = core->config.effects;
    core->config.effects = false; /* this plan is for reading: it must write nothing */
    struct plan_input *input = part_input_make(core, arena, part, &world, commit);
    core->config.effects = had_effects;
    if (!input) {
        *err = core->failure;
        return NULL;
    }
    return plan_make(arena, input);
}
