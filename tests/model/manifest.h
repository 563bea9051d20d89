/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_MODEL_MANIFEST_H
#define TESTS_MODEL_MANIFEST_H

/* Manifests as text, made into sets, for the tests of the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/arena.h"
#include "model/error.h"
#include "model/json.h"
#include "model/kind.h"
#include "model/report.h"
#include "model/resource.h"
#include "model/text.h"
#include "model/yaml.h"

struct fixture {
    struct arena *arena;
    struct report report;
    const struct set *set;
};

static inline int fixture_setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));

    f->arena = arena_new();
    report_init(&f->report, f->arena);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    arena_free(f->arena);
    test_free(f);
    return 0;
}

/* Reads one file of manifests into f->set and f->report. */
static inline void fixture_read(struct fixture *f, const char *file, const char *data, size_t len)
{
    struct set_builder *builder = set_builder_new(f->arena, &f->report);
    struct value *docs;

    yaml_read(f->arena, file, data, len, &docs, &f->report);
    for (size_t i = 0; i < docs->count; i++)
        set_builder_add(builder, docs->items[i]);
    f->set = set_builder_finish(builder);
    report_attach_source(&f->report, file, data, len);
    report_sort(&f->report);
}

static inline void fixture_valid(struct fixture *f, const char *yaml)
{
    struct text text = TEXT_INIT;

    fixture_read(f, "m.yaml", yaml, strlen(yaml));
    report_write(&text, &f->report, false);
    if (f->report.count > 0)
        print_error("%s", text.data);
    text_free(&text);
    assert_int_equal(f->report.count, 0);
}

#define HEAD(kind, name) \
    "---\napiVersion: spinel/v1\nkind: " kind "\nmetadata: {project: shop, name: " name "}\n"
#define PROJECT "---\napiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\n"

#define MODEL_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

#endif
