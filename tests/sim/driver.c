/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A driver's process that only seems to be one: the library's methods, ledger and tags
 * are the real ones, and what the library does with processes (drivers/lib/call.h) is
 * done here on virtual time. Lines travel by events; faults sit where a real driver
 * would have them.
 *
 *   apply arrives ──► admitted (real) ──work──► effect ──► acknowledged (real) ──► answer
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "drivers/lib/call.h"
#include "drivers/lib/callback.h"
#include "drivers/lib/host.h"
#include "drivers/lib/method.h"
#include "model/json.h"
#include "tests/sim/posix.h"
#include "tests/sim/sim.h"

enum { CALLS_AT_ONCE = 16, GRACE_MS = 1000, LATE_MAX_MS = 120000, START_MS = 40 };

const char *const driver_names[DRIVERS] = {"disk", "net", "vm"};
static const char *const driver_kinds[DRIVERS] = {
    "Pool Image Volume Seed", "VPC Subnet Firewall NIC FloatingIP PortForward", "Instance"};

struct work_call {
    struct call call; /* first */
    uint64_t number;
    bool has_effect, will_come_late, says_nothing;
    struct sim_driver *driver;
};

/* What an event about a call refers to: a call that may be gone by then. */
struct call_ref {
    struct sim_driver *driver;
    uint64_t life, number;
};

/* Bytes on their way. */
struct parcel {
    struct sim_driver *driver;
    uint64_t life; /* of the driver, or of the core */
    char *line;
    size_t len;
};

static bool faulty(struct sim_driver *driver, enum fault fault, const struct call *call,
                   enum phase phase)
{
    enum verb verb = call && call->kind == CALL_APPLY ? (enum verb)call->op.verb : VERBS;
    return sim_fault(driver->sim, fault, verb, phase);
}

/* ---- lines out ---------------------------------------------------------------------- */

void sim_driver_asked(struct sim_driver *driver, int64_t id, const char *op)
{
    struct asked *asked = &driver->asked[(uint64_t)id % ASKED_MAX];
    asked->id = id;
    snprintf(asked->op, sizeof asked->op, "%s", op);
}

/* The core has an answer, whatever it says: what is left of the operation is the look. */
static void answer_note(struct sim_driver *driver, const struct value *message)
{
    int64_t id = value_get_int(message, "id", -1);
    struct asked *asked = id > 0 ? &driver->asked[(uint64_t)id % ASKED_MAX] : NULL;
    if (!asked || asked->id != id || value_get(message, "method"))
        return;
    struct note *note = book_find(&driver->sim->book, asked->op);
    asked->id = 0;
    if (note)
        note->phase = PHASE_ANSWERED;
}

static void note_said(struct sim_driver *driver, const char *line, size_t len)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *message = NULL;
    if (json_read(arena, line, len, &message, &err) == 0 && value_is_map(message)) {
        if (value_at(message, "result.list"))
            driver->has_told = value_get_bool(value_get(message, "result"), "complete", false);
        answer_note(driver, message);
        truth_told(&driver->sim->truth, message, driver->sim->now_ms);
    }
    arena_free(arena);
}

/* Whatever came is the product's to cut into lines and to read. */
static void bytes_arrive(struct sim *sim, void *data)
{
    struct parcel *parcel = data;
    struct sim_driver *driver = parcel->driver;
    const char *line;
    size_t len;
    if (sim->host.core && !sim->host.is_dead && parcel->life == driver->life) {
        text_add_n(&driver->said.input, parcel->line, parcel->len);
        while (daemon_is_up(sim) && (line = lines_next(&driver->said, &len))) {
            struct error err = ERROR_INIT;
            TRACE(sim, "%s > %s", driver->interface.name, line);
            note_said(driver, line, len);
            core_line(sim->host.core, driver->interface.name, line, len, &err);
        }
        daemon_pump(sim);
    }
    free(parcel->line);
    free(parcel);
}

static void bytes_post(struct sim_driver *driver, const char *line, size_t len)
{
    struct sim *sim = driver->sim;
    struct parcel *parcel = malloc(sizeof *parcel);
    if (!parcel)
        abort();
    *parcel = (struct parcel){driver, driver->life, malloc(len + 1), len};
    if (!parcel->line)
        abort();
    memcpy(parcel->line, line, len);
    int64_t at = sim->now_ms + prng_between(&sim->latency, 0, sim->swarm.hop_ms);
    driver->to_core_ms = at > driver->to_core_ms ? at : driver->to_core_ms;
    events_add_ordered(&sim->events, driver->to_core_ms, bytes_arrive, parcel);
}

static void line_post(struct sim_driver *driver, const char *line, size_t len)
{
    char *whole = malloc(len + 1);
    if (!whole)
        abort();
    memcpy(whole, line, len);
    whole[len] = '\n';
    bytes_post(driver, whole, len + 1);
    free(whole);
}

