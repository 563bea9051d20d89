/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A driver that says what it likes to the engine. The core is the real one; behind its seam
 * are a clock, a ledger in memory, and two drivers. A line of the input is one of
 *
 *   n          the next message that is due is answered truthfully
 *   a JSON     the next request that is due is answered with this result
 *   r JSON     ... with this error
 *   d JSON     a frame of the driver "disk", whatever it is
 *   e JSON     a frame of the driver "net"
 *   t          time passes until the core's timer
 *   k          the driver whose request is due dies
 *   c          another commit
 *
 * Whatever was said, nothing is ever sent to a driver twice under one op with another epoch,
 * and epochs of an object only rise.
 */
#include <setjmp.h>
#include "model/json.h"
#include "model/kind.h"
#include "model/yaml.h"
#include "reconciler/engine/core.h"
#include "tests/fuzz/fuzz.h"

enum { ROWS_MAX = 64, DUE_MAX = 256, LINES_MAX = 400 };

static const char *const driver_names[] = {"disk", "net"};

static const char *const commits[] = {
    "apiVersion: spinel/v1\nkind: Pool\nmetadata: {name: fast}\nspec: {}\n---\n"
    "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\nspec: {}\n---\n"
    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: db}\n"
    "spec: {size: 1GiB, pool: fast, onRemove: delete}\n---\n"
    "apiVersion: spinel/v1\nkind: VPC\nmetadata: {project: shop, name: net}\n"
    "spec: {prefixes: [10.0.0.0/16]}\n",
    "apiVersion: spinel/v1\nkind: Pool\nmetadata: {name: fast}\nspec: {}\n---\n"
    "apiVersion: spinel/v1\nkind: Project\nmetadata: {name: shop}\nspec: {}\n---\n"
    "apiVersion: spinel/v1\nkind: Volume\nmetadata: {project: shop, name: db}\n"
    "spec: {size: 2GiB, pool: fast}\n",
};

struct due {
    size_t driver;
    const struct value *message;
};

struct thing {
    char uid[33];
    int64_t epoch, sent;
    bool exists;
    const struct value *params; /* of the last apply */
};

struct world {
    struct arena *arena;
    struct core *core;
    int64_t now_ms, timer_ms;
    struct due due[DUE_MAX];
    size_t due_count;
    struct known rows[ROWS_MAX];
    size_t row_count;
    struct intent intents[ROWS_MAX];
    size_t intent_count;
    struct thing things[ROWS_MAX];
    size_t thing_count;
    bool dead[2];
    int64_t seq;
};

static struct world *world;

/* ---- the ledger --------------------------------------------------------------------- */

static int batch(struct store *store, struct error *err)
{
    (void)store, (void)err;
    return 0;
}

static void rollback(struct store *store)
{
    (void)store;
}

static int revision_add(struct store *store, const struct revision *revision, int64_t *id,
                        struct error *err)
{
    (void)store, (void)revision, (void)err;
    *id = ++world->seq;
    return 0;
}

static int revision_state(struct store *store, int64_t id, const char *state, int64_t at,
                          struct error *err)
{
    (void)store, (void)id, (void)state, (void)at, (void)err;
    return 0;
}

static int revision_target(struct store *store, struct arena *arena, struct revision *out,
                           struct error *err)
{
    (void)store, (void)arena, (void)out;
    return error_set(err, ERR_NOT_FOUND, "none yet");
}

static int row_order(const void *left, const void *right)
{
    const struct known *a = left, *b = right;
    const struct kind *x = kind_find(a->kind), *y = kind_find(b->kind);
    int by = (x ? x->rank : 0) - (y ? y->rank : 0);
    by = by ? by : strcmp(a->project ? a->project : "", b->project ? b->project : "");
    by = by ? by : strcmp(a->name, b->name);
    return by ? by : strcmp(a->uid, b->uid);
}

