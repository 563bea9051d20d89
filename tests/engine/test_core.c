/* SPDX-License-Identifier: MPL-2.0 */
/* The core against a rack in memory: late answers, lists that break off, and time that
 * passes only when nothing else happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "model/json.h"
#include "tests/engine/manifests.h"
#include "tests/engine/rack.c"

static const int64_t minute = 60000;

static void creates_what_is_declared_and_says_converged_once(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    assert_int_equal(rack_count(rack, "VPC", "net"), 1);
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack->events_converged, 1);
}

static void second_look_sends_nothing(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    unsigned before = rack->applies;
    core_look(rack->core);
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack->applies, before);
}

/* A record that could never be as desired would be written at each look. */
static void second_look_writes_no_row(void **state)
{
    struct rack *rack = *state;
    rack->commits[4] = POOL PROJECT VOLUME("db", "1GiB") VPC("net") SUBNET("apps", "10.0.1.0/24")
        IMAGE MACHINE("disks: [{name: data, volume: db}], nics: [{name: eth0, subnet: apps}]");
    rack_boot(rack, "4");
    assert_true(rack_run(rack, minute));
    assert_true(core_is_converged(rack->core));
    rack->fail_at[LEDGER_OBJECT] = 1;
    core_look(rack->core);
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack->fail_at[LEDGER_OBJECT], 1); /* it was never called */
    rack->fail_at[LEDGER_OBJECT] = 0;
}

static void grows_a_volume_in_place(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    rack_boot(rack, "2");
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack_size(rack), 2LL << 30);
    assert_int_equal(rack_object(rack, "Volume", "db")->made, 1);
}

static void list_that_breaks_off_is_unknown_and_never_empty(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    unsigned before = rack->applies;
    rack->partial = "disk";
    core_look(rack->core);
    rack_run(rack, minute);
    assert_int_equal(rack->applies, before);
    assert_false(core_is_converged(rack->core));
    rack->partial = NULL;
    assert_true(rack_run(rack, 10 * minute));
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack->applies, before);
}

static void epoch_that_nobody_can_have_sent_is_no_answer(void **state)
{
    static const int64_t lies[] = {-1, INT64_MIN, INT64_MAX, (INT64_C(1) << 53) + 1};
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    unsigned before = rack->applies;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        rack->lie_epoch = lies[i];
        core_look(rack->core);
        rack_run(rack, minute);
        assert_false(core_is_converged(rack->core));
        rack_notice(rack, "disk", rack_object(rack, "Volume", "db")->uid, "a lie");
        rack_run(rack, minute);
        rack->lie_epoch = 0;
        assert_true(rack_run(rack, 20 * minute));
        assert_true(core_is_converged(rack->core));
    }
    assert_int_equal(rack->applies, before);
}

static void object_that_vanished_is_made_again_by_a_new_intent(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    struct rack_object *vpc = rack_object(rack, "VPC", "net");
    uint64_t epoch = vpc->epoch;
    vpc->exists = false;
    rack_notice(rack, "net", vpc->uid, "namespace deleted");
    assert_true(rack_run(rack, minute));
    assert_true(vpc->exists);
    assert_true(vpc->epoch > epoch);
}

static void delete_counts_only_when_its_epoch_is_acknowledged(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    rack->deny_epochs = true;
    rack_boot(rack, "3");
    assert_false(rack_run(rack, minute));
    assert_false(core_is_converged(rack->core));
    rack->deny_epochs = false;
    assert_true(rack_run(rack, 30 * minute));
    assert_int_equal(rack_count(rack, "Volume", "db"), 0);
}

static void failing_step_backs_off_by_doubling(void **state)
{
    struct rack *rack = *state;
    rack->refuse = "net";
    rack->refuse_kind = "busy";
    rack_boot(rack, "1");
    rack_run(rack, 20 * minute);
    assert_true(rack->events_failed >= 8);
    assert_true(rack->events_failed <= 14);
    assert_int_equal(rack_count(rack, "Volume", "db"), 1); /* it held nobody else up */
    rack->refuse = NULL;
    assert_true(rack_run(rack, 10 * minute));
    assert_true(core_is_converged(rack->core));
}

