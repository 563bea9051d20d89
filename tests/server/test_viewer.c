/* SPDX-License-Identifier: MPL-2.0 */
/* What the viewer answers over a store that is empty, odd or damaged, and to requests that no
 * browser of a person sends. */
#include "tests/server/viewer.h"

#include "reconciler/store/query.h"

#define UID(digit) digit digit digit digit digit digit digit digit

static void object_put(struct scene *scene, struct store *store, const struct known *known,
                       const char *applied, const char *observed)
{
    struct known row = *known;
    struct value *seen = NULL;
    if (applied && json_read(scene->arena, applied, strlen(applied), &seen, &scene->err) != 0)
        fail_msg("%s", scene->err.message);
    row.applied = seen;
    row.chosen = value_map(scene->arena);
    row.generation = row.epoch = 1;
    assert_int_equal(store_object_put(store, &row, &scene->err), 0);
    if (!observed)
        return;
    assert_int_equal(json_read(scene->arena, observed, strlen(observed), &seen, &scene->err), 0);
    const struct observation observation = {
        .known = true, .epoch = 1, .at = 1700000000, .spec = seen};
    assert_int_equal(store_observation_put(store, row.uid, &observation, "e", &scene->err), 0);
}

static void rack_fill(struct scene *scene, struct store *store)
{
    const struct known
        vpc = {.uid = UID("aaaa"),
               .kind = "VPC",
               .project = "shop",
               .name = "net",
               .life = LIFE_LIVE},
        subnet = {.uid = UID("bbbb"),
                  .kind = "Subnet",
                  .project = "shop",
                  .name = "front",
                  .life = LIFE_LIVE},
        pool = {.uid = UID("cccc"), .kind = "Pool", .name = "fast", .life = LIFE_LIVE},
        volume = {.uid = UID("dddd"),
                  .kind = "Volume",
                  .project = "shop",
                  .name = "data",
                  .life = LIFE_LIVE},
        old = {.uid = UID("eeee"),
               .kind = "Volume",
               .project = "shop",
               .name = "old",
               .life = LIFE_RELEASED},
        machine = {.uid = UID("ffff"),
                   .kind = "Instance",
                   .project = "shop",
                   .name = "web",
                   .life = LIFE_LIVE},
        newer = {
            .uid = UID("9999"), .kind = "Gpu", .project = "shop", .name = "g", .life = LIFE_LIVE};
    object_put(scene, store, &vpc, "{\"prefixes\":[\"10.0.0.0/16\"]}", NULL);
    object_put(scene, store, &subnet, NULL, "{\"vpc\":\"net\",\"cidr\":7}");
    object_put(scene, store, &pool, "{}", "{}");
    object_put(scene, store, &volume, "{\"size\":1024,\"pool\":\"fast\"}", "{\"size\":1024}");
    object_put(scene, store, &old, "{\"size\":1024,\"pool\":\"lost\"}", NULL);
    object_put(scene, store, &machine,
               "{\"disks\":[{\"name\":\"a\",\"volume\":\"data\"},{\"name\":\"b\",\"volume\":"
               "\"data\"}],\"nics\":[{\"name\":\"eth0\",\"subnet\":\"front\"}]}",
               "{}");
    object_put(scene, store, &newer, "{\"cores\":1}", NULL);
}

static void an_empty_store_is_shown_as_such(void **state)
{
    struct scene *scene = *state;
    store_close(store_of(scene));
    viewer_start(scene);
    const struct value *status = document_of(scene, get(scene, "/api/v1/status"));
    assert_int_equal(value_get(status, "revision")->type, VALUE_NULL);
    assert_false(value_get_bool(status, "converged", true));
    assert_status(get(scene, "/api/v1/plan"), 404);
    assert_says(get(scene, "/api/v1/plan"), "There is no revision yet; push one.");
    assert_status(get(scene, "/api/v1/trace"), 404);
    assert_int_equal(value_get(document_of(scene, get(scene, "/api/v1/drift")), "drift")->count, 0);
    assert_says(get(scene, "/metrics"), "spinel_revision_good 0\n");
    assert_says(get(scene, "/metrics"), "spinel_drift_oldest_seconds 0\n");
}

