/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The rack in memory. Messages to a driver are answered into a queue at once and
 * delivered one by one; when the queue is empty the clock jumps to the core's timer.
 * A driver that is killed or whose core died forgets what it had not done.
 */
#include "tests/engine/manifests.h"
#include "tests/engine/rack.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model/json.h"
#include "model/text.h"
#include "model/yaml.h"

static const char *const driver_names[] = {"disk", "net"};

/* ---- what the core calls ------------------------------------------------------------ */

/* Every call to the outside goes through here, and may be the last. */
static void called(struct rack *rack)
{
    if (rack->crash_at && ++rack->calls == rack->crash_at)
        longjmp(rack->crash, 1);
}

static int64_t rack_mono(void *context)
{
    return ((struct rack *)context)->now_ms;
}

static int64_t rack_wall(void *context)
{
    const struct rack *rack = context;
    return rack->now_ms + rack->wall_ahead_ms + 1700000000000;
}

static void rack_random(void *context, void *out, size_t len)
{
    (void)context;
    memset(out, 0x5a, len);
}

static void rack_timer(void *context, int64_t mono_ms)
{
    struct rack *rack = context;
    called(rack);
    rack->timer_ms = mono_ms;
}

static int driver_index(const char *driver)
{
    return !strcmp(driver, "net");
}

static void rack_emit(void *context, const struct event *event)
{
    struct rack *rack = context;
    called(rack);
    rack->events_converged += !strcmp(event->type, "converged");
    rack->events_failed += !strcmp(event->type, "op.failed");
    if (!strcmp(event->type, "op.failed"))
        snprintf(rack->failed, sizeof rack->failed, "%s", event->text);
    rack->events_full += !strcmp(event->type, "place.full");
    if (!strcmp(event->type, "place.full"))
        snprintf(rack->full, sizeof rack->full, "%s", event->text);
    if (getenv("RACK_TRACE"))
        printf("# %8lld %-16s %s\n", (long long)rack->now_ms, event->type, event->text);
}

static void rack_passed(void *context, const struct pass *pass)
{
    (void)pass;
    ((struct rack *)context)->plans++;
}

static void rack_log(void *context, const char *name, const char *text)
{
    (void)context;
    if (getenv("RACK_TRACE"))
        printf("# log %s: %s\n", name, text);
}

static int rack_load(void *context, struct arena *arena, const char *commit, const struct set **set,
                     struct report *report, struct error *err)
{
    struct rack *rack = context;
    const char *text = rack->commits[atoi(commit)];
    struct value *docs = NULL;
    rack->loads++;
    if (rack->torn && !strcmp(rack->torn, commit))
        return error_set(err, ERR_CORRUPT, "commit %s: an object is corrupt", commit);
    yaml_read(arena, "rack.yaml", text, strlen(text), &docs, report);
    struct set_builder *builder = set_builder_new(arena, report);
    for (size_t i = 0; i < docs->count; i++)
        set_builder_add(builder, docs->items[i]);
    *set = set_builder_finish(builder);
    for (size_t i = 0; i < report->count; i++)
        printf("# %s\n", report->problems[i].message);
    return 0;
}

static const char *rack_text(void *context, const char *commit)
{
    const struct rack *rack = context;
    return rack->torn && !strcmp(rack->torn, commit) ? NULL : rack->commits[atoi(commit)];
}

static bool rack_part_make(void *context, struct arena *arena, const struct part_change *change,
                           struct part *part)
{
    struct rack *rack = context;
    return part_text_make(&rack->text, rack->store, arena, change, part);
}

static bool rack_part_covers(void *context, const struct part *part, const struct plan *plan)
{
    (void)context;
    return part_covers(part, plan);
}

static void rack_part_free(void *context, struct part *part)
{
    (void)context;
    part_free(part);
}

void rack_take_parts(struct rack *rack)
{
    rack->text = (struct part_text){rack_text, rack};
    rack->env.part_make = rack_part_make;
    rack->env.part_covers = rack_part_covers;
    rack->env.part_free = rack_part_free;
}

static int rack_describe(void *context, struct arena *arena, const char *commit,
                         const char **author, const char **subject, struct error *err)
{
    (void)context;
    (void)arena;
    (void)err;
    *author = "Ann <ann@example.org>";
    *subject = commit;
    return 0;
}

#include "tests/engine/rack_drivers.c"

