/* SPDX-License-Identifier: MPL-2.0 */
/* A pool without room, and many that are to go there: it is said once, and tried by few. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "model/text.h"
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

enum { MINUTE_MS = 60000, MANY = 400 };

#define ROOMY "apiVersion: spinel/v1\nkind: Pool\nmetadata: {name: roomy}\nspec: {}\n---\n"

static int rack_setup(void **state)
{
    struct rack *rack = rack_new();
    rack->commits[1] = POOL PROJECT;
    *state = rack;
    return 0;
}

static const char *volumes(struct rack *rack, const char *prefix, int count, const char *spec)
{
    struct text text = TEXT_INIT;
    for (int i = 0; i < count; i++)
        text_printf(&text,
                    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: %s%03d}\n"
                    "spec: {%s}\n---\n",
                    prefix, i, spec);
    const char *made = arena_text(rack->arena, text.data);
    text_free(&text);
    return made;
}

static unsigned volumes_there(const struct rack *rack, char prefix)
{
    unsigned count = 0;
    for (size_t i = 0; i < rack->object_count; i++)
        count += rack->objects[i].exists && !strcmp(rack->objects[i].kind, "Volume") &&
                 rack->objects[i].name[0] == prefix;
    return count;
}

static void a_full_pool_is_said_once_and_tried_by_few(void **state)
{
    struct rack *rack = *state;
    rack->commits[2] = arena_printf(rack->arena, POOL PROJECT "%s",
                                    volumes(rack, "v", MANY, "size: 1GiB, pool: fast"));
    rack->full_pool = "fast";
    rack_settle(rack, "1");
    unsigned before = rack->applies;
    rack_target(rack, "2");
    rack_run(rack, 60 * MINUTE_MS);
    assert_int_equal(rack->events_full, 1);
    assert_non_null(strstr(rack->full, "no room for any Volume in pool fast"));
    assert_int_equal(volumes_there(rack, 'v'), 0);
    /* Until it is known, what is on its way then, and two each time: at five minutes, at last. */
    assert_in_range(rack->applies - before, 16 + 2 * 8, 16 + rack->config.parallelism + 2 * 24);
    assert_int_equal(rack->events_failed, rack->applies - before);
    assert_in_range(rack->plans, 1, 100);

    rack->full_pool = NULL;
    assert_true(rack_run(rack, 6 * MINUTE_MS));
    assert_int_equal(volumes_there(rack, 'v'), MANY);
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack->events_full, 1);
}

/* Its last blocks went to steps whose looks come after the first refusals. */
static void a_pool_that_fills_up_under_way_is_said_once(void **state)
{
    struct rack *rack = *state;
    rack->makes_groups = true; /* all are sent at once */
    rack->commits[2] = arena_printf(rack->arena, POOL PROJECT "%s",
                                    volumes(rack, "v", MANY, "size: 1GiB, pool: fast"));
    rack_settle(rack, "1");
    rack->full_pool = "fast";
    rack->full_after = 50;
    rack_target(rack, "2");
    rack_run(rack, 30 * MINUTE_MS);
    assert_int_equal(volumes_there(rack, 'v'), 50);
    assert_int_equal(rack->events_full, 1);
}

static void another_pool_goes_on_while_one_is_full(void **state)
{
    struct rack *rack = *state;
    rack->commits[2] = arena_printf(rack->arena, POOL ROOMY PROJECT "%s%s",
                                    volumes(rack, "a", MANY, "size: 1GiB, pool: fast"),
                                    volumes(rack, "b", 40, "size: 1GiB, pool: roomy"));
    rack->full_pool = "fast";
    rack_settle(rack, "1");
    rack_target(rack, "2");
    rack_run(rack, MINUTE_MS);
    assert_int_equal(volumes_there(rack, 'b'), 40);
    assert_int_equal(volumes_there(rack, 'a'), 0);
}

