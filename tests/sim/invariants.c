/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What must hold, one function each. The numbers are those of the specification; what
 * is about signatures, several hosts or an audit chain has nothing to look at yet and is
 * not here (docs/simulation.md).
 */
#include "tests/sim/invariants.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/json.h"
#include "tests/sim/sim.h"

enum { DAY_MS = 86400000, HOT_MS = 60000, HOT_MAX = 14, PASSES_MAX = 7, ROUNDS_MAX = 8 };

static bool broken(char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool broken(char *why, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, MESSAGE_MAX, fmt, args);
    va_end(args);
    return false;
}

static const struct note *note_of(struct sim *sim, const struct spinel_op *op)
{
    return book_find(&sim->book, op->op);
}

/* ---- about an effect ---------------------------------------------------------------- */

static bool is_destruction(const struct moment *moment)
{
    return moment->thing && moment->thing->exists && moment->op->verb == SPINEL_DELETE;
}

static bool touches_ours_only(struct sim *sim, const struct moment *moment, char *why)
{
    (void)sim;
    if (!moment->thing || (moment->thing->is_ours && moment->thing->tag))
        return true;
    return broken(why, "%s of %s, which bears no valid tag", verb_names[moment->op->verb],
                  moment->thing->native);
}

/* A disk, or its volume, as a plan's step is to set it; "": something else. */
static const char *volume_planned(const struct value *field)
{
    const struct value *to = value_get(field, "to");
    bool runs = strcmp(value_get_text(field, "disposition", ""), "run") == 0;
    if (!runs || strncmp(value_get_text(field, "path", ""), "spec.disks", 10) != 0)
        return "";
    return value_is_text(to) ? to->text : value_get_text(to, "volume", "");
}

/* By the plan that the operation is of, as it was recorded. */
static bool is_swap_planned(struct sim *sim, const struct spinel_op *op, const struct thing *taker,
                            const struct thing *holder)
{
    const struct note *note = book_find(&sim->book, op->op);
    const struct plan_note *plan = note ? book_find_plan(&sim->book, note->plan) : NULL;
    for (size_t i = 0; plan && i < plan->steps->count; i++) {
        const struct value *fields = value_get(plan->steps->items[i], "fields");
        if (strcmp(value_get_text(plan->steps->items[i], "uid", ""), holder->uid) != 0)
            continue;
        for (size_t n = 0; value_is_list(fields) && n < fields->count; n++) {
            const struct thing *volume =
                truth_volume(&sim->truth, holder->project, volume_planned(fields->items[n]));
            if (volume && truth_has_open(taker, volume->uid))
                return true;
        }
    }
    return false;
}

/* Two that swap volumes are let go at the same time: `holder` is to have one that `taker` has, and
 * was sent that, or is to be sent it. */
static bool is_swap(struct sim *sim, const struct spinel_op *op, const struct thing *taker,
                    const struct thing *holder)
{
    const struct sent *sent = truth_last_sent(&sim->truth, holder->uid);
    if (!taker || !taker->booted)
        return false;
    for (size_t i = 0; sent && i < sent->volume_count; i++)
        if (truth_has_open(taker, sent->volumes[i]))
            return true;
    return is_swap_planned(sim, op, taker, holder);
}

/* Of volumes over all that run, whoever made them: a machine that a person has renamed is nobody's,
 * and runs on. Looked at before each effect, and at the end. */
static bool is_open_once(struct sim *sim, const struct moment *moment, char *why)
{
    const struct truth *truth = &sim->truth;
    (void)moment;
    for (size_t i = 0; i < truth->count; i++) {
        const struct thing *machine = &truth->things[i];
        if (!machine->exists || !machine->booted)
            continue;
        for (size_t n = 0; n < i; n++)
            if (truth->things[n].exists && truth->things[n].booted && machine->is_ours &&
                truth->things[n].is_ours && strcmp(truth->things[n].uid, machine->uid) == 0)
                return broken(why, "%s runs twice", machine->name);
        const struct value *disks = value_get(machine->spec, "disks");
        for (size_t n = 0; value_is_list(disks) && n < disks->count; n++) {
            const char *uid = truth_disk_uid(machine, disks->items[n]);
            const struct thing *other = *uid ? truth_holder(truth, uid, machine) : NULL;
            if (other)
                return broken(why, "volume %s is open in %s and in %s",
                              value_get_text(disks->items[n], "volume", ""), machine->name,
                              other->name);
        }
    }
    return true;
}

