/* SPDX-License-Identifier: MPL-2.0 */
/* `spinel status`: what it counts with a daemon and without one, and what it says is wrong. */
#include "tests/cli/rack.h"

#define STATUS(resources, more)                                                             \
    "{\"id\":1,\"result\":{\"commit\":\"abc\",\"converged\":true,\"resources\":{" resources \
    "}" more "}}\n"

static void what_is_in_the_way_is_told_with_the_next_try(void **state)
{
    struct scene *scene = *state;
    daemon_says(
        scene,
        ANSWERS(
            STATUS(
                "\"total\":4,\"true\":1,\"pending\":1,\"drifting\":1,\"held\":1",
                ",\"daemon\":{\"pid\":7},\"driverProblem\":\"sim is down\",\"problems\":[{\"kind\":"
                "\"VPC\",\"project\":\"shop\",\"name\":\"net\",\"verb\":\"update\",\"message\":"
                "\"no such device\"},{}],\"nextTry\":\"2026-01-01T00:00:00Z\""),
            STATUS("\"total\":1,\"true\":1",
                   ",\"problems\":[{\"name\":\"x\"}],\"nextTry\":\"soon\""),
            STATUS("\"total\":1,\"true\":1", ",\"problems\":[],\"nextTry\":\"soon\""),
            STATUS("\"total\":1,\"held\":1", ""), STATUS("\"total\":1,\"drifting\":1", "")));
    struct ran ran = RUN(scene, "status");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "nothing left to do, and not as Git says");
    assert_says(ran.out, "1 pending, 1 drifting, 1 held");
    assert_says(ran.out, "pid 7 since ?");
    assert_says(ran.out, "! sim is down");
    assert_says(ran.out, "! VPC shop/net: update failed: no such device");
    assert_says(ran.out, "next try   2026-01-01T00:00:00Z");
    assert_says(RUN(scene, "status").out, "next try   soon");
    assert_not_says(RUN(scene, "status").out, "next try");
    assert_says(RUN(scene, "status").out, "not as Git says");
    assert_says(RUN(scene, "status").out, "not as Git says");
}

static void before_the_first_push_there_is_nothing_to_be_true(void **state)
{
    struct scene *scene = *state;
    struct ran ran = RUN(scene, "status");
    assert_int_equal(ran.status, 0);
    assert_says(ran.out, "commit     none yet");
    assert_says(ran.out, "not converged");
    struct store *store = store_of(scene);
    revision_put(scene, store, "abc", "refused", 0);
    store_close(store);
    assert_says(RUN(scene, "status", "--json").out, "\"commit\": null");
    assert_says(RUN(scene, "status", "--json").out, "\"daemon\": null");
}

static const struct value *counts(struct scene *scene, const char *manifests)
{
    struct store *store = store_of(scene);
    revision_put(scene, store, commit_put(scene, manifests), "target", 1700000005);
    store_close(store);
    struct ran ran = RUN(scene, "status", "--json");
    if (ran.status != 0)
        fail_msg("%s", ran.err);
    return value_get(json(scene, ran.out), "resources");
}

static void without_a_daemon_each_object_counts_once_by_its_worst_mark(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_of(scene);
    rack_put(scene, store);
    store_close(store);
    const struct value *found = counts(scene, MANIFESTS);
    assert_int_equal(value_get_int(found, "total", 0), 5);
    assert_int_equal(value_get_int(found, "drifting", 0), 1); /* the MTU */
    assert_true(value_get_int(found, "pending", 0) >= 2);
    assert_int_equal(value_get_int(found, "held", -1), 2); /* what left Git */
}

/* The daemon counts neither. */
static void what_is_ignored_or_derived_and_gone_counts_for_nothing(void **state)
{
    struct scene *scene = *state;
    const struct object objects[] = {
        {.kind = "VPC",
         .project = "shop",
         .name = "net",
         .uid = UID_VPC,
         .life = LIFE_LIVE,
         .applied = "{\"prefixes\":[\"10.0.0.0/16\"],\"mtu\":1500,\"nat\":true}",
         .observed = "{\"prefixes\":[\"10.0.0.0/16\"],\"mtu\":9000,\"nat\":true}"},
        {.kind = "Instance",
         .project = "shop",
         .name = "web-1",
         .uid = UID_WEB,
         .life = LIFE_LIVE,
         .applied = "{\"cpus\":1}",
         .observed = "{\"cpus\":1}"},
        {.kind = "NIC",
         .project = "shop",
         .name = "web-1.eth0",
         .uid = UID_NIC,
         .life = LIFE_LIVE,
         .applied = "{\"subnet\":\"front\",\"instance\":\"web-1\"}",
         .observed = "{\"subnet\":\"front\",\"instance\":\"web-1\"}"},
    };
    struct store *store = store_of(scene);
    for (size_t i = 0; i < 3; i++)
        object_put(scene, store, &objects[i]);
    store_close(store);
    const struct value *found =
        counts(scene, DOC("Project", "name: shop", "{}")
                          DOC("VPC", "project: shop, name: net, driftPolicy: {spec.mtu: ignore}",
                              "{prefixes: [10.0.0.0/16], mtu: 1500, nat: true}"));
    assert_int_equal(value_get_int(found, "drifting", -1), 0);
    assert_int_equal(value_get_int(found, "pending", 0) + value_get_int(found, "held", 0), 2);
}

static void what_is_held_is_told(void **state)
{
    struct scene *scene = *state;
    const struct object objects[] = {
        {.kind = "Instance",
         .project = "shop",
         .name = "a",
         .uid = UID_WEB,
         .life = LIFE_LIVE,
         .applied = "{\"cpus\":1}",
         .observed = "{\"cpus\":1}"},
        {.kind = "Instance",
         .project = "shop",
         .name = "b",
         .uid = UID_OLD,
         .life = LIFE_LIVE,
         .applied = "{\"cpus\":1}",
         .observed = "{\"cpus\":1}"},
    };
    struct store *store = store_of(scene);
    for (size_t i = 0; i < 2; i++)
        object_put(scene, store, &objects[i]);
    store_close(store);
    const struct value *found = counts(scene, "# nothing at all\n");
    assert_int_equal(value_get_int(found, "held", 0), 2);
    struct ran ran = RUN(scene, "status");
    assert_says(ran.out, "2 held");
    ran = RUN(scene, "plan", "--cached");
    assert_int_equal(ran.status, 3);
    ran = RUN(scene, "approve", "--json");
    assert_int_equal(ran.status, 1); /* no driver tells what is there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_in_the_way_is_told_with_the_next_try),
        CASE(before_the_first_push_there_is_nothing_to_be_true),
        CASE(without_a_daemon_each_object_counts_once_by_its_worst_mark),
        CASE(what_is_ignored_or_derived_and_gone_counts_for_nothing),
        CASE(what_is_held_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