static void objects_without_a_revision_are_shown_with_what_they_need(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_of(scene);
    rack_fill(scene, store);
    store_close(store);
    viewer_start(scene);
    const struct value *found = document_of(scene, get(scene, "/api/v1/resources"));
    assert_int_equal(value_get_int(found, "total", 0), 7);
    found = document_of(
        scene, get(scene, "/api/v1/resources?project=shop&kind=volume&sort=state&order=down"));
    assert_int_equal(value_get_int(found, "total", 0), 2);
    found = document_of(scene, get(scene, "/api/v1/resources?project=&q=fast&mark="));
    assert_int_equal(value_get_int(found, "total", 0), 1);
    found = document_of(scene, get(scene, "/api/v1/resources?limit=2&offset=6&sort=mark"));
    assert_int_equal(value_get(found, "items")->count, 1);
    found = document_of(scene, get(scene, "/api/v1/resources/" UID("ffff")));
    assert_int_equal(value_get(found, "needs")->count, 2); /* the volume once, and the subnet */
    assert_int_equal(value_at(found, "desired.sshKeys") ? 0 : 1, 1);
    found = document_of(scene, get(scene, "/api/v1/resources/" UID("dddd")));
    assert_int_equal(value_get(found, "needs")->count, 1); /* the rack's pool */
    assert_int_equal(value_get(found, "neededBy")->count, 1);
    found = document_of(scene, get(scene, "/api/v1/resources/" UID("bbbb")));
    assert_int_equal(value_get(found, "desired")->type, VALUE_NULL);
    found = document_of(scene, get(scene, "/api/v1/resources/" UID("9999")));
    assert_int_equal(value_get(found, "units")->pair_count, 0);
    assert_status(get(scene, "/api/v1/resources/" UID("1234")), 404);
    found = document_of(scene, get(scene, "/api/v1/network"));
    assert_int_equal(value_get(found, "objects")->count, 3);
    found = document_of(scene, get(scene, "/api/v1/status"));
    assert_int_equal(value_get(found, "groups")->count, 6); /* a released one is in none */
}

static void a_machine_whose_nic_nobody_could_look_at_is_unknown(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_of(scene);
    const struct known nic = {.uid = UID("8888"),
                              .kind = "NIC",
                              .project = "shop",
                              .name = "web.eth0",
                              .life = LIFE_LIVE};
    rack_fill(scene, store);
    object_put(scene, store, &nic, "{}", NULL);
    assert_int_equal(store_fact_put(store, "unseen",
                                    "[{\"kind\":\"NIC\",\"project\":\"shop\",\"name\":\"web.eth0\","
                                    "\"uid\":\"" UID("8888") "\"}]",
                                    &scene->err),
                     0);
    store_close(store);
    viewer_start(scene);
    const struct value *status = document_of(scene, get(scene, "/api/v1/status"));
    assert_int_equal(value_at_int(status, "resources.unknown", 0), 1);
    const struct value *found =
        document_of(scene, get(scene, "/api/v1/resources?mark=unknown&kind=Instance"));
    assert_int_equal(value_get_int(found, "total", 0), 1);
}

static void what_happened_is_told_by_pages(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_of(scene);
    int64_t seq;
    for (int i = 0; i < 450; i++) {
        const struct event event = {.at_ms = 1700000000000,
                                    .type = "op.confirmed",
                                    .text = "done",
                                    .uid = i % 2 ? "u1" : "u2"};
        assert_int_equal(store_event_add(store, &event, &seq, &scene->err), 0);
    }
    struct drift_row drift = {.uid = "u1",
                              .kind = "VPC",
                              .project = "shop",
                              .name = "net",
                              .path = "spec.mtu",
                              .desired = "1",
                              .observed = "2",
                              .since = 90,
                              .last_seen = 95,
                              .detected_by = "resync",
                              .cause = "",
                              .disposition = "run",
                              .healed_by = ""};
    assert_int_equal(store_drift_seen(store, &drift, &scene->err), 0);
    drift.path = "spec.nat";
    drift.since = 50;
    assert_int_equal(store_drift_seen(store, &drift, &scene->err), 0);
    drift.path = "spec.dns";
    drift.since = 70;
    assert_int_equal(store_drift_seen(store, &drift, &scene->err), 0);
    drift.path = "spec.x";
    drift.disposition = "ignored";
    assert_int_equal(store_drift_seen(store, &drift, &scene->err), 0);
    assert_int_equal(store_fact_put(store, "unmanaged", "[{\"kind\":\"VPC\"}]", &scene->err), 0);
    assert_int_equal(
        store_freeze_put(store, &(struct freeze){"changes", "ann", "a fair", 0}, 1, &scene->err),
        0);
    assert_int_equal(
        store_freeze_put(store, &(struct freeze){"healing", "ann", "over", 5}, 1, &scene->err), 0);
    assert_int_equal(store_freeze_put(store,
                                      &(struct freeze){"deletions", "ann", "long", 4102444800}, 1,
                                      &scene->err),
                     0);
    store_close(store);
    viewer_start(scene);
    const struct value *found = document_of(scene, get(scene, "/api/v1/events?uid=u1&limit=5"));
    assert_int_equal(value_get(found, "events")->count, 5);
    found = document_of(scene, get(scene, "/api/v1/events?before=10"));
    assert_int_equal(value_get(found, "events")->count, 9);
    found = document_of(scene, get(scene, "/api/v1/events?after=440"));
    assert_int_equal(value_get(found, "events")->count, 10);
    found = document_of(scene, get(scene, "/api/v1/drift?limit=1&offset=1"));
    assert_int_equal(value_get(found, "drift")->count, 1);
    assert_int_equal(value_get_int(found, "total", 0), 4);
    assert_int_equal(value_get(found, "unmanaged")->count, 1);
    found = document_of(scene, get(scene, "/api/v1/drift?uid=nobody"));
    assert_int_equal(value_get_int(found, "total", 9), 0);
    assert_says(get(scene, "/metrics"), "spinel_drift_open 3\n");
    assert_says(get(scene, "/metrics"), "spinel_drift_ignored 1\n");
    found = document_of(scene, get(scene, "/api/v1/status"));
    assert_int_equal(value_get(found, "freezes")->count, 2); /* one is over */
    char *stream = get(scene, "/api/v1/resources?limit=0");
    assert_status(stream, 400);
    assert_status(get(scene, "/api/v1/events?limit=many"), 400);
    assert_status(get(scene, "/api/v1/events?limit="), 400);
    assert_status(get(scene, "/api/v1/events?before=-1"), 400);
    assert_status(get(scene, "/api/v1/resources?sort=colour"), 400);
    assert_says(get(scene, "/api/v1/resources?order=left"), "one of up, down");
}

