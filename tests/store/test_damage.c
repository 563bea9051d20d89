/* SPDX-License-Identifier: MPL-2.0 */
/* What a damaged file, a damaged row or a full disk leads to. */
#include "tests/store/store_scene.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void what_is_no_database_is_corrupt_with_a_way_out(void **state)
{
    struct scene *scene = *state;
    FILE *file = fopen(scene->file, "w");
    for (int i = 0; i < 300; i++)
        fputs("this is not a database\n", file);
    fclose(file);

    assert_int_equal(open_code(scene, STORE_WRITE), ERR_CORRUPT);
    assert_non_null(strstr(scene->err.message, scene->file));
    assert_non_null(strstr(scene->err.hint, "aside"));
    assert_int_equal(open_code(scene, STORE_READ), ERR_CORRUPT);
}

static void a_damaged_page_is_found_when_the_writer_starts(void **state)
{
    struct scene *scene = *state;
    struct stat st;
    uint8_t junk[2048];
    memset(junk, 0xa5, sizeof(junk));
    store_close(store_for(scene, STORE_WRITE));
    assert_int_equal(stat(scene->file, &st), 0);
    int fd = open(scene->file, O_WRONLY);
    for (off_t page = 4096; page < st.st_size; page += 4096)
        assert_int_equal(pwrite(fd, junk, sizeof(junk), page), sizeof(junk));
    close(fd);

    assert_int_equal(open_code(scene, STORE_WRITE), ERR_CORRUPT);
}

static void a_column_that_is_not_json_is_corrupt(void **state)
{
    struct scene *scene = *state;
    const struct value *document = NULL;
    struct store *store = store_for(scene, STORE_WRITE);
    assert_int_equal(store_plan_put(store, "aa", "cc", 1, value_map(scene->arena), &scene->err), 0);
    assert_int_equal(
        sqlite3_exec(store->db, "UPDATE plan SET document = '{oops'", NULL, NULL, NULL), SQLITE_OK);

    assert_int_equal(store_plan_get(store, scene->arena, "aa", &document, &scene->err),
                     ERR_CORRUPT);
    assert_null(document);
    store_close(store);
}

#define U1 "11111111111111111111111111111111"

