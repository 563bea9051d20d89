/* SPDX-License-Identifier: MPL-2.0 */
/* What the guard holds, and what it lets through: every rule, on both sides. */
#include "tests/plan/world.h"

#define V(name) VOLUME(name, "size: 1GiB")
#define P(name) DOC("Project", "name: " name, "{}")
#define I(name) INSTANCE(name, "cpus: 1, memory: 256MiB")
#define SIX PROJECT I("a") I("b") I("c") I("d") I("e") I("f")
#define TEN_VOLUMES V("v1") V("v2") V("v3") V("v4") V("v5") V("v6") V("v7") V("v8") V("v9") V("v10")

static void assert_disposition(const struct world *w, const char *kind, const char *name,
                               enum disposition disposition)
{
    const struct step *step = world_step(w, kind, name);

    if (!step)
        fail_msg("no step for %s %s", kind, name);
    assert_string_equal(disposition_text(step->disposition), disposition_text(disposition));
}

static const struct hold *find_hold(const struct world *w, const char *rule)
{
    for (size_t i = 0; i < w->plan->hold_count; i++)
        if (strcmp(w->plan->holds[i].rule, rule) == 0)
            return &w->plan->holds[i];
    fail_msg("nothing is held by rule %s", rule);
    return NULL;
}

static void approve(struct world *w, const char *id)
{
    const char **ids = arena_array(w->arena, w->input.approved_count + 1, sizeof(*ids));

    for (size_t i = 0; i < w->input.approved_count; i++)
        ids[i] = w->input.approved[i];
    ids[w->input.approved_count++] = id;
    w->input.approved = ids;
    world_plan(w);
}

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

static void freeze(struct world *w, const char *what, int64_t until)
{
    struct freeze *freeze = arena_alloc(w->arena, sizeof(*freeze));

    *freeze = (struct freeze){what, "ana", "the fair", until};
    w->input.freezes = freeze;
    w->input.freeze_count = 1;
    world_plan(w);
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

static void protection_is_of_the_last_applied_revision(void **state)
{
    struct world *w = *state;
    const char *id;

    world_converge(w, SIX TEN_VOLUMES);
    world_row(w, "Instance", "a")->protect = true;
    world_declare(w, PROJECT I("b") I("c") I("d") I("e") I("f") TEN_VOLUMES V("new"));
    world_plan(w);
    assert_disposition(w, "Instance", "a", HELD);
    assert_disposition(w, "Volume", "new", RUN);
    assert_false(find_hold(w, "protect")->approvable);
    id = find_hold(w, "protect")->id;
    approve(w, id);
    assert_disposition(w, "Instance", "a", HELD); /* no approval lifts it */
    world_row(w, "Instance", "a")->protect = false;
    world_plan(w);
    assert_disposition(w, "Instance", "a", RUN);
}

static void a_protected_object_is_not_replaced(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT I("a"));
    world_row(w, "Instance", "a")->protect = true;
    world_declare(w, PROJECT INSTANCE("a", "cpus: 1, memory: 256MiB, firmware: uefi, "
                                           "updatePolicy: {replace: allowed}"));
    world_plan(w);
    assert_disposition(w, "Instance", "a", HELD);
    assert_int_equal(world_step(w, "Instance", "a")->action, ACTION_REPLACE);
}

/* One bit of the record may have turned; the object says it, too. */
static void an_object_that_says_so_is_protected(void **state)
{
    struct world *w = *state;
    struct known *row;

    world_converge(w, PROJECT VOLUME("v1", "size: 1GiB, onRemove: delete, protect: true"));
    row = world_row(w, "Volume", "v1");
    row->protect = false;
    assert_true(value_get_bool(row->observed.spec, "protect", false));
    world_declare(w, PROJECT);
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "v1")->action, ACTION_RELEASE);
    row->life = LIFE_RELEASED; /* and somebody has given it up */
    world_plan(w);
    assert_int_equal(world_step(w, "Volume", "v1")->action, ACTION_DELETE);
    assert_int_equal(world_step(w, "Volume", "v1")->disposition, HELD);
}