/* ---- the store ---------------------------------------------------------------------- */

static struct rack *crashing; /* whose ledger calls are counted */

/* True if this call is the one that is to fail. */
static bool fails(enum ledger_call call, struct error *err)
{
    if (!crashing->fail_at[call] || --crashing->fail_at[call])
        return false;
    error_set(err, ERR_NO_SPACE, "the disk is full");
    return true;
}

static int begin_counted(struct store *store, struct error *err)
{
    called(crashing);
    return fails(LEDGER_BEGIN, err) ? err->code : store_begin(store, err);
}

static int commit_counted(struct store *store, struct error *err)
{
    called(crashing); /* dies before */
    if (fails(LEDGER_COMMIT, err))
        return err->code;
    int status = store_commit(store, err);
    called(crashing); /* dies after */
    return status;
}

static int intent_counted(struct store *store, const struct intent *intent, struct error *err)
{
    called(crashing);
    return fails(LEDGER_INTENT, err) ? err->code : store_intent_put(store, intent, err);
}

static int object_counted(struct store *store, const struct known *known, struct error *err)
{
    called(crashing);
    return fails(LEDGER_OBJECT, err) ? err->code : store_object_put(store, known, err);
}

static int observation_failing(struct store *store, const char *uid,
                               const struct observation *observation, const char *etag,
                               struct error *err)
{
    return fails(LEDGER_OBSERVATION, err)
               ? err->code
               : ledger_store.observation_put(store, uid, observation, etag, err);
}

static int event_failing(struct store *store, const struct event *event, int64_t *seq,
                         struct error *err)
{
    return fails(LEDGER_EVENT, err) ? err->code : ledger_store.event_add(store, event, seq, err);
}

static int fact_failing(struct store *store, struct arena *arena, const char *key,
                        const char **text, struct error *err)
{
    return fails(LEDGER_FACT, err) ? err->code
                                   : ledger_store.fact_get(store, arena, key, text, err);
}

static int objects_slow(struct store *store, struct arena *arena, struct known **out, size_t *count,
                        struct error *err)
{
    crashing->now_ms += crashing->plan_ms;
    crashing->reads++;
    return store_objects(store, arena, out, count, err);
}

/* ---- life --------------------------------------------------------------------------- */

static const char *driver_of(void *context, const char *class)
{
    (void)context;
    return driver_names[strcmp(class, "volume") != 0];
}

static const struct value *settings_of(void *context, const char *driver)
{
    (void)context;
    (void)driver;
    return NULL;
}

