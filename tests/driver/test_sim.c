/* SPDX-License-Identifier: MPL-2.0 */
/* The simulated driver: what was applied is what is there, damage is told, and faults
 * come as they were asked for. */
#include "tests/driver/rack.h"

static int setup(void **state)
{
    *state = rack_new("sim");
    return 0;
}

static int teardown(void **state)
{
    rack_free(*state);
    return 0;
}

#define SPEC(cpus, max, power)                                                                  \
    "{\"spec\":{\"cpus\":" #cpus ",\"maxCpus\":" #max ",\"memory\":67108864,\"power\":\"" power \
    "\"},\"changed\":[\"spec.cpus\",\"spec.maxCpus\",\"spec.power\"]}"

static void a_restart_field_waits_for_a_restart(void **state)
{
    struct rack *rack = *state;
    rack_start(rack, NULL);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Instance", SPEC(1, 2, "on")));
    assert_applied(rack, rack_apply(rack, 1, 2, "update", "Instance", SPEC(2, 8, "on")));
    const struct value *object = rack_look(rack, 1);
    assert_int_equal(value_at_int(object, "spec.cpus", 0), 2);
    assert_int_equal(value_at_int(object, "booted.maxCpus", 0), 2);
    assert_applied(rack, rack_apply(rack, 1, 3, "restart", "Instance", SPEC(2, 8, "on")));
    assert_int_equal(value_at_int(rack_look(rack, 1), "booted.maxCpus", 0), 8);
}

static void power_off_ends_the_booted_record_and_on_makes_a_new_one(void **state)
{
    struct rack *rack = *state;
    rack_start(rack, NULL);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Instance", SPEC(1, 2, "on")));
    assert_applied(rack, rack_apply(rack, 1, 2, "update", "Instance", SPEC(1, 4, "off")));
    assert_false(value_is_map(value_get(rack_look(rack, 1), "booted")));
    assert_string_equal(value_at_text(rack_look(rack, 1), "status.state", ""), "stopped");
    assert_applied(rack, rack_apply(rack, 1, 3, "update", "Instance", SPEC(1, 4, "on")));
    assert_int_equal(value_at_int(rack_look(rack, 1), "booted.maxCpus", 0), 4);
}

#define UID_A "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"
#define UID_B "b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2"
#define DISK_OF(uid)                                                                               \
    "{\"spec\":{\"cpus\":1,\"power\":\"on\",\"disks\":[{\"name\":\"root\",\"volume\":\"data\"}]}," \
    "\"changed\":[\"spec.cpus\"],\"refs\":{\"Volume\":{\"data\":{\"uid\":\"" uid "\"}}}}"

static const char *root_uid(struct rack *rack)
{
    return value_get_text(value_at(rack_look(rack, 1), "status.refs"), "spec.disks[root].volume",
                          "");
}

/* Who bears the name since is not what it has open. */
static void a_machine_tells_by_uid_what_it_has_open_until_it_starts_anew(void **state)
{
    struct rack *rack = *state;
    rack_start(rack, NULL);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Instance", DISK_OF(UID_A)));
    assert_string_equal(root_uid(rack), UID_A);
    assert_applied(rack, rack_apply(rack, 1, 2, "update", "Instance", DISK_OF(UID_B)));
    assert_string_equal(root_uid(rack), UID_A);
    assert_applied(rack, rack_apply(rack, 1, 3, "restart", "Instance", DISK_OF(UID_B)));
    assert_string_equal(root_uid(rack), UID_B);
}

static void the_world_survives_kill_nine(void **state)
{
    struct rack *rack = *state;
    rack_start(rack, NULL);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", "{\"spec\":{\"size\":65536}}"));
    subject_kill(&rack->subject);
    rack_start(rack, NULL);
    assert_int_equal(value_at_int(rack_look(rack, 1), "spec.size", 0), 65536);
}

static void what_was_deleted_is_made_anew_under_its_uid(void **state)
{
    struct rack *rack = *state;
    rack_start(rack, NULL);
    for (unsigned i = 1; i <= 3; i++)
        assert_applied(rack,
                       rack_apply(rack, i, 1, "create", "Volume", "{\"spec\":{\"size\":65536}}"));
    assert_applied(rack, rack_apply(rack, 2, 2, "delete", "Volume", "{}"));
    assert_true(value_get_bool(rack_look(rack, 2), "absent", false));
    assert_int_equal(value_at_int(rack_look(rack, 3), "spec.size", 0), 65536);
    assert_applied(rack,
                   rack_apply(rack, 2, 3, "create", "Volume", "{\"spec\":{\"size\":131072}}"));
    assert_int_equal(value_at_int(rack_look(rack, 2), "spec.size", 0), 131072);
    assert_applied(rack, rack_apply(rack, 2, 4, "delete", "Volume", "{}"));
    assert_true(value_get_bool(rack_look(rack, 2), "absent", false));
    assert_int_equal(value_at_int(rack_look(rack, 1), "spec.size", 0), 65536);
}