/* Whether whoever made the plan of the operation could know of this: it is on record, or its driver
 * had told of it before. */
static bool could_know(struct sim *sim, const struct spinel_op *op, const struct thing *thing)
{
    return book_knows(&sim->book, thing->uid) ||
           (thing->told_ms && thing->told_ms < book_planned_ms(&sim->book, op->op));
}

/* The storage's lock would refuse it; the core should not even ask, but in a circle, where that
 * lock decides. */
static bool opens_once(struct sim *sim, const struct moment *moment, char *why)
{
    const char *volume = "";
    const struct thing *holder = effect_holder(&sim->truth, moment->op, moment->thing, &volume);
    if (holder && is_swap(sim, moment->op, moment->thing, holder))
        return true;
    if (!holder || !holder->tag || !holder->is_ours || !could_know(sim, moment->op, holder))
        return true;
    return broken(why, "%s gets volume %s, which %s has open", moment->op->name, volume,
                  holder->name);
}

/* It was sent another name, and has it or is on its way to it. */
static bool goes_by_another_name(struct sim *sim, const char *uid, const char *name)
{
    const struct sent *sent = truth_last_sent(&sim->truth, uid);
    return sent && strcmp(sent->name, name) != 0;
}

/* Only the driver can know of it, and it left it out of its last list and said that this was all.
 */
static bool is_hidden(struct sim *sim, const struct spinel_op *op, const struct thing *other)
{
    return sim_driver_of_kind(sim, op->kind)->has_lied && !could_know(sim, op, other);
}

static bool is_unique(struct sim *sim, const struct moment *moment, char *why)
{
    const struct spinel_op *op = moment->op;
    if (moment->thing || (op->verb != SPINEL_CREATE && op->verb != SPINEL_UPDATE))
        return true;
    for (size_t i = 0; i < sim->truth.count; i++) {
        const struct thing *other = &sim->truth.things[i];
        if (other->exists && other->is_ours && other->tag && !other->is_released &&
            strcmp(other->uid, op->uid) != 0 && strcmp(other->kind, op->kind) == 0 &&
            strcmp(other->project, op->project ? op->project : "") == 0 &&
            strcmp(other->name, op->name) == 0 && !is_hidden(sim, op, other) &&
            !goes_by_another_name(sim, other->uid, op->name))
            return broken(why, "%s %s is made as %s and exists as %s", op->kind, op->name, op->uid,
                          other->uid);
    }
    return true;
}

static bool stays_dead(struct sim *sim, const struct moment *moment, char *why)
{
    const struct spinel_op *op = moment->op;
    const struct thing *was = thing_of_uid(&sim->truth, op->uid);
    if (!was || op->verb == SPINEL_DELETE || op->epoch > was->gone_epoch)
        return true;
    return broken(why, "%s of %s %s at epoch %" PRIu64 ", deleted at %" PRIu64,
                  verb_names[op->verb], op->kind, op->name, op->epoch, was->gone_epoch);
}

static bool is_fenced(struct sim *sim, const struct moment *moment, char *why)
{
    (void)sim;
    if (!moment->thing || moment->op->epoch >= moment->thing->epoch)
        return true;
    return broken(why, "%s of %s at epoch %" PRIu64 " has an effect after epoch %" PRIu64,
                  verb_names[moment->op->verb], moment->op->name, moment->op->epoch,
                  moment->thing->epoch);
}

/* Whose what an operation refers to really is, a rack's own things being everybody's. */
static const struct thing *foreign_ref(const struct truth *truth, const struct spinel_op *op)
{
    const struct value *refs = op->refs;
    const char *project = op->project ? op->project : "";
    for (size_t i = 0; value_is_map(refs) && i < refs->pair_count; i++) {
        const struct value *named = refs->pairs[i].value;
        for (size_t n = 0; value_is_map(named) && n < named->pair_count; n++) {
            const struct thing *thing =
                thing_of_uid(truth, value_get_text(named->pairs[n].value, "uid", ""));
            if (thing && thing->owner[0] && strcmp(thing->owner, project) != 0)
                return thing;
        }
    }
    return NULL;
}