static void new_target_does_not_wait_for_the_back_off(void **state)
{
    struct rack *rack = *state;
    rack->refuse = "net";
    rack->refuse_kind = "invalid";
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute)); /* nothing would change by waiting */
    assert_false(core_is_converged(rack->core));
    rack->refuse = NULL;
    int64_t before = rack->now_ms;
    rack_target(rack, "2");
    assert_true(rack_run(rack, minute));
    assert_true(core_is_converged(rack->core));
    assert_true(rack->now_ms - before < 5000);
}

static void silent_driver_delays_nobody_else(void **state)
{
    struct rack *rack = *state;
    rack->mute = "net";
    rack_boot(rack, "1");
    rack_run(rack, 5000);
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
    assert_int_equal(rack_count(rack, "VPC", "net"), 0);
    rack_run(rack, 5 * minute);
    assert_true(rack->kills[1] > 0);
    rack->mute = NULL;
    assert_true(rack_run(rack, 30 * minute));
    assert_int_equal(rack_count(rack, "VPC", "net"), 1);
}

/* Nobody sets a state of the world back: once the disk has room again, the machine that was paused
 * for want of it waits a minute at most, however often that was. */
static void damage_that_comes_back_again_and_again_is_mended_each_minute(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    struct rack_object *vpc = rack_object(rack, "VPC", "net");
    unsigned before = rack->applies;
    for (int i = 0; i < 12; i++) {
        vpc->damages = 1;
        rack_notice(rack, "net", vpc->uid, "it broke again");
        assert_true(rack_run(rack, minute));
        assert_int_equal(vpc->damages, i < 3 ? 0 : 1); /* no more than that at once */
        if (i < 3)
            continue;
        rack->now_ms += minute + 1000;
        core_timer(rack->core);
        assert_true(rack_run(rack, minute));
        assert_int_equal(vpc->damages, 0);
    }
    assert_int_equal(rack->applies - before, 12);
}

/* A revert that was accepted holds at once, and not only after the next look. */
static void what_waits_of_an_older_commit_is_not_begun(void **state)
{
    struct rack *rack = *state;
    rack->config.parallelism = 1;
    rack->config.policy.collapse_percent = 100;
    rack->commits[4] = POOL PROJECT VOLUME("db", "1GiB") VOLUME("more", "1GiB") VPC("net");
    rack_boot(rack, "4");
    assert_true(rack_run(rack, minute));
    rack_target(rack, "3");
    for (unsigned before = rack->applies; rack->applies == before; message_deliver(rack))
        core_pump(rack->core);
    rack_target(rack, "4"); /* one delete is done, the other waits */
    rack_run(rack, 10 * minute);
    assert_int_equal(rack_count(rack, "Volume", "more"), 1);
    assert_int_equal(rack_object(rack, "Volume", "more")->made, 1);
}

/* What it was started with says nothing of what was changed since. */
static void a_nic_moves_to_another_subnet_while_its_machine_runs(void **state)
{
    struct rack *rack = *state;
    rack->commits[4] = NETWORK MACHINE("nics: [{name: eth0, subnet: front}]");
    rack->commits[5] = NETWORK MACHINE("nics: [{name: eth0, subnet: back}]");
    rack_boot(rack, "4");
    assert_true(rack_run(rack, minute));
    rack_target(rack, "5");
    assert_true(rack_run(rack, minute));
    assert_true(core_is_converged(rack->core));
    assert_int_equal(rack->events_failed, 0);
}

static uint64_t epoch_of(struct rack *rack, const char *kind)
{
    struct error err = ERROR_INIT;
    struct known *rows = NULL;
    size_t count = 0;
    uint64_t epoch = 0;
    assert_int_equal(store_objects(rack->store, rack->arena, &rows, &count, &err), 0);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(rows[i].kind, kind))
            epoch = rows[i].epoch;
    return epoch;
}

