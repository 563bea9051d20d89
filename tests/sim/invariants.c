/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What must hold, one function each. The numbers are those of the specification; what
 * is about signatures, several hosts or an audit chain has nothing to look at yet and is
 * not here (docs/simulation.md).
 */
#include "tests/sim/oracles.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/json.h"

bool broken(char *why, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, MESSAGE_MAX, fmt, args);
    va_end(args);
    return false;
}

/* ---- about an event ----------------------------------------------------------------- */

static bool has_no_gap(struct sim *sim, const struct moment *moment, char *why)
{
    int64_t seq = moment->event->seq;
    bool is_later = sim->host.has_begun && seq > sim->host.seq;
    if (sim->host.may_skip || sim->host.seq == 0 || is_later || seq == sim->host.seq + 1)
        return true;
    return broken(why, "event %lld comes after event %lld", (long long)seq,
                  (long long)sim->host.seq);
}

static bool tells_no_secret(struct sim *sim, const struct moment *moment, char *why)
{
    struct arena *arena = arena_new();
    const struct event *event = moment->event;
    (void)sim;
    bool is_told = strstr(event->text, wish_secret) ||
                   (event->data && strstr(json_text(arena, event->data), wish_secret));
    arena_free(arena);
    return !is_told || broken(why, "%s tells a secret", event->type);
}

/* ---- about a start ------------------------------------------------------------------ */

static bool keeps_rows(struct sim *sim, char *why)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct known *rows = NULL;
    size_t count = 0;
    bool holds = true;
    if (store_objects(sim->host.store, arena, &rows, &count, &err) == 0) {
        const struct row_note *note = book_row_broken(&sim->book, rows, count);
        if (note)
            holds = broken(why, "the row of %s was: epoch %" PRIu64 ", life %d, %s", note->uid,
                           note->epoch, (int)note->life,
                           note->is_protected ? "protected" : "not protected");
        book_rows_found(&sim->book, rows, count);
    }
    arena_free(arena);
    return holds;
}

static bool keeps_what_was_durable(struct sim *sim, const struct moment *moment, char *why)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct intent *open = NULL;
    size_t count = 0, missing = 0;
    (void)moment;
    /* Of a commit that was cut off nobody knows: the intent may have gone on, but it is there. */
    bool is_read = store_intents(sim->host.store, arena, NULL, (struct page){.limit = 100000},
                                 &open, &count, &err) == 0;
    for (size_t i = 0; i < sim->book.count; i++) {
        const struct note *note = &sim->book.notes[i];
        bool is_there = !note_is_open(note);
        for (size_t n = 0; n < count && !is_there; n++)
            is_there = strcmp(open[n].op, note->op) == 0;
        missing += is_read && !is_there;
    }
    arena_free(arena);
    if (missing > 0)
        return broken(why, "%zu durable intents are gone after a restart", missing);
    return keeps_rows(sim, why);
}

static bool keeps_target(struct sim *sim, const struct moment *moment, char *why)
{
    const struct commit *commit = git_find(&sim->git, sim->host.accepted);
    (void)moment;
    if (!commit || commit->is_missing || commit->is_corrupt || commit->is_invalid ||
        strcmp(core_commit(sim->host.core), commit->id) == 0 ||
        strcmp(core_commit(sim->host.core), sim->host.maybe) == 0)
        return true;
    return broken(why, "the target is %.12s after a restart and was %.12s before",
                  core_commit(sim->host.core), commit->id);
}

static bool is_left_alone(struct sim *sim, const struct moment *moment, char *why)
{
    (void)sim;
    if (moment->status != ERR_STALE)
        return broken(why, "opening it gives %d", moment->status);
    return !moment->is_changed || broken(why, "it is not as it was");
}

static bool is_served(struct sim *sim, const struct moment *moment, char *why)
{
    (void)sim;
    return moment->status == 0 || broken(why, "reading the store gives %d", moment->status);
}

/* ---- the table ---------------------------------------------------------------------- */

