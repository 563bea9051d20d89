/* SPDX-License-Identifier: MPL-2.0 */
/* What the viewer shows of a rack and of what its commit would change: made, changed, ignored and
 * derived objects, each with the mark of what is to be done. */
#include "tests/server/viewer.h"

#define UID(digit) digit digit digit digit digit digit digit digit
#define DOC(kind, meta, spec) \
    "---\napiVersion: spinel/v1\nkind: " kind "\nmetadata: {" meta "}\nspec: " spec "\n"

static const char manifests[] = DOC("Project", "name: shop", "{}")
    DOC("VPC", "project: shop, name: net", "{prefixes: [10.0.0.0/16], mtu: 1500}")
        DOC("VPC", "project: shop, name: other, driftPolicy: {spec.mtu: ignore}",
            "{prefixes: [10.1.0.0/16], mtu: 1500}")
            DOC("Subnet", "project: shop, name: front", "{vpc: net, cidr: 10.0.1.0/24}")
                DOC("Volume", "project: shop, name: data", "{size: 1GiB}")
                    DOC("Instance", "project: shop, name: web",
                        "{cpus: 1, memory: 256MiB, nics: [{name: eth0, "
                        "subnet: front}], cloudInit: {userData: hunter2}}");

static char *commit_put(struct scene *scene)
{
    char path[128], id[65] = "";
    file_put(scene, "a.yaml", manifests, 0600);
    shell(scene, "export GIT_DIR=$PWD/manifests.git HOME=$PWD GIT_CONFIG_NOSYSTEM=1\n"
                 "export GIT_AUTHOR_NAME=Ann GIT_COMMITTER_NAME=Ann\n"
                 "export GIT_AUTHOR_EMAIL=ann@example.org GIT_COMMITTER_EMAIL=ann@example.org\n"
                 "blob=$(git hash-object -w a.yaml)\n"
                 "tree=$(printf '100644 blob %s\\ta.yaml\\n' $blob | git mktree)\n"
                 "commit=$(git commit-tree $tree -m 'A rack')\n"
                 "git update-ref refs/heads/main $commit; printf %s $commit >commit\n");
    snprintf(path, sizeof path, "%s/commit", scene->dir);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_non_null(fgets(id, sizeof id, file));
    fclose(file);
    return arena_text(scene->arena, id);
}

static void row_put(struct scene *scene, struct store *store, const char *kind, const char *name,
                    const char *uid, const char *applied, const char *observed)
{
    struct value *spec = NULL, *seen = NULL;
    assert_int_equal(json_read(scene->arena, applied, strlen(applied), &spec, &scene->err), 0);
    assert_int_equal(json_read(scene->arena, observed, strlen(observed), &seen, &scene->err), 0);
    const struct known row = {.uid = uid,
                              .kind = kind,
                              .project = "shop",
                              .name = name,
                              .life = LIFE_LIVE,
                              .generation = 1,
                              .epoch = 1,
                              .chosen = value_map(scene->arena),
                              .applied = spec};
    const struct observation observation = {
        .known = true, .epoch = 1, .at = 1700000000, .spec = seen};
    assert_int_equal(store_object_put(store, &row, &scene->err), 0);
    assert_int_equal(store_observation_put(store, uid, &observation, "e", &scene->err), 0);
}

static void rack_fill(struct scene *scene)
{
    struct store *store = store_of(scene);
    int64_t id;
    const struct revision revision = {.commit = commit_put(scene),
                                      .parent = "",
                                      .author = "Ann",
                                      .subject = "A rack",
                                      .pushed_by = "ann",
                                      .state = "target",
                                      .message = "",
                                      .at = 1700000000,
                                      .resources = 6};
    row_put(scene, store, "VPC", "net", UID("aaaa"),
            "{\"prefixes\":[\"10.0.0.0/16\"],\"mtu\":1500,\"nat\":true}",
            "{\"prefixes\":[\"10.0.0.0/16\"],\"mtu\":9000,\"nat\":true}");
    row_put(scene, store, "VPC", "other", UID("bbbb"),
            "{\"prefixes\":[\"10.1.0.0/16\"],\"mtu\":1500,\"nat\":true}",
            "{\"prefixes\":[\"10.1.0.0/16\"],\"mtu\":9000,\"nat\":true}");
    row_put(scene, store, "Instance", "web", UID("cccc"),
            "{\"cpus\":1,\"memory\":268435456,\"power\":\"on\"}",
            "{\"cpus\":1,\"memory\":268435456,\"power\":\"on\"}");
    assert_int_equal(store_revision_add(store, &revision, &id, &scene->err), 0);
    store_close(store);
}

static const struct value *item_find(const struct value *document, const char *list,
                                     const char *name)
{
    const struct value *found = value_find(value_get(document, list), "name", name);
    if (!found)
        fail_msg("no %s", name);
    return found;
}