/* Its epochs would be used up by one lie, and each start after it would end at the invariant. */
static void fence_that_cannot_be_is_not_taken_over(void **state)
{
    struct rack *rack = *state;
    rack->commits[4] = POOL PROJECT VOLUME("db", "1GiB") MACHINE("disks: [{name: a, volume: db}]");
    rack->commits[5] = POOL PROJECT VOLUME("db", "2GiB") MACHINE("disks: [{name: a, volume: db}]");
    rack_boot(rack, "4");
    assert_true(rack_run(rack, minute));
    rack_object(rack, "Volume", "db")->fence[1] = (UINT64_C(1) << 53) - 1;
    rack_target(rack, "5");
    rack_run(rack, 30 * minute);
    assert_true(rack->events_failed > 2);
    assert_true(epoch_of(rack, "Volume") < 1000);
    rack_object(rack, "Volume", "db")->fence[1] = 0;
    rack_boot(rack, "5");
    assert_true(rack_run(rack, 30 * minute));
    assert_int_equal(rack_size(rack), 2LL << 30);
}

static void driver_is_not_heard_of_what_another_one_holds(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    rack->greedy = "net";
    core_look(rack->core);
    rack_run(rack, minute);
    core_look(rack->core);
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack_object(rack, "Volume", "db")->made, 1);
    assert_int_equal(rack_object(rack, "Volume", "db")->applied, 1);
    assert_true(core_is_converged(rack->core));
}

/* Somebody did by hand what the next commit asks for. */
static void change_that_was_made_by_hand_before_is_recorded_as_applied(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    struct rack_object *db = rack_object(rack, "Volume", "db");
    rack_resize(rack, db, 2LL << 30);
    rack_notice(rack, "disk", db->uid, "somebody grew it");
    rack_boot(rack, "2");
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack_object(rack, "Volume", "db")->applied, 1);
    assert_int_equal(value_get_int(rack_row(rack, "Volume")->applied, "size", 0), 2LL << 30);
}

static void field_that_is_set_back_again_and_again_is_contested(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    unsigned before = rack->applies;
    for (int i = 0; i < 20; i++) {
        struct rack_object *vpc = rack_object(rack, "VPC", "net");
        struct value *spec = value_copy(rack->arena, vpc->spec);
        value_set_int(rack->arena, spec, "mtu", 1280);
        vpc->spec = spec;
        rack_notice(rack, "net", vpc->uid, "somebody set it back");
        rack_run(rack, 3000);
    }
    assert_true(rack->applies - before >= 3);
    assert_true(rack->applies - before <= 6);
}

static void notice_that_overtakes_an_older_answer_is_not_lost(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    struct rack_object *vpc = rack_object(rack, "VPC", "net");
    const struct value *before = vpc->spec;
    rack->move_behind = true;
    rack_notice(rack, "net", vpc->uid, "look at it");
    rack_run(rack, minute); /* long before the resync */
    assert_false(rack->move_behind);
    assert_true(value_equal(vpc->spec, before));
}

/* The cause of the newest drift, open or healed. */
static const char *last_cause(struct rack *rack)
{
    struct error err = ERROR_INIT;
    struct drift_row *rows = NULL;
    size_t count = 0;
    assert_int_equal(store_drifts(rack->store, rack->arena, 1, &rows, &count, &err), 0);
    return count ? rows[count - 1].cause : "";
}

static void notice_explains_the_next_look_and_nothing_later(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    struct rack_object *vpc = rack_object(rack, "VPC", "net");
    rack_notice(rack, "net", vpc->uid, "link went down"); /* and is as it should be */
    assert_true(rack_run(rack, minute));
    vpc->exists = false;
    core_look(rack->core);
    assert_true(rack_run(rack, minute));
    assert_true(vpc->exists);
    assert_string_equal(last_cause(rack), "unknown");
    vpc->exists = false;
    rack_notice(rack, "net", vpc->uid, "namespace deleted");
    assert_true(rack_run(rack, minute));
    assert_string_equal(last_cause(rack), "namespace deleted");
}