static bool stays_with_tenant(struct sim *sim, const struct moment *moment, char *why)
{
    const char *project = moment->op->project ? moment->op->project : "";
    const struct thing *foreign = foreign_ref(&sim->truth, moment->op);
    if (foreign)
        return broken(why, "%s of %s of tenant \"%s\" refers to %s of tenant \"%s\"",
                      verb_names[moment->op->verb], moment->op->name, project, foreign->name,
                      foreign->owner);
    if (!moment->thing || strcmp(moment->thing->owner, project) == 0)
        return true;
    return broken(why, "%s of tenant \"%s\" reaches %s of tenant \"%s\"",
                  verb_names[moment->op->verb], project, moment->thing->name, moment->thing->owner);
}

static bool is_derived(const char *kind)
{
    return strcmp(kind, "NIC") == 0 || strcmp(kind, "Seed") == 0;
}

static size_t count_live(const struct truth *truth)
{
    size_t live = 0;
    for (size_t i = 0; i < truth->count; i++)
        live += truth->things[i].exists && truth->things[i].is_ours &&
                !is_derived(truth->things[i].kind);
    return live;
}

/* By the daemon's own clock, which is what its budget goes by. */
static bool keeps_budget(struct sim *sim, const struct moment *moment, char *why)
{
    struct truth *truth = &sim->truth;
    const struct note *note = note_of(sim, moment->op);
    size_t live = count_live(truth), recent = 0;
    int64_t now = sim_wall_ms(sim);
    if (live > truth->most)
        truth->most = live;
    if (!is_destruction(moment) || is_derived(moment->thing->kind) || !note || note->is_approved)
        return true;
    size_t room = sizeof truth->destroyed_at / sizeof *truth->destroyed_at;
    snprintf(truth->destroyed_uid[truth->destroyed % room], 33, "%s", moment->thing->uid);
    truth->destroyed_at[truth->destroyed++ % room] = now;
    for (size_t i = 0; i < truth->destroyed && i < room; i++) {
        bool is_again = false; /* made anew and destroyed again: it is one object that is lost */
        for (size_t n = 0; n < i; n++)
            is_again |= strcmp(truth->destroyed_uid[n], truth->destroyed_uid[i]) == 0;
        recent +=
            !is_again && truth->destroyed_at[i] > now - DAY_MS && truth->destroyed_at[i] <= now;
    }
    size_t allowed = truth->most / 20 > 3 ? truth->most / 20 : 3;
    return recent <= allowed ||
           broken(why, "%zu objects destroyed in a day without approval, %zu allowed", recent,
                  allowed);
}

/* ---- about a message ---------------------------------------------------------------- */

static const char *param(const struct moment *moment, const char *name)
{
    return value_get_text(value_get(moment->message, "params"), name, "");
}

/* The volume that a message would destroy; NULL: none. What is under way when the next
 * commit comes is not called back, so it is the sending that is judged. */
static const struct thing *volume_at_risk(struct sim *sim, const struct moment *moment)
{
    const struct thing *thing = thing_of_uid(&sim->truth, param(moment, "uid"));
    bool is_risk = strcmp(param(moment, "verb"), "delete") == 0 && thing && thing->exists &&
                   thing->tag && strcmp(thing->kind, "Volume") == 0 && !thing->is_purged;
    return is_risk ? thing : NULL;
}

static bool grants_destruction(struct sim *sim, const struct moment *moment, char *why)
{
    const struct thing *thing = volume_at_risk(sim, moment);
    if (!thing || thing->writes == 0)
        return true;
    const struct last_word *word = truth_last_word(&sim->truth, thing->project, thing->name);
    if (word && word->is_deleted && !word->is_declared)
        return true;
    return broken(why, "volume %s/%s with %" PRIu64 " writes is destroyed: %s", thing->project,
                  thing->name, thing->writes,
                  !word               ? "no commit ever declared it"
                  : word->is_declared ? "the target declares it"
                                      : "the last commit that declared it said onRemove: release");
}

static bool spares_protected(struct sim *sim, const struct moment *moment, char *why)
{
    const struct thing *thing = volume_at_risk(sim, moment);
    if (!thing)
        return true;
    const struct last_word *word = truth_last_word(&sim->truth, thing->project, thing->name);
    if (!word || !word->is_protected)
        return true;
    return broken(why, "protected volume %s/%s is destroyed", thing->project, thing->name);
}

