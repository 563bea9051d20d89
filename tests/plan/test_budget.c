/* SPDX-License-Identifier: MPL-2.0 */
/* How much may go without a person's yes: the deletion budget, and the collapse of a set. */
#include "tests/plan/hold.h"

static void lose(struct world *w, const char *kind, int64_t count, int64_t gone)
{
    struct loss *loss = arena_alloc(w->arena, sizeof(*loss));

    *loss = (struct loss){kind, count, gone};
    w->input.losses = loss;
    w->input.loss_count = 1;
}

/* With a number in place of the one # of the manifest. */
static void many(struct text *yaml, const char *manifest, int count)
{
    const char *number = strchr(manifest, '#');

    for (int i = 0; i < count; i++)
        text_printf(yaml, "%.*s%d%s", (int)(number - manifest), manifest, i, number + 1);
}

static void deletions_within_the_budget_run(void **state)
{
    struct world *w = *state;

    world_converge(w, SIX TEN_VOLUMES);
    world_declare(w, PROJECT I("a") I("b") I("c") TEN_VOLUMES);
    world_plan(w);
    assert_int_equal(w->plan->hold_count, 0);
    assert_int_equal(w->plan->run, 3);
}

static void one_deletion_over_the_budget_holds_them_all(void **state)
{
    struct world *w = *state;

    world_converge(w, SIX TEN_VOLUMES);
    world_declare(w, PROJECT I("a") I("b") TEN_VOLUMES V("new"));
    world_plan(w);
    assert_int_equal(w->plan->held, 4);
    assert_int_equal(find_hold(w, "deletion-budget")->steps, 4);
    assert_true(find_hold(w, "deletion-budget")->approvable);
    assert_disposition(w, "Volume", "new", RUN); /* nothing else is held */
    assert_int_equal(plan_exit(w->plan), 2);
    approve(w, find_hold(w, "deletion-budget")->id);
    assert_int_equal(w->plan->held, 0);
    assert_non_null(world_step(w, "Instance", "c")->hold); /* it runs because of this */
}

static void what_was_destroyed_lately_counts(void **state)
{
    struct world *w = *state;

    world_converge(w, SIX TEN_VOLUMES);
    world_declare(w, PROJECT I("a") I("b") I("c") I("d") I("e") TEN_VOLUMES);
    lose(w, "Instance", 2, 0);
    assert_int_equal(world_plan(w)->hold_count, 0);
    lose(w, "Instance", 3, 0);
    world_plan(w);
    assert_string_equal(find_hold(w, "deletion-budget")->reason,
                        "1 would be destroyed and 3 were in the last 24 hours; 3 are allowed "
                        "without approval");
    assert_int_equal(plan_exit(w->plan), 3);
}

/* Found by the simulator: while a driver was down the deletions of its objects, held or under way,
 * were not counted, and those of others went ahead. */
static void what_nobody_can_look_at_counts(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, SIX V("v1"));
    world_declare(w, PROJECT I("a") I("b") I("c") V("v1"));
    for (const char *name = "def"; *name; name++)
        world_row(w, "Instance", (char[]){*name, '\0'})->observed.known = name[0] != 'd';
    lose(w, "Instance", 1, 0);
    world_plan(w);
    assert_disposition(w, "Instance", "d", DEFERRED);
    assert_disposition(w, "Instance", "e", HELD);
    assert_int_equal(find_hold(w, "deletion-budget")->steps, 2);
    approve(w, find_hold(w, "deletion-budget")->id);
    assert_disposition(w, "Instance", "e", RUN);
    world_row(w, "Instance", "e")->observed.known = world_row(w, "Instance", "f")->observed.known =
        false;
    w->input.approved_count = 0;
    assert_int_equal(world_plan(w)->hold_count, 0); /* there is nothing to hold */
}

#define MOVABLE(name) INSTANCE(name, "cpus: 1, memory: 256MiB, updatePolicy: {replace: allowed}")
#define SCRATCH(name) VOLUME(name, "size: 1GiB, onRemove: delete")

static void converge_many(struct world *w, const char *manifest, int count, const char *more)
{
    struct text yaml = TEXT_INIT;

    text_add(&yaml, PROJECT);
    text_add(&yaml, more);
    many(&yaml, manifest, count);
    world_converge(w, yaml.data);
    text_free(&yaml);
}