static void secret_that_a_driver_says_back_is_not_kept(void **state)
{
    static const char secret[] = "hunter2-canary";
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    struct known *rows = NULL;
    size_t count = 0, seen = 0;
    rack->commits[4] =
        PROJECT "apiVersion: spinel/v1\nkind: Instance\nmetadata: {project: shop, name: web}\n"
                "spec: {cpus: 1, memory: 256MiB, cloudInit: {userData: hunter2-canary}}\n";
    rack_boot(rack, "4");
    assert_true(rack_run(rack, minute));
    assert_string_equal(
        value_at_text(rack_object(rack, "Instance", "web")->spec, "cloudInit.userData", ""),
        secret);
    assert_int_equal(store_objects(rack->store, rack->arena, &rows, &count, &err), 0);
    for (size_t i = 0; i < count; i++) {
        const char *data = value_at_text(rows[i].observed.spec, "cloudInit.userData", NULL);
        assert_null(strstr(json_text(rack->arena, rows[i].observed.spec), secret));
        seen += data && strncmp(data, "keyed:", 6) == 0;
    }
    assert_int_equal(seen, 1);
}

static void keeping_counts_from_when_it_is_accepted(void **state)
{
    struct rack *rack = *state;
    rack->commits[4] = POOL PROJECT KEPT("db", "size: 1GiB") VPC("net");
    rack_boot(rack, "1"); /* deleted when it leaves Git */
    assert_true(rack_run(rack, minute));
    rack_target(rack, "4"); /* kept */
    rack_target(rack, "3"); /* left Git */
    assert_true(rack_run(rack, 10 * minute));
    assert_int_equal(rack_count(rack, "Volume", "db"), 1);
}

/* The promise to keep it was never carried out, and Git has taken it back: it is deleted. */
static void promise_that_git_takes_back_is_forgotten(void **state)
{
    struct rack *rack = *state;
    rack->commits[4] = POOL PROJECT KEPT("db", "size: 1GiB") VPC("net");
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    rack_target(rack, "4");
    rack_target(rack, "1");
    assert_true(rack_run(rack, minute));
    rack_target(rack, "3");
    assert_true(rack_run(rack, minute));
    assert_int_equal(rack_count(rack, "Volume", "db"), 0);
}

/* The commit that was the target is damaged in the repository, and the branch has gone on. */
static void target_that_cannot_be_read_gives_way_to_the_head(void **state)
{
    struct rack *rack = *state;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    rack->torn = "1";
    rack_boot(rack, "2");
    assert_true(rack_run(rack, minute));
    assert_string_equal(core_commit(rack->core), "2");
    assert_int_equal(rack_size(rack), 2LL << 30);
}

static void slow_look_is_not_planned_at_each_answer(void **state)
{
    struct rack *rack = *state;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    fputs(POOL PROJECT, out);
    for (int i = 0; i < 1000; i++)
        fprintf(out, VOLUME("v%d", "1GiB"), i);
    fclose(out);
    rack->commits[4] = text;
    rack_boot(rack, "4");
    assert_true(rack_run(rack, minute));
    rack->answer_ms = 2500; /* the list and four parts of details, all overdue */
    rack->plan_ms = 5000;
    rack_boot(rack, "4");
    rack->plans = 0;
    assert_true(rack_run(rack, 10 * minute));
    assert_in_range(rack->plans, 2, 3); /* when it is overdue, and when all is known */
    free(text);
}

static void refused_as_stale(struct rack *rack, const char *hash, const char *world,
                             const char *why)
{
    struct error err = ERROR_INIT;
    const unsigned applies = rack->applies;
    rack_boot(rack, "2");
    core_expect(rack->core, hash, world);
    rack_run(rack, minute);
    assert_true(core_is_refused(rack->core, &err));
    assert_int_equal(err.code, ERR_STALE);
    assert_non_null(strstr(err.message, why));
    assert_non_null(strstr(err.hint, "Make a new plan"));
    assert_int_equal(rack->applies, applies);
}

