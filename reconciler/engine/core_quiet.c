/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A fast path for who only reads: while all is as declared, rows are judged as they are read, and
 * neither they nor what is made of them is held (plan/quiet.h). What a plan of the whole would do
 * to rows before it judges them is done here too, or sends everything to it.
 */
#include "reconciler/engine/core_state.h"

#include <string.h>
#include "model/invariant.h"
#include "reconciler/plan/quiet.h"

struct quiet_pass {
    struct core *core;
    struct arena *arena;
    struct quiet *quiet;
};

static bool row_taken(void *context, const struct known *row)
{
    struct quiet_pass *pass = context;
    struct known refreshed = *row;
    observation_refresh(pass->core, pass->arena, &refreshed);
    return quiet_row(pass->quiet, &refreshed);
}

/* Something that bears our tag has no row, or a guest has stopped by itself: rows would be added,
 * or changed. */
static bool has_news(const struct core *core)
{
    for (const struct seen *seen = core->seen.first; seen; seen = seen->next)
        if (!seen->has_row || seen->has_stopped)
            return true;
    return false;
}

const struct plan *quiet_find(struct core *core, struct arena *arena)
{
    struct error ignored = ERROR_INIT; /* the plan of the whole meets it again, and says it */
    struct plan_input *input = arena_alloc(arena, sizeof *input);
    if (!core->is_reader || core->is_restored || (!core->config.cached && has_news(core)))
        return NULL;
    invariant(core->set && !core->tasks, "a reader without a set, or with steps under way");
    *input = (struct plan_input){.set = core->set, .commit = core->commit, .parent = core->parent};
    memcpy(input->seed, core->config.seed, sizeof input->seed);
    struct quiet_pass pass = {core, arena, quiet_begin(arena, input)};
    int status =
        core->env->ledger->objects_each(core->env->store, arena, row_taken, &pass, &ignored);
    const struct plan *plan = quiet_end(pass.quiet);
    if (status < 0 || !plan)
        return NULL;
    invariant(!plan->step_count && !plan->run, "a plan without a line has %zu steps",
              plan->step_count);
    core->input = input;
    return plan;
}