static void what_is_too_large_keeps_out_nothing_that_fits(void **state)
{
    struct rack *rack = *state;
    rack->commits[2] = arena_printf(rack->arena, POOL PROJECT "%s%s",
                                    volumes(rack, "a", 100, "size: 10GiB, pool: fast"),
                                    volumes(rack, "b", 40, "size: 1GiB, pool: fast"));
    rack->full_pool = "fast";
    rack->full_from = 10LL << 30;
    rack_settle(rack, "1");
    rack_target(rack, "2");
    rack_run(rack, 10 * MINUTE_MS);
    assert_int_equal(volumes_there(rack, 'b'), 40);
    assert_int_equal(volumes_there(rack, 'a'), 0);
    assert_int_equal(rack->events_full, 1);
}

/* Somebody removes them, and lets them be made anew. */
static void volumes_lose(struct rack *rack, char prefix)
{
    for (size_t i = 0; i < rack->object_count; i++)
        if (rack->objects[i].exists && rack->objects[i].name[0] == prefix) {
            rack->objects[i].exists = false;
            rack_notice(rack, "disk", rack->objects[i].uid, "somebody removed it");
        }
    rack_run(rack, MINUTE_MS / 2);
    rack_approve_all(rack);
    rack_run(rack, MINUTE_MS / 2);
}

/* Neither waits because of the others, nor lets them go once more. */
static void what_fits_is_made_again_beside_what_does_not(void **state)
{
    struct rack *rack = *state;
    rack->commits[2] = arena_printf(rack->arena, POOL PROJECT "%s%s",
                                    volumes(rack, "a", 60, "size: 10GiB, pool: fast"),
                                    volumes(rack, "b", 40, "size: 1GiB, pool: fast"));
    rack->full_pool = "fast";
    rack->full_from = 10LL << 30;
    rack_settle(rack, "1");
    rack_target(rack, "2");
    rack_run(rack, 30 * MINUTE_MS);
    assert_int_equal(rack->events_full, 1);
    volumes_lose(rack, 'b');
    assert_int_equal(volumes_there(rack, 'b'), 40);
    rack_run(rack, 30 * MINUTE_MS);
    assert_int_equal(rack->events_full, 1);
}

static void the_smallest_that_finds_no_room_is_the_measure(void **state)
{
    struct rack *rack = *state;
    rack->commits[2] = arena_printf(rack->arena, POOL PROJECT "%s%s",
                                    volumes(rack, "a", 100, "size: 10GiB, pool: fast"),
                                    volumes(rack, "b", 100, "size: 5GiB, pool: fast"));
    rack->full_pool = "fast";
    rack_settle(rack, "1");
    unsigned before = rack->applies;
    rack_target(rack, "2");
    rack_run(rack, 10 * MINUTE_MS);
    assert_int_equal(rack->events_full, 1);
    assert_in_range(rack->applies - before, 16, 60);
}

static void another_kind_goes_on_while_there_is_no_room_for_one(void **state)
{
    struct rack *rack = *state;
    struct text images = TEXT_INIT;
    for (int i = 0; i < 40; i++)
        text_printf(&images,
                    "apiVersion: spinel/v1\nkind: Image\nmetadata: {name: os%d}\n"
                    "spec: {path: /os, format: raw, digest: \"sha256:%064d\"}\n---\n",
                    i, i);
    rack->commits[3] = arena_printf(rack->arena, PROJECT "%s%s", images.data,
                                    volumes(rack, "v", 40, "size: 1GiB"));
    text_free(&images);
    rack->full_pool = "";
    rack->full_kind = "Image";
    rack_settle(rack, "1");
    rack_target(rack, "3");
    rack_run(rack, 2 * MINUTE_MS);
    assert_int_equal(rack->events_full, 1);
    assert_non_null(strstr(rack->full, "no room for any Image:"));
    volumes_lose(rack, 'v');
    assert_int_equal(volumes_there(rack, 'v'), 40);
}

/* It comes when the pool is known to be full. */
static void an_approved_removal_goes_on_while_the_pool_is_full(void **state)
{
    struct rack *rack = *state;
    rack->commits[1] =
        arena_printf(rack->arena, POOL PROJECT "%s",
                     volumes(rack, "a", 40, "size: 1GiB, pool: fast, onRemove: delete"));
    rack->commits[2] = arena_printf(rack->arena, POOL PROJECT "%s",
                                    volumes(rack, "b", MANY, "size: 1GiB, pool: fast"));
    rack_settle(rack, "1");
    rack->full_pool = "fast";
    rack_target(rack, "2");
    rack_run(rack, 2 * MINUTE_MS);
    assert_int_equal(rack->events_full, 1);
    assert_int_equal(volumes_there(rack, 'a'), 40);
    rack_approve_all(rack);
    rack_run(rack, MINUTE_MS / 2);
    assert_int_equal(volumes_there(rack, 'a'), 0);
}

