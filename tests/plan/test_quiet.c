/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is as declared, row by row: where it is found to be so, the plan is that of the whole, to
 * the byte; and each thing that leaves a row to the plan of the whole does. Histories of many rows,
 * and every field changed by itself, are in tests/engine/test_quiet.c.
 */
#include "tests/plan/expect.h"

#include "model/net.h"
#include "reconciler/plan/quiet.h"

#define SMALL "cpus: 1, memory: 256MiB, nics: [{name: eth0, subnet: "
#define BACK DOC("Subnet", "project: shop, name: back", "{vpc: net, cidr: 10.0.2.0/24}")
/* Two NICs that have their addresses from Git, each in its subnet, and two that do not. */
#define PINNED                                                                          \
    PROJECT NETWORK BACK INSTANCE("a", SMALL "front, address: 10.0.1.5}]")              \
        INSTANCE("b", SMALL "front}]") INSTANCE("c", SMALL "back, address: 10.0.2.5}]") \
            INSTANCE("d", SMALL "back}]")

static const char *document(struct world *w, const struct plan *plan)
{
    return json_text(w->arena, plan_value(w->arena, plan));
}

/* The plan that is made row by row; NULL if something is left to the whole. */
static const struct plan *quiet_plan(struct world *w)
{
    struct quiet *quiet = quiet_begin(w->arena, &w->input);
    bool goes_on = true;

    for (size_t i = 0; i < w->count; i++)
        goes_on = quiet_row(quiet, &w->rows[i]) && goes_on;
    const struct plan *plan = quiet_end(quiet);
    assert_true(goes_on || !plan);
    return plan;
}

static void assert_quiet(struct world *w)
{
    const struct plan *quiet = quiet_plan(w), *whole = world_plan(w);

    assert_non_null(quiet);
    assert_string_equal(document(w, quiet), document(w, whole));
}

static void addresses_from_git_are_as_declared(void **state)
{
    struct world *w = *state;

    world_converge(w, PINNED);
    assert_quiet(w);
}

static void nobody_keeps_an_address_that_git_gives_to_another(void **state)
{
    struct world *w = *state;

    world_converge(w, PINNED);
    world_row(w, "NIC", "b.eth0")->chosen =
        json(w, "{\"address\": \"10.0.1.5\", \"mac\": \"02:00:00:00:00:01\"}");
    assert_null(quiet_plan(w));
}

static void an_address_from_elsewhere_is_left(void **state)
{
    struct world *w = *state;

    world_converge(w, PINNED);
    world_row(w, "NIC", "b.eth0")->chosen =
        json(w, "{\"address\": \"10.0.2.9\", \"mac\": \"02:00:00:00:00:01\"}");
    assert_null(quiet_plan(w));
}

/* A set with problems is never planned; it does no harm either. */
static void a_subnet_that_nobody_declares_holds_nobody(void **state)
{
    struct world *w = *state;
    struct report report;

    world_converge(w, PINNED);
    w->rows[0] = *world_row(w, "NIC", "d.eth0");
    w->count = 1;
    world_try_declare(w, PROJECT NETWORK INSTANCE("d", SMALL "back}]"), &report);
    assert_true(report.count > 0);
    assert_null(quiet_plan(w));
}

static void rows_of_an_empty_repository_are_left(void **state)
{
    struct world *w = *state;

    world_declare(w, "");
    assert_quiet(w);
    world_converge(w, PROJECT);
    world_declare(w, "");
    assert_null(quiet_plan(w));
}

static void the_oldest_look_is_told(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_row(w, "Volume", "data")->observed.at = WORLD_START - 60;
    world_row(w, "VPC", "net")->observed.at = WORLD_START - 90;
    assert_quiet(w);
    assert_int_equal(w->plan->observed_at, WORLD_START - 90);
}

static void two_rows_of_one_name_are_left(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    w->rows[w->count++] = *world_row(w, "Volume", "data");
    assert_null(quiet_plan(w));
}

static void a_kind_that_nobody_knows_is_left(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_row(w, "Volume", "data")->kind = "Balloon";
    assert_null(quiet_plan(w));
}

static void names_that_changed_are_left(void **state)
{
    static const char *const keys[] = {"called", "becomes", "formerly"};
    struct world *w = *state;

    world_converge(w, SHOP);
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        struct known *row = world_row(w, "Volume", "data");

        row->chosen = json(w, arena_printf(w->arena, "{\"%s\": \"old\"}", keys[i]));
        assert_null(quiet_plan(w));
    }
}

static void what_is_not_known_for_sure_is_left(void **state)
{
    struct world *w = *state;
    struct known *row, before;

    world_converge(w, SHOP);
    row = world_row(w, "Volume", "data");
    before = *row;
    row->chosen = NULL;
    assert_null(quiet_plan(w));
    *row = before;
    row->life = LIFE_NEW;
    assert_null(quiet_plan(w));
    *row = before;
    row->observed.known = false;
    assert_null(quiet_plan(w));
    *row = before;
    row->applied = NULL;
    assert_null(quiet_plan(w));
    *row = before;
    assert_quiet(w);
}

/* Its object has what it was given, and its row does not say so. */
static void what_is_not_recorded_is_left(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_row(w, "Volume", "data")->protect = true;
    world_plan(w);
    assert_int_equal(w->plan->step_count, 0);
    assert_int_equal(w->plan->unrecorded_count, 1);
    assert_null(quiet_plan(w));
}

static void what_is_kept_is_told_with_the_others(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP VOLUME("a", "size: 1GiB") VOLUME("z", "size: 1GiB"));
    world_converge(w, SHOP VOLUME("z", "size: 1GiB"));
    assert_int_equal(world_row(w, "Volume", "a")->life, LIFE_RELEASED);
    assert_quiet(w);
    world_converge(w, SHOP);
    assert_int_equal(world_row(w, "Volume", "z")->life, LIFE_RELEASED);
    assert_quiet(w);
}

static void what_is_kept_may_be_all_that_is_left(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, PROJECT VOLUME("a", "size: 1GiB"));
    world_converge(w, PROJECT);
    assert_int_equal(world_row(w, "Volume", "a")->life, LIFE_RELEASED);
    assert_quiet(w);
}

static void what_is_kept_and_newer_than_its_row_is_left(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_converge(w, PROJECT NETWORK);
    assert_quiet(w);
    world_row(w, "Volume", "data")->observed.epoch += 2;
    assert_null(quiet_plan(w));
}

static void what_was_kept_and_is_declared_again_is_left(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP);
    world_converge(w, PROJECT NETWORK);
    world_declare(w, SHOP);
    assert_null(quiet_plan(w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_from_git_are_as_declared),
        TEST(nobody_keeps_an_address_that_git_gives_to_another),
        TEST(an_address_from_elsewhere_is_left),
        TEST(a_subnet_that_nobody_declares_holds_nobody),
        TEST(rows_of_an_empty_repository_are_left),
        TEST(the_oldest_look_is_told),
        TEST(two_rows_of_one_name_are_left),
        TEST(a_kind_that_nobody_knows_is_left),
        TEST(names_that_changed_are_left),
        TEST(what_is_not_known_for_sure_is_left),
        TEST(what_is_not_recorded_is_left),
        TEST(what_is_kept_is_told_with_the_others),
        TEST(what_is_kept_may_be_all_that_is_left),
        TEST(what_is_kept_and_newer_than_its_row_is_left),
        TEST(what_was_kept_and_is_declared_again_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