static void a_protected_object_may_be_changed(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT V("v1"));
    world_row(w, "Volume", "v1")->protect = true;
    world_declare(w, PROJECT VOLUME("v1", "size: 2GiB, protect: true"));
    world_plan(w);
    assert_disposition(w, "Volume", "v1", RUN);
}

static void what_does_not_carry_our_tag_is_never_touched(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT V("v1"));
    world_row(w, "Volume", "v1")->observed.status = json(w, "{\"foreign\":true}");
    world_declare(w, PROJECT VOLUME("v1", "size: 2GiB"));
    world_plan(w);
    assert_disposition(w, "Volume", "v1", HELD);
    assert_false(find_hold(w, "ownership")->approvable);
}

static void a_higher_epoch_stops_and_asks(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT V("v1") V("v2") V("v3") V("v4"));
    world_row(w, "Volume", "v1")->observed.epoch = 9;
    world_plan(w);
    assert_disposition(w, "Volume", "v1", HELD);
    assert_non_null(strstr(find_hold(w, "epoch")->reason, "epoch 9, the store only 1"));
    approve(w, find_hold(w, "epoch")->id);
    assert_disposition(w, "Volume", "v1", RUN);
    assert_int_equal(world_step(w, "Volume", "v1")->action, ACTION_ADOPT);
    world_declare(w, PROJECT V("v2") V("v3") V("v4"));
    world_plan(w);
    assert_disposition(w, "Volume", "v1", HELD); /* leaving is no way around it */
}

static void each_of_many_lost_volumes_has_a_hold_of_its_own(void **state)
{
    struct world *w = *state;
    struct text yaml = TEXT_INIT;

    text_add(&yaml, PROJECT);
    for (int i = 0; i < 200; i++)
        text_printf(&yaml, VOLUME("v%d", "size: 1GiB"), i);
    world_converge(w, yaml.data);
    text_free(&yaml);
    for (int i = 0; i < 200; i++)
        world_gone(w, "Volume", arena_printf(w->arena, "v%d", i));
    world_plan(w);
    assert_int_equal(w->plan->held, 200);
    assert_int_equal(w->plan->hold_count, 200);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(w->plan->holds[i].steps, 1);
        assert_string_equal(w->plan->holds[i].id, w->plan->steps[i].hold);
    }
}

static void a_lost_volume_is_not_made_anew_in_silence(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB("cpus: 1, memory: 256MiB"));
    world_gone(w, "Volume", "data");
    world_gone(w, "Instance", "web-1");
    world_plan(w);
    assert_disposition(w, "Volume", "data", HELD);
    assert_disposition(w, "Instance", "web-1", HELD); /* it waits for the volume */
    assert_string_equal(world_step(w, "Instance", "web-1")->hold, find_hold(w, "lost-data")->id);
    assert_string_equal(world_step(w, "Instance", "web-1")->reason,
                        "waits for Volume shop/data, which is held");
    assert_int_equal(find_hold(w, "lost-data")->steps, 2);
    approve(w, find_hold(w, "lost-data")->id);
    assert_disposition(w, "Volume", "data", RUN);
    assert_disposition(w, "Instance", "web-1", RUN);
}

static void a_new_volume_and_one_half_made_are_not_lost(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT V("v1"));
    world_gone(w, "Volume", "v1");
    world_row(w, "Volume", "v1")->life = LIFE_NEW;
    world_plan(w);
    assert_disposition(w, "Volume", "v1", RUN);
}

static void frozen_changes_leave_healing_alone(void **state)
{
    struct world *w = *state;
    const struct step *step;

    world_converge(w, SHOP);
    world_tamper(w, "VPC", "net", "spec.nat", "false");
    world_declare(
        w, PROJECT DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16], mtu: 1400}")
               DOC("Subnet", "project: shop, name: front", "{vpc: net, cidr: 10.0.1.0/24}")
                   V("data2") VOLUME("data", "size: 4GiB"));
    freeze(w, "changes", 0);
    step = world_step(w, "VPC", "net");
    assert_int_equal(step->disposition, RUN);
    assert_int_equal(world_field(w, "VPC", "net", "spec.nat")->disposition, RUN);
    assert_int_equal(world_field(w, "VPC", "net", "spec.mtu")->disposition, FROZEN);
    assert_int_equal(value_get_int(step->spec, "mtu", 0), 1500);
    assert_disposition(w, "Volume", "data2", FROZEN);
    assert_string_equal(world_step(w, "Volume", "data2")->reason,
                        "changes are frozen by ana: the fair");
}

