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
    return ((struct rack *)context)->now_ms + 1700000000000;
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

/* ---- drivers ------------------------------------------------------------------------ */

static void queue_put(struct rack *rack, const char *driver, const struct value *message)
{
    assert(rack->queue_end < RACK_MESSAGES);
    rack->queue[rack->queue_end++] =
        (struct rack_message){driver_names[driver_index(driver)], message};
}

static struct value *answer_to(struct rack *rack, const struct value *message)
{
    struct value *answer = value_map(rack->arena);
    value_set_text(rack->arena, answer, "jsonrpc", "2.0");
    value_set_int(rack->arena, answer, "id", value_get_int(message, "id", 0));
    return answer;
}

static void refuse(struct rack *rack, const char *driver, const struct value *message, int code,
                   const char *word, uint64_t epoch)
{
    struct arena *arena = rack->arena;
    struct value *answer = answer_to(rack, message), *error = value_map(arena);
    struct value *data = value_map(arena);
    value_set_text(arena, data, "kind", word);
    if (epoch)
        value_set_int(arena, data, "epoch", (int64_t)epoch);
    if (rack->hint)
        value_set_text(arena, data, "hint", rack->hint);
    value_set_int(arena, error, "code", code);
    value_set_text(arena, error, "message", "refused by the test");
    value_set(arena, error, "data", data);
    value_set(arena, answer, "error", error);
    queue_put(rack, driver, answer);
}

static struct rack_object *object_get(struct rack *rack, const char *uid)
{
    for (size_t i = 0; i < rack->object_count; i++)
        if (!strcmp(rack->objects[i].uid, uid))
            return &rack->objects[i];
    assert(rack->object_count < RACK_OBJECTS);
    struct rack_object *object = &rack->objects[rack->object_count++];
    snprintf(object->uid, sizeof object->uid, "%s", uid);
    return object;
}

static bool holds(const char *driver, const struct rack_object *object)
{
    bool is_disk = !strcmp(object->kind, "Volume") || !strcmp(object->kind, "Pool") ||
                   !strcmp(object->kind, "Image") || !strcmp(object->kind, "Seed");
    return is_disk == !strcmp(driver, "disk");
}

static int64_t epoch_told(const struct rack *rack, const struct rack_object *object)
{
    return rack->lie_epoch ? rack->lie_epoch : (int64_t)object->epoch;
}

/* It lists what another one holds, and says that it is gone. */
static bool is_greedy(const struct rack *rack, const char *driver)
{
    return rack->greedy && !strcmp(rack->greedy, driver);
}

static struct value *list_make(struct rack *rack, const char *driver)
{
    struct arena *arena = rack->arena;
    struct value *list = value_list(arena);
    for (size_t i = 0; i < rack->object_count; i++) {
        struct rack_object *object = &rack->objects[i];
        if (!object->exists || !(holds(driver, object) || is_greedy(rack, driver)))
            continue;
        char etag[DIGEST_TEXT];
        struct value *entry = value_append(arena, list, value_list(arena));
        value_append(arena, entry, value_text(arena, object->uid));
        value_append(arena, entry, value_int(arena, epoch_told(rack, object)));
        digest_value(object->spec, etag);
        value_append(arena, entry, value_text(arena, holds(driver, object) ? etag : "mine"));
    }
    return list;
}

/* A machine's driver sees what is plugged in, but not which subnet that is, and what
 * it was started as only in the record of that. */
static const struct value *spec_seen(struct rack *rack, const struct rack_object *object)
{
    struct value *spec = value_copy(rack->arena, object->spec);
    const struct value *nics = value_get(spec, "nics");
    for (size_t i = 0; object->booted && nics && i < nics->count; i++)
        value_unset(nics->items[i], "subnet");
    if (object->booted)
        value_unset(spec, "machine");
    return spec;
}

static struct value *damage_make(struct arena *arena, unsigned count)
{
    static const char *const paths[] = {"status.table", "status.other"};
    struct value *list = value_list(arena);
    for (unsigned i = 2 - count; i < 2; i++) {
        struct value *item = value_append(arena, list, value_map(arena));
        value_set_text(arena, item, "path", paths[i]);
        value_set_text(arena, item, "observed", "missing");
    }
    return list;
}

