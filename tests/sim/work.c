/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a driver is at: the calls of its library, on virtual time, in place of drivers/lib/call.c.
 * Faults sit where a real driver would have them.
 *
 *   apply arrives ──► admitted (real) ──work──► effect ──► acknowledged (real) ──► answer
 *
 * Steps that go together (drivers/lib/group.c, real) have one process, and each its effect at its
 * own time: whatever ends the process finds any of them done.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "drivers/lib/callback.h"
#include "drivers/lib/group.h"
#include "drivers/lib/host.h"
#include "drivers/lib/method.h"
#include "model/json.h"
#include "tests/sim/process.h"

enum { CALLS_AT_ONCE = 16, GRACE_MS = 1000, LATE_MAX_MS = 120000 };

struct work_call {
    struct call call; /* first */
    uint64_t number;
    bool has_effect, will_come_late, says_nothing, is_twice, is_astray;
    struct error outcome; /* of one of a group */
    size_t left;          /* of the first of a group, or alone: how many are at work */
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
    host->apply_moves += call->kind == CALL_APPLY;
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

/* Answers that come once more, under their number and under another's. */
struct echoes {
    struct text twice, astray;
};

static void call_answer(struct spinel_host *host, struct call *call, struct echoes *echoes)
{
    const struct work_call *made = (const struct work_call *)call;
    const bool is_twice = made->is_twice, is_astray = made->is_astray;
    const struct text *output = &host->wire.output;
    size_t from = output->len;
    call_finish(host, call);
    if (is_astray)
        text_add_n(&echoes->astray, output->data + from, output->len - from);
    if (is_twice)
        text_add_n(&echoes->twice, output->data + from, output->len - from);
}

static void echoes_post(struct sim_driver *driver, const struct text *lines,
                        void (*post)(struct sim_driver *, const char *, size_t))
{
    for (size_t at = 0, len; at < lines->len; at += len + 1) {
        len = strcspn(lines->data + at, "\n");
        post(driver, lines->data + at, len);
    }
}

/* Those whose process has ended. */
void calls_answer(struct spinel_host *host)
{
    struct sim_driver *driver = (struct sim_driver *)(size_t)host->driver;
    struct echoes echoes = {.twice = TEXT_INIT, .astray = TEXT_INIT};
    for (struct call *call = host->calls, *next; call; call = next) {
        next = call->next;
        if (call->state == CALL_DYING)
            call_answer(host, call, &echoes);
    }
    if (echoes.twice.len || echoes.astray.len)
        output_post(driver);
    echoes_post(driver, &echoes.astray, astray_post);
    echoes_post(driver, &echoes.twice, line_post);
    text_free(&echoes.twice);
    text_free(&echoes.astray);
}

/* ---- processes ---------------------------------------------------------------------- */

/* A process has the number of the first call that it carries out. */
static struct work_call *first_of(struct work_call *made)
{
    struct call *call = made->driver->host->calls;
    while (call->pid != made->call.pid || call->is_member)
        call = call->next;
    return (struct work_call *)call;
}

/* All that a process carries out, one after the other, from 0 on; NULL: there is no other. */
static struct work_call *call_of(struct work_call *first, size_t i)
{
    if (i == 0)
        return first;
    return i < first->call.member_count ? (struct work_call *)first->call.members[i] : NULL;
}

static void call_explain(struct call *call, const char *how)
{
    if (call->err.code == ERR_NONE && !call->is_answered)
        error_set(&call->err, ERR_SYSTEM, "it ended %s and no answer", how);
}

static void process_ends(struct work_call *first, const char *how)
{
    struct work_call *made;
    group_explain(first->driver->host, &first->call, first->driver->sim->now_ms);
    for (size_t i = 0; (made = call_of(first, i)); i++) {
        call_explain(&made->call, how);
        made->call.state = CALL_DYING;
    }
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

/* As in drivers/lib/call.c it is answered later: who kills may be on the way through all calls. */
void call_kill(struct spinel_host *host, struct call *call, const struct error *why)
{
    struct work_call *first, *made;
    if (call->err.code == ERR_NONE)
        call->err = *why;
    if (call->state == CALL_WAITING) {
        call_finish(host, call);
        return;
    }
    if (call->state == CALL_DYING)
        return;
    first = first_of((struct work_call *)call);
    for (size_t i = 0; (made = call_of(first, i)); i++)
        if (made->will_come_late)
            last_moment(made);
    call->state = CALL_DYING;
    process_ends(first, "by signal 9");
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

/* What of the answers comes through before the process ends. */
static void outcomes_tell(struct work_call *first, size_t count)
{
    struct call *call = &first->call;
    for (size_t i = 0; call->member_count > 1 && i < count; i++) {
        const struct outcome outcome = {(uint32_t)i, call_of(first, i)->outcome};
        group_outcome(call, &outcome);
    }
    if (call->member_count <= 1 && count == 0)
        call->is_answered = false;
}

static void replies_fail(struct sim_driver *driver, struct work_call *made)
{
    const struct call *call = &made->call;
    made->says_nothing = faulty(driver, FAULT_REPLY_LOST, call, PHASE_DONE);
    made->is_twice = faulty(driver, FAULT_REPLY_TWICE, call, PHASE_DONE);
    made->is_astray = faulty(driver, FAULT_REPLY_ASTRAY, call, PHASE_DONE);
}

static void call_ends(struct sim *sim, void *data)
{
    struct call_ref *ref = data;
    struct work_call *first = call_of_ref(ref), *made;
    struct sim_driver *driver = ref->driver;
    free(ref);
    if (!first)
        return;
    struct call *call = &first->call;
    bool is_apply = call->kind == CALL_APPLY;
    if (is_apply && faulty(driver, FAULT_DRIVER_CRASH, call, PHASE_DONE)) {
        sim_fault_strikes(driver->sim, FAULT_DRIVER_CRASH, driver);
        sim_driver_crash(driver, "signal 11");
        return;
    }
    size_t count = call->member_count > 1 ? call->member_count : 1;
    bool crashes = is_apply && faulty(driver, FAULT_CALL_CRASH, call, PHASE_DONE);
    outcomes_tell(first, crashes ? (size_t)prng_below(&sim->groups, count + 1) : count);
    process_ends(first, crashes ? "by signal 11" : "with status 0");
    for (size_t i = 0; is_apply && (made = call_of(first, i)); i++)
        replies_fail(driver, made);
    calls_answer(driver->host);
    output_post(driver);
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
    if (driver->interface.look_all)
        callback_look_all(driver->host, call->uids, count, &call->answer);
    for (size_t i = 0; i < count && !driver->interface.look_all; i++) {
        if (i > 0)
            text_add_char(&call->answer, ',');
        if (faulty(driver, FAULT_LOOK_UNKNOWN, NULL, PHASES))
            unknown_write(&call->answer, call->uids[i], &unknown);
        else
            callback_look(driver->host, call->uids[i], &call->answer);
    }
    call->is_answered = true;
}

static int apply_refuse(struct sim_driver *driver, struct error *err)
{
    static const enum error_code codes[] = {ERR_INVALID, ERR_UNSUPPORTED, ERR_NO_SPACE,
                                            ERR_DENIED,  ERR_CONFLICT,    ERR_SYSTEM};
    error_set(err, codes[prng_below(&driver->sim->faults, sizeof codes / sizeof *codes)],
              "refused");
    return error_hint(err, "Try something else.");
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

static int step_works(struct sim_driver *driver, struct work_call *made, struct error *err)
{
    struct call *call = &made->call;
    if (faulty(driver, FAULT_FAIL_BEFORE, call, PHASE_SENT))
        return error_set(err, ERR_BUSY, "failed before anything was done");
    if (faulty(driver, FAULT_REFUSE, call, PHASE_SENT))
        return apply_refuse(driver, err);
    if (!is_of_records(&call->op) && faulty(driver, FAULT_LIE, call, PHASE_SENT))
        return 0;
    bool is_part = faulty(driver, FAULT_PARTIAL_EFFECT, call, PHASE_SENT);
    driver->host->arena = call->arena;
    int result = effect_apply(driver, &call->op, is_part, err);
    driver->host->arena = driver->host->forever;
    made->has_effect = true;
    struct note *note = book_find(&driver->sim->book, call->op.op);
    if (note && note->phase < PHASE_DONE)
        note->phase = PHASE_DONE;
    if (result == 0 && is_part)
        result = error_set(err, ERR_SYSTEM, "broke off in the middle");
    if (result == 0 && faulty(driver, FAULT_FAIL_AFTER, call, PHASE_DONE))
        result = error_set(err, ERR_BUSY, "failed after all was done");
    return result;
}

static void apply_works(struct sim_driver *driver, struct work_call *made)
{
    struct call *call = &made->call;
    bool is_alone = !call->is_member && call->member_count <= 1;
    int result = step_works(driver, made, is_alone ? &call->err : &made->outcome);
    if (is_alone && result == 0)
        applied_write(&call->answer, &call->op);
    call->is_answered = is_alone && result == 0;
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
    struct work_call *first = first_of(made);
    bool is_apply = call->kind == CALL_APPLY;
    if (is_apply && faulty(driver, FAULT_DRIVER_CRASH, call, PHASE_SENT)) {
        sim_fault_strikes(driver->sim, FAULT_DRIVER_CRASH, driver);
        sim_driver_crash(driver, "signal 6");
        return;
    }
    if (is_apply && faulty(driver, FAULT_CALL_CRASH, call, PHASE_SENT)) {
        process_ends(first, "by signal 6");
        calls_answer(driver->host);
        calls_start(driver->host);
        output_post(driver);
        return;
    }
    if (call->kind == CALL_LIST)
        list_works(driver, call);
    else if (call->kind == CALL_LOOK)
        look_works(driver, call);
    else
        apply_works(driver, made);
    if (--first->left > 0)
        return;
    bool is_stale = !is_apply && faulty(driver, FAULT_LIST_STALE, NULL, PHASES);
    call_event(first,
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
    free(ref);
    if (!made)
        return;
    error_set(&late, ERR_BUSY, "it gave no answer within %lld s and was killed",
              (long long)(made->call.timeout_ms / 1000));
    group_part(driver->host, &made->call, sim->now_ms);
    call_kill(driver->host, &made->call, &late);
    calls_answer(driver->host);
    calls_start(driver->host);
    output_post(driver);
}

/* False: it hangs. */
static bool call_begin(struct work_call *made, const struct work_call *first)
{
    struct sim_driver *driver = made->driver;
    struct call *call = &made->call;
    call->state = CALL_RUNNING;
    if (call->kind == CALL_APPLY)
        truth_begun(&driver->sim->truth, driver, call->op.uid, call->op.epoch);
    call->pid = (pid_t)first->number;
    call->is_member = made != first;
    driver->host->apply_moves += call->kind == CALL_APPLY;
    call_event(made, call->timeout_ms + GRACE_MS, call_expires);
    made->will_come_late =
        call->kind == CALL_APPLY && faulty(driver, FAULT_LATE_EFFECT, call, PHASE_SENT);
    return !made->will_come_late && !faulty(driver, FAULT_HANG, call, PHASE_SENT);
}

/* In their order while all is quiet, so that each place between two of them is met; else not. */
static void group_start(struct work_call *first)
{
    struct sim *sim = first->driver->sim;
    struct work_call *made;
    const size_t count = first->call.member_count;
    const int64_t span_ms = work_ms(first->driver, &first->call);
    const int64_t step_ms = span_ms / (int64_t)count + 1;
    TRACE(sim, "%s carries out %zu together", first->driver->interface.name, count);
    for (size_t i = 0; (made = call_of(first, i)); i++)
        if (call_begin(made, first))
            call_event(made,
                       sim->is_quiet ? (int64_t)(i + 1) * step_ms
                                     : prng_between(&sim->groups, 0, span_ms),
                       call_works);
    first->left = count;
}

static void call_start(struct work_call *made)
{
    made->left = 1;
    if (call_begin(made, made))
        call_event(made, work_ms(made->driver, &made->call), call_works);
}

void calls_start(struct spinel_host *host)
{
    const struct sim_driver *driver = (const struct sim_driver *)host->driver;
    size_t running = 0;
    for (struct call *call = host->calls; call; call = call->next)
        running += call->state != CALL_WAITING && !call->is_member;
    for (struct call *call = host->calls; call && running < CALLS_AT_ONCE; call = call->next) {
        if (!call_may_start(host, call))
            continue;
        running++;
        group_gather(host, call, driver->sim->now_ms);
        if (call->member_count > 1)
            group_start((struct work_call *)call);
        else
            call_start((struct work_call *)call);
    }
}
