/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a driver is at: the calls of its library, on virtual time, in place of drivers/lib/call.c.
 * Faults sit where a real driver would have them.
 *
 *   apply arrives ──► admitted (real) ──work──► effect ──► acknowledged (real) ──► answer
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "drivers/lib/callback.h"
#include "drivers/lib/host.h"
#include "drivers/lib/method.h"
#include "model/json.h"
#include "tests/sim/process.h"

enum { CALLS_AT_ONCE = 16, GRACE_MS = 1000, LATE_MAX_MS = 120000 };

struct work_call {
    struct call call; /* first */
    uint64_t number;
    bool has_effect, will_come_late, says_nothing;
    struct sim_driver *driver;
};

bool faulty(struct sim_driver *driver, enum fault fault, const struct call *call, enum phase phase)
{
    enum verb verb = call && call->kind == CALL_APPLY ? (enum verb)call->op.verb : VERBS;
    return sim_fault(driver->sim, fault, verb, phase);
}

/* ---- calls, in place of drivers/lib/call.c ------------------------------------------ */

static void call_free(struct spinel_host *host, struct call *call)
{
    struct call **link = &host->calls;
    while (*link != call)
        link = &(*link)->next;
    *link = call->next;
    text_free(&call->answer);
    arena_free(call->arena);
}

struct call *call_new(struct spinel_host *host, struct arena *arena, enum call_kind kind,
                      const char *id)
{
    struct sim_driver *driver = (struct sim_driver *)(size_t)host->driver;
    struct work_call *made = arena_alloc(arena, sizeof *made);
    *made = (struct work_call){
        .call = {.kind = kind, .arena = arena, .id = id, .fd = -1, .answer = TEXT_INIT},
        .number = ++driver->calls,
        .driver = driver};
    struct call **link = &host->calls;
    while (*link)
        link = &(*link)->next;
    *link = &made->call;
    return &made->call;
}

static struct work_call *call_of_ref(const struct call_ref *ref)
{
    if (!ref->driver->host || ref->life != ref->driver->life)
        return NULL;
    for (struct call *call = ref->driver->host->calls; call; call = call->next)
        if (((struct work_call *)call)->number == ref->number)
            return (struct work_call *)call;
    return NULL;
}

static void call_event(struct work_call *made, int64_t wait_ms, event_fn *run)
{
    struct sim *sim = made->driver->sim;
    struct call_ref *ref = malloc(sizeof *ref);
    if (!ref)
        abort();
    *ref = (struct call_ref){made->driver, made->driver->life, made->number};
    events_add(&sim->events, sim->now_ms + wait_ms, run, ref);
}

/* Mirrors drivers/lib/call.c: waiters first, an apply that had answered did its work. */
static void call_finish(struct spinel_host *host, struct call *call)
{
    struct work_call *made = (struct work_call *)call;
    for (struct waiter *waiter = call->waiters; waiter; waiter = waiter->next)
        wire_result(&host->wire, waiter->id, "{\"killed\":true}", 15);
    if (call->is_answered && call->kind == CALL_APPLY &&
        apply_acknowledge(host, &call->op, &call->err) < 0)
        call->is_answered = false;
    if (call->kind == CALL_APPLY && call->is_answered && made->has_effect)
        truth_synced(&made->driver->sim->truth, call->op.uid);
    for (; call->kind == CALL_LOOK && !call->is_answered && call->done < call->uid_count;
         call->done++) {
        if (call->done > 0)
            text_add_char(&call->answer, ',');
        unknown_write(&call->answer, call->uids[call->done], &call->err);
    }
    if (made->says_nothing)
        ;
    else if (call->kind == CALL_LOOK)
        objects_answer(host, call->id, &call->answer);
    else if (call->is_answered)
        wire_result(&host->wire, call->id, call->answer.data, call->answer.len);
    else
        wire_failure(&host->wire, call->id, &call->err);
    call_free(host, call);
}

/*
 * What may still come of an operation that ran into its deadline or was superseded. Its process is
 * killed with all that it started, and its end is told, and the next operation on the object begun,
 * only once all are dead (drivers/lib/call.c): what it does, it does before, and nobody asks a
 * fence. What it has handed to others goes on without it: a running machine carries out the one
 * command that lies in its monitor, a launcher starts what it was made for. Neither asks the ledger
 * or writes a tag. But a monitor serves one connection after the other, and a launcher finds its
 * directory changed: the next operation on that machine comes after this, or instead of it.
 */