static void a_row_that_spinel_cannot_have_written_is_corrupt(void **state)
{
    static const char *const damages[] = {
        "UPDATE object SET life = 9",
        "UPDATE object SET life = -1",
        "UPDATE object SET epoch = -5",
        "UPDATE object SET epoch = 9223372036854775807",
        "UPDATE object SET seen_epoch = -1",
        "UPDATE object SET chosen = NULL",
        "UPDATE object SET chosen = '[]'",
        "UPDATE object SET uid = ''",
        "UPDATE object SET next_start = -1",
        "UPDATE object SET stopped_by_guest_at = -1",
        "UPDATE object SET seen_at = -1",
        "UPDATE object SET generation = -1",
        "UPDATE object SET generation = 9007199254740993",
        "UPDATE object SET seen_epoch = 9007199254740993",
        "UPDATE object SET chosen = '\"text\"'",
    };
    struct scene *scene = *state;
    struct store *store = store_for(scene, STORE_WRITE);
    for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
        struct known *rows = NULL;
        size_t count = 0;
        const struct known known = {.uid = U1,
                                    .kind = "Volume",
                                    .name = "v",
                                    .life = LIFE_LIVE,
                                    .chosen = value_map(scene->arena)};
        assert_int_equal(store_object_put(store, &known, &scene->err), 0);
        assert_int_equal(store_objects(store, scene->arena, &rows, &count, &scene->err), 0);
        assert_int_equal(sqlite3_exec(store->db, damages[i], NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(store_objects(store, scene->arena, &rows, &count, &scene->err),
                         ERR_CORRUPT);
        assert_int_equal(sqlite3_exec(store->db, "DELETE FROM object", NULL, NULL, NULL),
                         SQLITE_OK);
    }
    store_close(store);
}

/* Each is read into paths, kernel names and what drivers are told. The row is named. */
static void a_row_of_a_damaged_identity_is_corrupt_and_named(void **state)
{
    static const struct {
        const char *damage, *said;
    } cases[] = {
        {"UPDATE object SET uid = '../../x'", "uid ../../x: its uid is not 32"},
        {"UPDATE object SET uid = '1111111111111111111111111111111G'", "not 32 hexadecimal"},
        {"UPDATE object SET uid = char(27) || '[2J'", "not 32 hexadecimal"},
        {"UPDATE object SET kind = '../Volume'", "its kind is no word"},
        {"UPDATE object SET kind = ''", "its kind is no word"},
        {"UPDATE object SET kind = 'volume'", "its kind is no word"},
        {"UPDATE object SET kind = 'V' || substr(hex(zeroblob(32)), 1, 63)", "its kind is no word"},
        {"UPDATE object SET name = 'a/../b'", "Volume shop/a/../b, uid 1111"},
        {"UPDATE object SET name = 'a.b.c'", "its name or project is none"},
        {"UPDATE object SET name = 'a.'", "its name or project is none"},
        {"UPDATE object SET project = '..'", "its name or project is none"},
        {"UPDATE object SET project = ''", "its name or project is none"},
    };
    struct scene *scene = *state;
    struct store *store = store_for(scene, STORE_WRITE);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct known *rows = NULL;
        size_t count = 0;
        const struct known known = {.uid = U1,
                                    .kind = "Volume",
                                    .project = "shop",
                                    .name = i % 2 ? "web-1.eth0" : "v",
                                    .life = LIFE_LIVE,
                                    .chosen = value_map(scene->arena)};
        assert_int_equal(store_object_put(store, &known, &scene->err), 0);
        assert_int_equal(store_objects(store, scene->arena, &rows, &count, &scene->err), 0);
        assert_int_equal(sqlite3_exec(store->db, cases[i].damage, NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(store_objects(store, scene->arena, &rows, &count, &scene->err),
                         ERR_CORRUPT);
        if (!strstr(scene->err.message, cases[i].said) || strchr(scene->err.message, '\x1b'))
            fail_msg("%s: %s", cases[i].damage, scene->err.message);
        assert_non_null(strstr(scene->err.hint, "aside"));
        assert_int_equal(sqlite3_exec(store->db, "DELETE FROM object", NULL, NULL, NULL),
                         SQLITE_OK);
    }
    store_close(store);
}

static void a_damaged_uid_is_found_when_the_writer_starts(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_for(scene, STORE_WRITE);
    const struct known known = {.uid = U1, .kind = "Volume", .name = "v"};
    assert_int_equal(store_object_put(store, &known, &scene->err), 0);
    assert_int_equal(sqlite3_exec(store->db, "UPDATE object SET uid = '../x'", NULL, NULL, NULL),
                     SQLITE_OK);
    store_close(store);
    assert_int_equal(open_code(scene, STORE_WRITE), ERR_CORRUPT);
    assert_non_null(strstr(scene->err.message, "Volume v, uid ../x"));
}

static void sighting_counted(void *context, const struct sighting *sighting)
{
    (void)sighting;
    ++*(size_t *)context;
}

static void no_reader_hands_out_a_damaged_uid(void **state)
{
    struct scene *scene = *state;
    struct store *store = store_for(scene, STORE_WRITE);
    const struct known known = {.uid = U1, .kind = "Volume", .name = "v"};
    const struct intent intent = {
        .op = "op", .uid = U1, .epoch = 1, .verb = "create", .state = "pending"};
    struct intent *intents;
    size_t count = 0, taken = 0;
    assert_int_equal(store_object_put(store, &known, &scene->err), 0);
    assert_int_equal(store_intent_put(store, &intent, &scene->err), 0);
    assert_int_equal(store_sightings_each(store, sighting_counted, &taken, &scene->err), 0);
    assert_int_equal(taken, 1);
    assert_int_equal(store_intents_open(store, scene->arena, &intents, &count, &scene->err), 0);
    assert_int_equal(sqlite3_exec(store->db,
                                  "UPDATE object SET uid = '../x'; UPDATE intent SET uid = '../x'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(store_sightings_each(store, sighting_counted, &taken, &scene->err),
                     ERR_CORRUPT);
    assert_int_equal(taken, 1);
    assert_int_equal(store_intents_open(store, scene->arena, &intents, &count, &scene->err),
                     ERR_CORRUPT);
    store_close(store);
}

static void fill_until_it_fails(struct scene *scene, struct store *store)
{
    char bulk[8192];
    memset(bulk, 'x', sizeof(bulk) - 1);
    bulk[sizeof(bulk) - 1] = '\0';
    int rc = 0;
    for (int i = 0; rc == 0 && i < 4000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        rc = store_fact_put(store, key, bulk, &scene->err);
    }
    assert_int_equal(rc, ERR_NO_SPACE);
    assert_true(scene->err.hint[0] != '\0');
}

static void a_full_disk_is_told_apart_and_what_was_committed_stays(void **state)
{
    struct scene *scene = *state;
    if (geteuid() != 0 || mount("spinel-test", scene->dir, "tmpfs", 0, "size=2m") != 0) {
        print_message("# SKIP no tmpfs can be mounted: not root, or not allowed\n");
        skip();
    }
    const char *text = NULL;
    struct store *store = store_for(scene, STORE_WRITE);
    assert_int_equal(store_fact_put(store, "first", "kept", &scene->err), 0);
    fill_until_it_fails(scene, store);
    assert_int_equal(store_fact_get(store, scene->arena, "first", &text, &scene->err), 0);
    assert_string_equal(text, "kept");
    store_close(store);

    store = store_for(scene, STORE_READ);
    text = NULL;
    assert_int_equal(store_fact_get(store, scene->arena, "first", &text, &scene->err), 0);
    assert_string_equal(text, "kept");
    store_close(store);
}

/* As `ulimit -f` or LimitFSIZE= of a service has it. */
static void a_limit_on_the_size_of_files_is_told_from_a_full_disk(void **state)
{
    struct scene *scene = *state;
    struct rlimit before;
    struct store *store = store_for(scene, STORE_WRITE);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {.rlim_cur = 1 << 16, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    fill_until_it_fails(scene, store);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_non_null(strstr(scene->err.message, strerror(EFBIG)));
    assert_non_null(strstr(scene->err.hint, "ulimit -f"));
    assert_int_equal(store_fact_put(store, "after", "kept", &scene->err), 0);
    store_close(store);
}

/* It is waited for a moment, in which who made it may yet give it away. */
static void a_store_of_somebody_else_is_denied(void **state)
{
    enum { NOBODY = 65534 };
    struct scene *scene = *state;
    char script[192];
    if (geteuid() != 0) {
        print_message("# SKIP needs root\n");
        skip();
    }
    store_close(store_for(scene, STORE_WRITE));
    snprintf(script, sizeof script, "cd %s && chown -R %d . && chown 0 spinel.db* && chmod 600 *",
             scene->dir, NOBODY);
    assert_int_equal(system(script), 0);
    assert_int_equal(seteuid(NOBODY), 0);
    int written = open_code(scene, STORE_WRITE), read = open_code(scene, STORE_READ);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(written, ERR_DENIED);
    assert_int_equal(read, ERR_DENIED);
    assert_int_equal(open_code(scene, STORE_WRITE), 0);
}

static void the_identity_of_a_store_is_one_or_none(void **state)
{
    static const char *const damages[] = {
        "UPDATE rack SET id = 'lab'",
        "UPDATE rack SET id = substr(id, 2)",
        "UPDATE rack SET id = upper(substr(id, 1, 31)) || 'F'",
        "UPDATE rack SET id = ''",
    };
    struct scene *scene = *state;
    uint8_t seed[32];
    char rack[33], script[128];
    struct store *store = store_for(scene, STORE_WRITE);
    assert_int_equal(sqlite3_exec(store->db, "DELETE FROM rack", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(store_seed(store, seed, &scene->err), ERR_NOT_FOUND);
    assert_int_equal(store_rack_id(store, rack, &scene->err), ERR_NOT_FOUND);
    assert_non_null(strstr(scene->err.message, "holds no rack yet"));
    store_close(store);
    snprintf(script, sizeof script, "rm -f %s/spinel.db*", scene->dir);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        assert_int_equal(system(script), 0);
        store = store_for(scene, STORE_WRITE);
        assert_int_equal(sqlite3_exec(store->db, damages[i], NULL, NULL, NULL), SQLITE_OK);
        store_close(store);
        if (open_code(scene, STORE_WRITE) != ERR_CORRUPT)
            fail_msg("%s", damages[i]);
    }
}

static void a_store_that_was_found_damaged_is_checked_before_the_next_start(void **state)
{
    struct scene *scene = *state;
    char mark[128];
    struct store *store = store_for(scene, STORE_WRITE);
    assert_false(store_is_unchecked(store));
    assert_int_equal(store_check(store, &scene->err), 0);
    store_mark_damaged(store);
    store_close(store);
    snprintf(mark, sizeof(mark), "%s/damaged", scene->dir);
    assert_int_equal(access(mark, F_OK), 0);
    store_close(store_for(scene, STORE_WRITE));
    assert_int_equal(access(mark, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_no_database_is_corrupt_with_a_way_out),
        CASE(a_damaged_page_is_found_when_the_writer_starts),
        CASE(a_column_that_is_not_json_is_corrupt),
        CASE(a_row_that_spinel_cannot_have_written_is_corrupt),
        CASE(a_row_of_a_damaged_identity_is_corrupt_and_named),
        CASE(a_damaged_uid_is_found_when_the_writer_starts),
        CASE(no_reader_hands_out_a_damaged_uid),
        CASE(a_store_that_was_found_damaged_is_checked_before_the_next_start),
        CASE(a_full_disk_is_told_apart_and_what_was_committed_stays),
        CASE(a_limit_on_the_size_of_files_is_told_from_a_full_disk),
        CASE(a_store_of_somebody_else_is_denied),
        CASE(the_identity_of_a_store_is_one_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