static void declare_many(struct world *w, const char *manifest, int count, const char *more)
{
    struct text yaml = TEXT_INIT;

    text_add(&yaml, PROJECT);
    text_add(&yaml, more);
    many(&yaml, manifest, count);
    world_declare(w, yaml.data);
    text_free(&yaml);
}

static void of_many_a_share_may_go(void **state)
{
    struct world *w = *state;

    converge_many(w, I("vm#"), 100, "");
    declare_many(w, I("vm#"), 95, "");
    assert_int_equal(world_plan(w)->hold_count, 0);
    declare_many(w, I("vm#"), 94, "");
    world_plan(w);
    assert_int_equal(find_hold(w, "deletion-budget")->steps, 6);
}

/* The share is of what there was when the first of them went. */
static void a_share_that_goes_one_by_one_is_the_same(void **state)
{
    struct world *w = *state;

    converge_many(w, I("vm#"), 97, "");
    declare_many(w, I("vm#"), 95, "");
    lose(w, "Instance", 3, 3);
    assert_int_equal(world_plan(w)->hold_count, 0);
    lose(w, "Instance", 4, 3);
    world_plan(w);
    assert_int_equal(find_hold(w, "deletion-budget")->steps, 2);
    lose(w, "", 4, 4); /* of what nobody knows, it may have been these */
    world_plan(w);
    assert_int_equal(find_hold(w, "deletion-budget")->steps, 2);
}

static void what_nobody_knows_may_have_been_of_any_kind(void **state)
{
    struct world *w = *state;

    converge_many(w, I("vm#"), 100, SCRATCH("a") SCRATCH("b") SCRATCH("c"));
    declare_many(w, I("vm#"), 100, SCRATCH("a"));
    lose(w, "", 1, 1);
    assert_int_equal(world_plan(w)->hold_count, 0);
    lose(w, "", 2, 2); /* of all that are 4 of 105 */
    world_plan(w);
    assert_non_null(strstr(find_hold(w, "deletion-budget")->reason, " of kind Volume "));
}

/* 20 volumes went with 400 projects beside them, which nothing is behind. */
static void what_is_only_a_record_raises_no_budget(void **state)
{
    struct world *w = *state;

    converge_many(w, P("p#"), 200, SCRATCH("a") SCRATCH("b") SCRATCH("c") SCRATCH("d"));
    declare_many(w, P("p#"), 200, "");
    world_plan(w);
    assert_int_equal(find_hold(w, "deletion-budget")->steps, 4);
    declare_many(w, P("p#"), 200, SCRATCH("a"));
    assert_int_equal(world_plan(w)->hold_count, 0);
}

static void each_kind_has_a_budget_of_its_own(void **state)
{
    struct world *w = *state;

    converge_many(w, I("vm#"), 200, SCRATCH("a") SCRATCH("b") SCRATCH("c") SCRATCH("d"));
    declare_many(w, I("vm#"), 200, "");
    world_plan(w);
    assert_string_equal(find_hold(w, "deletion-budget")->reason,
                        "4 of kind Volume would be destroyed and 0 were in the last 24 hours; 3 "
                        "are allowed without approval");
    declare_many(w, I("vm#"), 200, SCRATCH("a"));
    assert_int_equal(world_plan(w)->hold_count, 0);
    lose(w, "Volume", 1, 1);
    world_plan(w);
    assert_int_equal(find_hold(w, "deletion-budget")->steps, 3);
    lose(w, "Instance", 1, 1);
    assert_int_equal(world_plan(w)->hold_count, 0);
    declare_many(w, I("vm#"), 192, SCRATCH("a"));
    world_plan(w); /* 3 and 8 and 1 before them, of 205 */
    assert_int_equal(find_hold(w, "deletion-budget")->steps, 11);
    assert_non_null(strstr(find_hold(w, "deletion-budget")->reason, "10 are allowed"));
}

static void derived_objects_do_not_count(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, PROJECT NETWORK INSTANCE(
                          "a", "cpus: 1, memory: 256MiB, nics: [{name: e0, subnet: front}, {name: "
                               "e1, subnet: front}, {name: e2, subnet: front}]"));
    world_declare(w, PROJECT NETWORK);
    assert_int_equal(world_plan(w)->hold_count, 0);
    assert_int_equal(w->plan->step_count, 4);
}