static void garbage_post(struct sim_driver *driver)
{
    static const char *const junk[] = {
        "\xff\xfe not json",
        "{\"jsonrpc\":\"2.0\",\"id\":99999999,\"result\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":[]}",
        "{\"id\":null}",
        "[]",
        "{\"jsonrpc\":\"2.0\",\"method\":\"changed\",\"params\":{\"uid\":7}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"changed\",\"params\":[[[[]]]]}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"op\":[],\"percent\":\"x\"}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"exec\",\"params\":{\"argv\":[\"rm\"]}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"complete\":true,\"list\":[[\"\",1,\"\"]]}}",
    };
    const char *line = junk[prng_below(&driver->sim->faults, sizeof junk / sizeof *junk)];
    line_post(driver, line, strlen(line));
}

/* The same answer under the number of another request. */
static void astray_post(struct sim_driver *driver, const char *line, size_t len)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *message = NULL;
    if (json_read(arena, line, len, &message, &err) == 0 && driver->last_request > 0) {
        value_set_int(arena, message, "id",
                      prng_between(&driver->sim->faults, 1, driver->last_request));
        const char *other = json_text(arena, message);
        line_post(driver, other, strlen(other));
    }
    arena_free(arena);
}

static void answer_post(struct sim_driver *driver, const char *line, size_t len)
{
    bool is_answer = memmem(line, len, "\"method\"", 8) == NULL;
    if (faulty(driver, FAULT_FRAME_CUT, NULL, PHASES)) {
        bytes_post(driver, line, (size_t)prng_below(&driver->sim->extra, len + 1));
        return; /* without a newline: what comes next is part of it */
    }
    if (is_answer && faulty(driver, FAULT_GARBAGE, NULL, PHASES))
        garbage_post(driver);
    line_post(driver, line, len);
}

/* What of the ledger is durable, if anything was made so since. */
static void synced_note(struct sim_driver *driver, uint64_t syncs_before)
{
    struct stat st;
    char path[160];
    if (!driver->host || sim_posix_syncs == syncs_before)
        return;
    snprintf(path, sizeof path, "%s/ledger", driver->host->own_dir);
    driver->synced_bytes = stat(path, &st) == 0 ? st.st_size : 0;
}

