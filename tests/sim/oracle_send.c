/* SPDX-License-Identifier: MPL-2.0 */
/* What must hold when an operation leaves for a driver. */
#include "tests/sim/oracles.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOT_MS = 60000, HOT_MAX = 14 };

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

bool grants_destruction(struct sim *sim, const struct moment *moment, char *why)
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

bool spares_protected(struct sim *sim, const struct moment *moment, char *why)
{
    const struct thing *thing = volume_at_risk(sim, moment);
    if (!thing)
        return true;
    const struct last_word *word = truth_last_word(&sim->truth, thing->project, thing->name);
    if (!word || !word->is_protected)
        return true;
    return broken(why, "protected volume %s/%s is destroyed", thing->project, thing->name);
}

bool is_recorded(struct sim *sim, const struct moment *moment, char *why)
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

bool is_planned(struct sim *sim, const struct moment *moment, char *why)
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
bool has_looked(struct sim *sim, const struct moment *moment, char *why)
{
    const char *verb = param(moment, "verb");
    const struct sim_driver *driver = sim_driver_of_kind(sim, param(moment, "kind"));
    bool is_removal = strcmp(verb, "delete") == 0 || strcmp(verb, "release") == 0;
    if (!is_removal || !driver || driver->has_told)
        return true;
    return broken(why, "%s of %s, and the last list of its driver was not whole", verb,
                  param(moment, "name"));
}

bool stops_after_failure(struct sim *sim, const struct moment *moment, char *why)
{
    if (sim->host.failed_in_life != sim->host.life + 1)
        return true;
    return broken(why, "%s of %s is sent after the store failed", param(moment, "verb"),
                  param(moment, "name"));
}

bool backs_off(struct sim *sim, const struct moment *moment, char *why)
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
