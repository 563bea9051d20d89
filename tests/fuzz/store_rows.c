/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The store's own rows, as another version, a bit flip or a person with a shell left them:
 * read, planned with, and shown. A line of the input goes, in turn, into each column; what
 * does not read ends in ERR_CORRUPT.
 */
#include "model/arena.h"
#include "model/json.h"
#include "model/report.h"
#include "model/yaml.h"
#include "reconciler/plan/text.h"
#include "reconciler/store/documents.h"
#include "reconciler/store/query.h"
#include "reconciler/store/trace.h"
#include "tests/fuzz/fuzz.h"

static struct store store = {.lock_fd = -1, .mode = STORE_WRITE};
static const struct set *declared;

#define UID "0123456789abcdef0123456789abcdef"
#define RACK                                                                        \
    "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\nspec: {}\n---\n" \
    "apiVersion: spinel/v1\nkind: Pool\nmetadata: {name: fast}\nspec: {}\n---\n"    \
    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: db}\n"    \
    "spec: {size: 1GiB, pool: fast}\n"

static const struct {
    const char *table, *column;
    bool is_number;
} columns[] = {
    {"object", "chosen", false},        {"object", "applied", false},
    {"object", "labels", false},        {"object", "seen_spec", false},
    {"object", "seen_booted", false},   {"object", "seen_status", false},
    {"object", "seen_damage", false},   {"object", "life", true},
    {"object", "tried", false},
    {"object", "epoch", true},          {"object", "seen_epoch", true},
    {"object", "kind", false},          {"object", "uid", false},
    {"object", "project", false},       {"object", "name", false},
    {"object", "seen_at", true},        {"object", "generation", true},
    {"object", "next_start", true},     {"object", "stopped_by_guest_at", true},
    {"intent", "step", false},          {"intent", "epoch", true},
    {"event", "data", false},           {"event", "type", false},
    {"event", "at_ms", true},           {"plan", "document", false},
    {"drift", "desired", false},        {"drift", "observed", false},
    {"drift", "since", true},           {"parse", "documents", false},
    {"revision", "commit_id", false},   {"revision", "state", false},
    {"revision", "converged_at", true}, {"fact", "text", false},
};

static void must_run(const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(store.db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, why);
        abort();
    }
}

static void column_set(size_t column, const char *text, size_t len)
{
    char sql[160];
    sqlite3_stmt *stmt = NULL;
    snprintf(sql, sizeof sql, "UPDATE %s SET %s = ?", columns[column].table,
             columns[column].column);
    MUST(sqlite3_prepare_v2(store.db, sql, -1, &stmt, NULL) == SQLITE_OK);
    if (columns[column].is_number)
        sqlite3_bind_int64(stmt, 1, strtoll(text, NULL, 10));
    else
        sqlite3_bind_text(stmt, 1, text, (int)len, SQLITE_TRANSIENT);
    sqlite3_step(stmt); /* a constraint may forbid it */
    sqlite3_finalize(stmt);
}

static void declare(void)
{
    struct arena *arena = arena_new();
    struct report report;
    struct value *docs = NULL;
    report_init(&report, arena);
    yaml_read(arena, "a.yaml", RACK, strlen(RACK), &docs, &report);
    struct set_builder *builder = set_builder_new(arena, &report);
    for (size_t i = 0; i < docs->count; i++)
        set_builder_add(builder, docs->items[i]);
    declared = set_builder_finish(builder);
    MUST(report.count == 0);
}

