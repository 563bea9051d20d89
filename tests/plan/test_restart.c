/* SPDX-License-Identifier: MPL-2.0 */
/* When a change of a machine comes: at once, with a restart, with the next start, never. */
#include "tests/plan/expect.h"

static void cpus_within_the_boot_reserve_are_live(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 4, maxCpus: 4, memory: 256MiB"));
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_UPDATE, RUN);
    assert_field(w, "Instance", "web-1", "spec.cpus", CHANGE_LIVE, RUN);
    assert_string_equal(world_field(w, "Instance", "web-1", "spec.cpus")->reason,
                        "4 reserved at boot");
}

static void a_deferred_field_does_not_block_a_live_one(void **state)
{
    struct world *w = *state;
    const struct step *step;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 3, maxCpus: 8, memory: 256MiB"));
    world_plan(w);
    step = world_step(w, "Instance", "web-1");
    assert_step(w, "Instance", "web-1", ACTION_UPDATE, RUN);
    assert_field(w, "Instance", "web-1", "spec.cpus", CHANGE_LIVE, RUN);
    assert_field(w, "Instance", "web-1", "spec.maxCpus", CHANGE_RESTART, DEFERRED);
    assert_int_equal(value_get_int(step->spec, "cpus", 0), 3);
    assert_int_equal(value_get_int(step->spec, "maxCpus", 0), 4); /* as it was booted */
}

static void cpus_beyond_the_reserve_wait_for_a_restart(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 8, maxCpus: 8, memory: 256MiB"));
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.cpus", CHANGE_RESTART, DEFERRED);
    assert_non_null(
        strstr(world_field(w, "Instance", "web-1", "spec.cpus")->reason, "8 > 4 reserved"));
    assert_int_equal(plan_exit(w->plan), 0);
}

static void a_pending_restart_comes_with_the_next_start(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 8, maxCpus: 8, memory: 256MiB"));
    world_plan(w);
    world_stop(w, "web-1", "guest-shutdown");
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.maxCpus", CHANGE_LIVE, RUN);
    assert_field(w, "Instance", "web-1", "spec.power", CHANGE_LIVE, RUN);
    assert_int_equal(world_apply(w), 0);
    assert_int_equal(
        value_get_int(world_row(w, "Instance", "web-1")->observed.booted, "maxCpus", 0), 8);
}

/* Found by the simulator: the store was restored to before a change, Git went back as well, and a
 * machine that was switched off kept what it would start with. Nothing of it was reported. */
static void what_a_stopped_machine_would_start_with_is_compared(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED ", power: \"off\""));
    world_tamper(w, "Instance", "web-1", "spec.maxCpus", "8");
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_UPDATE, RUN);
    assert_field(w, "Instance", "web-1", "spec.maxCpus", CHANGE_LIVE, RUN);
    assert_int_equal(world_field(w, "Instance", "web-1", "spec.maxCpus")->cause, CAUSE_DRIFT);
    assert_int_equal(value_get_int(world_step(w, "Instance", "web-1")->spec, "maxCpus", 0), 4);
    assert_int_equal(world_apply(w), 0);
    world_tamper(w, "Instance", "web-1", "spec.maxCpus", NULL); /* its driver does not say */
    world_plan(w);
    assert_int_equal(w->plan->step_count, 0);
}

static void what_runs_is_judged_by_how_it_was_started(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_tamper(w, "Instance", "web-1", "spec.maxCpus", "8");
    world_plan(w);
    assert_int_equal(w->plan->step_count, 0);
}

static void policy_immediate_restarts(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 8, maxCpus: 8, memory: 256MiB, "
                              "updatePolicy: {restart: immediate}"));
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_RESTART, RUN);
    assert_int_equal(world_step(w, "Instance", "web-1")->impact, CHANGE_RESTART);
    assert_int_equal(world_apply(w), 0);
}

static void policy_never_only_reports(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 8, maxCpus: 8, memory: 256MiB, "
                              "updatePolicy: {restart: never}"));
    assert_int_equal(world_apply(w), 0);
    assert_field(w, "Instance", "web-1", "spec.maxCpus", CHANGE_RESTART, REPORTED);
}

static void a_window_names_its_next_opening_and_then_restarts(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 8, maxCpus: 8, memory: 256MiB, updatePolicy: "
                              "{restart: window, window: {start: \"02:00\", duration: 1h}}"));
    assert_int_equal(world_apply(w), 0); /* the policy itself */
    assert_field(w, "Instance", "web-1", "spec.maxCpus", CHANGE_RESTART, DEFERRED);
    assert_non_null(strstr(world_field(w, "Instance", "web-1", "spec.maxCpus")->reason,
                           "opens 2027-01-16 02:00:00 UTC"));
    w->input.now += 18 * 3600 + 30 * 60;
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_RESTART, RUN);
    w->input.now += 3600;
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_UPDATE, DEFERRED);
}