static void an_approval_lasts_until_the_last_approved_step(void **state)
{
    struct world *w = *state;
    struct known *row;

    world_converge(w, SIX TEN_VOLUMES);
    world_declare(w, PROJECT TEN_VOLUMES);
    world_plan(w);
    approve(w, find_hold(w, "collapse")->id);
    assert_int_equal(w->plan->held, 0);  /* nor by the budget */
    row = world_row(w, "Instance", "a"); /* the first of them is done */
    *row = w->rows[--w->count];
    assert_int_equal(world_plan(w)->held, 0);
}

/* What was let through as a part of the collapse is not asked for once more. */
static void an_approved_collapse_is_none_of_the_budgets(void **state)
{
#define REPLACED(name) \
    INSTANCE(name, "cpus: 1, memory: 256MiB, firmware: uefi, updatePolicy: {replace: allowed}")
    struct world *w = *state;

    w->input.policy.collapse_percent = 10;
    world_converge(w, SIX TEN_VOLUMES);
    world_declare(w, PROJECT REPLACED("a") REPLACED("b") I("c") I("d") TEN_VOLUMES);
    world_plan(w);
    approve(w, find_hold(w, "collapse")->id);
    assert_int_equal(w->plan->held, 0);
    w->input.policy.budget_count = w->input.policy.budget_percent = 1;
    world_plan(w);
    assert_int_equal(find_hold(w, "deletion-budget")->steps, 2);
    assert_disposition(w, "Instance", "a", HELD);
    assert_disposition(w, "Instance", "e", RUN);
}

/* 2 of 17 are no collapse any more, and no less approved. */
static void an_approval_lasts_below_the_limit(void **state)
{
    struct world *w = *state;
    const char *const done[] = {"a", "b", "c", "d"};

    world_converge(w, SIX TEN_VOLUMES);
    world_declare(w, PROJECT TEN_VOLUMES);
    world_plan(w);
    approve(w, find_hold(w, "collapse")->id);
    assert_int_equal(w->plan->approval_steps[0], 6);
    for (size_t i = 0; i < 4; i++) {
        struct known *row = world_row(w, "Instance", done[i]);
        *row = w->rows[--w->count];
    }
    w->input.live = 17;
    w->input.policy.budget_count = 1;
    w->input.policy.budget_percent = 1;
    assert_int_equal(world_plan(w)->held, 0);
    assert_int_equal(w->plan->approval_steps[0], 2);
}

static void an_approval_is_for_one_revision(void **state)
{
    struct world *w = *state;

    world_converge(w, SIX TEN_VOLUMES);
    world_declare(w, PROJECT I("a") TEN_VOLUMES);
    world_plan(w);
    approve(w, find_hold(w, "deletion-budget")->id);
    assert_int_equal(w->plan->held, 0);
    world_declare(w, PROJECT I("b") TEN_VOLUMES);
    assert_int_equal(world_plan(w)->held, 5);
}

/* Who writes commits would find two with the same id, and have the harmless one approved. */
static void nobody_knows_beforehand_what_a_hold_is_called(void **state)
{
    struct world *w = *state;
    const char *collapse, *lost;

    world_converge(w, PROJECT TEN_VOLUMES);
    world_gone(w, "Volume", "v1");
    world_declare(w, PROJECT V("v1"));
    world_plan(w);
    collapse = find_hold(w, "collapse")->id;
    lost = find_hold(w, "lost-data")->id;
    assert_int_equal(strlen(collapse), 16);
    assert_string_not_equal(collapse, lost);
    world_plan(w);
    assert_string_equal(find_hold(w, "collapse")->id, collapse);
    w->input.seed[31] ^= 1;
    world_plan(w);
    assert_string_not_equal(find_hold(w, "collapse")->id, collapse);
    assert_string_not_equal(find_hold(w, "lost-data")->id, lost);
}

static void a_collapsing_set_holds_releases_too(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT TEN_VOLUMES);
    world_declare(w, PROJECT V("v1") V("v2") V("v3") V("v4") V("v5") V("v6") V("v7"));
    assert_int_equal(world_plan(w)->hold_count, 0); /* 3 of 11 */
    world_declare(w, PROJECT V("v1") V("v2") V("v3") V("v4") V("v5") V("v6") V("new"));
    world_plan(w);
    assert_int_equal(find_hold(w, "collapse")->steps, 4);
    assert_disposition(w, "Volume", "v7", HELD);
    assert_disposition(w, "Volume", "new", RUN);
}

