/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The store's own rows, as another version, a bit flip or a person with a shell left them:
 * read, planned with, shown, decided upon, and taken up by a start of the core. A line of the
 * input goes, in turn, into each column of all rows of its table, and then into the cells; one
 * that begins with '@' and two hexadecimal digits, and those that follow it, from that cell on.
 * "\N" is NULL. What does not read ends in ERR_CORRUPT.
 */
#include "model/arena.h"
#include "model/json.h"
#include "model/report.h"
#include "model/when.h"
#include "model/yaml.h"
#include "reconciler/plan/text.h"
#include "reconciler/store/documents.h"
#include "reconciler/store/query.h"
#include "reconciler/store/trace.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/restart.h"
#include "tests/fuzz/shown_rows.h"

static struct store store = {.lock_fd = -1, .mode = STORE_WRITE};
static const struct set *declared;

#define UID "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"
#define RACK                                                                        \
    "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\nspec: {}\n---\n" \
    "apiVersion: spinel/v1\nkind: Pool\nmetadata: {name: fast}\nspec: {}\n---\n"    \
    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: db}\n"    \
    "spec: {size: 1GiB, pool: fast}\n"

static const struct {
    const char *table, *column;
    bool is_number;
} columns[] = {
    {"object", "chosen", false},
    {"object", "applied", false},
    {"object", "labels", false},
    {"object", "seen_spec", false},
    {"object", "seen_booted", false},
    {"object", "seen_status", false},
    {"object", "seen_damage", false},
    {"object", "life", true},
    {"object", "tried", false},
    {"object", "epoch", true},
    {"object", "seen_epoch", true},
    {"object", "kind", false},
    {"object", "uid", false},
    {"object", "project", false},
    {"object", "name", false},
    {"object", "seen_at", true},
    {"object", "generation", true},
    {"object", "next_start", true},
    {"object", "stopped_by_guest_at", true},
    {"intent", "step", false},
    {"intent", "epoch", true},
    {"event", "data", false},
    {"event", "type", false},
    {"event", "at_ms", true},
    {"plan", "document", false},
    {"drift", "desired", false},
    {"drift", "observed", false},
    {"drift", "since", true},
    {"parse", "documents", false},
    {"revision", "commit_id", false},
    {"revision", "state", false},
    {"revision", "converged_at", true},
    {"fact", "text", false},
};