static struct value *object_make(struct rack *rack, const char *uid)
{
    struct arena *arena = rack->arena;
    struct rack_object *object = object_get(rack, uid);
    struct value *out = value_map(arena);
    value_set_text(arena, out, "uid", uid);
    value_set_int(arena, out, "epoch", epoch_told(rack, object));
    if (!object->exists) {
        value_set_bool(arena, out, "absent", true);
        return out;
    }
    if (rack->blur && !strcmp(rack->blur, object->name)) {
        value_set_bool(arena, out, "unknown", true);
        return out;
    }
    value_set_bool(arena, out, "released", object->released);
    if (object->damages)
        value_set(arena, out, "damage", damage_make(arena, object->damages));
    value_set_text(arena, out, "kind", object->kind);
    value_set_text(arena, out, "name", object->name);
    value_set_text(arena, out, "project", strcmp(object->kind, "Pool") ? "shop" : NULL);
    if (!rack->bare || strcmp(rack->bare, object->name))
        value_set(arena, out, "spec", (struct value *)(size_t)spec_seen(rack, object));
    if (object->booted)
        value_set(arena, out, "booted", value_copy(arena, object->booted));
    return out;
}

static struct value *observe(struct rack *rack, const char *driver, const struct value *params)
{
    struct arena *arena = rack->arena;
    const struct value *uids = value_get(params, "uids");
    struct value *result = value_map(arena);
    bool is_partial = !uids && rack->partial && !strcmp(rack->partial, driver);
    value_set_bool(arena, result, "complete", !is_partial);
    if (!uids) {
        value_set(arena, result, "list", is_partial ? value_list(arena) : list_make(rack, driver));
        return result;
    }
    struct value *objects = value_set(arena, result, "objects", value_list(arena));
    rack->looks++;
    rack->details += (unsigned)uids->count;
    for (size_t i = 0; i < uids->count; i++) {
        const struct rack_object *object = object_get(rack, uids->items[i]->text);
        if (rack->hide && !strcmp(rack->hide, object->name))
            continue;
        struct value *told = object_make(rack, uids->items[i]->text);
        if (is_greedy(rack, driver) && !holds(driver, object))
            value_set_bool(arena, told, "absent", true);
        value_append(arena, objects, told);
    }
    return result;
}

static void effect(struct rack *rack, const char *driver, struct rack_object *object,
                   const struct value *params)
{
    const char *verb = value_get_text(params, "verb", "");
    bool is_delete = !strcmp(verb, "delete");
    const char *op = value_get_text(params, "op", "");
    uint64_t epoch = (uint64_t)value_get_int(params, "epoch", 0);
    snprintf(object->kind, sizeof object->kind, "%s", value_get_text(params, "kind", ""));
    snprintf(object->name, sizeof object->name, "%s", value_get_text(params, "name", ""));
    if (holds(driver, object) && (!is_delete || !rack->deny_epochs))
        object->epoch = epoch;
    if (!strcmp(object->op, op))
        return; /* the same op again: no second effect */
    snprintf(object->op, sizeof object->op, "%s", op);
    if (rack->lie && !strcmp(rack->lie, object->name) &&
        (!rack->lie_verb || !strcmp(rack->lie_verb, verb)))
        return;
    object->damages -= object->damages > 0;
    object->exists &= !(rack->vanish && !strcmp(verb, "release"));
    if (!strcmp(verb, "release") || !strcmp(verb, "adopt")) {
        object->released = !strcmp(verb, "release");
        return;
    }
    object->applied++;
    object->made += !is_delete && !object->exists;
    object->exists = !is_delete;
    if (!is_delete)
        object->spec = value_copy(rack->arena, value_get(params, "spec"));
    if (!strcmp(object->kind, "Instance") && strcmp(value_get_text(params, "verb", ""), "update"))
        object->booted = is_delete ? NULL : object->spec;
}

static void apply(struct rack *rack, const char *driver, const struct value *message)
{
    const struct value *params = value_get(message, "params");
    struct rack_object *object = object_get(rack, value_get_text(params, "uid", ""));
    rack->applied_at[rack->applies++ % 256] = rack->now_ms;
    object->repeats += !strcmp(object->asked, value_get_text(params, "op", ""));
    object->ops += strcmp(object->asked, value_get_text(params, "op", "")) != 0;
    snprintf(object->asked, sizeof object->asked, "%s", value_get_text(params, "op", ""));
    object->deadline = value_get_int(params, "deadline", 0);
    if (rack->lose_applies) {
        snprintf(object->kind, sizeof object->kind, "%s", value_get_text(params, "kind", ""));
        snprintf(object->name, sizeof object->name, "%s", value_get_text(params, "name", ""));
        rack->lose_applies--;
        return;
    }
    if (rack->refuse && !strcmp(rack->refuse, value_get_text(params, "name", ""))) {
        refuse(rack, driver, message, -32000, rack->refuse_kind, 0);
        return;
    }
    uint64_t epoch = (uint64_t)value_get_int(params, "epoch", 0);
    uint64_t *fence = &object->fence[driver_index(driver)];
    if (epoch < *fence) {
        refuse(rack, driver, message, -32009, "stale", rack->silent_fence ? 0 : *fence);
        return;
    }
    *fence = epoch;
    effect(rack, driver, object, params);
    if (rack->lose_replies) {
        rack->lose_replies--;
        return;
    }
    struct value *answer = answer_to(rack, message);
    value_set(rack->arena, answer, "result", value_map(rack->arena));
    if (rack->keep_replies)
        rack->kept = answer;
    else
        queue_put(rack, driver, answer);
}