const struct invariant invariants[] = {
    {"S1", "no volume with data is destroyed without a grant", ON_SEND, grants_destruction},
    {"S2", "nothing without our valid tag is changed", ON_EFFECT, touches_ours_only},
    {"S3", "nothing protected is destroyed", ON_SEND, spares_protected},
    {"S4", "a volume is open once at most, in a machine that runs once", AFTER_EVENT, is_open_once},
    {"S4b", "the core asks for no volume that another machine has open", ON_EFFECT, opens_once},
    {"S5", "one real object for each declared one", ON_EFFECT, is_unique},
    {"S6", "what was deleted does not come back", ON_EFFECT, stays_dead},
    {"S7", "every change is made, superseded, or reported with a reason", AT_END | AT_REST,
     loses_no_intent},
    {"S7b", "what left Git is gone, released, or reported", AT_END | AT_REST,
     leaves_nothing_behind},
    {"S8", "what is sent is a step of a recorded plan", ON_SEND, is_planned},
    {"S9", "a durable record precedes every operation", ON_SEND, is_recorded},
    {"S9b", "events are in order, without a gap and never twice", ON_EMIT, has_no_gap},
    {"S9c", "what was durable is there after a restart", ON_BOOT, keeps_what_was_durable},
    {"S9d", "a store of a newer version is refused and left as it is", ON_REFUSAL, is_left_alone},
    {"S10", "the target never goes back by itself", ON_BOOT, keeps_target},
    {"S12", "an operation stays within its tenant", ON_EFFECT, stays_with_tenant},
    {"S13", "destruction keeps within its budget, or is approved", ON_EFFECT, keeps_budget},
    {"S13b", "in a day no more than a share leaves Git, or that is approved", ON_EFFECT,
     keeps_most},
    {"S14", "nothing is removed unless the last list was whole", ON_SEND, has_looked},
    {"S15", "an older epoch has no effect after a newer one", ON_EFFECT, is_fenced},
    {"S16", "no secret in an event or in the log", ON_EMIT | ON_LOG, tells_no_secret},
    {"S16b", "no secret in the store", AT_END, hides_secret},
    {"S17", "no effect begins after the store failed", ON_SEND, stops_after_failure},
    {"S17b", "what is on record can be read while the disk is full", ON_FULL, is_served},
    {"L1", "it converges once the faults have ceased", AT_END, converges},
    {"L2", "what is parked waits for a person, and says so", AT_END | AT_REST, parks_for_people},
    {"L3", "no operation is repeated faster than its back-off", ON_SEND, backs_off},
    {"I1", "a look after convergence sends and writes nothing", AT_END, rests},
    {"I2", "the same commit again does nothing", AT_END, repeats_nothing},
};
const int invariant_count = sizeof invariants / sizeof *invariants;
_Static_assert(sizeof invariants / sizeof *invariants <= INVARIANTS_MAX, "room in the tally");

int invariant_find(const char *id)
{
    for (int i = 0; i < invariant_count; i++)
        if (strcmp(invariants[i].id, id) == 0)
            return i;
    return -1;
}

/* Who believes a store in which a row is another may do what that row says, but never this (RFD
 * 20). */
static bool is_excused(const struct sim *sim, const struct invariant *invariant)
{
    return sim->host.is_misled && strcmp(invariant->id, "S1") != 0 &&
           strcmp(invariant->id, "S3") != 0;
}

void sim_violate(struct sim *sim, int invariant, const char *fmt, ...)
{
    va_list args;
    if (sim->violated >= 0 || is_excused(sim, &invariants[invariant]))
        return;
    va_start(args, fmt);
    vsnprintf(sim->message, sizeof sim->message, fmt, args);
    va_end(args);
    sim->violated = invariant;
    tally_add(&sim->tally->violations[invariant], 1);
    TRACE(sim, "VIOLATION %s: %s", invariants[invariant].id, sim->message);
}

void invariants_check(struct sim *sim, const struct moment *moment)
{
    char why[MESSAGE_MAX] = "";
    for (int i = 0; i < invariant_count; i++) {
        if (!(invariants[i].when & moment->when) || is_excused(sim, &invariants[i]))
            continue;
        tally_add(&sim->tally->checks[i], 1);
        if (!invariants[i].holds(sim, moment, why))
            sim_violate(sim, i, "%s", why);
    }
}