static void frozen_healing_leaves_changes_alone(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP V("v2"));
    world_gone(w, "VPC", "net");
    world_tamper(w, "Volume", "data", "spec.size", "1073741824");
    world_declare(w, SHOP VOLUME("v2", "size: 2GiB"));
    freeze(w, "healing", 0);
    assert_disposition(w, "VPC", "net", FROZEN);
    assert_disposition(w, "Volume", "data", FROZEN);
    assert_disposition(w, "Volume", "v2", RUN);
}

static void frozen_deletions_stop_releases_and_replacements(void **state)
{
    struct world *w = *state;

    w->input.policy.collapse_percent = 100;
    world_converge(w, PROJECT V("v1") I("a") I("b"));
    world_declare(w, PROJECT V("v2") INSTANCE("a", "cpus: 1, memory: 256MiB, firmware: uefi, "
                                                   "updatePolicy: {replace: allowed}"));
    freeze(w, "deletions", 0);
    assert_disposition(w, "Volume", "v1", FROZEN);
    assert_disposition(w, "Instance", "a", FROZEN);
    assert_disposition(w, "Instance", "b", FROZEN);
    assert_disposition(w, "Volume", "v2", RUN);
    assert_int_equal(plan_exit(w->plan), 2);
}

static void a_freeze_ends_by_itself(void **state)
{
    struct world *w = *state;

    world_declare(w, PROJECT V("v1"));
    freeze(w, "changes", WORLD_START + 10);
    assert_disposition(w, "Volume", "v1", FROZEN);
    w->input.now += 10;
    world_plan(w);
    assert_disposition(w, "Volume", "v1", RUN);
}

static void a_rebuilt_store_holds_everything_until_a_person_confirms(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT V("v1"));
    world_declare(w, PROJECT V("v2"));
    w->input.report_only = true;
    world_plan(w);
    assert_disposition(w, "Volume", "v1", HELD);
    assert_disposition(w, "Volume", "v2", HELD);
    assert_int_equal(find_hold(w, "rebuild")->steps, 2);
    assert_true(find_hold(w, "rebuild")->approvable);
    assert_int_equal(plan_exit(w->plan), 3);
}

static void what_is_reported_anyway_is_not_judged(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT VOLUME("v1", "size: 2GiB"));
    world_row(w, "Volume", "v1")->observed.status = json(w, "{\"foreign\":true}");
    world_declare(w, PROJECT V("v1"));
    world_plan(w);
    assert_disposition(w, "Volume", "v1", REPORTED);
    w->input.report_only = true;
    world_plan(w);
    assert_disposition(w, "Volume", "v1", REPORTED);
    assert_int_equal(find_hold(w, "rebuild")->steps, 0);
}

static void each_hold_names_its_own_steps(void **state)
{
    struct world *w = *state;

    world_converge(w, PROJECT I("a") I("b") V("v1"));
    world_row(w, "Instance", "a")->protect = true;
    world_row(w, "Instance", "b")->protect = true;
    world_declare(w, PROJECT);
    world_plan(w);
    assert_int_equal(w->plan->hold_count, 3);
    assert_string_not_equal(world_step(w, "Instance", "a")->hold,
                            world_step(w, "Instance", "b")->hold);
    assert_int_equal(find_hold(w, "protect")->steps, 1);
    assert_int_equal(find_hold(w, "collapse")->steps, 1); /* only the volume is left to it */
}

static void a_second_row_of_an_identity_is_left_to_a_person(void **state)
{
    struct world *w = *state;
    struct known *row;

    world_converge(w, PROJECT V("v1") V("v2"));
    row = &w->rows[w->count++];
    *row = *world_row(w, "Volume", "v1");
    row->uid = "ffffffffffffffffffffffffffffffff";
    world_plan(w);
    assert_int_equal(w->plan->step_count, 1);
    assert_disposition(w, "Volume", "v1", REPORTED);
    assert_int_equal(w->plan->hold_count, 0);
}