static int objects(struct store *store, struct arena *arena, struct known **out, size_t *count,
                   struct error *err)
{
    struct known *rows = arena_array(arena, world->row_count + 1, sizeof *rows);
    (void)store, (void)err;
    *count = 0;
    for (size_t i = 0; i < world->row_count; i++)
        if (world->rows[i].life != LIFE_GONE)
            rows[(*count)++] = world->rows[i];
    qsort(rows, *count, sizeof *rows, row_order);
    *out = rows;
    return 0;
}

static int objects_each(struct store *store, struct arena *arena, store_row_taken *taken,
                        void *context, struct error *err)
{
    struct known *rows;
    size_t count;
    objects(store, arena, &rows, &count, err);
    for (size_t i = 0; i < count && taken(context, &rows[i]); i++)
        continue;
    return 0;
}

static int sightings_each(struct store *store, store_sighting_taken *taken, void *context,
                          struct error *err)
{
    (void)store, (void)err;
    for (size_t i = 0; i < world->row_count; i++) {
        const struct known *row = &world->rows[i];
        if (row->life != LIFE_GONE)
            taken(context, &(struct sighting){.uid = row->uid,
                                              .kind = row->kind,
                                              .etag = row->etag,
                                              .epoch = row->epoch,
                                              .seen_epoch = row->observed.epoch,
                                              .is_known = row->observed.known,
                                              .is_absent = row->observed.absent,
                                              .is_running = value_is_map(row->observed.booted)});
    }
    return 0;
}

static bool is_named(const struct known *row, const char *kind, const char *project,
                     const char *name)
{
    return !strcmp(row->kind, kind) && !strcmp(row->name, name) &&
           !strcmp(row->project ? row->project : "", project ? project : "");
}

static int objects_named(struct store *store, struct arena *arena, const char *kind,
                         const char *project, const char *name, struct known **out, size_t *count,
                         struct error *err)
{
    size_t all = 0, kept = 0;
    objects(store, arena, out, &all, err);
    for (size_t i = 0; i < all; i++)
        if (is_named(&(*out)[i], kind, project, name))
            (*out)[kept++] = (*out)[i];
    *count = kept;
    return 0;
}

/* More than are asked for is no mistake: those without another name are as they were. */
static int objects_renamed(struct store *store, struct arena *arena, size_t limit,
                           struct known **out, size_t *count, struct error *err)
{
    (void)limit;
    return objects(store, arena, out, count, err);
}

static const struct value *kept(const struct value *value)
{
    return value ? value_copy(world->arena, value) : NULL;
}

static struct known *row_find(const char *uid)
{
    for (size_t i = 0; i < world->row_count; i++)
        if (!strcmp(world->rows[i].uid, uid))
            return &world->rows[i];
    return NULL;
}

static int object_put(struct store *store, const struct known *known, struct error *err)
{
    struct known *row = row_find(known->uid);
    (void)store;
    if (!row && world->row_count == ROWS_MAX)
        return error_set(err, ERR_NO_SPACE, "enough");
    MUST(!row || known->epoch >= row->epoch);
    MUST(known->epoch <= INT64_MAX);
    struct observation before = row ? row->observed : (struct observation){0};
    if (!row)
        row = &world->rows[world->row_count++];
    *row = *known;
    row->uid = arena_text(world->arena, known->uid);
    row->kind = arena_text(world->arena, known->kind);
    row->project = arena_text(world->arena, known->project);
    row->name = arena_text(world->arena, known->name);
    row->chosen = known->chosen ? kept(known->chosen) : value_map(world->arena);
    row->applied = kept(known->applied);
    row->labels = kept(known->labels);
    row->observed = before;
    return 0;
}

static int observation_put(struct store *store, const char *uid, const struct observation *seen,
                           const char *etag, struct error *err)
{
    struct known *row = row_find(uid);
    (void)store, (void)etag, (void)err;
    MUST(seen->epoch <= INT64_MAX);
    if (!row)
        return 0;
    row->observed = *seen;
    row->observed.spec = kept(seen->spec);
    row->observed.booted = kept(seen->booted);
    row->observed.status = kept(seen->status);
    row->observed.damage = kept(seen->damage);
    return 0;
}

