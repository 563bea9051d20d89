/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Manifest bytes to a set, its problems as people read them, and a plan of it. What reading costs
 * is bounded by the bytes; a plan costs some ten kilobytes for each object, so none is made of very
 * many (docs/testing.md).
 */
#include "model/arena.h"
#include "model/json.h"
#include "model/report.h"
#include "model/resource.h"
#include "model/text.h"
#include "model/yaml.h"
#include "reconciler/plan/plan.h"
#include "reconciler/plan/text.h"
#include "tests/fuzz/fuzz.h"

enum { PLANNED_MAX = 2000 };

static void plan_all(const struct set *set)
{
    struct arena *arena = arena_new();
    struct plan_input input = {
        .set = set, .commit = "1", .parent = "", .now = 1700000000, .policy = {3, 5, 30}};
    const struct plan *plan = plan_make(arena, &input);
    struct text out = TEXT_INIT;
    plan_text(&out, plan_value(arena, plan), (struct plan_text_options){.columns = 80});
    text_free(&out);
    MUST(plan->resources == set->count || plan->resources == set->declared);
    arena_free(arena);
}

/* What a resource is written as reads back as the same resource. */
static void resource_again(const struct resource *resource)
{
    struct arena *arena = arena_new();
    struct text yaml = TEXT_INIT;
    struct value *normal = resource_value(arena, resource), *docs = NULL;
    struct report report;
    report_init(&report, arena);
    yaml_write(&yaml, normal);
    int rc = yaml_read(arena, "again", yaml.data, yaml.len, &docs, &report);
    MUST(rc == 0 && docs->count == 1 && value_equal(docs->items[0], normal));
    text_free(&yaml);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct report report;
    struct value *docs = NULL;
    struct text out = TEXT_INIT;
    char *text = fuzz_text(data, size);
    report_init(&report, arena);
    yaml_read(arena, "a.yaml", text, size, &docs, &report);
    struct set_builder *builder = set_builder_new(arena, &report);
    for (size_t i = 0; docs && i < docs->count; i++)
        set_builder_add(builder, docs->items[i]);
    const struct set *set = set_builder_finish(builder);
    report_attach_source(&report, "a.yaml", text, size);
    report_sort(&report);
    report_write(&out, &report, false);
    json_text(arena, report_value(arena, &report));
    for (size_t i = 0; i < set->count && report.count == 0; i++)
        if (!set->resources[i]->owner)
            resource_again(set->resources[i]);
    if (report.count == 0 && set->count <= PLANNED_MAX)
        plan_all(set);
    text_free(&out);
    free(text);
    arena_free(arena);
    return 0;
}