static void what_was_not_looked_at_yet_counts_as_gone(void **state)
{
    struct world *w = *state;

    world_converge(w, SIX TEN_VOLUMES);
    for (size_t i = 0; i < w->count; i++)
        w->rows[i].observed.known = false;
    world_declare(w, PROJECT V("v1"));
    world_plan(w);
    assert_int_equal(find_hold(w, "collapse")->steps, 15);
}

static void a_freeze_touches_only_what_would_run(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP V("v2") INSTANCE("a", "cpus: 1, memory: 256MiB, maxCpus: 2")
                          INSTANCE("b", "cpus: 1, memory: 256MiB, maxCpus: 2"));
    world_tamper(w, "Instance", "a", "spec.memory", "134217728");
    world_declare(w, PROJECT NETWORK VOLUME("data", "size: 1GiB")
                         INSTANCE("a", "cpus: 2, memory: 256MiB, maxCpus: 4")
                             INSTANCE("b", "cpus: 1, memory: 256MiB, maxCpus: 4, updatePolicy: "
                                           "{restart: immediate}"));
    freeze(w, "changes", 0);
    assert_disposition(w, "Volume", "data", REPORTED);
    assert_disposition(w, "Volume", "v2", FROZEN);
    assert_disposition(w, "Instance", "a", RUN);
    assert_disposition(w, "Instance", "b", FROZEN);
    assert_int_equal(world_field(w, "Instance", "a", "spec.memory")->disposition, RUN);
    assert_int_equal(world_field(w, "Instance", "a", "spec.cpus")->disposition, FROZEN);
    assert_int_equal(world_field(w, "Instance", "a", "spec.maxCpus")->disposition, DEFERRED);
    freeze(w, "deletions", 0);
    assert_disposition(w, "Volume", "data", REPORTED);
    assert_disposition(w, "Volume", "v2", FROZEN);
    assert_disposition(w, "Instance", "a", RUN);
}

static void a_freeze_of_another_thing_stops_nothing(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP V("v2"));
    world_tamper(w, "VPC", "net", "spec.mtu", "1400");
    world_declare(w, SHOP V("v3"));
    freeze(w, "healing", 0);
    assert_disposition(w, "Volume", "v2", RUN);
    assert_disposition(w, "Volume", "v3", RUN);
    assert_disposition(w, "VPC", "net", FROZEN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(deletions_within_the_budget_run),
        TEST(one_deletion_over_the_budget_holds_them_all),
        TEST(what_nobody_can_look_at_counts),
        TEST(what_was_destroyed_lately_counts),
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
        TEST(an_empty_set_is_held_by_name),
        TEST(an_empty_set_on_an_empty_rack_is_nothing),
        TEST(protection_is_of_the_last_applied_revision),
        TEST(a_protected_object_is_not_replaced),
        TEST(an_object_that_says_so_is_protected),
        TEST(a_protected_object_may_be_changed),
        TEST(what_does_not_carry_our_tag_is_never_touched),
        TEST(a_higher_epoch_stops_and_asks),
        TEST(each_of_many_lost_volumes_has_a_hold_of_its_own),
        TEST(a_lost_volume_is_not_made_anew_in_silence),
        TEST(a_new_volume_and_one_half_made_are_not_lost),
        TEST(frozen_changes_leave_healing_alone),
        TEST(frozen_healing_leaves_changes_alone),
        TEST(frozen_deletions_stop_releases_and_replacements),
        TEST(a_freeze_ends_by_itself),
        TEST(a_rebuilt_store_holds_everything_until_a_person_confirms),
        TEST(what_is_reported_anyway_is_not_judged),
        TEST(each_hold_names_its_own_steps),
        TEST(a_second_row_of_an_identity_is_left_to_a_person),
        TEST(what_was_not_looked_at_yet_counts_as_gone),
        TEST(a_freeze_touches_only_what_would_run),
        TEST(a_freeze_of_another_thing_stops_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