static int damage(struct rack *rack, const char *what)
{
    return system(arena_printf(rack->arena, "%s --world %s/state/drivers/sim/world %s",
                               rack->argv[0], rack->dir, what));
}

/* The uid of the next change that is told. */
static const char *notice_await(struct rack *rack)
{
    const struct value *notice = subject_receive(&rack->subject, SUBJECT_NOTICE);
    assert_string_equal(value_get_text(notice, "method", ""), "changed");
    return value_at_text(notice, "params.uid", "");
}

static void damage_from_outside_is_seen_and_told(void **state)
{
    struct rack *rack = *state;
    rack_start(rack, NULL);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", "{\"spec\":{\"size\":65536}}"));
    assert_int_equal(
        damage(rack, arena_printf(rack->arena, "set %s spec.size 4096", uid_of(rack, 1))), 0);
    assert_string_equal(notice_await(rack), uid_of(rack, 1));
    assert_int_equal(value_at_int(rack_look(rack, 1), "spec.size", 0), 4096);
    assert_int_equal(damage(rack, arena_printf(rack->arena, "delete %s", uid_of(rack, 1))), 0);
    assert_true(is_absent(rack_look(rack, 1)));
    assert_int_not_equal(damage(rack, "delete nobody 2>/dev/null"), 0);
}

static void a_list_is_told_again_when_anything_changed(void **state)
{
    struct rack *rack = *state;
    rack_start(rack, NULL);
    const char *empty = rack_token(rack, NULL, 0);
    assert_unchanged(rack, empty);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", "{\"spec\":{\"size\":65536}}"));
    const char *made = rack_token(rack, empty, 1);
    assert_unchanged(rack, made);
    rack_token(rack, empty, 1);
    assert_applied(rack, rack_apply(rack, 1, 2, "update", "Volume", "{\"spec\":{\"size\":65536}}"));
    const char *raised = rack_token(rack, made, 1);
    assert_int_equal(
        damage(rack, arena_printf(rack->arena, "set %s spec.size 4096", uid_of(rack, 1))), 0);
    const char *damaged = rack_token(rack, raised, 1);
    assert_unchanged(rack, damaged);
    subject_kill(&rack->subject);
    rack_start(rack, NULL);
    rack_token(rack, damaged, 1); /* another process knows of its own lists alone */
}

static void a_list_that_may_break_off_is_made(void **state)
{
    struct rack *rack = *state;
    struct value *params = value_map(rack->arena);
    unsigned broken = 0;
    rack_start(rack, "{\"faults\":{\"partialList\":500}}");
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Volume", "{\"spec\":{\"size\":65536}}"));
    for (int i = 0; i < 40; i++) {
        const struct value *message = subject_call(&rack->subject, "observe", params);
        const char *token = value_at_text(message, "result.token", NULL);
        if (token)
            value_set_text(rack->arena, params, "since", token);
        broken += value_get(params, "since") && value_get(message, "error");
    }
    assert_in_range(broken, 1, 39);
}

static void a_secret_is_not_written_to_the_world(void **state)
{
    struct rack *rack = *state;
    rack_start(rack, NULL);
    assert_applied(rack, rack_apply(rack, 1, 1, "create", "Seed",
                                    "{\"spec\":{\"instance\":\"a\",\"instanceId\":\"i\","
                                    "\"metaData\":\"m\",\"userData\":\"hush\"}}"));
    assert_string_equal(value_at_text(rack_look(rack, 1), "spec.metaData", ""), "m");
    assert_int_not_equal(system(arena_printf(rack->arena, "grep -rq hush %s", rack->dir)), 0);
}

static void faults_come_as_asked_for(void **state)
{
    struct rack *rack = *state;
    const char *spec = "{\"spec\":{\"size\":65536}}";
    rack_start(rack, "{\"faults\":{\"failBefore\":1000}}");
    assert_refused(rack, rack_apply(rack, 1, 1, "create", "Volume", spec), "busy", "simulated");
    assert_true(is_absent(rack_look(rack, 1)));
    subject_kill(&rack->subject);
    rack_start(rack, "{\"faults\":{\"failAfter\":1000}}");
    assert_refused(rack, rack_apply(rack, 1, 1, "create", "Volume", spec), "busy", "simulated");
    assert_false(is_absent(rack_look(rack, 1)));
    subject_kill(&rack->subject);
    rack_start(rack, "{\"faults\":{\"lie\":1000}}");
    assert_applied(rack, rack_apply(rack, 2, 1, "create", "Volume", spec));
    assert_true(is_absent(rack_look(rack, 2)));
}