/* The object changes once the driver has read it; the notice of it overtakes the answer. */
static void move_behind(struct rack *rack, const char *driver, const struct value *params)
{
    const struct value *uids = value_get(params, "uids");
    if (!rack->move_behind || !uids || uids->count == 0)
        return;
    struct rack_object *object = object_get(rack, uids->items[0]->text);
    struct value *spec = value_copy(rack->arena, object->spec);
    value_set_int(rack->arena, spec, "mtu", 1280);
    object->spec = spec;
    rack->move_behind = false;
    rack_notice(rack, driver, object->uid, "moved meanwhile");
}

static bool look_hangs(struct rack *rack, const struct value *params)
{
    const struct value *uids = value_get(params, "uids");
    if (!uids || uids->count == 0 || uids->count != rack->hang_looks_of)
        return false;
    rack->hang_looks_of = 0;
    return true;
}

/* Somebody sets an object back just after it was looked at, and nobody tells. */
static void set_back(struct rack *rack, const struct value *params)
{
    const struct value *uids = value_get(params, "uids");
    if (!rack->set_back || !uids || uids->count == 0)
        return;
    object_get(rack, uids->items[0]->text)->spec = rack->set_back;
    rack->set_back = NULL;
}

static struct value *initialize(struct rack *rack)
{
    struct value *result = value_map(rack->arena), *capabilities = value_map(rack->arena);
    value_set(rack->arena, result, "capabilities", capabilities);
    value_set_bool(rack->arena, capabilities, "queue", rack->has_queue);
    value_set_bool(rack->arena, capabilities, "groups", rack->makes_groups);
    if (rack->etags)
        value_set_text(rack->arena, capabilities, "etags", rack->etags);
    return result;
}

static void rack_send(void *context, const char *driver, const struct value *borrowed)
{
    struct rack *rack = context;
    const struct value *message = value_copy(rack->arena, borrowed);
    const char *method = value_get_text(message, "method", "");
    called(rack);
    if (rack->mute && !strcmp(rack->mute, driver) && strcmp(method, "initialize"))
        return;
    if (!strcmp(method, "apply")) {
        apply(rack, driver, message);
        return;
    }
    if (!strcmp(method, "cancel") && rack->lose_cancels)
        return;
    if (look_hangs(rack, value_get(message, "params")))
        return;
    if (!strcmp(method, "cancel") && rack->kept)
        queue_put(rack, driver, rack->kept); /* it was done at the last moment */
    struct value *answer = answer_to(rack, message);
    struct value *result = strcmp(method, "observe")
                               ? initialize(rack)
                               : observe(rack, driver, value_get(message, "params"));
    value_set(rack->arena, answer, "result", result);
    move_behind(rack, driver, value_get(message, "params"));
    set_back(rack, value_get(message, "params"));
    queue_put(rack, driver, answer);
}

static void rack_start(void *context, const char *driver)
{
    struct rack *rack = context;
    called(rack);
    rack->starts[driver_index(driver)]++;
}

/* Its end is told as if it had been an answer. */
static void rack_kill(void *context, const char *driver)
{
    struct rack *rack = context;
    called(rack);
    rack->kills[driver_index(driver)]++;
    for (size_t i = rack->queue_first; i < rack->queue_end; i++)
        if (!strcmp(rack->queue[i].driver, driver))
            rack->queue[i].driver = NULL;
    queue_put(rack, driver, NULL);
}

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
    assert(status == 0);
}

static void message_deliver(struct rack *rack)
{
    const struct rack_message *next = &rack->queue[rack->queue_first++];
    const int64_t under_way = core_load(rack->core).under_way;
    rack->most_under_way = under_way > rack->most_under_way ? under_way : rack->most_under_way;
    rack->now_ms += rack->answer_ms;
    if (next->driver && next->message)
        core_message(rack->core, next->driver, next->message);
    else if (next->driver)
        core_driver_down(rack->core, next->driver, "killed");
    if (rack->queue_first == rack->queue_end)
        rack->queue_first = rack->queue_end = 0;
}

bool rack_run(struct rack *rack, int64_t limit_ms)
{
    int64_t until = rack->now_ms + limit_ms;
    for (int i = 0; i < 20000; i++) {
        core_pump(rack->core);
        if (rack->queue_first < rack->queue_end) {
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
    printf("# the core has found no rest\n");
    abort();
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
