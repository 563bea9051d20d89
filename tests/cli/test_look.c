/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel get` and `spinel describe`: objects of the store, as tables, JSON and YAML. */
#include "tests/cli/rack.h"

#include <time.h>

static void rack_make(struct scene *scene)
{
    struct store *store = store_of(scene);
    rack_put(scene, store);
    store_close(store);
}

static void without_objects_there_is_nothing_to_list(void **state)
{
    struct scene *scene = *state;
    struct ran ran = RUN(scene, "get", "volumes");
    assert_int_equal(ran.status, 0);
    assert_string_equal(ran.out, "");
    assert_says(ran.err, "no Volume yet");
    assert_says(RUN(scene, "get", "all").err, "no objects yet");
    assert_string_equal(RUN(scene, "get", "volume", "--json").err, "");
    assert_says(RUN(scene, "get", "volume", "--yaml").out, "items: []");
    ran = RUN(scene, "get", "volume", "shop/data");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "there is no Volume shop/data");
}

static void objects_are_listed_by_kind(void **state)
{
    struct scene *scene = *state;
    rack_make(scene);
    struct ran ran = RUN(scene, "get", "all", "--color=always");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "shop/web-1");
    assert_says(ran.out, "\033[31mmissing");
    assert_says(ran.out, "\033[33mreleased");
    assert_says(ran.out, "\n\n"); /* between two kinds */
    ran = RUN(scene, "get", "pools");
    assert_says(ran.out, "\nfast ");
    ran = RUN(scene, "get", "VOLUMES", UID_OLD, "--json");
    assert_says(ran.out, "\"name\": \"old\"");
    assert_not_says(ran.out, "\"name\": \"data\"");
    ran = RUN(scene, "get", "volume", "data"); /* of any project */
    assert_says(ran.out, "shop/data");
    assert_says(ran.out, "blog/data");
}

static void what_cannot_be_listed_is_told_with_the_nearest_word(void **state)
{
    struct scene *scene = *state;
    struct ran ran = RUN(scene, "get", "volum");
    assert_int_equal(ran.status, 64);
    assert_says(ran.err, "did you mean 'volume'?");
    ran = RUN(scene, "get", "colourful");
    assert_int_equal(ran.status, 64);
    assert_not_says(ran.err, "did you mean");
    assert_int_equal(RUN(scene, "get", "volume", "--json", "--yaml").status, 64);
}

static void an_object_is_described_by_all_that_is_known_of_it(void **state)
{
    struct scene *scene = *state;
    commit_put(scene, MANIFESTS);
    rack_make(scene);
    struct store *store = store_of(scene);
    int64_t seq;
    for (int i = 0; i < 25; i++) {
        const struct event event = {.at_ms = 1700000000000,
                                    .type = "op.confirmed",
                                    .text = arena_printf(scene->arena, "event %02d", i),
                                    .uid = i % 2   ? UID_WEB
                                           : i % 4 ? UID_VPC
                                                   : NULL};
        store_event_add(store, &event, &seq, &scene->err);
    }
    const struct intent failed = {.op = "op1",
                                  .uid = UID_WEB,
                                  .epoch = 2,
                                  .verb = "update",
                                  .plan = "",
                                  .arguments_digest = "",
                                  .state = "failed",
                                  .created_at = 1700000000,
                                  .error = "no memory left"};
    const struct intent good = {.op = "op2",
                                .uid = UID_WEB,
                                .epoch = 3,
                                .verb = "update",
                                .plan = "",
                                .arguments_digest = "",
                                .state = "confirmed",
                                .created_at = 1700000001,
                                .error = ""};
    assert_int_equal(store_intent_put(store, &failed, &scene->err), 0);
    assert_int_equal(store_intent_put(store, &good, &scene->err), 0);
    const struct drift_row drift = {.uid = UID_WEB,
                                    .kind = "Instance",
                                    .project = "shop",
                                    .name = "web-1",
                                    .path = "spec.cpus",
                                    .desired = "2",
                                    .observed = "1",
                                    .since = time(NULL),
                                    .last_seen = time(NULL),
                                    .detected_by = "resync",
                                    .cause = "",
                                    .disposition = "run",
                                    .healed_by = ""};
    struct drift_row healed = drift, other = drift;
    healed.path = "spec.memory";
    other.uid = UID_VPC;
    assert_int_equal(store_drift_seen(store, &drift, &scene->err), 0);
    assert_int_equal(store_drift_seen(store, &healed, &scene->err), 0);
    assert_int_equal(store_drift_seen(store, &other, &scene->err), 0);
    assert_int_equal(
        store_drift_healed(store, UID_WEB, "spec.memory", time(NULL), "op2", &scene->err), 0);
    store_close(store);
    struct ran ran = RUN(scene, "describe", "instance", "web-1", "--color=always");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "a.yaml:"); /* where it is declared */
    assert_says(ran.out, "spec.disks[extra].volume");
    assert_says(ran.out, "spec.cpus: expected 2, found 1; run");
    assert_says(ran.out, "spec.memory: expected 2, found 1; healed");
    assert_says(ran.out, "update failed: no memory left");
    assert_says(ran.out, "update confirmed\n");
    assert_says(ran.out, "event 23");
    assert_not_says(ran.out, "event 03"); /* the last ten */
    assert_not_says(ran.out, "hunter2");
    ran = RUN(scene, "describe", "instance", "shop/web-1", "--json");
    assert_not_says(ran.out, "hunter2");
    assert_says(ran.out, "\"sensitive\": \"same\"");
}

static void what_is_declared_and_was_never_met_is_described_too(void **state)
{
    struct scene *scene = *state;
    commit_put(scene, MANIFESTS);
    rack_make(scene);
    struct ran ran = RUN(scene, "describe", "subnet", "shop/front");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "none yet: nothing was applied");
    assert_says(RUN(scene, "describe", "subnet", "shop/front", "--json").out, "\"desired\": {");
    ran = RUN(scene, "describe", "pool", "fast");
    assert_says(ran.out, "declared   no");
    ran = RUN(scene, "describe", "subnet", "shop/back");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "there is no Subnet shop/back");
    ran = RUN(scene, "describe", "volume", "data");
    assert_int_equal(ran.status, 1);
    assert_says(ran.err, "there are several volumes called data, in blog and in shop");
    assert_says(ran.err, "Write PROJECT/data");
}

static void without_a_repository_the_declaration_is_unknown_and_not_absent(void **state)
{
    struct scene *scene = *state;
    rack_make(scene);
    struct ran ran = RUN(scene, "describe", "vpc", "shop/net");
    assert_int_equal(ran.status, 1);
    assert_says(ran.out, "declared   unknown: ");
    assert_says(RUN(scene, "describe", "vpc", "shop/net", "--json").out, "\"desiredUnknown\":");
    assert_int_equal(RUN(scene, "describe", "vpc", "shop/lost").status, 1);
    assert_int_equal(RUN(scene, "describe", "vpx", "shop/lost").status, 64);
}

static void a_store_that_is_none_is_an_error_of_every_command(void **state)
{
    static const char *const words[][3] = {{"get", "volume"}, {"describe", "volume", "a/b"},
                                           {"history"},       {"events"},
                                           {"freeze"},        {"purge"},
                                           {"trace"},         {"status"},
                                           {"drift"},         {"history", "vpc", "a"}};
    struct scene *scene = *state;
    commit_put(scene, MANIFESTS);
    file_put(scene, "state/spinel.db", "this is no database, and never was one of ours.......\n");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *const said[] = {words[i][0], words[i][1], words[i][2], NULL};
        struct ran ran = command_words(scene, said);
        assert_int_equal(ran.status, 1);
        assert_says(ran.err, "spinel ");
        assert_string_equal(ran.out, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_objects_there_is_nothing_to_list),
        CASE(objects_are_listed_by_kind),
        CASE(what_cannot_be_listed_is_told_with_the_nearest_word),
        CASE(an_object_is_described_by_all_that_is_known_of_it),
        CASE(what_is_declared_and_was_never_met_is_described_too),
        CASE(without_a_repository_the_declaration_is_unknown_and_not_absent),
        CASE(a_store_that_is_none_is_an_error_of_every_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
