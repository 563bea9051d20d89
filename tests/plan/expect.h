/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_PLAN_EXPECT_H
#define TESTS_PLAN_EXPECT_H

/* What a test asks of the plan that was made last. */
#include "tests/plan/world.h"

#define BOUNDED "cpus: 2, maxCpus: 4, memory: 256MiB"
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

WORLD_FN void assert_step(const struct world *w, const char *kind, const char *name,
                          enum action action, enum disposition disposition)
{
    const struct step *step = world_step(w, kind, name);

    if (!step)
        fail_msg("no step for %s %s", kind, name);
    assert_string_equal(action_text(step->action), action_text(action));
    assert_string_equal(disposition_text(step->disposition), disposition_text(disposition));
}

WORLD_FN void assert_field(const struct world *w, const char *kind, const char *name,
                           const char *path, enum change change, enum disposition disposition)
{
    const struct plan_field *field = world_field(w, kind, name, path);

    assert_string_equal(change_text(field->change), change_text(change));
    assert_string_equal(disposition_text(field->disposition), disposition_text(disposition));
}

WORLD_FN bool waits_for(const struct step *step, const struct step *before)
{
    for (size_t i = 0; i < step->after_count; i++)
        if (step->after[i] == before->id)
            return true;
    return false;
}

/* An incarnation of everything was there before. */
WORLD_FN uint64_t one_before(void *context, const char *kind, const char *project, const char *name)
{
    (void)context, (void)kind, (void)project, (void)name;
    return 1;
}

#endif