/* Eight commits, each of them no collapse, took 40 volumes to 3 in a morning. */
static void a_collapse_is_counted_over_a_day(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT TEN_VOLUMES);
    world_declare(w, PROJECT V("v1") V("v2") V("v3") V("v4") V("v5") V("v6") V("v7") V("v8"));
    w->input.left = 1;
    assert_int_equal(world_plan(w)->hold_count, 0); /* 3 of 12 */
    w->input.left = 2;
    world_plan(w);
    assert_string_equal(find_hold(w, "collapse")->reason,
                        "4 of 13 resources would be gone, with 2 that went in the last 24 hours; "
                        "more than 30% is held");
    assert_int_equal(find_hold(w, "collapse")->steps, 2);
    w->input.live = 15; /* these are a part of the rack's */
    assert_int_equal(world_plan(w)->hold_count, 0);
    w->input.live = 0;
    world_declare(w, PROJECT TEN_VOLUMES);
    w->input.left = 100;
    assert_int_equal(world_plan(w)->hold_count, 0); /* nothing more goes */
}

/* 3 of 10, and more than 30% is held. */
static void a_set_that_loses_no_more_than_it_may_is_no_collapse(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 30;
    world_converge(w,
                   PROJECT V("v1") V("v2") V("v3") V("v4") V("v5") V("v6") V("v7") V("v8") V("v9"));
    world_declare(w, PROJECT V("v1") V("v2") V("v3") V("v4") V("v5") V("v6"));
    assert_int_equal(world_plan(w)->hold_count, 0);
    w->input.policy.collapse_percent = 29;
    world_plan(w);
    assert_int_equal(find_hold(w, "collapse")->steps, 3);
}

/* One machine of ten resources, and not five of ten. */
static void what_an_instance_implies_does_not_count_as_gone(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT NETWORK V("v1") V("v2") V("v3") V("v4") V("v5") V("v6")
                          INSTANCE("a", "cpus: 1, memory: 256MiB, nics: [{name: e0, subnet: front},"
                                        " {name: e1, subnet: front}, {name: e2, subnet: front},"
                                        " {name: e3, subnet: front}]"));
    world_declare(w, PROJECT NETWORK V("v1") V("v2") V("v3") V("v4") V("v5") V("v6"));
    assert_int_equal(world_plan(w)->hold_count, 0);
    assert_disposition(w, "NIC", "a.e3", RUN);
}

/* They left Git before. */
static void what_is_purged_does_not_count_as_gone(void **state)
{
    static const char *const given_up[] = {"v7", "v8", "v9", "v10"};
    struct world *w = *state;

    w->input.policy.budget_count = 10;
    world_converge(w, PROJECT TEN_VOLUMES);
    for (size_t i = 0; i < sizeof given_up / sizeof *given_up; i++) {
        struct known *row = world_row(w, "Volume", given_up[i]);
        row->life = LIFE_RELEASED;
        row->remove_deletes = true;
        row->observed.released = true;
    }
    world_declare(w, PROJECT V("v1") V("v2") V("v3") V("v4") V("v5") V("v6"));
    assert_int_equal(world_plan(w)->hold_count, 0);
    assert_disposition(w, "Volume", "v10", RUN);
}

static void an_empty_set_is_held_by_name(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT V("v1"));
    w->input.policy.collapse_percent = 100;
    world_declare(w, "# nothing\n");
    world_plan(w);
    assert_int_equal(find_hold(w, "empty-set")->steps, 2);
    assert_int_equal(w->plan->run, 0);
    approve(w, find_hold(w, "empty-set")->id);
    assert_int_equal(w->plan->held, 0);
}

static void an_empty_set_on_an_empty_rack_is_nothing(void **state)
{
    struct world *w = *state;

    world_declare(w, "# nothing\n");
    assert_int_equal(world_plan(w)->step_count, 0);
    assert_int_equal(w->plan->hold_count, 0);
}

/* All that goes is another's: there is nothing that an approval could let through. */
static void a_hold_holds_something(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT I("a") I("b") V("v1"));
    world_declare(w, PROJECT V("v1"));
    for (const char *name = "ab"; *name; name++)
        world_row(w, "Instance", (char[]){*name, '\0'})->observed.status =
            json(w, "{\"foreign\":true}");
    world_plan(w);
    for (size_t i = 0; i < w->plan->hold_count; i++)
        assert_true(w->plan->holds[i].steps > 0);
}

