/* SPDX-License-Identifier: MPL-2.0 */
/* Racks of a pool, a project and volumes, which lose some, and what is held of that. */
#ifndef TESTS_ENGINE_VOLUMES_H
#define TESTS_ENGINE_VOLUMES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

enum { MINUTE_MS = 60000, DAY_MINUTES = 24 * 60 };

#define RACK_TEST(name) cmocka_unit_test_setup_teardown(name, rack_setup, rack_teardown)

static inline int rack_setup(void **state)
{
    *state = rack_new();
    return 0;
}

/* Volumes v`from` to v`to`, and projects p`first` to p`last`, without the last of each. */
static inline void declare(struct rack *rack, const char *commit, int from, int to, int first,
                           int last)
{
    struct text yaml = TEXT_INIT;
    text_add(&yaml, POOL PROJECT);
    for (int i = from; i < to; i++)
        text_printf(&yaml, KEPT("v%d", "size: 1GiB"), i);
    for (int i = first; i < last; i++)
        text_printf(&yaml,
                    "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: p%d}\nspec: {}\n---\n",
                    i);
    rack->commits[commit[0] - '0'] = arena_text(rack->arena, yaml.data);
    text_free(&yaml);
}

static inline void volumes_start(struct rack *rack, int count)
{
    declare(rack, "4", 0, count, 0, 0);
    rack_settle(rack, "4");
}

static inline const struct plan *target(struct rack *rack, const char *commit)
{
    rack_target(rack, commit);
    rack_run(rack, MINUTE_MS);
    return core_plan(rack->core);
}

static inline const struct plan *volumes_left(struct rack *rack, const char *commit, int count)
{
    declare(rack, commit, 0, count, 0, 0);
    return target(rack, commit);
}

static inline void text_add_volumes(struct text *yaml, int from, int to, bool is_deleted)
{
    for (int i = from; i < to; i++)
        if (is_deleted)
            text_printf(yaml, VOLUME("v%d", "1GiB"), i);
        else
            text_printf(yaml, KEPT("v%d", "size: 1GiB"), i);
}

/* Why it holds something; NULL: it holds nothing. */
static inline const char *rule_of(const struct plan *plan, const char *rule)
{
    for (size_t i = 0; i < plan->hold_count; i++)
        if (!strcmp(plan->holds[i].rule, rule))
            return plan->holds[i].reason;
    return NULL;
}

static inline const char *collapse_of(const struct plan *plan)
{
    return rule_of(plan, RULE_COLLAPSE);
}

static inline void approve_collapse(struct rack *rack)
{
    struct error err = ERROR_INIT;
    const struct plan *plan = core_plan(rack->core);
    for (size_t i = 0; i < plan->hold_count; i++)
        if (!strcmp(plan->holds[i].rule, "collapse"))
            assert_int_equal(store_hold_approve(rack->store, plan->holds[i].id, "ann", 1, &err), 0);
    core_policy_changed(rack->core);
}

static inline void collapse_let_through(struct rack *rack)
{
    approve_collapse(rack);
    rack_run(rack, MINUTE_MS);
    assert_null(collapse_of(core_plan(rack->core)));
}

static inline void minutes_pass(struct rack *rack, int64_t minutes)
{
    rack->now_ms += minutes * MINUTE_MS;
    core_look(rack->core);
    rack_run(rack, MINUTE_MS);
}

static inline bool is_released(struct rack *rack, const char *volume)
{
    return rack_object(rack, "Volume", volume)->released;
}

#endif
