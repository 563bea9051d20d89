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

/* Volumes v`from` to v`to`, and old0 to old`olds`, without the last of each. */
static inline void olds_declare(struct rack *rack, int commit, int from, int to, int olds,
                                bool is_deleted)
{
    struct text yaml = TEXT_INIT;
    text_add(&yaml, POOL PROJECT);
    text_add_volumes(&yaml, from, to, is_deleted);
    for (int i = 0; i < olds; i++)
        if (is_deleted)
            text_printf(&yaml, VOLUME("old%d", "1GiB"), i);
        else
            text_printf(&yaml, KEPT("old%d", "size: 1GiB"), i);
    rack->commits[commit] = arena_text(rack->arena, yaml.data);
    text_free(&yaml);
}

/* Of old0 to old`count`, without the last. */
static inline void olds_notice(struct rack *rack, int count, const char *why)
{
    for (int i = 0; i < count; i++) {
        const char *name = arena_printf(rack->arena, "old%d", i);
        rack_notice(rack, "disk", rack_object(rack, "Volume", name)->uid, why);
    }
    rack_run(rack, MINUTE_MS);
}

/* The first `bad` of the machines m0, m1 ... have another firmware. */
static inline void text_add_machines(struct text *yaml, int machines, int bad)
{
    for (int i = 0; i < machines; i++)
        text_printf(yaml,
                    "apiVersion: spinel/v1\nkind: Instance\nmetadata: {project: shop, name: m%d}\n"
                    "spec: {cpus: 1, memory: 256MiB, updatePolicy: {replace: allowed}, "
                    "firmware: %s}\n---\n",
                    i, i < bad ? "uefi" : "bios");
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

/* The id of what the rule holds. */
static inline const char *hold_of(struct rack *rack, const char *rule)
{
    const struct plan *plan = core_plan(rack->core);
    for (size_t i = 0; i < plan->hold_count; i++)
        if (!strcmp(plan->holds[i].rule, rule))
            return arena_text(rack->arena, plan->holds[i].id);
    fail_msg("nothing is held by rule %s", rule);
    return NULL;
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