static void a_plan_that_was_saved_is_carried_out_as_it_was_or_not_at_all(void **state)
{
    static const char none[] = "0000000000000000000000000000000000000000000000000000000000000000";
    struct rack *rack = *state;
    struct error err = ERROR_INIT;
    char hash[DIGEST_TEXT], world[DIGEST_TEXT];
    rack_settle(rack, "1");
    rack->config.effects = false;
    rack_boot(rack, "2");
    rack_run(rack, minute);
    snprintf(hash, sizeof hash, "%s", core_plan(rack->core)->hash);
    snprintf(world, sizeof world, "%s", core_plan(rack->core)->world);
    rack->config.effects = true;
    refused_as_stale(rack, none, none, "the world has changed since it was made");
    refused_as_stale(rack, none, world, "approvals, freezes or time");
    rack_boot(rack, "2");
    core_expect(rack->core, hash, world);
    assert_true(rack_run(rack, minute));
    assert_false(core_is_refused(rack->core, &err));
    assert_int_equal(rack_size(rack), 2LL << 30);
}

/* A driver may tell what is wrong with a secret, and with that the secret. */
static void damage_to_a_secret_is_kept_without_the_secret(void **state)
{
    struct rack *rack = *state;
    rack->commits[4] = POOL PROJECT MACHINE("cloudInit: {userData: hush}");
    rack_settle(rack, "4");
    struct rack_object *machine = rack_object(rack, "Instance", "web");
    machine->damages = 2;
    rack->damaged = "cloudInit.userData";
    rack->refuse = "web";
    rack->refuse_kind = "busy";
    rack_notice(rack, "net", machine->uid, "it was hurt");
    rack_run(rack, minute);
    const struct value *damage = rack_row(rack, "Instance")->observed.damage;
    assert_true(value_is_list(damage) && damage->count == 2);
    for (size_t i = 0; i < damage->count; i++)
        assert_string_equal(value_get_text(damage->items[i], "observed", ""), "(sensitive)");
}

/* Seconds from its end until it is started again; -1: it is not within two minutes. */
static int64_t pause_after_end(struct rack *rack, const char *reason)
{
    struct rack_object *machine = rack_object(rack, "Instance", "web");
    const int64_t ended_ms = rack->now_ms;
    const unsigned applies = rack->applies;
    rack->exit_reason = reason;
    machine->booted = NULL;
    rack_notice(rack, "net", machine->uid, "it has ended");
    rack_run(rack, 500);
    for (int s = 0; s < 120 && !machine->booted; s++) { /* at rest it waits by its timer */
        rack->now_ms += 1000;
        core_timer(rack->core);
        rack_run(rack, 1);
    }
    return machine->booted ? (rack->applied_at[applies % 256] - ended_ms) / 1000 : -1;
}

static void a_machine_that_crashes_again_and_again_is_started_ever_later(void **state)
{
    static const int64_t pauses[] = {0, 10, 20, 30, 30};
    struct rack *rack = *state;
    rack->commits[4] =
        POOL PROJECT MACHINE("restartPolicy: {mode: onFailure, backoff: 10s, maxBackoff: 30s}");
    rack_settle(rack, "4");
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++)
        assert_in_range(pause_after_end(rack, "crash"), pauses[i], pauses[i] + 2);
    rack->now_ms += 20 * minute; /* it has run for long: that is no failure to start */
    assert_in_range(pause_after_end(rack, "crash"), 0, 2);
    assert_int_equal(pause_after_end(rack, "guest-shutdown"), -1);
    assert_true(rack_row(rack, "Instance")->stopped_by_guest_at > 0);
}

static void storm_of_notices_is_not_planned_at_each(void **state)
{
    struct rack *rack = *state;
    rack_settle(rack, "1");
    struct rack_object *volume = rack_object(rack, "Volume", "db");
    rack->plan_ms = 5000;
    rack->plans = 0;
    for (int i = 0; i < 300; i++) { /* a minute of them */
        rack_notice(rack, "disk", volume->uid, "it was written to");
        rack_run(rack, 200);
    }
    assert_in_range(rack->plans, 2, 4);
    volume->damages = 1;
    rack_notice(rack, "disk", volume->uid, "it was hurt");
    assert_true(rack_run(rack, minute));
    assert_int_equal(volume->damages, 0);
}

static unsigned details_of_a_start(struct rack *rack)
{
    rack->details = 0;
    rack_boot(rack, "1");
    assert_true(rack_run(rack, minute));
    return rack->details;
}