static void the_same_seed_fails_the_same_operations(void **state)
{
    struct rack *rack = *state;
    char seen[2][41] = {"", ""};
    for (unsigned round = 0; round < 2; round++) {
        rack->subject.state_dir = arena_printf(rack->arena, "%s/round%u", rack->dir, round);
        rack_start(rack, "{\"seed\":7,\"faults\":{\"failBefore\":500}}");
        for (unsigned n = 0; n < 40; n++)
            seen[round][n] =
                value_get(rack_apply(rack, n, 1, "create", "Volume", "{\"spec\":{\"size\":65536}}"),
                          "result")
                    ? '.'
                    : 'x';
        subject_kill(&rack->subject);
    }
    assert_string_equal(seen[0], seen[1]);
    assert_non_null(strchr(seen[0], 'x'));
    assert_non_null(strchr(seen[0], '.'));
}

/* ---- where it keeps what is its own ------------------------------------------------- */

static void assert_start_refused(struct rack *rack, const char *why)
{
    const struct value *answer = subject_start(&rack->subject);
    const char *message = value_at_text(answer, "error.message", "");
    if (!strstr(message, why))
        fail_msg("%s", json_text(rack->arena, answer));
    subject_kill(&rack->subject);
}

static void a_directory_that_others_can_change_is_refused(void **state)
{
    struct rack *rack = *state;
    const char *drivers = arena_printf(rack->arena, "%s/drivers", rack->subject.state_dir);
    const char *own = arena_printf(rack->arena, "%s/sim", drivers);
    const char *other = arena_printf(rack->arena, "%s/other", rack->dir);
    assert_int_equal(mkdir(rack->subject.state_dir, 0755), 0);
    assert_int_equal(mkdir(other, 0755), 0);
    assert_int_equal(symlink(other, drivers), 0);
    assert_start_refused(rack, "is no directory");
    assert_int_equal(unlink(drivers), 0);
    assert_int_equal(mkdir(drivers, 0755), 0);
    assert_int_equal(mkdir(own, 0700), 0);
    assert_int_equal(chmod(own, 0777), 0);
    assert_start_refused(rack, "may be written to by others");
    assert_int_equal(chmod(own, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(own, 65534, 65534), 0);
        assert_start_refused(rack, "belongs to uid 65534");
        assert_int_equal(chown(own, 0, 0), 0);
    }
    rack_start(rack, NULL);
}

static void what_the_site_file_says_cannot_be_said_otherwise(void **state)
{
    struct rack *rack = *state;
    char *dir = arena_printf(rack->arena, "{\"stateDir\":\"%s\",\"settings\":{\"fault\":1}}",
                             rack->subject.state_dir);
    setenv("SPINEL_GIVEN", "{\"stateDir\":\"/somewhere\"}", 1);
    assert_start_refused(rack, "stateDir is not what the site file says");
    setenv("SPINEL_GIVEN", dir, 1);
    assert_start_refused(rack, "settings is not what the site file says");
    setenv("SPINEL_GIVEN", "{", 1);
    assert_start_refused(rack, "SPINEL_GIVEN");
    setenv(
        "SPINEL_GIVEN",
        arena_printf(rack->arena, "{\"stateDir\":\"%s\",\"settings\":{}}", rack->subject.state_dir),
        1);
    rack_start(rack, NULL);
    unsetenv("SPINEL_GIVEN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_directory_that_others_can_change_is_refused),
        TEST(what_the_site_file_says_cannot_be_said_otherwise),
        TEST(a_restart_field_waits_for_a_restart),
        TEST(power_off_ends_the_booted_record_and_on_makes_a_new_one),
        TEST(a_machine_tells_by_uid_what_it_has_open_until_it_starts_anew),
        TEST(the_world_survives_kill_nine),
        TEST(what_was_deleted_is_made_anew_under_its_uid),
        TEST(damage_from_outside_is_seen_and_told),
        TEST(a_list_is_told_again_when_anything_changed),
        TEST(a_list_that_may_break_off_is_made),
        TEST(a_secret_is_not_written_to_the_world),
        TEST(faults_come_as_asked_for),
        TEST(the_same_seed_fails_the_same_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