static void rows_make(void)
{
    must_run("INSERT INTO revision VALUES (1, 'c1', '', 'a', 's', 'p', 'target', '', 1, 2, 3);"
             "INSERT INTO fact VALUES ('trash', '[]');"
             "INSERT INTO parse (blob, schema, documents) VALUES ('b1', '', '[]');"
             "INSERT INTO object VALUES (1, '" UID "', 'Volume', 'shop', 'db', 1, 1, 2, 0, 0, '{}',"
             " '{\"size\":1073741824,\"pool\":\"fast\"}', '{}', 0, 0, 0, 1, 0, 0, 2, 1700000000,"
             " '{\"size\":536870912}', NULL, '{\"state\":\"x\"}', NULL, 'e', NULL);"
             "INSERT INTO intent VALUES (1, 'op', '" UID "', 2, 'update', 'p', 'd', 'pending', 1,"
             " 5, 0, 0, '', '{\"fields\":[]}', 0, 0);"
             "INSERT INTO event VALUES (1, 1700000000000, 'op.confirmed', 't', '" UID "', 'Volume',"
             " 'shop', 'db', '{\"op\":\"op\",\"ms\":3}');"
             "INSERT INTO plan VALUES (1, 'h', 'c1', 1, 0, '{\"steps\":[]}');"
             "INSERT INTO drift VALUES (1, '" UID
             "', 'Volume', 'shop', 'db', 'spec.size', '1', '2',"
             " 1, 2, 'plan', 'unknown', 'run', 0, '', 1, 'why');");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char path[] = "memory";
    struct error err = ERROR_INIT;
    (void)argc, (void)argv;
    store.path = path;
    MUST(sqlite3_open_v2(":memory:", &store.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) ==
         SQLITE_OK);
    MUST(migrate_database(&store, &err) == 0);
    rows_make();
    declare();
    return 0;
}

static void plan_with(struct arena *arena, const struct known *rows, size_t count)
{
    struct plan_input input = {.set = declared,
                               .commit = "c1",
                               .parent = "",
                               .known = rows,
                               .known_count = count,
                               .now = 1700000100,
                               .policy = {3, 5, 30}};
    struct text out = TEXT_INIT;
    const struct plan *plan = plan_make(arena, &input);
    plan_text(&out, plan_value(arena, plan), (struct plan_text_options){.columns = 80});
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].disposition == RUN)
            step_arguments(arena, plan, &input, &plan->steps[i]);
    text_free(&out);
}

static void show(const struct value *document)
{
    struct text out = TEXT_INIT;
    json_write_pretty(&out, document);
    text_free(&out);
}

static void rows_read(struct arena *arena)
{
    struct error err = ERROR_INIT;
    struct known *rows = NULL;
    struct intent *intents = NULL;
    struct event *events = NULL;
    struct drift_row *drifts = NULL;
    struct revision *revisions = NULL;
    const struct value *document = NULL;
    struct value *made = NULL;
    const char *text = NULL;
    size_t count = 0;
    if (store_objects(&store, arena, &rows, &count, &err) == 0) {
        for (size_t i = 0; i < count; i++)
            object_state(&rows[i]);
        plan_with(arena, rows, count);
    }
    if (store_intents_open(&store, arena, &intents, &count, &err) == 0)
        for (size_t i = 0; i < count; i++)
            show(intent_value(arena, &intents[i]));
    if (store_events(&store, arena, 0, 10, &events, &count, &err) == 0)
        for (size_t i = 0; i < count; i++)
            show(event_value(arena, &events[i]));
    if (store_drifts(&store, arena, 0, &drifts, &count, &err) == 0)
        for (size_t i = 0; i < count; i++)
            show(drift_value(arena, &drifts[i]));
    if (store_revisions(&store, arena, (struct page){.limit = 10}, &revisions, &count, &err) == 0)
        for (size_t i = 0; i < count; i++) {
            show(revision_value(arena, &revisions[i]));
            if (trace_make(&store, arena, &revisions[i], &made, &err) == 0) {
                show(trace_otlp(arena, made, "rack", "1"));
                trace_note(arena, made);
            }
        }
    if (store_plan_get(&store, arena, "h", &document, &err) == 0 && document) {
        struct text out = TEXT_INIT;
        plan_text(&out, document, (struct plan_text_options){.columns = 80});
        text_free(&out);
    }
    (void)store_parse_get(&store, arena, "b1", &document, &err);
    (void)store_fact_get(&store, arena, "trash", &text, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_lines lines = fuzz_lines(data, size);
    struct arena *arena = arena_new();
    const char *line;
    size_t len;
    must_run("SAVEPOINT pristine");
    for (size_t i = 0; i < sizeof columns / sizeof *columns && fuzz_line(&lines, &line, &len);
         i++) {
        char *text = fuzz_text((const uint8_t *)line, len);
        if (len)
            column_set(i, text, len);
        free(text);
    }
    rows_read(arena);
    must_run("ROLLBACK TO pristine; RELEASE pristine");
    arena_free(arena);
    return 0;
}