static void a_revert_takes_a_pending_restart_back(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB("cpus: 8, maxCpus: 8, memory: 256MiB"));
    world_apply(w);
    world_declare(w, SHOP WEB(BOUNDED));
    world_plan(w);
    assert_int_equal(w->plan->step_count, 0);
}

static void replacing_needs_leave(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP WEB(BOUNDED ", firmware: uefi"));
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_UPDATE, REPORTED);
    world_declare(w, SHOP WEB(BOUNDED ", firmware: uefi, updatePolicy: {replace: allowed}"));
    world_plan(w);
    assert_step(w, "Instance", "web-1", ACTION_REPLACE, RUN);
    assert_true(world_step(w, "Instance", "web-1")->is_destructive);
    assert_null(world_step(w, "Volume", "data"));
    w->input.incarnations = one_before;
    assert_int_equal(world_apply(w), 0);
}

static void power_follows_the_restart_policy(void **state)
{
    static const struct {
        const char *mode, *reason;
        enum disposition want;
    } cases[] = {
        {"always", "guest-shutdown", RUN},
        {"always", "killed", RUN},
        {"onFailure", "guest-shutdown", REPORTED},
        {"onFailure", "crash", RUN},
        {"onFailure", "guest-panic", RUN},
        {"onFailure", "host-signal", RUN},
        {"onFailure", "", RUN},
        {"never", "crash", REPORTED},
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *yaml =
            arena_printf(w->arena, "%sspec: {cpus: 1, memory: 256MiB, restartPolicy: {mode: %s}}\n",
                         PROJECT "---\napiVersion: spinel/v1\nkind: Instance\n"
                                 "metadata: {project: shop, name: web-1}\n",
                         cases[i].mode);

        world_converge(w, yaml);
        world_stop(w, "web-1", cases[i].reason);
        world_plan(w);
        assert_field(w, "Instance", "web-1", "spec.power", CHANGE_LIVE, cases[i].want);
        world_tamper(w, "Instance", "web-1", "spec.power", "\"on\"");
        world_row(w, "Instance", "web-1")->observed.booted =
            world_row(w, "Instance", "web-1")->observed.spec;
    }
}

static void back_off_says_when_it_starts_again(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_stop(w, "web-1", "crash");
    world_row(w, "Instance", "web-1")->next_start = WORLD_START + 5;
    world_row(w, "Instance", "web-1")->start_failures = 3;
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.power", CHANGE_LIVE, DEFERRED);
    assert_string_equal(world_field(w, "Instance", "web-1", "spec.power")->reason,
                        "it stopped (crash); starts again at 2027-01-15 08:00:05 UTC (stopped 3 "
                        "times in a row)");
    w->input.now += 5;
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.power", CHANGE_LIVE, RUN);
}

static void git_turns_power_on_whatever_the_policy(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED ", power: \"off\", restartPolicy: {mode: never}"));
    assert_null(world_row(w, "Instance", "web-1")->observed.booted);
    world_declare(w, SHOP WEB(BOUNDED ", power: \"on\", restartPolicy: {mode: never}"));
    world_plan(w);
    assert_field(w, "Instance", "web-1", "spec.power", CHANGE_LIVE, RUN);
}

static void labels_are_recorded_without_touching_the_machine(void **state)
{
    struct world *w = *state;

    world_converge(w, SHOP WEB(BOUNDED));
    world_declare(w, SHOP DOC("Instance", "project: shop, name: web-1, labels: {tier: front}",
                              "{" DISK ", " NIC ", " BOUNDED "}"));
    world_plan(w);
    assert_field(w, "Instance", "web-1", "metadata.labels", CHANGE_METADATA, RUN);
    assert_int_equal(world_step(w, "Instance", "web-1")->impact, CHANGE_LIVE);
    assert_int_equal(world_apply(w), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cpus_within_the_boot_reserve_are_live),
        TEST(a_deferred_field_does_not_block_a_live_one),
        TEST(cpus_beyond_the_reserve_wait_for_a_restart),
        TEST(a_pending_restart_comes_with_the_next_start),
        TEST(what_a_stopped_machine_would_start_with_is_compared),
        TEST(what_runs_is_judged_by_how_it_was_started),
        TEST(policy_immediate_restarts),
        TEST(policy_never_only_reports),
        TEST(a_window_names_its_next_opening_and_then_restarts),
        TEST(a_revert_takes_a_pending_restart_back),
        TEST(replacing_needs_leave),
        TEST(power_follows_the_restart_policy),
        TEST(back_off_says_when_it_starts_again),
        TEST(git_turns_power_on_whatever_the_policy),
        TEST(labels_are_recorded_without_touching_the_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
