/* SPDX-License-Identifier: MPL-2.0 */
/* What must hold when a driver is about to carry out an operation. */
#include "tests/sim/oracles.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "model/json.h"

enum { DAY_MS = 86400000 };

static const struct note *note_of(struct sim *sim, const struct spinel_op *op)
{
    return book_find(&sim->book, op->op);
}

static bool is_destruction(const struct moment *moment)
{
    return moment->thing && moment->thing->exists && moment->op->verb == SPINEL_DELETE;
}

bool touches_ours_only(struct sim *sim, const struct moment *moment, char *why)
{
    (void)sim;
    if (!moment->thing || (moment->thing->is_ours && (moment->thing->tag || moment->is_late)))
        return true; /* what comes late was handed to a machine that bore it then */
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
 * and runs on. */
bool is_open_once(struct sim *sim, const struct moment *moment, char *why)
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
        const char *twice = truth_open_twice(machine);
        if (twice)
            return broken(why, "volume %s is open in %s twice", twice, machine->name);
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

bool is_orphan(struct sim *sim, const struct thing *thing)
{
    struct arena *arena = arena_new();
    const char *strangers = json_text(arena, core_strangers(sim->host.core, arena));
    bool is_told = strstr(strangers, thing->uid) != NULL;
    arena_free(arena);
    return is_told;
}

/* The storage's lock would refuse it; the core should not even ask, but in a circle, or of an
 * orphan's, where that lock decides. */
bool opens_once(struct sim *sim, const struct moment *moment, char *why)
{
    const char *volume = "";
    const struct thing *holder = effect_holder(&sim->truth, moment->op, moment->thing, &volume);
    if (holder && is_swap(sim, moment->op, moment->thing, holder))
        return true;
    if (!holder || !holder->tag || !holder->is_ours || !could_know(sim, moment->op, holder) ||
        is_orphan(sim, holder))
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

bool is_unique(struct sim *sim, const struct moment *moment, char *why)
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

bool stays_dead(struct sim *sim, const struct moment *moment, char *why)
{
    const struct spinel_op *op = moment->op;
    const struct thing *was = thing_of_uid(&sim->truth, op->uid);
    if (!was || op->verb == SPINEL_DELETE || op->epoch > was->gone_epoch)
        return true;
    return broken(why, "%s of %s %s at epoch %" PRIu64 ", deleted at %" PRIu64,
                  verb_names[op->verb], op->kind, op->name, op->epoch, was->gone_epoch);
}

/* Also of what is not there, and of what a newer operation that was begun has left as it was. What
 * comes late was handed over before, and it is what has been done since that it must not undo. */
bool is_fenced(struct sim *sim, const struct moment *moment, char *why)
{
    const struct spinel_op *op = moment->op;
    uint64_t epoch =
        moment->is_late ? moment->thing->epoch : truth_fence(&sim->truth, moment->driver, op->uid);
    if (op->epoch >= epoch)
        return true;
    return broken(why, "%s of %s at epoch %" PRIu64 " has an effect after epoch %" PRIu64,
                  verb_names[op->verb], op->name, op->epoch, epoch);
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

bool stays_with_tenant(struct sim *sim, const struct moment *moment, char *why)
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

/* ---- a set that collapses ------------------------------------------------------------ */

static bool is_one_name(const struct thing *a, const struct thing *b)
{
    return strcmp(a->kind, b->kind) == 0 && strcmp(a->project, b->project) == 0 &&
           strcmp(a->name, b->name) == 0;
}

static bool is_there(const struct thing *thing)
{
    return thing->exists && thing->is_ours && !thing->is_released;
}

/* It, or one of its name since: what is to be made again counts as there, too. */
static bool is_back(struct sim *sim, const struct thing *left)
{
    const struct truth *truth = &sim->truth;
    for (size_t i = 0; i < truth->count; i++)
        if (is_one_name(&truth->things[i], left) &&
            (is_there(&truth->things[i]) || book_is_live(&sim->book, truth->things[i].uid)))
            return true;
    return false;
}

static void leaves(struct truth *truth, const struct thing *thing, int64_t now, bool is_approved)
{
    for (size_t i = 0; is_approved && i < truth->count; i++)
        if (is_one_name(&truth->things[i], thing))
            truth->things[i].left_ms = 0;
    if (!is_approved)
        truth->things[thing - truth->things].left_ms = now;
}

/* Of two that bore one name only the later counts. */
static bool is_latest(const struct truth *truth, const struct thing *left)
{
    for (size_t i = 0; i < truth->count; i++)
        if (is_one_name(&truth->things[i], left) &&
            (truth->things[i].left_ms > left->left_ms ||
             (truth->things[i].left_ms == left->left_ms && &truth->things[i] > left)))
            return false;
    return true;
}

/* What came with the target, and is no other one's successor, makes no smaller share of what goes
 * with it. */
static bool came_with_target(const struct sim *sim, const struct thing *thing)
{
    const struct truth *truth = &sim->truth;
    for (size_t i = 0; i < truth->count; i++)
        if (is_one_name(&truth->things[i], thing) &&
            truth->things[i].born_ms <= sim->host.accepted_ms)
            return false;
    return true;
}

/* By what is in the world; projects, which are in none, are let pass as if all were declared. */
bool keeps_most(struct sim *sim, const struct moment *moment, char *why)
{
    enum { PERCENT = 30, RECORDS = 2 * WISH_PROJECTS };
    struct truth *truth = &sim->truth;
    const struct note *note = note_of(sim, moment->op);
    int64_t now = sim_wall_ms(sim);
    size_t gone = 1, there = 0;
    bool removes = moment->op->verb == SPINEL_DELETE || moment->op->verb == SPINEL_RELEASE;
    if (!removes || !moment->thing || !is_there(moment->thing) || !note ||
        is_derived(moment->thing->kind) || !book_is_live(&sim->book, moment->thing->uid))
        return true;
    leaves(truth, moment->thing, now, note->was_let);
    if (note->was_let)
        return true;
    for (size_t i = 0; i < truth->count; i++) {
        const struct thing *thing = &truth->things[i];
        bool is_counted = thing->is_ours && !is_derived(thing->kind) && thing != moment->thing;
        there += is_counted && (is_there(thing) || book_is_live(&sim->book, thing->uid)) &&
                 !came_with_target(sim, thing);
        gone += is_counted && thing->left_ms && thing->left_ms > now - DAY_MS &&
                thing->left_ms <= now && is_latest(truth, thing) && !is_back(sim, thing);
    }
    return gone * 100 <= PERCENT * (there + gone + RECORDS) ||
           broken(why, "%zu of %zu objects left Git in a day without approval", gone,
                  there + gone + RECORDS);
}

/* ---- a budget ------------------------------------------------------------------------ */

static size_t count_live(const struct truth *truth)
{
    size_t live = 0;
    for (size_t i = 0; i < truth->count; i++)
        live += truth->things[i].exists && truth->things[i].is_ours &&
                !is_derived(truth->things[i].kind);
    return live;
}

/* By the daemon's own clock, which is what its budget goes by. */
bool keeps_budget(struct sim *sim, const struct moment *moment, char *why)
{
    struct truth *truth = &sim->truth;
    const struct note *note = note_of(sim, moment->op);
    size_t live = count_live(truth), recent = 0;
    int64_t now = sim_wall_ms(sim);
    if (live > truth->most)
        truth->most = live;
    if (!is_destruction(moment) || is_derived(moment->thing->kind) || !note || note->was_let ||
        !moment->thing->was_told)
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