/* What the library wants to say is durable in its ledger before it is said. */
static void output_post(struct sim_driver *driver)
{
    struct spinel_host *host = driver->host;
    struct error err = ERROR_INIT;
    uint64_t syncs = sim_posix_syncs;
    if (!host || !wire_has_output(&host->wire))
        return;
    if (host->ledger && ledger_sync(host->ledger, &err) == 0)
        synced_note(driver, syncs);
    char *at = host->wire.output.data, *end;
    while ((end = strchr(at, '\n'))) {
        answer_post(driver, at, (size_t)(end - at));
        at = end + 1;
    }
    text_reset(&host->wire.output);
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
    if (strcmp(op->kind, "Instance") == 0 && machine && machine->exists &&
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

/* ---- lines in ----------------------------------------------------------------------- */

static void line_taken(struct sim *sim, void *data)
{
    struct parcel *parcel = data;
    struct sim_driver *driver = parcel->driver;
    if (driver->host && parcel->life == driver->life) {
        TRACE(sim, "%s < %.*s", driver->interface.name, (int)parcel->len, parcel->line);
        uint64_t syncs = sim_posix_syncs;
        line_handle(driver->host, parcel->line, parcel->len);
        synced_note(driver, syncs);
        calls_start(driver->host);
        output_post(driver);
        if (driver->host->exit_status >= 0)
            sim_driver_crash(driver, "exit status 1");
    }
    free(parcel->line);
    free(parcel);
}

static void line_forward(struct sim_driver *driver, const char *line, size_t len)
{
    struct sim *sim = driver->sim;
    struct parcel *parcel = malloc(sizeof *parcel);
    if (!parcel)
        abort();
    *parcel = (struct parcel){driver, driver->life, strndup(line, len), len};
    int64_t at = sim->now_ms + prng_between(&sim->latency, 0, sim->swarm.hop_ms);
    driver->to_driver_ms = at > driver->to_driver_ms ? at : driver->to_driver_ms;
    events_add_ordered(&sim->events, driver->to_driver_ms, line_taken, parcel);
}

void sim_driver_send(struct sim_driver *driver, const char *line, size_t len)
{
    driver->last_request++;
    if (driver->host) {
        line_forward(driver, line, len);
    } else {
        text_add_n(&driver->waiting, line, len);
        text_add_char(&driver->waiting, '\n');
    }
}

/* ---- life --------------------------------------------------------------------------- */

void sim_driver_open(struct sim_driver *driver, struct sim *sim, enum driver_id id)
{
    *driver = (struct sim_driver){.interface = {.name = driver_names[id],
                                                .version = "1",
                                                .kinds = driver_kinds[id],
                                                .list = effect_list,
                                                .look = effect_look},
                                  .sim = sim,
                                  .id = id,
                                  .waiting = TEXT_INIT,
                                  .said = LINES_INIT};
}

struct sim_driver *sim_driver_of_kind(struct sim *sim, const char *kind)
{
    for (int i = 0; i < DRIVERS; i++) {
        const char *found = strstr(driver_kinds[i], kind);
        size_t len = strlen(kind);
        if (found && (found == driver_kinds[i] || found[-1] == ' ') &&
            (found[len] == ' ' || found[len] == '\0'))
            return &sim->drivers[i];
    }
    return NULL;
}

void sim_driver_end(struct sim_driver *driver)
{
    struct spinel_host *host = driver->host;
    driver->life++;
    driver->is_asked_for = false;
    driver->last_request = 0;
    memset(driver->asked, 0, sizeof driver->asked);
    text_reset(&driver->waiting);
    lines_reset(&driver->said);
    driver->host = NULL;
    if (!host)
        return;
    calls_end(host);
    ledger_free(host->ledger);
    text_free(&host->wire.input);
    text_free(&host->wire.output);
    arena_free(host->forever);
    if (host->lock_fd >= 0)
        close(host->lock_fd);
    free(host);
}

/* The core hears of a driver's end. */
struct obituary {
    struct sim_driver *driver;
    uint64_t core_life;
    char why[64];
};

static void end_is_told(struct sim *sim, void *data)
{
    struct obituary *obituary = data;
    if (sim->host.core && !sim->host.is_dead && obituary->core_life == sim->host.life) {
        TRACE(sim, "%s down: %s", obituary->driver->interface.name, obituary->why);
        obituary->driver->has_told = false;
        core_driver_down(sim->host.core, obituary->driver->interface.name, obituary->why);
        daemon_pump(sim);
    }
    free(obituary);
}

static void end_tell(struct sim_driver *driver, const char *why)
{
    struct sim *sim = driver->sim;
    struct obituary *obituary = malloc(sizeof *obituary);
    if (!obituary)
        abort();
    *obituary = (struct obituary){driver, sim->host.life, ""};
    snprintf(obituary->why, sizeof obituary->why, "%s", why);
    events_add_ordered(&sim->events, sim->now_ms + 1, end_is_told, obituary);
}

void sim_driver_crash(struct sim_driver *driver, const char *why)
{
    TRACE(driver->sim, "%s crashes: %s", driver->interface.name, why);
    sim_driver_end(driver);
    end_tell(driver, why);
}

void sim_driver_kill(struct sim_driver *driver)
{
    sim_driver_crash(driver, "killed");
}

static void process_begins(struct sim *sim, void *data)
{
    struct call_ref *ref = data;
    struct sim_driver *driver = ref->driver;
    bool is_wanted = ref->life == driver->life && driver->is_asked_for && !driver->host;
    free(ref);
    if (!is_wanted)
        return;
    driver->is_asked_for = false;
    if (faulty(driver, FAULT_DRIVER_NO_START, NULL, PHASES)) {
        sim_driver_crash(driver, "it cannot be started");
        return;
    }
    struct spinel_host *host = calloc(1, sizeof *host);
    if (!host)
        abort();
    *host =
        (struct spinel_host){.driver = &driver->interface,
                             .wire = {.in = -1, .out = -1, .input = TEXT_INIT, .output = TEXT_INIT},
                             .call_fd = -1,
                             .lock_fd = -1,
                             .signal_fd = -1,
                             .guard_fd = -1,
                             .exit_status = -1};
    host->forever = host->arena = arena_new();
    driver->host = host;
    driver->to_core_ms = driver->to_driver_ms = sim->now_ms;
    char *at = driver->waiting.data, *end;
    while (at && (end = strchr(at, '\n'))) {
        line_forward(driver, at, (size_t)(end - at));
        at = end + 1;
    }
    text_reset(&driver->waiting);
}

void sim_driver_start(struct sim_driver *driver)
{
    struct sim *sim = driver->sim;
    struct call_ref *ref = malloc(sizeof *ref);
    if (!ref)
        abort();
    driver->is_asked_for = true;
    *ref = (struct call_ref){driver, driver->life, 0};
    events_add(&sim->events, sim->now_ms + prng_between(&sim->latency, 1, START_MS), process_begins,
               ref);
}

void sim_driver_power_loss(struct sim_driver *driver)
{
    struct sim *sim = driver->sim;
    char path[160];
    struct stat st;
    snprintf(path, sizeof path, "%s/drivers/%s/ledger", sim->host.dir, driver->interface.name);
    if (stat(path, &st) < 0 || st.st_size <= driver->synced_bytes)
        return;
    if (truncate(path, prng_between(&sim->faults, driver->synced_bytes, st.st_size)) < 0)
        abort();
}

void sim_driver_notice(struct sim_driver *driver, const char *uid, const char *why)
{
    if (!driver->host || !driver->host->ledger || faulty(driver, FAULT_NOTICE_LOST, NULL, PHASES))
        return;
    spinel_changed(driver->host, uid, why);
    output_post(driver);
}

void sim_driver_notice_false(struct sim_driver *driver)
{
    const struct truth *truth = &driver->sim->truth;
    if (!driver->host || !driver->host->ledger)
        return;
    uint64_t which = prng_below(&driver->sim->faults, truth->count + 2);
    spinel_changed(driver->host,
                   which < truth->count    ? truth->things[which].uid
                   : which == truth->count ? "0123456789abcdef0123456789abcdef"
                                           : NULL,
                   "so it seems");
    output_post(driver);
}