struct late {
    struct sim_driver *driver;
    struct arena *arena;
    struct spinel_op op;
    uint64_t applied; /* operations on the machine, when this one was given up */
};

static void late_effect(struct sim *sim, void *data)
{
    struct late *late = data;
    struct thing *machine = thing_of_uid(&sim->truth, late->op.uid);
    if (machine && machine->exists && machine->applied == late->applied) {
        TRACE(sim, "late %s %s %s epoch %" PRIu64, verb_text(late->op.verb), late->op.kind,
              late->op.name, late->op.epoch);
        effect_handed_over(late->driver, &late->op, machine);
    }
    arena_free(late->arena);
    free(late);
}

static void late_keep(struct work_call *made, const struct thing *machine)
{
    struct sim *sim = made->driver->sim;
    struct late *late = malloc(sizeof *late);
    if (!late)
        abort();
    struct arena *arena = arena_new();
    const struct spinel_op *op = &made->call.op;
    *late = (struct late){made->driver, arena, *op, machine->applied};
    late->op.op = arena_text(arena, op->op);
    late->op.uid = arena_text(arena, op->uid);
    late->op.kind = arena_text(arena, op->kind);
    late->op.project = arena_text(arena, op->project);
    late->op.name = arena_text(arena, op->name);
    late->op.spec = op->spec ? value_copy(arena, op->spec) : NULL;
    late->op.changed = op->changed ? value_copy(arena, op->changed) : NULL;
    late->op.refs = op->refs ? value_copy(arena, op->refs) : NULL;
    late->op.labels = NULL;
    events_add(&sim->events, sim->now_ms + prng_between(&sim->latency, 0, LATE_MAX_MS), late_effect,
               late);
}

/* In the moment between its deadline and its death. */
static void last_moment(struct work_call *made)
{
    struct sim_driver *driver = made->driver;
    const struct spinel_op *op = &made->call.op;
    const struct thing *machine = thing_of_uid(&driver->sim->truth, op->uid);
    struct error err = ERROR_INIT;
    if (strcmp(op->kind, "Instance") == 0 && machine && machine->exists && machine->tag &&
        (op->verb == SPINEL_UPDATE || op->verb == SPINEL_RESTART)) {
        late_keep(made, machine);
        return;
    }
    TRACE(driver->sim, "in the last moment %s %s %s epoch %" PRIu64, verb_text(op->verb), op->kind,
          op->name, op->epoch);
    driver->host->arena = made->call.arena;
    effect_apply(driver, op, false, &err);
    driver->host->arena = driver->host->forever;
}

void call_kill(struct spinel_host *host, struct call *call, const struct error *why)
{
    struct work_call *made = (struct work_call *)call;
    if (call->err.code == ERR_NONE)
        call->err = *why;
    if (made->will_come_late)
        last_moment(made);
    call_finish(host, call);
}

void calls_end(struct spinel_host *host)
{
    while (host->calls)
        call_free(host, host->calls);
}

void frame_send(int fd, enum frame frame, const char *data, size_t len)
{
    (void)fd;
    (void)frame;
    (void)data;
    (void)len;
    abort(); /* only the process of a call has somebody to send frames to */
}

/* ---- a call at work ----------------------------------------------------------------- */

static void call_ends(struct sim *sim, void *data)
{
    struct call_ref *ref = data;
    struct work_call *made = call_of_ref(ref);
    struct sim_driver *driver = ref->driver;
    (void)sim;
    free(ref);
    if (!made)
        return;
    struct call *call = &made->call;
    bool is_apply = call->kind == CALL_APPLY;
    if (is_apply && faulty(driver, FAULT_DRIVER_CRASH, call, PHASE_DONE)) {
        sim_fault_strikes(driver->sim, FAULT_DRIVER_CRASH, driver);
        sim_driver_crash(driver, "signal 11");
        return;
    }
    made->says_nothing = is_apply && faulty(driver, FAULT_REPLY_LOST, call, PHASE_DONE);
    bool is_twice = is_apply && faulty(driver, FAULT_REPLY_TWICE, call, PHASE_DONE);
    bool is_astray = is_apply && faulty(driver, FAULT_REPLY_ASTRAY, call, PHASE_DONE);
    call_finish(driver->host, call);
    size_t len = driver->host->wire.output.len;
    if (len && (is_twice || is_astray)) {
        char *copy = strndup(driver->host->wire.output.data, len - 1);
        output_post(driver);
        if (is_astray)
            astray_post(driver, copy, strcspn(copy, "\n"));
        if (is_twice)
            line_post(driver, copy, strcspn(copy, "\n"));
        free(copy);
    }
    calls_start(driver->host);
    output_post(driver);
}