/* The rest, and columns of single rows. */
static const struct {
    const char *update;
    bool is_number;
} cells[] = {
    {"UPDATE object SET protect = ?", true},
    {"UPDATE object SET remove_deletes = ?", true},
    {"UPDATE object SET seen = ?", true},
    {"UPDATE object SET seen_absent = ?", true},
    {"UPDATE object SET seen_released = ?", true},
    {"UPDATE object SET seen_etag = ?", false},
    {"UPDATE object SET start_failures = ?", true},
    {"UPDATE intent SET verb = ?", false},
    {"UPDATE intent SET state = ?", false},
    {"UPDATE intent SET attempts = ?", true},
    {"UPDATE intent SET created_at = ?", true},
    {"UPDATE intent SET finished_at = ?", true},
    {"UPDATE intent SET not_before = ?", true},
    {"UPDATE intent SET is_destructive = ?", true},
    {"UPDATE intent SET is_approved = ?", true},
    {"UPDATE intent SET leaves_git = ?", true},
    {"UPDATE intent SET arguments_digest = ?", false},
    {"UPDATE event SET uid = ?", false},
    {"UPDATE event SET kind = ?", false},
    {"UPDATE event SET project = ?", false},
    {"UPDATE event SET name = ?", false},
    {"UPDATE plan SET used_at = ?", true},
    {"UPDATE drift SET healed_at = ?", true},
    {"UPDATE drift SET last_seen = ?", true},
    {"UPDATE drift SET count = ?", true},
    {"UPDATE drift SET disposition = ?", false},
    {"UPDATE revision SET at = ?", true},
    {"UPDATE revision SET message = ?", false},
    {"UPDATE hold SET approved_by = ?", false},
    {"UPDATE hold SET approved_at = ?", true},
    {"UPDATE hold SET at = ?", true},
    {"UPDATE freeze SET what = ?", false},
    {"UPDATE freeze SET until = ?", true},
    {"UPDATE rack SET id = ?", false},
    {"UPDATE manifest SET path = ?", false},
    {"UPDATE mention SET path = ?", false},
    {"UPDATE event SET data = ? WHERE seq = 1", false},
    {"UPDATE event SET data = ? WHERE seq = 2", false},
    {"UPDATE event SET data = ? WHERE seq = 3", false},
    {"UPDATE event SET data = ? WHERE seq = 4", false},
    {"UPDATE event SET data = ? WHERE seq = 5", false},
    {"UPDATE event SET at_ms = ? WHERE seq = 2", true},
    {"UPDATE event SET at_ms = ? WHERE seq = 5", true},
    {"UPDATE event SET type = ? WHERE seq = 1", false},
    {"UPDATE event SET type = ? WHERE seq = 5", false},
    {"UPDATE revision SET id = ?", true},
    {"UPDATE fact SET text = ? WHERE key = 'trash'", false},
    {"UPDATE fact SET text = ? WHERE key = 'unmanaged'", false},
    {"UPDATE fact SET text = ? WHERE key = 'contests'", false},
    {"UPDATE fact SET text = ? WHERE key = 'orphans'", false},
    {"UPDATE fact SET text = ? WHERE key = 'rebuild'", false},
    {"UPDATE object SET uid = ? WHERE id = 2", false},
    {"UPDATE object SET chosen = ? WHERE id = 2", false},
    {"UPDATE object SET applied = ? WHERE id = 2", false},
    {"UPDATE object SET life = ? WHERE id = 2", true},
    {"UPDATE object SET seen_spec = ? WHERE id = 2", false},
    {"UPDATE intent SET uid = ?", false},
    {"UPDATE intent SET op = ? WHERE id = 1", false},
    {"UPDATE drift SET uid = ?", false},
    {"UPDATE drift SET path = ?", false},
    {"UPDATE drift SET kind = ?", false},
    {"UPDATE drift SET desired = ?", false},
};

enum {
    COLUMNS = sizeof columns / sizeof *columns,
    CELLS = sizeof cells / sizeof *cells,
    LINES_MAX = 256,
    CELL_MAX = 256 << 10 /* what is ours is read however much it costs (json_read_own()) */
};

static void must_run(const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(store.db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, why);
        abort();
    }
}

static void value_put(const char *update, bool is_number, const char *text, size_t len)
{
    sqlite3_stmt *stmt = NULL;
    MUST(sqlite3_prepare_v2(store.db, update, -1, &stmt, NULL) == SQLITE_OK);
    if (strcmp(text, "\\N") == 0)
        sqlite3_bind_null(stmt, 1);
    else if (is_number)
        sqlite3_bind_int64(stmt, 1, strtoll(text, NULL, 10));
    else
        sqlite3_bind_text(stmt, 1, text, (int)len, SQLITE_TRANSIENT);
    sqlite3_step(stmt); /* a constraint may forbid it */
    sqlite3_finalize(stmt);
}

/* Where a line goes; what it was told by is taken from it. */
static size_t number_of(size_t next, const char **line, size_t *len)
{
    static const char digits[] = "0123456789abcdef";
    const char *high = *len >= 3 && **line == '@' ? strchr(digits, (*line)[1]) : NULL;
    const char *low = high ? strchr(digits, (*line)[2]) : NULL;
    if (!low || !*high || !*low)
        return next;
    *line += 3;
    *len -= 3;
    return COLUMNS + (size_t)(high - digits) * 16 + (size_t)(low - digits);
}