/* Four of ten; nobody can look at them. What comes with the same commit must not let them go. */
static void what_cannot_be_looked_at_is_over_the_budget(void **state)
{
    struct world *w = *state;

    world_converge(w, SIX TEN_VOLUMES);
    world_declare(w, PROJECT I("a") I("b") TEN_VOLUMES V("new"));
    world_row(w, "Instance", "c")->observed.known = false;
    world_row(w, "Instance", "d")->observed.known = false;
    world_row(w, "Instance", "e")->observed.known = false;
    world_row(w, "Instance", "f")->observed.known = false;
    assert_int_equal(world_plan(w)->hold_count, 0); /* there is nothing to hold yet */
    assert_true(w->plan->overspends);
}

static void what_is_purged_is_no_part_of_a_collapse(void **state)
{
    struct world *w = *state;

    world_converge(w, SIX V("data"));
    world_row(w, "Volume", "data")->life = LIFE_RELEASED;
    world_row(w, "Volume", "data")->remove_deletes = true;
    world_declare(w, PROJECT);
    world_plan(w);
    assert_int_equal(find_hold(w, "collapse")->steps, 6);
    assert_disposition(w, "Volume", "data", RUN);
}

/* It is replaced when its turn comes, whatever goes until then. */
static void a_contested_replacement_counts(void **state)
{
    struct world *w = *state;
    struct contest contest = {.path = "spec.firmware", .count = 3, .next_try = WORLD_START + 60};

    world_converge(w, PROJECT MOVABLE("a") MOVABLE("b") MOVABLE("c") MOVABLE("d") MOVABLE("e"));
    for (const char *name = "abcd"; *name; name++)
        world_tamper(w, "Instance", (char[]){*name, '\0'}, "spec.firmware", "\"uefi\"");
    contest.uid = world_row(w, "Instance", "a")->uid;
    w->input.contests = &contest;
    w->input.contest_count = 1;
    world_plan(w);
    assert_disposition(w, "Instance", "a", CONTESTED);
    assert_int_equal(find_hold(w, "deletion-budget")->steps, 3);
}

static void becomes(struct world *w, const char *kind, const char *name, const char *other)
{
    world_row(w, kind, name)->chosen =
        json(w, arena_printf(w->arena, "{\"becomes\":\"%s\"}", other));
}

/* Nor is it if nothing is left under the name that it was to get. */
static void what_holds_no_data_is_not_held_for_its_former_name(void **state)
{
    struct world *w = *state;

    world_converge(w, SIX SCRATCH("v") SCRATCH("w"));
    becomes(w, "Instance", "a", "b");
    becomes(w, "Volume", "v", "w");
    world_declare(w, PROJECT I("b") I("c") I("d") I("e") I("f") SCRATCH("w"));
    world_plan(w);
    assert_disposition(w, "Instance", "a", RUN);
    assert_int_equal(find_hold(w, "renamed")->steps, 1);
    assert_disposition(w, "Volume", "v", HELD);
    world_declare(w, PROJECT I("a") I("b") I("c") I("d") I("e") I("f"));
    world_plan(w);
    assert_disposition(w, "Volume", "v", RUN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(deletions_within_the_budget_run),
        TEST(one_deletion_over_the_budget_holds_them_all),
        TEST(what_was_destroyed_lately_counts),
        TEST(what_nobody_can_look_at_counts),
        TEST(of_many_a_share_may_go),
        TEST(a_share_that_goes_one_by_one_is_the_same),
        TEST(what_nobody_knows_may_have_been_of_any_kind),
        TEST(what_is_only_a_record_raises_no_budget),
        TEST(each_kind_has_a_budget_of_its_own),
        TEST(derived_objects_do_not_count),
        TEST(an_approval_lasts_until_the_last_approved_step),
        TEST(an_approved_collapse_is_none_of_the_budgets),
        TEST(an_approval_lasts_below_the_limit),
        TEST(an_approval_is_for_one_revision),
        TEST(nobody_knows_beforehand_what_a_hold_is_called),
        TEST(a_collapsing_set_holds_releases_too),
        TEST(a_collapse_is_counted_over_a_day),
        TEST(a_set_that_loses_no_more_than_it_may_is_no_collapse),
        TEST(what_an_instance_implies_does_not_count_as_gone),
        TEST(what_is_purged_does_not_count_as_gone),
        TEST(what_is_purged_is_no_part_of_a_collapse),
        TEST(a_contested_replacement_counts),
        TEST(what_holds_no_data_is_not_held_for_its_former_name),
        TEST(an_empty_set_is_held_by_name),
        TEST(an_empty_set_on_an_empty_rack_is_nothing),
        TEST(a_hold_holds_something),
        TEST(what_cannot_be_looked_at_is_over_the_budget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
