/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_PLAN_HOLD_H
#define TESTS_PLAN_HOLD_H

/* What is asked of the holds of the plan that was made last. */
#include "tests/plan/world.h"

#define V(name) VOLUME(name, "size: 1GiB")
#define P(name) DOC("Project", "name: " name, "{}")
#define I(name) INSTANCE(name, "cpus: 1, memory: 256MiB")
#define SIX PROJECT I("a") I("b") I("c") I("d") I("e") I("f")
#define TEN_VOLUMES V("v1") V("v2") V("v3") V("v4") V("v5") V("v6") V("v7") V("v8") V("v9") V("v10")
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

WORLD_FN void assert_disposition(const struct world *w, const char *kind, const char *name,
                                 enum disposition disposition)
{
    const struct step *step = world_step(w, kind, name);

    if (!step)
        fail_msg("no step for %s %s", kind, name);
    assert_string_equal(disposition_text(step->disposition), disposition_text(disposition));
}

WORLD_FN const struct hold *find_hold(const struct world *w, const char *rule)
{
    for (size_t i = 0; i < w->plan->hold_count; i++)
        if (strcmp(w->plan->holds[i].rule, rule) == 0)
            return &w->plan->holds[i];
    fail_msg("nothing is held by rule %s", rule);
    return NULL;
}

WORLD_FN void approve(struct world *w, const char *id)
{
    const char **ids = arena_array(w->arena, w->input.approved_count + 1, sizeof(*ids));

    for (size_t i = 0; i < w->input.approved_count; i++)
        ids[i] = w->input.approved[i];
    ids[w->input.approved_count++] = id;
    w->input.approved = ids;
    world_plan(w);
}

#endif