static void what_was_seen_before_a_restart_is_known_by_its_etag(void **state)
{
    struct rack *rack = *state;
    rack->etags = "1";
    details_of_a_start(rack);
    assert_int_equal(details_of_a_start(rack), 0);
    assert_true(core_is_converged(rack->core));
    rack_die(rack);
    struct rack_object *db = rack_object(rack, "Volume", "db");
    rack_resize(rack, db, 7); /* meanwhile */
    assert_true(details_of_a_start(rack) > 0);
    assert_int_equal(rack_size(rack), INT64_C(1) << 30);
}

static void new_kind_of_etag_brings_everything_to_be_looked_at(void **state)
{
    struct rack *rack = *state;
    rack->etags = "1";
    details_of_a_start(rack);
    rack->etags = "2";
    assert_true(details_of_a_start(rack) >= 3);
    assert_int_equal(details_of_a_start(rack), 0);
    rack->etags = NULL;
    assert_true(details_of_a_start(rack) >= 3);
}

/* Changed by a step, and set back by somebody: the driver lists what it listed before. */
static void etag_of_before_a_step_says_nothing_of_after_it(void **state)
{
    struct rack *rack = *state;
    details_of_a_start(rack);
    struct rack_object *db = rack_object(rack, "Volume", "db");
    const struct value *before = db->spec;
    rack_target(rack, "2");
    while (db->applied < 2) {
        core_pump(rack->core);
        if (db->applied < 2)
            message_deliver(rack);
    }
    rack->set_back = before;
    assert_true(rack_run(rack, 2 * minute));
    assert_int_equal(rack_size(rack), INT64_C(2) << 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define RACK_TEST(name) cmocka_unit_test_setup_teardown(name, rack_setup_volume, rack_teardown)
        RACK_TEST(creates_what_is_declared_and_says_converged_once),
        RACK_TEST(second_look_sends_nothing),
        RACK_TEST(second_look_writes_no_row),
        RACK_TEST(grows_a_volume_in_place),
        RACK_TEST(list_that_breaks_off_is_unknown_and_never_empty),
        RACK_TEST(epoch_that_nobody_can_have_sent_is_no_answer),
        RACK_TEST(object_that_vanished_is_made_again_by_a_new_intent),
        RACK_TEST(delete_counts_only_when_its_epoch_is_acknowledged),
        RACK_TEST(failing_step_backs_off_by_doubling),
        RACK_TEST(new_target_does_not_wait_for_the_back_off),
        RACK_TEST(silent_driver_delays_nobody_else),
        RACK_TEST(slow_look_is_not_planned_at_each_answer),
        RACK_TEST(storm_of_notices_is_not_planned_at_each),
        RACK_TEST(a_plan_that_was_saved_is_carried_out_as_it_was_or_not_at_all),
        RACK_TEST(damage_to_a_secret_is_kept_without_the_secret),
        RACK_TEST(a_machine_that_crashes_again_and_again_is_started_ever_later),
        RACK_TEST(secret_that_a_driver_says_back_is_not_kept),
        RACK_TEST(notice_explains_the_next_look_and_nothing_later),
        RACK_TEST(notice_that_overtakes_an_older_answer_is_not_lost),
        RACK_TEST(what_was_seen_before_a_restart_is_known_by_its_etag),
        RACK_TEST(new_kind_of_etag_brings_everything_to_be_looked_at),
        RACK_TEST(etag_of_before_a_step_says_nothing_of_after_it),
        RACK_TEST(keeping_counts_from_when_it_is_accepted),
        RACK_TEST(promise_that_git_takes_back_is_forgotten),
        RACK_TEST(target_that_cannot_be_read_gives_way_to_the_head),
        RACK_TEST(a_nic_moves_to_another_subnet_while_its_machine_runs),
        RACK_TEST(fence_that_cannot_be_is_not_taken_over),
        RACK_TEST(driver_is_not_heard_of_what_another_one_holds),
        RACK_TEST(change_that_was_made_by_hand_before_is_recorded_as_applied),
        RACK_TEST(field_that_is_set_back_again_and_again_is_contested),
        RACK_TEST(damage_that_comes_back_again_and_again_is_mended_each_minute),
        RACK_TEST(what_waits_of_an_older_commit_is_not_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