static void list_damage(struct sim_driver *driver, struct call *call)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *list = NULL;
    bool is_short = faulty(driver, FAULT_LIST_INCOMPLETE, NULL, PHASES);
    bool is_empty = faulty(driver, FAULT_LIST_EMPTY, NULL, PHASES);
    driver->has_lied = is_empty && !is_short;
    if ((is_short || is_empty) &&
        json_read(arena, call->answer.data, call->answer.len, &list, &err) == 0) {
        const struct value *rows = value_get(list, "list");
        struct value *kept = value_list(arena);
        for (size_t i = 0; rows && !is_empty && i < rows->count / 2; i++)
            value_append(arena, kept, value_copy(arena, rows->items[i]));
        value_set(arena, list, "list", kept);
        if (is_short)
            value_set_bool(arena, list, "complete", false);
        text_reset(&call->answer);
        json_write(&call->answer, list);
    }
    arena_free(arena);
}

/* Who lists says nothing of an order. */
static void list_shuffle(struct sim_driver *driver, struct call *call)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *answer = NULL;
    if (faulty(driver, FAULT_LIST_UNSORTED, NULL, PHASES) &&
        json_read(arena, call->answer.data, call->answer.len, &answer, &err) == 0) {
        const struct value *rows = value_get(answer, "list");
        struct value *turned = value_list(arena);
        size_t count = value_is_list(rows) ? rows->count : 0;
        size_t from = count ? (size_t)prng_below(&driver->sim->extra, count) : 0;
        for (size_t i = 0; i < count; i++)
            value_append(arena, turned, value_copy(arena, rows->items[(from + count - i) % count]));
        value_set(arena, answer, "list", turned);
        text_reset(&call->answer);
        json_write(&call->answer, answer);
    }
    arena_free(arena);
}

static void list_works(struct sim_driver *driver, struct call *call)
{
    if (faulty(driver, FAULT_LIST_ERROR, NULL, PHASES)) {
        error_set(&call->err, ERR_BUSY, "the list broke off");
        return;
    }
    call->is_answered = callback_list(driver->host, call->since, &call->answer, &call->err) == 0;
    list_damage(driver, call);
    list_shuffle(driver, call);
}

static void look_works(struct sim_driver *driver, struct call *call)
{
    struct error unknown = ERROR_INIT;
    error_set(&unknown, ERR_BUSY, "it does not answer");
    size_t count = call->uid_count;
    if (count > 1 && faulty(driver, FAULT_LOOK_SHORT, NULL, PHASES))
        count--;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            text_add_char(&call->answer, ',');
        if (faulty(driver, FAULT_LOOK_UNKNOWN, NULL, PHASES))
            unknown_write(&call->answer, call->uids[i], &unknown);
        else
            callback_look(driver->host, call->uids[i], &call->answer);
    }
    call->is_answered = true;
}

static void apply_refuse(struct sim_driver *driver, struct call *call)
{
    static const enum error_code codes[] = {ERR_INVALID, ERR_UNSUPPORTED, ERR_NO_SPACE,
                                            ERR_DENIED,  ERR_CONFLICT,    ERR_SYSTEM};
    error_set(&call->err, codes[prng_below(&driver->sim->faults, sizeof codes / sizeof *codes)],
              "refused");
    error_hint(&call->err, "Try something else.");
}

/* Names and policies: what the store says of them is not read back from the driver. */
static bool is_of_records(const struct spinel_op *op)
{
    static const char *const paths[] = {"metadata.name", "spec.protect", "spec.onRemove"};
    size_t known = 0;
    for (size_t i = 0; value_is_list(op->changed) && i < op->changed->count; i++)
        for (size_t n = 0; n < sizeof paths / sizeof *paths; n++)
            known += strcmp(op->changed->items[i]->text, paths[n]) == 0;
    return known && known == op->changed->count;
}

