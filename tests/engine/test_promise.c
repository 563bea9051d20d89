/* SPDX-License-Identifier: MPL-2.0 */
/* What an accepted commit promises is kept for every row, though only those are looked at that it
 * concerns: after each of a drawn history, a look at all rows finds nothing left to keep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "model/text.h"
#include "reconciler/engine/core_state.h"
#include "reconciler/store/query.h"
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

enum { VOLUMES = 6, TURNS = 200 };

static unsigned draw(unsigned below)
{
    static uint64_t random = 88172645463325252u;
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return (unsigned)(random >> 33) % below;
}

/* Volumes come and go, are protected, given up and renamed, to free names and by turns. */
static const char *commit_draw(struct arena *arena)
{
    struct text text = TEXT_INIT;
    text_add(&text, POOL PROJECT);
    for (unsigned i = 0; i < VOLUMES; i++) {
        if (draw(3) == 0)
            continue;
        text_printf(&text,
                    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: v%u", i);
        if (draw(4) == 0)
            text_printf(&text, ", renamedFrom: v%u", (i + 1 + draw(VOLUMES - 1)) % VOLUMES);
        text_printf(&text, "}\nspec: {pool: fast, size: 1GiB, protect: %s, onRemove: %s}\n---\n",
                    draw(3) ? "false" : "true", draw(2) ? "delete" : "release");
    }
    const char *drawn = arena_text(arena, text.data);
    text_free(&text);
    return drawn;
}

static bool is_taken(struct rack *rack, const char *commit)
{
    struct error err = ERROR_INIT;
    return core_target(rack->core, commit, "test", NULL, NULL, &err) == 0;
}

/* Rows that a look at all of them would still write. */
static int64_t promises_owed(struct rack *rack)
{
    struct core *core = rack->core;
    const struct set *set = core->set;
    struct arena *arena = arena_new();
    int64_t before = sqlite3_total_changes64(rack->store->db);
    core->set = NULL; /* as if there were no commit before */
    promises_keep(core, arena, set);
    core->set = set;
    arena_free(arena);
    return sqlite3_total_changes64(rack->store->db) - before;
}

static void promises_of_what_changed_are_the_promises_of_all(void **state)
{
    struct rack *rack = *state;
    unsigned taken = 0;
    rack->commits[1] = POOL PROJECT;
    rack_boot(rack, "1");
    for (unsigned i = 0; i < TURNS; i++) {
        char commit[2] = {(char)('2' + i % 6), '\0'};
        rack->commits[2 + i % 6] = commit_draw(rack->arena);
        if (!is_taken(rack, commit))
            continue;
        taken++;
        assert_int_equal(promises_owed(rack), 0);
        if (draw(2)) /* else the next comes before it was carried out */
            rack_run(rack, 60000);
    }
    print_message("# %u of %u commits were valid\n", taken, TURNS);
    assert_true(taken > TURNS / 4);
}

static int rack_setup(void **state)
{
    *state = rack_new();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(promises_of_what_changed_are_the_promises_of_all,
                                        rack_setup, rack_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
