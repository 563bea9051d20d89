/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_PLAN_WORLD_H
#define TESTS_PLAN_WORLD_H

/*
 * A world for tests of the plan: manifests go in as YAML text, plans come out, and
 * world_apply() carries a plan's steps out as an honest driver and engine would, on
 * rows in memory. Tests then tamper with what was observed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/json.h"
#include "model/report.h"
#include "model/text.h"
#include "model/yaml.h"
#include "reconciler/plan/fields.h"
#include "reconciler/plan/plan.h"
#include "reconciler/plan/text.h"

enum { WORLD_ROWS = 256, WORLD_START = 1800000000 }; /* 2027-01-15 08:00:00 UTC */

struct world {
    struct arena *arena;
    struct known rows[WORLD_ROWS];
    size_t count;
    struct plan_input input;
    const struct plan *plan;
};

#define WORLD_FN static inline __attribute__((unused))

WORLD_FN int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->arena = arena_new();
    w->input.commit = "";
    w->input.parent = "";
    w->input.now = WORLD_START;
    w->input.policy = (struct plan_policy){3, 5, 30};
    memset(w->input.seed, 7, sizeof(w->input.seed));
    *state = w;
    return 0;
}

WORLD_FN int world_teardown(void **state)
{
    struct world *w = *state;

    arena_free(w->arena);
    free(w);
    return 0;
}

WORLD_FN void world_try_declare(struct world *w, const char *yaml, struct report *report)
{
    struct set_builder *builder;
    struct value *docs;
    char digest[DIGEST_TEXT];

    report_init(report, w->arena);
    builder = set_builder_new(w->arena, report);
    if (yaml_read(w->arena, "test.yaml", yaml, strlen(yaml), &docs, report) == 0)
        for (size_t i = 0; i < docs->count; i++)
            set_builder_add(builder, docs->items[i]);
    w->input.set = set_builder_finish(builder);
    w->input.commit = arena_text_n(w->arena, digest_bytes(yaml, strlen(yaml), digest), 40);
}

/* Sizes and durations as manifests write them. */
WORLD_FN struct value *as_written(struct arena *arena, const struct field *field,
                                  const struct value *value)
{
    struct value *copy;

    if (!field || !value)
        return value ? value_copy(arena, value) : NULL;
    if (value->type == VALUE_INT && field->unit != UNIT_NONE)
        return value_printf(arena, "%lld%s", (long long)value->integer,
                            field->unit == UNIT_BYTES ? "B" : "s");
    if (value_is_map(value)) {
        copy = value_map(arena);
        for (size_t i = 0; i < value->pair_count; i++)
            value_set(
                arena, copy, value->pairs[i].key,
                as_written(arena, field_child(field, value->pairs[i].key), value->pairs[i].value));
        return copy;
    }
    if (value_is_list(value)) {
        copy = value_list(arena);
        for (size_t i = 0; i < value->count; i++)
            value_append(arena, copy, as_written(arena, field->item, value->items[i]));
        return copy;
    }
    return value_copy(arena, value);
}

/* The commit's id follows from its text. */
WORLD_FN void world_declare(struct world *w, const char *yaml)
{
    struct report report;

    world_try_declare(w, yaml, &report);
    for (size_t i = 0; i < report.count; i++)
        print_error("%u: %s\n", report.problems[i].at.line, report.problems[i].message);
    assert_int_equal(report.count, 0);
}

/* The hash, that is written step by step, is that of the document as it is shown. */
WORLD_FN void hash_check(struct world *w)
{
    struct value *document = plan_value(w->arena, w->plan);
    char hash[DIGEST_TEXT];

    value_unset(document, "hash");
    value_unset(document, "parent");
    value_unset(document, "observed");
    assert_string_equal(w->plan->hash, digest_value(document, hash));
}

WORLD_FN const struct plan *world_plan(struct world *w)
{
    w->input.known = w->rows;
    w->input.known_count = w->count;
    w->plan = plan_make(w->arena, &w->input);
    hash_check(w);
    return w->plan;
}

WORLD_FN struct known *world_row(struct world *w, const char *kind, const char *name)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->rows[i].kind, kind) == 0 && strcmp(w->rows[i].name, name) == 0)
            return &w->rows[i];
    return NULL;
}