struct question {
    struct scene *scene;
    const char *path;
};

/* What was made of the store a moment ago may be shown once more. */
static bool asked_has_problem(void *context)
{
    const struct question *question = context;
    const char *answer = get(question->scene, question->path);
    return strncmp(answer, "HTTP/1.1 50", 11) == 0 && strstr(answer, "application/problem+json");
}

static void a_store_that_is_damaged_is_said_to_be_so_and_ends_nothing(void **state)
{
    static const char *const damages[][2] = {
        {"drift", "/api/v1/drift"},
        {"drift", "/metrics"},
        {"fact", "/api/v1/drift"},
        {"intent", "/api/v1/operations"},
        {"revision", "/api/v1/revisions"},
        {"revision", "/api/v1/trace"},
        {"freeze", "/api/v1/status"},
        {"freeze", "/metrics"},
        {"drift", "/api/v1/resources/" UID("dddd")},
        {"intent", "/api/v1/resources/" UID("dddd")},
        {"object", "/api/v1/resources"},
        {"object", "/api/v1/network"},
        {"object", "/api/v1/plan"},
        {"object", "/api/v1/status"},
        {"object", "/api/v1/resources/" UID("dddd")},
        {"event", "/api/v1/events"},
        {"event", "/api/v1/events?uid=u1"},
    };
    struct scene *scene = *state;
    struct store *store = store_of(scene);
    rack_fill(scene, store);
    viewer_start(scene);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        const char *away =
            arena_printf(scene->arena, "ALTER TABLE %s RENAME TO lost", damages[i][0]);
        const char *back =
            arena_printf(scene->arena, "ALTER TABLE lost RENAME TO %s", damages[i][0]);
        const struct event event = {.at_ms = 1, .type = "x", .text = "so that it looks anew"};
        int64_t seq;
        assert_int_equal(store_event_add(store, &event, &seq, &scene->err), 0);
        assert_int_equal(sqlite3_exec(store->db, away, NULL, NULL, NULL), SQLITE_OK);
        if (!wait_until(asked_has_problem, &(struct question){scene, damages[i][1]}))
            fail_msg("%s without %s: %.300s", damages[i][1], damages[i][0],
                     get(scene, damages[i][1]));
        assert_int_equal(sqlite3_exec(store->db, back, NULL, NULL, NULL), SQLITE_OK);
    }
    store_close(store);
    assert_status(get(scene, "/api/v1/status"), 200);
}