static int incarnations(struct store *store, const char *kind, const char *project,
                        const char *name, uint64_t *count, struct error *err)
{
    (void)store, (void)err;
    *count = 0;
    for (size_t i = 0; i < world->row_count; i++) {
        const struct known *row = &world->rows[i];
        *count += row->life == LIFE_GONE && !strcmp(row->kind, kind) && !strcmp(row->name, name) &&
                  !strcmp(row->project ? row->project : "", project ? project : "");
    }
    return 0;
}

static int intent_put(struct store *store, const struct intent *intent, struct error *err)
{
    size_t i = 0;
    (void)store;
    while (i < world->intent_count && strcmp(world->intents[i].op, intent->op) != 0)
        i++;
    if (i == ROWS_MAX)
        return error_set(err, ERR_NO_SPACE, "enough");
    world->intent_count += i == world->intent_count;
    struct intent *row = &world->intents[i];
    *row = *intent;
    row->op = arena_text(world->arena, intent->op);
    row->uid = arena_text(world->arena, intent->uid);
    row->verb = arena_text(world->arena, intent->verb);
    row->plan = arena_text(world->arena, intent->plan);
    row->arguments_digest = arena_text(world->arena, intent->arguments_digest);
    row->state = arena_text(world->arena, intent->state);
    row->error = arena_text(world->arena, intent->error);
    row->step = kept(intent->step);
    return 0;
}

static int intents_open(struct store *store, struct arena *arena, struct intent **out,
                        size_t *count, struct error *err)
{
    struct intent *open = arena_array(arena, world->intent_count + 1, sizeof *open);
    (void)store, (void)err;
    *count = 0;
    for (size_t i = 0; i < world->intent_count; i++)
        if (!strcmp(world->intents[i].state, "pending") ||
            !strcmp(world->intents[i].state, "claimed"))
            open[(*count)++] = world->intents[i];
    *out = open;
    return 0;
}

static int destroyed_since(struct store *store, struct arena *arena, int64_t since,
                           struct loss **out, size_t *count, struct error *err)
{
    (void)store, (void)arena, (void)since, (void)out, (void)err;
    *count = 0;
    return 0;
}

static int left_since(struct store *store, int64_t since, int64_t *count, struct error *err)
{
    (void)store, (void)since, (void)err;
    *count = 0;
    return 0;
}

static int leavings_forget(struct store *store, struct error *err)
{
    (void)store, (void)err;
    return 0;
}

static int plan_put(struct store *store, const char *hash, const char *commit, int64_t at,
                    const struct value *document, struct error *err)
{
    struct arena *arena = arena_new();
    struct value *again = NULL;
    (void)store, (void)hash, (void)commit, (void)at;
    /* What is written must be readable. */
    const char *text = json_text(arena, document);
    MUST(!document || json_read(arena, text, strlen(text), &again, err) == 0);
    arena_free(arena);
    return 0;
}

static int hold_put(struct store *store, const char *id, const char *rule, const char *reason,
                    int64_t at, struct error *err)
{
    (void)store, (void)id, (void)rule, (void)reason, (void)at, (void)err;
    return 0;
}

static int hold_drop(struct store *store, const char *id, struct error *err)
{
    (void)store, (void)id, (void)err;
    return 0;
}

static int holds(struct store *store, struct arena *arena, struct value **list, struct error *err)
{
    (void)store, (void)err;
    *list = value_list(arena);
    return 0;
}

static int freezes(struct store *store, struct arena *arena, struct freeze **out, size_t *count,
                   struct error *err)
{
    (void)store, (void)arena, (void)err;
    *out = NULL;
    *count = 0;
    return 0;
}