struct rack *rack_new(void)
{
    struct rack *rack = calloc(1, sizeof *rack);
    assert(rack);
    rack->arena = arena_new();
    rack->now_ms = 1000;
    rack->timer_ms = -1;
    snprintf(rack->dir, sizeof rack->dir, "%s/spinel-rack-XXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    assert(mkdtemp(rack->dir));
    rack->ledger = ledger_store;
    rack->ledger.begin = begin_counted;
    rack->ledger.commit = commit_counted;
    rack->ledger.intent_put = intent_counted;
    rack->ledger.object_put = object_counted;
    rack->ledger.objects = objects_slow;
    rack->ledger.observation_put = observation_failing;
    rack->ledger.event_add = event_failing;
    rack->ledger.fact_get = fact_failing;
    rack->env = (struct env){
        .context = rack,
        .mono_ms = rack_mono,
        .wall_ms = rack_wall,
        .random = rack_random,
        .timer = rack_timer,
        .driver_start = rack_start,
        .driver_send = rack_send,
        .driver_kill = rack_kill,
        .emit = rack_emit,
        .log = rack_log,
        .passed = rack_passed,
        .load = rack_load,
        .describe = rack_describe,
        .ledger = &rack->ledger,
    };
    rack->config = (struct core_config){
        .rack = "test",
        .rack_id = "00000000000000000000000000000000",
        .state_dir = rack->dir,
        .key_file = "/nonexistent",
        .drivers = driver_names,
        .driver_count = 2,
        .driver_of = driver_of,
        .settings_of = settings_of,
        .parallelism = 4,
        .resync_ms = 300000,
        .policy = {3, 5, 30},
        .seed = {1, 2, 3},
        .effects = true,
    };
    if (getenv("RACK_PARTS")) /* all tests of the engine, by hand */
        rack_take_parts(rack);
    return rack;
}

static void dir_remove(const char *dir)
{
    static const char *const files[] = {"spinel.db", "spinel.db-wal", "spinel.db-shm",
                                        "lock",      "rack",          "backup"};
    char path[128];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
}

void rack_die(struct rack *rack)
{
    core_free(rack->core);
    rack->core = NULL;
    store_close(rack->store);
    rack->store = NULL;
    rack->queue_first = rack->queue_end = 0;
    rack->timer_ms = -1;
}

void rack_free(struct rack *rack)
{
    rack_die(rack);
    dir_remove(rack->dir);
    arena_free(rack->arena);
    free(rack);
}

void rack_forget(struct rack *rack)
{
    rack_die(rack);
    dir_remove(rack->dir);
    assert(mkdir(rack->dir, 0700) == 0);
}

static void file_copy(const struct rack *rack, const char *from, const char *to)
{
    char path[128], chunk[65536];
    size_t got;
    snprintf(path, sizeof path, "%s/%s", rack->dir, from);
    FILE *in = fopen(path, "r");
    snprintf(path, sizeof path, "%s/%s", rack->dir, to);
    FILE *out = fopen(path, "w");
    assert(in && out);
    while ((got = fread(chunk, 1, sizeof chunk, in)) > 0)
        assert(fwrite(chunk, 1, got, out) == got);
    fclose(in);
    assert(fclose(out) == 0);
}

void rack_backup(struct rack *rack)
{
    struct error err = ERROR_INIT;
    rack_die(rack);
    assert(store_open(rack->dir, STORE_WRITE, &rack->store, &err) == 0);
    rack_die(rack); /* the last to close it writes the log into the database */
    file_copy(rack, "spinel.db", "backup");
}

void rack_restore(struct rack *rack)
{
    char path[128];
    rack_die(rack);
    file_copy(rack, "backup", "spinel.db");
    snprintf(path, sizeof path, "%s/spinel.db-wal", rack->dir);
    unlink(path);
}

void rack_boot(struct rack *rack, const char *commit)
{
    struct error err = ERROR_INIT;
    rack_die(rack);
    crashing = rack;
    if (store_open(rack->dir, STORE_WRITE, &rack->store, &err) < 0)
        printf("# %s\n", err.message);
    assert(rack->store);
    rack->env.store = rack->store;
    rack->core = core_new(&rack->env, &rack->config);
    int status = core_start(rack->core, &err);
    if (status == 0)
        status = core_target(rack->core, commit, "test", NULL, NULL, &err);
    if (status < 0)
        printf("# %s\n", err.message);
    assert_int_equal(status, 0);
}

/* As a driver writes it: the core reads lines, and nothing else. */
static void rack_say(struct rack *rack, const char *driver, const struct value *message)
{
    struct text line = TEXT_INIT;
    struct error err = ERROR_INIT;
    json_write(&line, message);
    core_line(rack->core, driver, line.data, line.len, &err);
    text_free(&line);
}

static void message_deliver(struct rack *rack)
{
    const struct rack_message *next = &rack->queue[rack->queue_first++];
    const int64_t under_way = core_load(rack->core).under_way;
    rack->most_under_way = under_way > rack->most_under_way ? under_way : rack->most_under_way;
    rack->now_ms += rack->answer_ms;
    if (next->driver && next->message)
        rack_say(rack, next->driver, next->message);
    else if (next->driver)
        core_driver_down(rack->core, next->driver, "killed");
    if (rack->queue_first == rack->queue_end)
        rack->queue_first = rack->queue_end = 0;
}

static void queue_reverse(struct rack *rack)
{
    for (size_t i = rack->queue_first, j = rack->queue_end; i + 1 < j; i++) {
        struct rack_message message = rack->queue[i];
        rack->queue[i] = rack->queue[--j];
        rack->queue[j] = message;
    }
}

bool rack_run(struct rack *rack, int64_t limit_ms)
{
    int64_t until = rack->now_ms + limit_ms;
    for (int i = 0; i < 20000; i++) {
        core_pump(rack->core);
        if (rack->queue_first < rack->queue_end) {
            if (rack->in_reverse)
                queue_reverse(rack);
            do
                message_deliver(rack);
            while (rack->in_bursts && rack->queue_first < rack->queue_end);
            continue;
        }
        if (core_has_failed(rack->core, NULL))
            return false; /* its process would end */
        if (core_is_settled(rack->core))
            return true;
        if (rack->timer_ms < 0 || rack->timer_ms > until) {
            rack->now_ms = until;
            return false;
        }
        if (rack->timer_ms > rack->now_ms)
            rack->now_ms = rack->timer_ms;
        else
            rack->now_ms++;
        core_timer(rack->core);
    }
    fail_msg("the core has found no rest");
    return false;
}

struct rack_object *rack_object(struct rack *rack, const char *kind, const char *name)
{
    for (size_t i = 0; i < rack->object_count; i++)
        if (!strcmp(rack->objects[i].kind, kind) && !strcmp(rack->objects[i].name, name))
            return &rack->objects[i];
    return NULL;
}

unsigned rack_count(const struct rack *rack, const char *kind, const char *name)
{
    unsigned count = 0;
    for (size_t i = 0; i < rack->object_count; i++)
        count += rack->objects[i].exists && !strcmp(rack->objects[i].kind, kind) &&
                 !strcmp(rack->objects[i].name, name);
    return count;
}

void rack_lose_driver(struct rack *rack, const char *driver)
{
    for (size_t i = rack->queue_first; i < rack->queue_end; i++)
        if (rack->queue[i].driver && !strcmp(rack->queue[i].driver, driver))
            rack->queue[i].driver = NULL;
    core_driver_down(rack->core, driver, "signal 9 (Killed)");
}

void rack_resize(struct rack *rack, struct rack_object *volume, int64_t bytes)
{
    struct value *spec = value_copy(rack->arena, volume->spec);
    value_set_int(rack->arena, spec, "size", bytes);
    volume->spec = spec;
}

void rack_notice(struct rack *rack, const char *driver, const char *uid, const char *why)
{
    struct arena *arena = rack->arena;
    struct value *message = value_map(arena), *params = value_map(arena);
    value_set_text(arena, params, "uid", uid);
    value_set_text(arena, params, "why", why);
    value_set_text(arena, message, "method", "changed");
    value_set(arena, message, "params", params);
    queue_put(rack, driver, message);
}

void rack_target(struct rack *rack, const char *commit)
{
    struct error err = ERROR_INIT;
    assert_int_equal(core_target(rack->core, commit, "test", NULL, NULL, &err), 0);
}

void rack_approve_all(struct rack *rack)
{
    struct error err = ERROR_INIT;
    struct value *holds = NULL;
    assert_int_equal(store_holds(rack->store, rack->arena, &holds, &err), 0);
    assert_true(holds->count > 0);
    for (size_t i = 0; i < holds->count; i++)
        assert_int_equal(store_hold_approve(rack->store, value_get_text(holds->items[i], "id", ""),
                                            "ann", 1, &err),
                         0);
    core_policy_changed(rack->core);
}

void rack_approve_rebuild(struct rack *rack)
{
    struct error err = ERROR_INIT;
    assert_int_equal(store_hold_approve(rack->store, "rebuild", "ann", 1, &err), 0);
    core_policy_changed(rack->core);
}

const struct known *rack_row(struct rack *rack, const char *kind)
{
    struct error err = ERROR_INIT;
    struct known *rows = NULL;
    size_t count = 0;
    assert_int_equal(store_objects(rack->store, rack->arena, &rows, &count, &err), 0);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(rows[i].kind, kind))
            return &rows[i];
    return NULL;
}

int64_t rack_size(struct rack *rack)
{
    const struct rack_object *volume = rack_object(rack, "Volume", "db");
    return volume ? value_get_int(volume->spec, "size", 0) : 0;
}

int rack_setup_volume(void **state)
{
    struct rack *rack = rack_new();
    rack->commits[1] = POOL PROJECT VOLUME("db", "1GiB") VPC("net");
    rack->commits[2] = POOL PROJECT VOLUME("db", "2GiB") VPC("net");
    rack->commits[3] = POOL PROJECT VPC("net");
    *state = rack;
    return 0;
}

int rack_teardown(void **state)
{
    rack_free(*state);
    return 0;
}

void rack_settle(struct rack *rack, const char *commit)
{
    rack_boot(rack, commit);
    assert_true(rack_run(rack, 60000));
}

void rack_rebuild(struct rack *rack, const char *commit)
{
    rack_boot(rack, commit);
    rack_run(rack, 60000);
    rack_approve_rebuild(rack);
    assert_true(rack_run(rack, 60000));
}
