/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/fuzz/restart.h"

#include <string.h>
#include "model/json.h"
#include "model/value.h"
#include "reconciler/engine/core.h"
#include "tests/fuzz/fuzz.h"

enum { TURNS = 12, DUE_MAX = 64 };

static struct {
    struct arena *arena;
    const struct set *set;
    int64_t now_ms, timer_ms;
    const struct value *due[DUE_MAX];
    size_t due_count;
} run;

static int64_t mono_ms(void *context)
{
    (void)context;
    return run.now_ms;
}

static int64_t wall_ms(void *context)
{
    (void)context;
    return run.now_ms + 1700000100000;
}

static void random_fill(void *context, void *out, size_t len)
{
    (void)context;
    memset(out, 0x5a, len);
}

static void timer(void *context, int64_t at_ms)
{
    (void)context;
    run.timer_ms = at_ms;
}

static void driver_leave(void *context, const char *driver)
{
    (void)context, (void)driver;
}

static void driver_send(void *context, const char *driver, const struct value *message)
{
    (void)context, (void)driver;
    if (run.due_count < DUE_MAX)
        run.due[run.due_count++] = value_copy(run.arena, message);
}

static void emit(void *context, const struct event *event)
{
    (void)context;
    MUST(event->type && event->text);
}

static void note(void *context, const char *name, const char *text)
{
    (void)context, (void)name, (void)text;
}

static int load(void *context, struct arena *arena, const char *commit, const struct set **set,
                struct report *report, struct error *err)
{
    (void)context, (void)arena, (void)commit, (void)report, (void)err;
    *set = run.set;
    return 0;
}

static int describe(void *context, struct arena *arena, const char *commit, const char **author,
                    const char **subject, struct error *err)
{
    (void)context, (void)arena, (void)commit, (void)err;
    *author = *subject = "a";
    return 0;
}

static const char *driver_of(void *context, const char *class)
{
    (void)context, (void)class;
    return "disk";
}

static const struct value *settings_of(void *context, const char *driver)
{
    (void)context, (void)driver;
    return NULL;
}

/* ---- the driver ---------------------------------------------------------------------- */

static struct value *nothing_found(const struct value *uids)
{
    struct value *result = value_map(run.arena), *list = value_list(run.arena);
    value_set_bool(run.arena, result, "complete", true);
    value_set(run.arena, result, uids ? "objects" : "list", list);
    for (size_t i = 0; uids && i < uids->count; i++) {
        struct value *object = value_append(run.arena, list, value_map(run.arena));
        value_set(run.arena, object, "uid", value_copy(run.arena, uids->items[i]));
        value_set_bool(run.arena, object, "absent", true);
        value_set_int(run.arena, object, "epoch", 0);
    }
    return result;
}

static void answer(struct core *core)
{
    const struct value *request = run.due[0];
    struct value *message = value_map(run.arena);
    bool looks = strcmp(value_get_text(request, "method", ""), "observe") == 0;
    memmove(run.due, run.due + 1, --run.due_count * sizeof *run.due);
    value_set_int(run.arena, message, "id", value_get_int(request, "id", 0));
    value_set(run.arena, message, "result",
              looks ? nothing_found(value_at(request, "params.uids")) : value_map(run.arena));
    struct error err = ERROR_INIT;
    const char *line = json_text(run.arena, message);
    core_line(core, "disk", line, strlen(line), &err);
}

/* ---- the ledger: the real one, within the transaction that is open ------------------- */

static int batch(struct store *store, struct error *err)
{
    (void)store, (void)err;
    return 0;
}

static void rollback(struct store *store)
{
    (void)store;
}

/* Answers what is asked; then time passes. */
static void turn(struct core *core)
{
    core_pump(core);
    if (run.due_count) {
        answer(core);
    } else if (run.timer_ms >= 0) {
        run.now_ms = run.timer_ms > run.now_ms ? run.timer_ms : run.now_ms;
        core_timer(core);
    }
}

static void core_run(const struct env *env, bool effects)
{
    static const char *const drivers[] = {"disk"};
    const struct core_config config = {.rack = "test",
                                       .rack_id = "00000000000000000000000000000000",
                                       .state_dir = "/nonexistent",
                                       .key_file = "/nonexistent/key",
                                       .drivers = drivers,
                                       .driver_count = 1,
                                       .driver_of = driver_of,
                                       .settings_of = settings_of,
                                       .parallelism = 4,
                                       .resync_ms = 300000,
                                       .policy = {3, 5, 30},
                                       .seed = {1, 2, 3},
                                       .effects = effects,
                                       .cached = !effects};
    struct error err = ERROR_INIT;
    run.arena = arena_new();
    run.now_ms = 1000;
    run.timer_ms = -1;
    run.due_count = 0;
    struct core *core = core_new(env, &config);
    if (core_start(core, &err) == 0)
        core_target(core, "c1", "ann", NULL, NULL, &err);
    for (int i = 0; i < TURNS && !core_has_failed(core, &err); i++)
        turn(core);
    MUST(!core_has_failed(core, &err) || err.message[0]);
    core_free(core);
    arena_free(run.arena);
}

void fuzz_restart(struct store *store, const struct set *set)
{
    struct ledger ledger = ledger_store;
    const struct env env = {.mono_ms = mono_ms,
                            .wall_ms = wall_ms,
                            .random = random_fill,
                            .timer = timer,
                            .driver_start = driver_leave,
                            .driver_send = driver_send,
                            .driver_kill = driver_leave,
                            .emit = emit,
                            .log = note,
                            .load = load,
                            .describe = describe,
                            .ledger = &ledger,
                            .store = store};
    ledger.begin = ledger.commit = batch;
    ledger.rollback = rollback;
    run.set = set;
    core_run(&env, false);
    core_run(&env, true);
}