static int event_add(struct store *store, const struct event *event, int64_t *seq,
                     struct error *err)
{
    struct arena *arena = arena_new();
    struct value *again = NULL;
    (void)store;
    const char *text = json_text(arena, event->data);
    MUST(json_read(arena, text, strlen(text), &again, err) == 0);
    arena_free(arena);
    *seq = ++world->seq;
    return 0;
}

static int drift_seen(struct store *store, const struct drift_row *row, struct error *err)
{
    (void)store, (void)row, (void)err;
    return 0;
}

static int drift_healed(struct store *store, const char *uid, const char *path, int64_t at,
                        const char *by, struct error *err)
{
    (void)store, (void)uid, (void)path, (void)at, (void)by, (void)err;
    return 0;
}

static int drifts(struct store *store, struct arena *arena, int64_t since, struct drift_row **out,
                  size_t *count, struct error *err)
{
    (void)store, (void)arena, (void)since, (void)err;
    *out = NULL;
    *count = 0;
    return 0;
}

static int fact_put(struct store *store, const char *key, const char *text, struct error *err)
{
    (void)store, (void)key, (void)text, (void)err;
    return 0;
}

static int fact_get(struct store *store, struct arena *arena, const char *key, const char **text,
                    struct error *err)
{
    (void)store, (void)arena, (void)key, (void)err;
    *text = NULL;
    return 0;
}

static const struct ledger ledger = {
    .begin = batch,
    .commit = batch,
    .rollback = rollback,
    .revision_add = revision_add,
    .revision_state = revision_state,
    .revision_target = revision_target,
    .objects = objects,
    .objects_each = objects_each,
    .sightings_each = sightings_each,
    .objects_named = objects_named,
    .objects_renamed = objects_renamed,
    .object_put = object_put,
    .observation_put = observation_put,
    .incarnations = incarnations,
    .intent_put = intent_put,
    .intents_open = intents_open,
    .destroyed_since = destroyed_since,
    .left_since = left_since,
    .leavings_forget = leavings_forget,
    .plan_put = plan_put,
    .hold_put = hold_put,
    .hold_drop = hold_drop,
    .holds = holds,
    .freezes = freezes,
    .event_add = event_add,
    .drift_seen = drift_seen,
    .drift_healed = drift_healed,
    .drifts = drifts,
    .fact_put = fact_put,
    .fact_get = fact_get,
};

/* ---- the world outside -------------------------------------------------------------- */

static int64_t mono_ms(void *context)
{
    (void)context;
    return world->now_ms;
}

static int64_t wall_ms(void *context)
{
    (void)context;
    return world->now_ms + 1700000000000;
}

static void random_fill(void *context, void *out, size_t len)
{
    (void)context;
    memset(out, 0x5a, len);
}

static void timer(void *context, int64_t at_ms)
{
    (void)context;
    world->timer_ms = at_ms;
}

static size_t driver_index(const char *name)
{
    return !strcmp(name, "net");
}

static void driver_start(void *context, const char *driver)
{
    (void)context;
    world->dead[driver_index(driver)] = false;
}

static struct thing *thing_get(const char *uid)
{
    size_t i = 0;
    while (i < world->thing_count && strcmp(world->things[i].uid, uid) != 0)
        i++;
    if (i == ROWS_MAX)
        return &world->things[0];
    if (i == world->thing_count)
        snprintf(world->things[world->thing_count++].uid, 33, "%s", uid);
    return &world->things[i];
}

static void driver_send(void *context, const char *driver, const struct value *message)
{
    (void)context;
    const struct value *params = value_get(message, "params");
    if (!strcmp(value_get_text(message, "method", ""), "apply")) {
        struct thing *thing = thing_get(value_get_text(params, "uid", ""));
        int64_t epoch = value_get_int(params, "epoch", -1);
        MUST(epoch > 0 && epoch >= thing->sent);
        thing->sent = epoch;
    }
    if (world->due_count < DUE_MAX)
        world->due[world->due_count++] =
            (struct due){driver_index(driver), value_copy(world->arena, message)};
}