static void apply_works(struct sim_driver *driver, struct work_call *made)
{
    struct call *call = &made->call;
    if (faulty(driver, FAULT_FAIL_BEFORE, call, PHASE_SENT)) {
        error_set(&call->err, ERR_BUSY, "failed before anything was done");
        return;
    }
    if (faulty(driver, FAULT_REFUSE, call, PHASE_SENT)) {
        apply_refuse(driver, call);
        return;
    }
    if (!is_of_records(&call->op) && faulty(driver, FAULT_LIE, call, PHASE_SENT)) {
        text_printf(&call->answer, "{\"epoch\":%" PRIu64 "}", call->op.epoch);
        call->is_answered = true;
        return;
    }
    bool is_part = faulty(driver, FAULT_PARTIAL_EFFECT, call, PHASE_SENT);
    driver->host->arena = call->arena;
    int result = effect_apply(driver, &call->op, is_part, &call->err);
    driver->host->arena = driver->host->forever;
    made->has_effect = true;
    struct note *note = book_find(&driver->sim->book, call->op.op);
    if (note && note->phase < PHASE_DONE)
        note->phase = PHASE_DONE;
    if (result == 0 && is_part)
        result = error_set(&call->err, ERR_SYSTEM, "broke off in the middle");
    if (result == 0 && faulty(driver, FAULT_FAIL_AFTER, call, PHASE_DONE))
        result = error_set(&call->err, ERR_BUSY, "failed after all was done");
    if (result == 0)
        text_printf(&call->answer, "{\"epoch\":%" PRIu64 "}", call->op.epoch);
    call->is_answered = result == 0;
}

static int64_t work_ms(struct sim_driver *driver, struct call *call)
{
    struct sim *sim = driver->sim;
    int64_t typical = call->kind == CALL_APPLY ? sim->swarm.work_ms : sim->swarm.hop_ms + 1;
    if (faulty(driver, FAULT_SLOW, call, PHASE_SENT))
        typical *= prng_between(&sim->latency, 5, 300);
    return sim->is_quiet ? typical : prng_heavy(&sim->latency, typical);
}

static void call_works(struct sim *sim, void *data)
{
    struct call_ref *ref = data;
    struct work_call *made = call_of_ref(ref);
    struct sim_driver *driver = ref->driver;
    free(ref);
    if (!made)
        return;
    struct call *call = &made->call;
    if (call->kind == CALL_APPLY && faulty(driver, FAULT_DRIVER_CRASH, call, PHASE_SENT)) {
        sim_fault_strikes(driver->sim, FAULT_DRIVER_CRASH, driver);
        sim_driver_crash(driver, "signal 6");
        return;
    }
    if (call->kind == CALL_LIST)
        list_works(driver, call);
    else if (call->kind == CALL_LOOK)
        look_works(driver, call);
    else
        apply_works(driver, made);
    bool is_stale = call->kind != CALL_APPLY && faulty(driver, FAULT_LIST_STALE, NULL, PHASES);
    call_event(made,
               is_stale ? prng_between(&sim->latency, 100, 20000)
                        : prng_between(&sim->latency, 0, sim->swarm.hop_ms),
               call_ends);
}

static void call_expires(struct sim *sim, void *data)
{
    struct call_ref *ref = data;
    struct work_call *made = call_of_ref(ref);
    struct sim_driver *driver = ref->driver;
    struct error late = ERROR_INIT;
    (void)sim;
    free(ref);
    if (!made)
        return;
    error_set(&late, ERR_BUSY, "it gave no answer within %lld s and was killed",
              (long long)(made->call.timeout_ms / 1000));
    call_kill(driver->host, &made->call, &late);
    calls_start(driver->host);
    output_post(driver);
}

static void call_start(struct work_call *made)
{
    struct sim_driver *driver = made->driver;
    struct call *call = &made->call;
    call->state = CALL_RUNNING;
    if (call->kind == CALL_APPLY)
        truth_begun(&driver->sim->truth, call->op.uid, call->op.epoch);
    call_event(made, call->timeout_ms + GRACE_MS, call_expires);
    made->will_come_late =
        call->kind == CALL_APPLY && faulty(driver, FAULT_LATE_EFFECT, call, PHASE_SENT);
    if (made->will_come_late || faulty(driver, FAULT_HANG, call, PHASE_SENT))
        return;
    call_event(made, work_ms(driver, call), call_works);
}

static bool uid_is_busy(const struct spinel_host *host, const struct call *call)
{
    for (const struct call *other = host->calls; other != call; other = other->next)
        if (other->kind == CALL_APPLY && strcmp(other->op.uid, call->op.uid) == 0)
            return true;
    return false;
}

void calls_start(struct spinel_host *host)
{
    size_t running = 0;
    for (struct call *call = host->calls; call; call = call->next)
        running += call->state != CALL_WAITING;
    for (struct call *call = host->calls; call && running < CALLS_AT_ONCE; call = call->next) {
        if (call->state != CALL_WAITING || (call->kind == CALL_APPLY && uid_is_busy(host, call)))
            continue;
        running++;
        call_start((struct work_call *)call);
    }
}
