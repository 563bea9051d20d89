/* SPDX-License-Identifier: MPL-2.0 */
/* Who takes a former name that another takes, too, and what it costs to find out: comparisons are
 * counted, never time. */
#include <string.h>

static unsigned long compared;

static int counted_strcmp(const char *a, const char *b)
{
    compared++;
    return strcmp(a, b);
}

#define strcmp(a, b) counted_strcmp(a, b)
#include "model/set.c"
#undef strcmp

#include "tests/model/manifest.h"

#define POOL(name, old)                                                                    \
    "---\napiVersion: spinel/v1\nkind: Pool\nmetadata: {name: " name ", renamedFrom: " old \
    "}\nspec: {}\n"
#define VPC(project, name, old)                                                           \
    "---\napiVersion: spinel/v1\nkind: VPC\nmetadata: {project: " project ", name: " name \
    ", renamedFrom: " old "}\nspec: {prefixes: [10.0.0.0/16]}\n"
#define PROJECT_OF(name) "---\napiVersion: spinel/v1\nkind: Project\nmetadata: {name: " name "}\n"

static void each_rival_is_told_of_the_one_before_it(void **state)
{
    static const char manifests[] = POOL("d", "old") POOL("a", "old") POOL("b", "other")
        POOL("c", "old") POOL("e", "third") PROJECT_OF("p") PROJECT_OF("q") VPC("p", "x", "old")
            VPC("q", "y", "old") VPC("p", "z", "old");
    static const char *const said[] = {
        "renamedFrom: c takes the name old, too; one object has one new name", /* of d */
        "renamedFrom: a takes the name old, too; one object has one new name", /* of c */
        "renamedFrom: x takes the name old, too; one object has one new name", /* of z, and not y */
    };
    struct fixture *f = *state;
    fixture_read(f, "m.yaml", manifests, sizeof manifests - 1);
    assert_int_equal(f->report.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(f->report.problems[i].message, said[i]);
}

static void many_renames_cost_each_a_search(void **state)
{
    enum { RENAMED = 4000, EACH = 60 };
    struct fixture *f = *state;
    struct text text = TEXT_INIT;
    for (int i = 0; i < RENAMED; i++)
        text_printf(&text, POOL("new%d", "old%d"), i, i);
    compared = 0;
    fixture_valid(f, text.data);
    text_free(&text);
    assert_int_equal(f->set->count, RENAMED);
    assert_in_range(compared, RENAMED, RENAMED * EACH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(each_rival_is_told_of_the_one_before_it),
        MODEL_TEST(many_renames_cost_each_a_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