static void driver_kill(void *context, const char *driver)
{
    (void)context;
    world->dead[driver_index(driver)] = true;
}

static void emit(void *context, const struct event *event)
{
    (void)context, (void)event;
}

static void note(void *context, const char *name, const char *text)
{
    (void)context, (void)name, (void)text;
}

static int load(void *context, struct arena *arena, const char *commit, const struct set **set,
                struct report *report, struct error *err)
{
    struct value *docs = NULL;
    const char *text = commits[commit[0] == '2'];
    (void)context, (void)err;
    yaml_read(arena, "a.yaml", text, strlen(text), &docs, report);
    struct set_builder *builder = set_builder_new(arena, report);
    for (size_t i = 0; i < docs->count; i++)
        set_builder_add(builder, docs->items[i]);
    *set = set_builder_finish(builder);
    MUST(report->count == 0);
    return 0;
}

static int describe(void *context, struct arena *arena, const char *commit, const char **author,
                    const char **subject, struct error *err)
{
    (void)context, (void)arena, (void)commit, (void)err;
    *author = *subject = "a";
    return 0;
}

static const struct env env = {.mono_ms = mono_ms,
                               .wall_ms = wall_ms,
                               .random = random_fill,
                               .timer = timer,
                               .driver_start = driver_start,
                               .driver_send = driver_send,
                               .driver_kill = driver_kill,
                               .emit = emit,
                               .log = note,
                               .load = load,
                               .describe = describe,
                               .ledger = &ledger};

static const char *driver_of(void *context, const char *class)
{
    (void)context;
    return driver_names[strcmp(class, "volume") != 0];
}

static const struct value *settings_of(void *context, const char *driver)
{
    (void)context, (void)driver;
    return NULL;
}

/* ---- truth -------------------------------------------------------------------------- */

static struct value *object_of(const char *uid)
{
    struct arena *arena = world->arena;
    const struct thing *thing = thing_get(uid);
    struct value *out = value_map(arena);
    value_set_text(arena, out, "uid", uid);
    value_set_int(arena, out, "epoch", thing->epoch);
    if (!thing->exists) {
        value_set_bool(arena, out, "absent", true);
        return out;
    }
    static const char *const members[] = {"kind", "project", "name", "spec"};
    for (size_t i = 0; i < 4; i++)
        if (value_get(thing->params, members[i]))
            value_set(arena, out, members[i],
                      value_copy(arena, value_get(thing->params, members[i])));
    return out;
}

static bool is_of(size_t driver, const struct thing *thing)
{
    const char *kind = value_get_text(thing->params, "kind", "");
    return (strcmp(kind, "Volume") != 0 && strcmp(kind, "Pool") != 0) == driver;
}

static struct value *truth_observe(const struct due *due)
{
    struct arena *arena = world->arena;
    struct value *result = value_map(arena), *list = value_list(arena);
    const struct value *uids = value_at(due->message, "params.uids");
    value_set_bool(arena, result, "complete", true);
    value_set(arena, result, uids ? "objects" : "list", list);
    for (size_t i = 0; uids && i < uids->count; i++)
        value_append(arena, list, object_of(uids->items[i]->text));
    for (size_t i = 0; !uids && i < world->thing_count; i++) {
        const struct thing *thing = &world->things[i];
        if (!thing->exists || !is_of(due->driver, thing))
            continue;
        struct value *entry = value_append(arena, list, value_list(arena));
        value_append(arena, entry, value_text(arena, thing->uid));
        value_append(arena, entry, value_int(arena, thing->epoch));
        value_append(arena, entry, value_printf(arena, "%lld", (long long)thing->epoch));
    }
    return result;
}