WORLD_FN const struct step *world_step(const struct world *w, const char *kind, const char *name)
{
    for (size_t i = 0; i < w->plan->step_count; i++)
        if (strcmp(w->plan->steps[i].kind->name, kind) == 0 &&
            strcmp(w->plan->steps[i].name, name) == 0)
            return &w->plan->steps[i];
    return NULL;
}

WORLD_FN const struct plan_field *step_field(const struct step *step, const char *path)
{
    for (size_t i = 0; step && i < step->field_count; i++)
        if (strcmp(step->fields[i].path, path) == 0)
            return &step->fields[i];
    return NULL;
}

/* The step's field, or a failed test that names it. */
WORLD_FN const struct plan_field *world_field(const struct world *w, const char *kind,
                                              const char *name, const char *path)
{
    const struct plan_field *field = step_field(world_step(w, kind, name), path);

    if (!field)
        fail_msg("no difference at %s of %s %s", path, kind, name);
    return field;
}

WORLD_FN struct value *json(struct world *w, const char *text)
{
    struct error err = ERROR_INIT;
    struct value *value = NULL;

    if (json_read(w->arena, text, strlen(text), &value, &err) != 0)
        fail_msg("%s: %s", text, err.message);
    return value;
}

/* Somebody changed the world: `text` is JSON, NULL takes the field away. */
WORLD_FN void world_tamper(struct world *w, const char *kind, const char *name, const char *path,
                           const char *text)
{
    struct known *row = world_row(w, kind, name);
    struct value *wrapped = text ? json(w, arena_printf(w->arena, "[%s]", text)) : NULL;
    struct value *spec = value_copy(w->arena, row->observed.spec);

    spec_put(w->arena, kind_find(kind), spec, path, wrapped ? wrapped->items[0] : NULL);
    row->observed.spec = spec;
}

WORLD_FN void world_stop(struct world *w, const char *name, const char *reason)
{
    struct known *row = world_row(w, "Instance", name);

    world_tamper(w, "Instance", name, "spec.power", "\"off\"");
    row->observed.booted = NULL;
    row->observed.status = json(
        w, arena_printf(w->arena, "{\"state\":\"stopped\",\"exit\":{\"reason\":\"%s\"}}", reason));
}

WORLD_FN void world_gone(struct world *w, const char *kind, const char *name)
{
    struct known *row = world_row(w, kind, name);

    row->observed.absent = true;
    row->observed.spec = row->observed.booted = row->observed.status = NULL;
}

/* ---- an honest engine and driver ---------------------------------------------------- */

WORLD_FN void row_settle(struct world *w, struct known *row, const struct step *step)
{
    const struct value *spec = step->spec;

    row->life = LIFE_LIVE;
    row->project = step->project;
    row->name = step->name;
    row->generation = step->generation;
    row->epoch++;
    row->chosen = value_copy(w->arena, step->chosen);
    row->applied = plan_redact(w->arena, step->kind, spec, w->input.seed);
    row->labels = value_copy(w->arena, step->resource->labels);
    row->protect = value_get_bool(spec, "protect", false);
    row->remove_deletes = strcmp(value_get_text(spec, "onRemove", ""), "delete") == 0;
    if (!step->kind->driver)
        return;
    row->observed.known = true;
    row->observed.absent = row->observed.released = false;
    row->observed.epoch = row->epoch;
    row->observed.at = w->input.now;
    row->observed.damage = NULL;
}

static inline bool is_on(const struct value *spec)
{
    return strcmp(value_get_text(spec, "power", "on"), "on") == 0;
}

WORLD_FN void observe_made(struct world *w, struct known *row, const struct step *step)
{
    if (!step->kind->driver)
        return;
    row->observed.spec = plan_redact(w->arena, step->kind, step->spec, w->input.seed);
    row->observed.booted = NULL;
    if (strcmp(step->kind->name, "Instance") == 0 && is_on(step->spec))
        row->observed.booted = row->observed.spec;
    row->observed.status = json(w, "{\"state\":\"fine\"}");
}

/* Only the fields that the step lists are touched. */
WORLD_FN void observe_updated(struct world *w, struct known *row, const struct step *step)
{
    struct value *spec = row->observed.spec ? value_copy(w->arena, row->observed.spec) : NULL;
    bool was_on = row->observed.booted != NULL;

    for (size_t i = 0; spec && i < step->field_count; i++)
        if (step->fields[i].disposition == RUN)
            spec_put(w->arena, step->kind, spec, step->fields[i].path, step->fields[i].to);
    row->observed.spec = spec;
    if (strcmp(step->kind->name, "Instance") != 0)
        return;
    if (!is_on(spec))
        row->observed.booted = NULL;
    else if (!was_on || step->action == ACTION_RESTART)
        row->observed.booted = plan_redact(w->arena, step->kind, step->spec, w->input.seed);
}