static void each_object_has_the_mark_of_what_is_to_be_done(void **state)
{
    struct scene *scene = *state;
    rack_fill(scene);
    viewer_start(scene);
    const struct value *all = document_of(scene, get(scene, "/api/v1/resources"));
    assert_string_equal(value_get_text(item_find(all, "items", "net"), "mark", ""), "drifting");
    assert_string_equal(value_get_text(item_find(all, "items", "other"), "mark", ""), "true");
    assert_string_equal(value_get_text(item_find(all, "items", "data"), "mark", ""), "pending");
    assert_string_equal(value_get_text(item_find(all, "items", "data"), "state", ""), "pending");
    /* a NIC is to be made: its machine is not as Git says */
    assert_string_equal(value_get_text(item_find(all, "items", "web"), "mark", ""), "pending");
    const struct value *some =
        document_of(scene, get(scene, "/api/v1/resources?mark=pending&sort=kind&order=up"));
    assert_true(value_get_int(some, "total", 0) >= 4);
    some = document_of(scene, get(scene, "/api/v1/status"));
    assert_int_equal(value_at_int(some, "resources.drifting", 0), 1);
    assert_false(value_get_bool(some, "converged", true));
    assert_says(get(scene, "/metrics"), "spinel_converged 0\n");
}

static void what_is_not_made_yet_can_be_looked_at(void **state)
{
    struct scene *scene = *state;
    rack_fill(scene);
    viewer_start(scene);
    const struct value *all = document_of(scene, get(scene, "/api/v1/resources"));
    const char *uid = value_get_text(item_find(all, "items", "data"), "uid", "");
    const struct value *one =
        document_of(scene, get(scene, arena_printf(scene->arena, "/api/v1/resources/%s", uid)));
    assert_int_equal(value_at_int(one, "desired.size", 0), 1 << 30);
    assert_int_equal(value_get(one, "observed")->type, VALUE_NULL);
    assert_string_equal(value_at_text(one, "units.size", ""), "bytes");
    uid = value_get_text(item_find(all, "items", "web.eth0"), "uid", "");
    one = document_of(scene, get(scene, arena_printf(scene->arena, "/api/v1/resources/%s", uid)));
    assert_string_equal(value_at_text(one, "step.owner.name", ""), "web");
    const char *said = get(scene, "/api/v1/resources/" UID("cccc"));
    assert_null(strstr(said, "hunter2"));
    assert_int_equal(value_get(value_get(document_of(scene, said), "desired"), "nics")->count, 1);
}

static void a_plan_is_shown_by_pages(void **state)
{
    struct scene *scene = *state;
    rack_fill(scene);
    snprintf(scene->meter.drivers[0].name, METER_NAME, "sim");
    snprintf(scene->meter.drivers[1].name, METER_NAME, "qemu");
    scene->meter.drivers[0].starts = 3;
    viewer_start(scene);
    const struct value *plan = document_of(scene, get(scene, "/api/v1/plan"));
    int64_t total = value_get_int(plan, "total", 0);
    assert_true(total > 3);
    assert_int_equal(value_get(plan, "steps")->count, (size_t)total);
    plan = document_of(scene, get(scene, "/api/v1/plan?limit=2&offset=1"));
    assert_int_equal(value_get(plan, "steps")->count, 2);
    assert_int_equal(value_get_int(value_get(plan, "steps")->items[0], "id", 0), 2);
    plan = document_of(scene, get(scene, "/api/v1/plan?offset=1000"));
    assert_int_equal(value_get(plan, "steps")->count, 0);
    assert_null(strstr(get(scene, "/api/v1/plan"), "hunter2"));
    char *metrics = get(scene, "/metrics");
    assert_says(metrics, "spinel_driver_restarts_total{driver=\"sim\"} 2\n");
    assert_says(metrics, "spinel_driver_restarts_total{driver=\"qemu\"} 0\n");
}

static void a_commit_that_is_lost_is_said_to_be_so(void **state)
{
    struct scene *scene = *state;
    rack_fill(scene);
    shell(scene, "rm -r manifests.git/objects; mkdir manifests.git/objects");
    viewer_start(scene);
    char *answer = get(scene, "/api/v1/plan");
    if (strncmp(answer, "HTTP/1.1 200", 12) == 0)
        fail_msg("a plan of nothing: %.300s", answer);
    assert_says(answer, "application/problem+json");
    assert_status(get(scene, "/api/v1/events"), 200); /* what needs no commit is still shown */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_object_has_the_mark_of_what_is_to_be_done),
        CASE(what_is_not_made_yet_can_be_looked_at),
        CASE(a_plan_is_shown_by_pages),
        CASE(a_commit_that_is_lost_is_said_to_be_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