static bool is_recorded(struct sim *sim, const struct moment *moment, char *why)
{
    const struct note *note = book_find(&sim->book, param(moment, "op"));
    if (note && note_is_open(note) && strcmp(note->uid, param(moment, "uid")) == 0 &&
        (int64_t)note->epoch == value_at_int(moment->message, "params.epoch", -1))
        return true;
    return broken(why, "%s of %s is sent, and %s", param(moment, "verb"), param(moment, "name"),
                  note ? "its record does not fit" : "no durable record says so");
}

/* The paths of a step that run are those that the driver is told of. */
static bool are_same_changes(const struct value *step, const struct value *told)
{
    const struct value *fields = value_get(step, "fields");
    size_t count = 0;
    for (size_t i = 0; value_is_list(fields) && i < fields->count; i++) {
        const struct value *field = fields->items[i];
        if (strcmp(value_get_text(field, "disposition", ""), "run") != 0)
            continue;
        if (!value_is_list(told) || count >= told->count ||
            strcmp(told->items[count++]->text, value_get_text(field, "path", "")) != 0)
            return false;
    }
    return count == (value_is_list(told) ? told->count : 0);
}

/* A replacement is sent as a deletion; what follows it is a create of a plan that comes after. */
static const char *verb_planned(const struct value *step)
{
    const char *action = value_get_text(step, "action", "");
    return strcmp(action, "replace") == 0 ? "delete" : action;
}