WORLD_FN struct known *row_of_uid(struct world *w, const char *uid)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->rows[i].uid, uid) == 0)
            return &w->rows[i];
    return NULL;
}

WORLD_FN void carry_out(struct world *w, const struct step *step)
{
    struct known *row = row_of_uid(w, step->uid);

    if (!row) {
        assert_true(w->count < WORLD_ROWS);
        row = &w->rows[w->count++];
        *row = (struct known){.uid = step->uid, .kind = step->kind->name};
    }
    if (step->action == ACTION_DELETE || step->action == ACTION_REPLACE) {
        row->life = LIFE_GONE;
        return;
    }
    if (step->action == ACTION_RELEASE) {
        row->life = LIFE_RELEASED;
        row->observed.released = true;
        return;
    }
    row_settle(w, row, step);
    if (step->action == ACTION_CREATE)
        observe_made(w, row, step);
    else
        observe_updated(w, row, step);
}

WORLD_FN void drop_gone(struct world *w)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->count; i++)
        if (w->rows[i].life != LIFE_GONE)
            w->rows[kept++] = w->rows[i];
    w->count = kept;
}

/* It was renamed, and no record of anything else knows it yet. */
WORLD_FN void world_called(struct world *w, const char *kind, const char *from, const char *to)
{
    struct known *row = world_row(w, kind, from);
    struct value *chosen = value_copy(w->arena, row->chosen);

    value_append(w->arena, value_set(w->arena, chosen, "formerly", value_list(w->arena)),
                 value_text(w->arena, from));
    row->chosen = chosen;
    row->name = to;
}

/* Carries out what runs of the last plan, as often as it takes; 0 if nothing is left. */
WORLD_FN size_t world_apply(struct world *w)
{
    world_plan(w);
    for (int pass = 0; pass < 4 && w->plan->run; pass++) {
        for (size_t i = 0; i < w->plan->step_count; i++)
            if (w->plan->steps[i].disposition == RUN)
                carry_out(w, &w->plan->steps[i]);
        drop_gone(w);
        world_plan(w);
    }
    return w->plan->run;
}

WORLD_FN void world_converge(struct world *w, const char *yaml)
{
    world_declare(w, yaml);
    assert_int_equal(world_apply(w), 0);
}

/* ---- golden files ------------------------------------------------------------------- */

/* Compares with tests/plan/golden/<name>; GOLDEN=1 in the environment writes it. */
WORLD_FN void assert_golden(const char *name, const char *text)
{
    char path[256], *want;
    long size;
    FILE *file;

    snprintf(path, sizeof(path), "tests/plan/golden/%s", name);
    if (getenv("GOLDEN")) {
        file = fopen(path, "w");
        assert_non_null(file);
        fputs(text, file);
        fclose(file);
        return;
    }
    file = fopen(path, "r");
    if (!file)
        fail_msg("%s is missing: run with GOLDEN=1 from the top of the tree", path);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    want = calloc(1, (size_t)size + 1);
    assert_non_null(want);
    assert_int_equal(fread(want, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    assert_string_equal(text, want);
    free(want);
}

/* ---- manifests ---------------------------------------------------------------------- */

#define DOC(kind, meta, spec) \
    "---\napiVersion: spinel/v1\nkind: " kind "\nmetadata: {" meta "}\nspec: " spec "\n"
#define PROJECT DOC("Project", "name: shop", "{}")
#define VOLUME(name, spec) DOC("Volume", "project: shop, name: " name, "{" spec "}")
#define NETWORK                                                         \
    DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16]}") \
    DOC("Subnet", "project: shop, name: front", "{vpc: net, cidr: 10.0.1.0/24}")
#define INSTANCE(name, spec) DOC("Instance", "project: shop, name: " name, "{" spec "}")
#define DISK "disks: [{name: root, volume: data}]"
#define NIC "nics: [{name: eth0, subnet: front}]"
#define SHOP PROJECT NETWORK VOLUME("data", "size: 4GiB")
#define WEB(more) INSTANCE("web-1", DISK ", " NIC ", " more)

#endif