/* The image is done in the same breath, and no longer counts on those that waited for it. */
static void what_waits_for_an_image_as_well_is_dropped_once(void **state)
{
    struct rack *rack = *state;
    rack->in_bursts = rack->in_reverse = true;
    rack->config.parallelism = 12;
    rack->commits[2] = arena_printf(rack->arena, POOL PROJECT IMAGE "%s%s",
                                    volumes(rack, "a", 40, "size: 1GiB, pool: fast"),
                                    volumes(rack, "b", 40, "size: 1GiB, pool: fast, image: os"));
    rack_settle(rack, "1");
    rack->full_pool = "fast";
    rack_target(rack, "2");
    rack_run(rack, MINUTE_MS);
    assert_int_equal(rack->events_full, 1);
    assert_int_equal(rack_count(rack, "Image", "os"), 1);
    rack->full_pool = NULL;
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_int_equal(volumes_there(rack, 'a') + volumes_there(rack, 'b'), 80);
}

/* What is removed may be what makes the room. */
static void a_full_pool_is_emptied_all_the_same(void **state)
{
    struct rack *rack = *state;
    rack->config.policy.collapse_percent = 100;
    rack->config.policy.budget_count = 1000;
    rack->commits[1] =
        arena_printf(rack->arena, POOL PROJECT "%s",
                     volumes(rack, "a", 40, "size: 1GiB, pool: fast, onRemove: delete"));
    rack->commits[2] = arena_printf(rack->arena, POOL PROJECT "%s",
                                    volumes(rack, "b", MANY, "size: 1GiB, pool: fast"));
    rack_settle(rack, "1");
    rack->full_pool = "fast";
    rack_target(rack, "2");
    rack_run(rack, 5 * MINUTE_MS);
    assert_int_equal(volumes_there(rack, 'a'), 0);
    rack->full_pool = NULL;
    assert_true(rack_run(rack, 10 * MINUTE_MS));
    assert_int_equal(volumes_there(rack, 'b'), MANY);
}

static void a_new_commit_tries_again_at_once(void **state)
{
    struct rack *rack = *state;
    rack->commits[2] = arena_printf(rack->arena, POOL PROJECT "%s",
                                    volumes(rack, "v", MANY, "size: 1GiB, pool: fast"));
    rack->commits[3] = arena_printf(rack->arena, POOL PROJECT "%s",
                                    volumes(rack, "w", MANY, "size: 1GiB, pool: fast"));
    rack->full_pool = "fast";
    rack_settle(rack, "1");
    rack_target(rack, "2");
    rack_run(rack, 60 * MINUTE_MS);
    rack->full_pool = NULL;
    rack_target(rack, "3");
    assert_true(rack_run(rack, MINUTE_MS));
    assert_int_equal(volumes_there(rack, 'w'), MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define RACK_TEST(name) cmocka_unit_test_setup_teardown(name, rack_setup, rack_teardown)
        RACK_TEST(a_full_pool_is_said_once_and_tried_by_few),
        RACK_TEST(a_pool_that_fills_up_under_way_is_said_once),
        RACK_TEST(another_pool_goes_on_while_one_is_full),
        RACK_TEST(what_is_too_large_keeps_out_nothing_that_fits),
        RACK_TEST(what_fits_is_made_again_beside_what_does_not),
        RACK_TEST(the_smallest_that_finds_no_room_is_the_measure),
        RACK_TEST(another_kind_goes_on_while_there_is_no_room_for_one),
        RACK_TEST(an_approved_removal_goes_on_while_the_pool_is_full),
        RACK_TEST(what_waits_for_an_image_as_well_is_dropped_once),
        RACK_TEST(a_full_pool_is_emptied_all_the_same),
        RACK_TEST(a_new_commit_tries_again_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