static bool is_of_step(const struct value *step, const struct moment *moment)
{
    const struct value *params = value_get(moment->message, "params");
    static const char *const same[] = {"uid", "kind", "project", "name"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (strcmp(value_get_text(step, same[i], ""), value_get_text(params, same[i], "")) != 0)
            return false;
    return strcmp(verb_planned(step), param(moment, "verb")) == 0 &&
           strcmp(value_get_text(step, "disposition", ""), "run") == 0 &&
           are_same_changes(step, value_get(params, "changed"));
}

static bool is_planned(struct sim *sim, const struct moment *moment, char *why)
{
    const struct note *note = book_find(&sim->book, param(moment, "op"));
    const struct plan_note *plan = note ? book_find_plan(&sim->book, note->plan) : NULL;
    if (!note)
        return true; /* is_recorded() says so */
    if (!plan)
        return broken(why, "%s of %s is of a plan that was not recorded", param(moment, "verb"),
                      param(moment, "name"));
    for (size_t i = 0; i < plan->steps->count; i++)
        if (is_of_step(plan->steps->items[i], moment))
            return true;
    return broken(why, "%s of %s is no step of its plan that runs", param(moment, "verb"),
                  param(moment, "name"));
}

struct heat {
    uint64_t life;
    size_t count;
    int64_t at[HOT_MAX];
    char uid[33], commit[65];
};

/* One for each uid: what takes another's place forgets its count. */
static struct heat *heat_of(const char *uid)
{
    static struct heat *heats;
    static size_t count, room;
    for (size_t i = 0; i < count; i++)
        if (strcmp(heats[i].uid, uid) == 0)
            return &heats[i];
    if (count == room) {
        room = room ? 2 * room : 64;
        heats = reallocarray(heats, room, sizeof *heats);
        if (!heats)
            abort();
    }
    heats[count] = (struct heat){.count = 0};
    snprintf(heats[count].uid, sizeof heats[count].uid, "%s", uid);
    return &heats[count++];
}

/* By the last list that was asked for: what an earlier one said is no excuse. What is not seen any
 * more and has left Git is deleted all the same, for the epoch. */
static bool has_looked(struct sim *sim, const struct moment *moment, char *why)
{
    const char *verb = param(moment, "verb");
    const struct sim_driver *driver = sim_driver_of_kind(sim, param(moment, "kind"));
    bool is_removal = strcmp(verb, "delete") == 0 || strcmp(verb, "release") == 0;
    if (!is_removal || !driver || driver->has_told)
        return true;
    return broken(why, "%s of %s, and the last list of its driver was not whole", verb,
                  param(moment, "name"));
}

static bool stops_after_failure(struct sim *sim, const struct moment *moment, char *why)
{
    struct error err = ERROR_INIT;
    if (!core_has_failed(sim->host.core, &err))
        return true;
    return broken(why, "%s of %s is sent after the store failed", param(moment, "verb"),
                  param(moment, "name"));
}

static bool backs_off(struct sim *sim, const struct moment *moment, char *why)
{
    struct heat *heat = heat_of(param(moment, "uid"));
    const char *commit = core_commit(sim->host.core);
    if (heat->life != sim->host.life || strcmp(heat->commit, commit) != 0) {
        heat->life = sim->host.life;
        heat->count = 0;
        memset(heat->at, 0, sizeof heat->at);
        snprintf(heat->commit, sizeof heat->commit, "%s", commit);
    }
    int64_t oldest = heat->at[heat->count % HOT_MAX];
    heat->at[heat->count++ % HOT_MAX] = sim->now_ms;
    if (heat->count <= HOT_MAX || sim->now_ms - oldest > HOT_MS)
        return true;
    return broken(why, "%s was sent %d times within %d s", param(moment, "name"), HOT_MAX + 1,
                  HOT_MS / 1000);
}

/* ---- about an event ----------------------------------------------------------------- */

static bool has_no_gap(struct sim *sim, const struct moment *moment, char *why)
{
    int64_t seq = moment->event->seq;
    if (sim->host.may_skip || sim->host.seq == 0 || seq > sim->host.seq)
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
    return !is_told || broken(why, "event %s tells a secret", event->type);
}

/* ---- about a start ------------------------------------------------------------------ */

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
    return missing == 0 || broken(why, "%zu durable intents are gone after a restart", missing);
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

/* ---- at the end --------------------------------------------------------------------- */

static const struct step *step_of(const struct plan *plan, const char *uid)
{
    for (size_t i = 0; plan && i < plan->step_count; i++)
        if (strcmp(plan->steps[i].uid, uid) == 0)
            return &plan->steps[i];
    return NULL;
}

static const struct thing *thing_named(const struct truth *truth, const struct resource *resource)
{
    for (size_t i = 0; i < truth->count; i++) {
        const struct thing *thing = &truth->things[i];
        if (thing->exists && thing->is_ours && thing->tag && !thing->is_released &&
            strcmp(thing->kind, resource->kind->name) == 0 &&
            strcmp(thing->project, resource->project ? resource->project : "") == 0 &&
            strcmp(thing->name, resource->name) == 0)
            return thing;
    }
    return NULL;
}

static const struct step *step_named(const struct plan *plan, const struct resource *resource)
{
    for (size_t i = 0; plan && i < plan->step_count; i++)
        if (plan->steps[i].resource == resource ||
            (plan->steps[i].kind == resource->kind &&
             strcmp(plan->steps[i].name, resource->name) == 0 &&
             strcmp(plan->steps[i].project ? plan->steps[i].project : "",
                    resource->project ? resource->project : "") == 0))
            return &plan->steps[i];
    return NULL;
}

/* A running machine names its volumes as they were called when it was told of them. */
static bool are_same_disks(const struct truth *truth, const struct value *wanted,
                           const struct thing *machine)
{
    const struct value *disks = value_get(machine->spec, "disks");
    if (!value_is_list(wanted) || !value_is_list(disks) || wanted->count != disks->count)
        return false;
    for (size_t i = 0; i < wanted->count; i++) {
        const struct thing *volume =
            truth_volume(truth, machine->project, value_get_text(wanted->items[i], "volume", ""));
        if (!volume || !truth_has_open(machine, volume->uid))
            return false;
    }
    return true;
}

static bool is_parked(const struct step *step)
{
    return step && step->disposition != RUN && step->reason && *step->reason;
}

/* The step says of this field, or of the object as a whole, why it is not as declared. */
static bool is_field_parked(const struct step *step, const char *name)
{
    if (!step || (step->field_count == 0 && is_parked(step)))
        return step != NULL;
    for (size_t i = 0; i < step->field_count; i++) {
        const struct plan_field *field = &step->fields[i];
        if (strncmp(field->path, "spec.", 5) == 0 &&
            strncmp(field->path + 5, name, strlen(name)) == 0 &&
            strchr(".[", field->path[5 + strlen(name)]) && field->disposition != RUN)
            return (field->reason && *field->reason) || is_parked(step);
    }
    return false;
}

/* The first field in which the real one is not as declared, unreported; NULL: none. */
static const char *difference(const struct truth *truth, const struct resource *resource,
                              const struct thing *thing, const struct step *step)
{
    for (size_t i = 0; i < resource->kind->spec->field_count; i++) {
        const struct field *field = resource->kind->spec->fields[i];
        const struct value *wanted = value_get(resource->spec, field->name);
        if (!wanted || field->is_sensitive || field->change == CHANGE_METADATA)
            continue;
        if (field->grows_only && value_get_int(thing->spec, field->name, 0) > wanted->integer)
            continue; /* it never shrinks, and every try says so */
        if (strcmp(field->name, "disks") == 0 && are_same_disks(truth, wanted, thing))
            continue;
        if (!value_equal(wanted, value_get(thing->spec, field->name)) &&
            !is_field_parked(step, field->name))
            return field->name;
    }
    return NULL;
}

static bool loses_no_intent(struct sim *sim, const struct moment *moment, char *why)
{
    struct arena *arena = arena_new();
    struct report report;
    struct error err = ERROR_INIT;
    const struct set *set = NULL;
    const struct plan *plan = core_plan(sim->host.core);
    bool holds = true;
    (void)moment;
    report_init(&report, arena);
    if (git_load(sim, arena, core_commit(sim->host.core), &set, &report, &err) == 0) {
        for (size_t i = 0; holds && i < set->count; i++) {
            const struct resource *resource = set->resources[i];
            const struct thing *thing = thing_named(&sim->truth, resource);
            const struct step *step = step_named(plan, resource);
            if (!resource->kind->driver || (!thing && is_parked(step)))
                continue;
            const char *field = thing ? difference(&sim->truth, resource, thing, step) : NULL;
            if (!thing)
                holds = broken(why, "%s %s is declared, not there, and not reported",
                               resource->kind->name, resource->name);
            else if (field)
                holds = broken(why, "%s %s: %s is %s, should be %s, and that is not reported",
                               resource->kind->name, resource->name, field,
                               json_text(arena, value_get(thing->spec, field)),
                               json_text(arena, value_get(resource->spec, field)));
        }
    }
    arena_free(arena);
    return holds;
}

/* `spinel released` lists it. That is a report of what was sent, or of an old copy of the store. */
static bool is_reported_released(struct sim *sim, const char *uid)
{
    const struct sent *sent = truth_last_sent(&sim->truth, uid);
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct known *rows = NULL;
    size_t count = 0;
    bool is_kept = false;
    if ((sent && sent->is_release) || sim->host.was_restored)
        store_objects(sim->host.store, arena, &rows, &count, &err);
    for (size_t i = 0; i < count; i++)
        is_kept |= strcmp(rows[i].uid, uid) == 0 && rows[i].life == LIFE_RELEASED;
    arena_free(arena);
    return is_kept;
}

static bool leaves_nothing_behind(struct sim *sim, const struct moment *moment, char *why)
{
    struct arena *arena = arena_new();
    struct report report;
    struct error err = ERROR_INIT;
    const struct set *set = NULL;
    bool holds = true;
    (void)moment;
    report_init(&report, arena);
    if (git_load(sim, arena, core_commit(sim->host.core), &set, &report, &err) == 0)
        for (size_t i = 0; holds && i < sim->truth.count; i++) {
            const struct thing *thing = &sim->truth.things[i];
            const char *project = thing->project[0] ? thing->project : NULL;
            if (!thing->exists || !thing->is_ours || !thing->tag || thing->is_released ||
                set_find(set, thing->kind, project, thing->name) ||
                step_of(core_plan(sim->host.core), thing->uid) ||
                is_reported_released(sim, thing->uid))
                continue;
            const char *strangers = json_text(arena, core_strangers(sim->host.core, arena));
            if (!strstr(strangers, thing->uid))
                holds = broken(why, "%s %s/%s is not declared, still there, and not reported",
                               thing->kind, thing->project, thing->name);
        }
    arena_free(arena);
    return holds;
}

static bool hides_secret(struct sim *sim, const struct moment *moment, char *why)
{
    bool is_clean = true;
    (void)moment;
    daemon_store_save(sim);
    for (size_t i = 0; i < 2; i++)
        if (sim->host.saved[i] &&
            memmem(sim->host.saved[i], sim->host.saved_len[i], wish_secret, strlen(wish_secret)))
            is_clean = false;
    return is_clean || broken(why, "a secret is in the store");
}

static bool converges(struct sim *sim, const struct moment *moment, char *why)
{
    (void)sim;
    (void)moment;
    if (!quiet.is_settled)
        return broken(why, "it found no rest after the faults had ceased");
    return (quiet.looks <= PASSES_MAX && quiet.rounds <= ROUNDS_MAX) ||
           broken(why, "it took %" PRIu64 " looks, or %u decisions", quiet.looks, quiet.rounds);
}

static bool parks_for_people(struct sim *sim, const struct moment *moment, char *why)
{
    (void)sim;
    (void)moment;
    return !quiet.parked || broken(why, "%s", quiet.parked);
}

static bool rests(struct sim *sim, const struct moment *moment, char *why)
{
    (void)sim;
    (void)moment;
    return (quiet.again_applies == 0 && quiet.again_writes == 0) ||
           broken(why, "one more look sent %" PRIu64 " operations and wrote %" PRIu64 " times",
                  quiet.again_applies, quiet.again_writes);
}

static bool repeats_nothing(struct sim *sim, const struct moment *moment, char *why)
{
    (void)sim;
    (void)moment;
    return quiet.same_applies == 0 ||
           broken(why, "the same commit again sent %" PRIu64 " operations", quiet.same_applies);
}

/* ---- the table ---------------------------------------------------------------------- */

const struct invariant invariants[] = {
    {"S1", "no volume with data is destroyed without a grant", ON_SEND, grants_destruction},
    {"S2", "nothing without our valid tag is changed", ON_EFFECT, touches_ours_only},
    {"S3", "nothing protected is destroyed", ON_SEND, spares_protected},
    {"S4", "a volume is open in one running machine at most, and each runs once",
     ON_EFFECT | AT_END, is_open_once},
    {"S4b", "the core asks for no volume that another machine has open", ON_EFFECT, opens_once},
    {"S5", "one real object for each declared one", ON_EFFECT, is_unique},
    {"S6", "what was deleted does not come back", ON_EFFECT, stays_dead},
    {"S7", "every change is made, superseded, or reported with a reason", AT_END, loses_no_intent},
    {"S7b", "what left Git is gone, released, or reported", AT_END, leaves_nothing_behind},
    {"S8", "what is sent is a step of a recorded plan", ON_SEND, is_planned},
    {"S9", "a durable record precedes every operation", ON_SEND, is_recorded},
    {"S9b", "events are in order and never twice", ON_EMIT, has_no_gap},
    {"S9c", "what was durable is there after a restart", ON_BOOT, keeps_what_was_durable},
    {"S9d", "a store of a newer version is refused and left as it is", ON_REFUSAL, is_left_alone},
    {"S10", "the target never goes back by itself", ON_BOOT, keeps_target},
    {"S12", "an operation stays within its tenant", ON_EFFECT, stays_with_tenant},
    {"S13", "destruction keeps within its budget, or is approved", ON_EFFECT, keeps_budget},
    {"S14", "nothing is removed unless the last list was whole", ON_SEND, has_looked},
    {"S15", "an older epoch has no effect after a newer one", ON_EFFECT, is_fenced},
    {"S16", "no secret in an event", ON_EMIT, tells_no_secret},
    {"S16b", "no secret in the store", AT_END, hides_secret},
    {"S17", "no effect begins after the store failed", ON_SEND, stops_after_failure},
    {"S17b", "what is on record can be read while the disk is full", ON_FULL, is_served},
    {"L1", "it converges once the faults have ceased", AT_END, converges},
    {"L2", "what is parked waits for a person, and says so", AT_END, parks_for_people},
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

void sim_violate(struct sim *sim, int invariant, const char *fmt, ...)
{
    va_list args;
    if (sim->violated >= 0)
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
        if (!(invariants[i].when & moment->when))
            continue;
        tally_add(&sim->tally->checks[i], 1);
        if (!invariants[i].holds(sim, moment, why))
            sim_violate(sim, i, "%s", why);
    }
}