static struct value *truth(const struct due *due)
{
    const char *method = value_get_text(due->message, "method", "");
    const struct value *params = value_get(due->message, "params");
    if (!strcmp(method, "observe"))
        return truth_observe(due);
    if (!strcmp(method, "apply")) {
        struct thing *thing = thing_get(value_get_text(params, "uid", ""));
        thing->epoch = value_get_int(params, "epoch", 0);
        thing->exists = strcmp(value_get_text(params, "verb", ""), "delete") != 0;
        thing->params = params;
    }
    return value_map(world->arena);
}

/* ---- lines -------------------------------------------------------------------------- */

static void deliver(size_t driver, const char *line, size_t len)
{
    struct error err = ERROR_INIT;
    if (!world->dead[driver])
        core_line(world->core, driver_names[driver], line, len, &err);
}

static void answer(const char *member, const char *json, size_t len)
{
    struct error err = ERROR_INIT;
    struct value *value = NULL, *message = value_map(world->arena);
    if (!world->due_count || (json && json_read(world->arena, json, len, &value, &err) < 0))
        return;
    const struct due due = world->due[0];
    memmove(world->due, world->due + 1, --world->due_count * sizeof due);
    value_set_int(world->arena, message, "id", value_get_int(due.message, "id", 0));
    value_set(world->arena, message, member, json ? value : truth(&due));
    const char *line = json_text(world->arena, message);
    deliver(due.driver, line, strlen(line));
}

static void driver_end(size_t driver)
{
    size_t left = 0;
    for (size_t i = 0; i < world->due_count; i++)
        if (world->due[i].driver != driver)
            world->due[left++] = world->due[i];
    world->due_count = left;
    core_driver_down(world->core, driver_names[driver], "it died");
}

static void target(const char *commit)
{
    struct error err = ERROR_INIT;
    core_target(world->core, commit, "ann", NULL, NULL, &err);
}

static void line_take(const char *line, size_t len)
{
    const char *rest = len > 2 ? line + 2 : line + len;
    size_t rest_len = len > 2 ? len - 2 : 0;
    switch (len ? line[0] : 'n') {
    case 'a':
        answer("result", rest, rest_len);
        break;
    case 'r':
        answer("error", rest, rest_len);
        break;
    case 'd':
    case 'e':
        deliver(line[0] == 'e', rest, rest_len);
        break;
    case 't':
        if (world->timer_ms > world->now_ms)
            world->now_ms = world->timer_ms;
        core_timer(world->core);
        break;
    case 'k':
        driver_end(world->due_count ? world->due[0].driver : 0);
        break;
    case 'c':
        target("2");
        break;
    default:
        answer("result", NULL, 0);
        break;
    }
}

static void pump(void)
{
    core_pump(world->core);
    for (size_t driver = 0; driver < 2; driver++)
        if (world->dead[driver]) {
            driver_end(driver);
            world->dead[driver] = false;
            core_pump(world->core);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_lines lines = fuzz_lines(data, size);
    struct error err = ERROR_INIT;
    const struct core_config config = {.rack = "test",
                                       .rack_id = "00000000000000000000000000000000",
                                       .state_dir = "/nonexistent",
                                       .key_file = "/nonexistent/key",
                                       .drivers = driver_names,
                                       .driver_count = 2,
                                       .driver_of = driver_of,
                                       .settings_of = settings_of,
                                       .parallelism = 4,
                                       .resync_ms = 300000,
                                       .policy = {3, 5, 30},
                                       .seed = {1, 2, 3},
                                       .effects = true};
    const char *line;
    size_t len;
    world = calloc(1, sizeof *world);
    MUST(world);
    world->arena = arena_new();
    world->now_ms = 1000;
    world->timer_ms = -1;
    world->core = core_new(&env, &config);
    if (core_start(world->core, &err) == 0)
        target("1");
    for (int i = 0; i < LINES_MAX && fuzz_line(&lines, &line, &len); i++) {
        pump();
        line_take(line, len);
    }
    pump();
    core_free(world->core);
    arena_free(world->arena);
    free(world);
    return 0;
}