static void a_request_is_for_us_or_refused(void **state)
{
    struct scene *scene = *state;
    store_close(store_of(scene));
    viewer_start(scene);
    assert_status(exchange(scene, "GET /api/v1/status HTTP/1.0\r\n\r\n"), 200);
    assert_status(exchange(scene, "GET /api/v1/status HTTP/1.1\r\nHost: example.org\r\n"
                                  "Connection: close\r\n\r\n"),
                  200); /* a socket has no name that another page could use */
    char *answer = exchange(scene, "PUT /api/v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                   "Content-Length: 0\r\n\r\n");
    assert_status(answer, 405);
    assert_says(answer, "Allow: GET, HEAD");
    assert_status(get(scene, "/nothing/here"), 404);
    assert_status(get(scene, "/"), 200);
    answer = get(scene, "/app.js");
    assert_status(answer, 200);
    const char *etag = strstr(answer, "ETag: ");
    assert_non_null(etag);
    etag = arena_text_n(scene->arena, etag + 6, strcspn(etag + 6, "\r"));
    answer = exchange(scene, arena_printf(scene->arena,
                                          "GET /app.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                          "If-None-Match: %s\r\n\r\n",
                                          etag));
    assert_status(answer, 304);
}

static void a_decision_is_short_well_formed_and_of_who_may(void **state)
{
    struct scene *scene = *state;
    char *longer = arena_alloc(scene->arena, 6000);
    store_close(store_of(scene));
    viewer_start(scene);
    memset(longer, ' ', 5999);
    longer[5999] = '\0';
    assert_status(post(scene, "/api/v1/freeze", "", longer), 413);
    assert_status(post(scene, "/api/v1/freeze", "", ""), 400);
    assert_status(post(scene, "/api/v1/freeze", "", "[]"), 400);
    assert_status(post(scene, "/api/v1/freeze", "", "{\"what\":\"changes\"}"), 400);
    assert_status(post(scene, "/api/v1/freeze", "",
                       "{\"what\":\"changes\",\"why\":\"x\",\"until\":\"whenever\"}"),
                  400);
    assert_status(post(scene, "/api/v1/lift", "", "{}"), 400);
    assert_status(post(scene, "/api/v1/approve", "", "{}"), 400);
    assert_status(post(scene, "/api/v1/colour", "", "{}"), 404);
    char *answer =
        post(scene, "/api/v1/freeze", "", "{\"what\":\"changes\",\"why\":\"x\",\"until\":\"\"}");
    assert_status(answer, 503);
    assert_says(answer, "The daemon is not up; nothing was decided.");
    assert_status(post(scene, "/api/v1/lift", "Origin: http://example.org\r\n", "{}"), 403);
    assert_status(post(scene, "/api/v1/lift", "Origin: null\r\n", "{}"), 403);
    assert_status(post(scene, "/api/v1/lift", "Sec-Fetch-Site: cross-site\r\n", "{}"), 403);
    assert_status(post(scene, "/api/v1/lift",
                       "Origin: http://localhost\r\n"
                       "Sec-Fetch-Site: same-origin\r\n",
                       "{}"),
                  400);
    file_put(scene, "token", "a-token-that-nobody-guesses\n", 0644);
    assert_says(post(scene, "/api/v1/lift", "", "{}"), "may be read by others");
    file_put(scene, "token", "short\n", 0600);
    assert_says(post(scene, "/api/v1/lift", "", "{}"), "shorter than");
    file_put(scene, "token", "another-token-of-the-site\n", 0600);
    assert_status(post(scene, "/api/v1/lift", "", "{}"), 401);
    shell(scene, "rm token");
    assert_status(post(scene, "/api/v1/lift", "", "{}"), 503);
    shell(scene, "mkdir token");
    assert_status(post(scene, "/api/v1/lift", "", "{}"), 503);
}

static char *get_with(struct scene *scene, unsigned parameters, size_t length)
{
    struct text path = TEXT_INIT;
    text_add(&path, "/api/v1/resources");
    for (unsigned i = 0; i < parameters; i++)
        text_add(&path, i ? "&x" : "?limit=1");
    while (path.len < length)
        text_add(&path, "x");
    char *answer = get(scene, path.data);
    text_free(&path);
    return answer;
}

/* The HTTP library has room for some six hundred, and says nothing if there are more. */
static void a_url_that_is_too_long_or_has_too_many_parameters_is_refused_in_words(void **state)
{
    static const struct {
        unsigned parameters;
        size_t length;
    } good[] = {{1, 0}, {64, 0}, {64, 8192}},
      bad[] = {{65, 0},     {600, 0},    {10000, 0},   {1, 8193}, {64, 8193},
               {64, 16000}, {64, 20000}, {600, 24000}, {0, 30000}};
    struct scene *scene = *state;
    store_close(store_of(scene));
    viewer_start(scene);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_status(get_with(scene, good[i].parameters, good[i].length), 200);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *answer = get_with(scene, bad[i].parameters, bad[i].length);
        assert_status(answer, 414);
        assert_says(answer, "A URL has at most 8192 bytes and 64 parameters.");
    }
    assert_status(get_with(scene, 1, 70000), 414);
    assert_status(get(scene, "/api/v1/status"), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_empty_store_is_shown_as_such),
        CASE(objects_without_a_revision_are_shown_with_what_they_need),
        CASE(a_machine_whose_nic_nobody_could_look_at_is_unknown),
        CASE(what_happened_is_told_by_pages),
        CASE(a_store_that_is_damaged_is_said_to_be_so_and_ends_nothing),
        CASE(a_request_is_for_us_or_refused),
        CASE(a_url_that_is_too_long_or_has_too_many_parameters_is_refused_in_words),
        CASE(a_decision_is_short_well_formed_and_of_who_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