static void line_put(size_t number, const char *text, size_t len)
{
    char update[160];
    if (number >= COLUMNS + CELLS || len > CELL_MAX)
        return;
    if (number >= COLUMNS) {
        const size_t cell = number - COLUMNS;
        value_put(cells[cell].update, cells[cell].is_number, text, len);
        return;
    }
    snprintf(update, sizeof update, "UPDATE OR IGNORE %s SET %s = ?", columns[number].table,
             columns[number].column);
    value_put(update, columns[number].is_number, text, len);
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

/* A volume, a VM that was released, and one life of a revision from its push to its end. */
static void rows_make(void)
{
    must_run("INSERT INTO rack VALUES (1, '" UID "', zeroblob(32));"
             "INSERT INTO revision VALUES (1, 'c1', '', 'a', 's', 'p', 'target', '', 1, 2, 3);"
             "INSERT INTO fact VALUES ('trash', '[{\"kind\":\"Volume\",\"uid\":\"x\"}]'),"
             " ('unmanaged', '[]'), ('orphans', '[]'), ('contests', '[{\"uid\":\"x\",\"path\":"
             "\"p\",\"count\":9,\"last\":1,\"nextTry\":2}]'), ('rebuild', ''),"
             " ('mentions', '{}'), ('settled', '{}');"
             "INSERT INTO parse (blob, schema, documents) VALUES ('b1', '', '[]');"
             "INSERT INTO manifest VALUES ('a.yaml', 'b1');"
             "INSERT INTO mention VALUES (7, 'a.yaml');"
             "INSERT INTO hold VALUES ('h1', 'deletions', 'too many', 1, NULL, NULL);"
             "INSERT INTO freeze VALUES ('changes', 'ann', 'why', 0, 1);"
             "INSERT INTO object (id, uid, kind, project, name, life, generation, epoch, protect,"
             " remove_deletes, chosen, applied, labels, stopped_by_guest_at, start_failures,"
             " next_start, seen, seen_absent, seen_released, seen_epoch, seen_at, seen_spec,"
             " seen_status, seen_etag) VALUES (1, '" UID "', 'Volume', 'shop', 'db', 1, 1, 2, 0, 0,"
             " '{}', '{\"size\":1073741824,\"pool\":\"fast\"}', '{}', 0, 0, 0, 1, 0, 0, 2,"
             " 1700000000, '{\"size\":536870912}', '{\"state\":\"x\"}', 'e'),"
             " (2, '" OTHER "', 'Instance', 'shop', 'web', 2, 1, 4, 0, 1, '{}', '{\"cpus\":1}',"
             " '{}', 0, 2, 9, 1, 0, 1, 4, 1700000000, '{\"cpus\":2,\"power\":\"on\"}',"
             " '{\"state\":\"off\",\"exit\":{\"reason\":\"crash\"}}', 'f');"
             "INSERT INTO intent VALUES (1, 'op', '" UID "', 2, 'update', 'p', 'd', 'pending', 1,"
             " 5, 0, 0, '', '{\"kind\":\"Volume\",\"name\":\"db\",\"fields\":[]}', 0, 0, 0),"
             " (2, 'op2', '" OTHER "', 4, 'delete', 'p', 'd', 'failed', 3, 5, 9, 0, 'no', NULL, 1,"
             " 0, 1);"
             "INSERT INTO event (at_ms, type, text, uid, kind, project, name, data) VALUES"
             " (1700000000000, 'push.received', 't', NULL, NULL, NULL, NULL,"
             "  '{\"checkedAt\":\"2023-11-14T22:13:19.500Z\",\"checkMs\":40}'),"
             " (1700000000100, 'revision.accepted', 't', NULL, NULL, NULL, NULL,"
             "  '{\"revision\":1,\"commit\":\"c1\",\"who\":\"ann\",\"ms\":12}'),"
             " (1700000000200, 'plan.made', 't', NULL, NULL, NULL, NULL,"
             "  '{\"hash\":\"h\",\"ms\":3,\"lookMs\":20,\"summary\":{\"run\":1,\"held\":0}}'),"
             " (1700000000300, 'op.started', 't', '" UID "', 'Volume', 'shop', 'db',"
             "  '{\"op\":\"op\",\"verb\":\"update\",\"driver\":\"disk\",\"call\":4}'),"
             " (1700000000400, 'op.confirmed', 't', '" UID "', 'Volume', 'shop', 'db',"
             "  '{\"op\":\"op\",\"callMs\":60}'),"
             " (1700000000500, 'converged', 't', NULL, NULL, NULL, NULL, '{\"held\":0}');"
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

/* ---- what commands read -------------------------------------------------------------- */

static void objects_read(struct arena *arena)
{
    struct error err = ERROR_INIT;
    struct known *rows = NULL;
    size_t count = 0;
    int64_t at = 0;
    uint64_t lives = 0;
    if (store_objects(&store, arena, &rows, &count, &err) == 0) {
        for (size_t i = 0; i < count; i++)
            MUST(object_state(&rows[i]) && rows[i].uid[0] && rows[i].name[0]);
        plan_with(arena, rows, count);
    }
    (void)store_objects_named(&store, arena, "Volume", "shop", "db", &rows, &count, &err);
    (void)store_objects_renamed(&store, arena, 10, &rows, &count, &err);
    (void)store_nics_at(&store, arena, "shop", "10.0.0.1", &rows, &count, &err);
    (void)store_has_object(&store, UID, &err);
    (void)store_observed_at(&store, &at, &err);
    (void)store_incarnations(&store, "Volume", "shop", "db", &lives, &err);
}

static void intents_read(struct arena *arena)
{
    static const char *const uids[] = {NULL, UID};
    struct error err = ERROR_INIT;
    struct intent *intents = NULL;
    size_t count = 0;
    struct loss *losses = NULL;
    for (size_t n = 0; n < sizeof uids / sizeof *uids; n++)
        if (store_intents(&store, arena, uids[n], (struct page){0, 10}, &intents, &count, &err) ==
            0)
            for (size_t i = 0; i < count; i++)
                show(intent_value(arena, &intents[i]));
    (void)store_intents_open(&store, arena, &intents, &count, &err);
    if (store_destroyed_since(&store, arena, 1, &losses, &count, &err) == 0)
        for (size_t i = 0; i < count; i++)
            MUST(losses[i].kind && losses[i].gone >= 0 && losses[i].gone <= losses[i].count);
    int64_t left = -1;
    MUST(store_left_since(&store, 1, &left, &err) < 0 || left >= 0);
}

static void events_read(struct arena *arena)
{
    static const char *const uids[] = {NULL, UID};
    struct error err = ERROR_INIT;
    struct event *events = NULL;
    struct drift_row *drifts = NULL;
    size_t count = 0;
    if (store_events(&store, arena, 0, 10, &events, &count, &err) == 0)
        for (size_t i = 0; i < count; i++)
            show(event_value(arena, &events[i]));
    (void)store_events(&store, arena, -1, 10, &events, &count, &err);
    for (size_t n = 0; n < sizeof uids / sizeof *uids; n++)
        (void)store_events_before(&store, arena, uids[n], INT64_MAX, 10, &events, &count, &err);
    if (store_drifts(&store, arena, 0, &drifts, &count, &err) == 0)
        for (size_t i = 0; i < count; i++)
            show(drift_value(arena, &drifts[i]));
}

static void trace_read(struct arena *arena, const struct revision *revision)
{
    struct error err = ERROR_INIT;
    struct value *made = NULL;
    if (trace_make(&store, arena, revision, &made, &err) < 0)
        return;
    show(made);
    show(trace_otlp(arena, made, "rack", "1"));
    MUST(trace_note(arena, made)[0]);
}

static void revisions_read(struct arena *arena)
{
    static const char *const asked[] = {"", "1", "c1"};
    struct error err = ERROR_INIT;
    struct revision *revisions = NULL, one;
    size_t count = 0;
    if (store_revisions(&store, arena, (struct page){.limit = 10}, &revisions, &count, &err) == 0)
        for (size_t i = 0; i < count; i++) {
            show(revision_value(arena, &revisions[i]));
            trace_read(arena, &revisions[i]);
        }
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        (void)revision_find(&store, arena, asked[i], &one, &err);
    (void)store_revision_target(&store, arena, &one, &err);
    (void)store_revision_good(&store, arena, &one, &err);
}

static void records_read(struct arena *arena)
{
    struct error err = ERROR_INIT;
    const struct value *document = NULL;
    struct value *list = NULL;
    struct freeze *freezes = NULL;
    size_t count = 0;
    if (store_plan_get(&store, arena, "h", &document, &err) == 0 && document) {
        struct text out = TEXT_INIT;
        plan_text(&out, document, (struct plan_text_options){.columns = 80});
        text_free(&out);
    }
    if (store_plans(&store, arena, 10, &list, &err) == 0)
        show(list);
    if (store_holds(&store, arena, &list, &err) == 0)
        show(list);
    if (store_freezes(&store, arena, &freezes, &count, &err) == 0)
        for (size_t i = 0; i < count; i++)
            when_rfc3339(arena, freezes[i].until);
}

static void small_read(struct arena *arena)
{
    struct error err = ERROR_INIT;
    const struct value *document = NULL;
    const char *const *paths = NULL;
    struct value *hold = NULL;
    const char *text = NULL;
    size_t count = 0;
    uint8_t seed[32];
    char rack_id[33];
    (void)store_parse_get(&store, arena, "b1", &document, &err);
    (void)store_has_parses(&store, &err);
    (void)store_mentions(&store, arena, 7, 10, &paths, &count, &err);
    (void)store_fact_get(&store, arena, "trash", &text, &err);
    (void)store_hold_get(&store, arena, "h1", &hold, &err);
    (void)store_seed(&store, seed, &err);
    if (store_rack_id(&store, rack_id, &err) == 0)
        MUST(memchr(rack_id, '\0', sizeof rack_id) == rack_id + 32);
}

/* What a person decides upon such rows. */
static void rows_change(void)
{
    const struct drift_row drift = {.uid = UID,
                                    .kind = "Volume",
                                    .name = "db",
                                    .path = "spec.size",
                                    .since = 1,
                                    .last_seen = 9};
    const struct freeze freeze = {.what = "changes", .who = "ann", .why = "w"};
    struct error err = ERROR_INIT;
    (void)store_plan_use(&store, "h", 1700000000, &err);
    (void)store_hold_approve(&store, "h1", "ann", 1700000000, &err);
    (void)store_object_purge(&store, UID, &err);
    (void)store_object_purge(&store, OTHER, &err);
    (void)store_drift_healed(&store, UID, "spec.size", 1700000000, "op", &err);
    (void)store_drift_seen(&store, &drift, &err);
    (void)store_freeze_lift(&store, "changes", &err);
    (void)store_freeze_put(&store, &freeze, 1700000000, &err);
    (void)store_etags_drop(&store, &err);
}

static void all_show(struct arena *arena)
{
    fuzz_rows_show(&store, arena);
}

static void rows_read(void)
{
    static void (*const reads[])(struct arena * arena) = {objects_read,   intents_read, events_read,
                                                          revisions_read, records_read, small_read,
                                                          all_show};
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        struct arena *arena = arena_new(); /* as a command has one */
        reads[i](arena);
        arena_free(arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_lines lines = fuzz_lines(data, size);
    const char *line;
    size_t len;
    must_run("SAVEPOINT pristine");
    for (size_t n = 0, next = 0; n < LINES_MAX && fuzz_line(&lines, &line, &len); n++, next++) {
        next = number_of(next, &line, &len);
        char *text = fuzz_text((const uint8_t *)line, len);
        if (len)
            line_put(next, text, len);
        free(text);
    }
    rows_read();
    must_run("SAVEPOINT begun");
    fuzz_restart(&store, declared);
    must_run("ROLLBACK TO begun; RELEASE begun");
    rows_change();
    must_run("ROLLBACK TO pristine; RELEASE pristine");
    return 0;
}
