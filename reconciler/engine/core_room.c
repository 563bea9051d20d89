/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Places without room. A step that fails for want of space has a back-off of its own, and so had
 * each of the twenty thousand behind it: all of them were written down, sent, refused and told, and
 * by the time that the last one was, the first was due again. So what fails that often in a row,
 * and nothing of its like succeeds in between, is one fault of one place: it is said once, what
 * else is to go there waits with it, and two at a time find out whether there is room by now, one
 * of them not tried before.
 *
 * A place is a driver, a kind and, for what lies in one, a pool: another pool's volumes go on, and
 * so does what is smaller than all that found no room.
 */
#include "reconciler/engine/core_state.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "model/invariant.h"

enum { FULL_AFTER = 16, POOL_TEXT = 64 };

struct room {
    struct room *next;
    const struct driver *driver;
    const struct kind *kind;
    char pool[POOL_TEXT];           /* "": of no pool */
    int64_t least;                  /* bytes: the smallest that found no room */
    unsigned failures;              /* in a row, before it is full */
    unsigned attempts;              /* since; 0: it is not full */
    int64_t full_ms, not_before_ms; /* since when, and when it is tried again */
    bool is_probed;                 /* its time has come, and what finds out may go */
    bool has_new, has_tried;        /* of these two, which are under way */
};

static int64_t mono(const struct core *core)
{
    return core->env->mono_ms(core->env->context);
}

static struct room *room_find(const struct core *core, const struct driver *driver,
                              const struct kind *kind, const char *pool)
{
    struct room *room = core->rooms;
    while (room && (room->driver != driver || room->kind != kind ||
                    strncmp(room->pool, pool, POOL_TEXT - 1) != 0))
        room = room->next;
    return room;
}

static const char *pool_of(const struct task *task)
{
    return value_at_text(task->arguments, "spec.pool", "");
}

static int64_t size_of(const struct task *task)
{
    return value_at_int(task->arguments, "spec.size", 0);
}

static bool needs_room(const char *verb)
{
    return strcmp(verb, "delete") != 0 && strcmp(verb, "release") != 0;
}

static void room_drop(struct core *core, struct room *room)
{
    LL_DELETE(core->rooms, room);
    free(room);
}

void rooms_reset(struct core *core)
{
    while (core->rooms)
        room_drop(core, core->rooms);
}

static struct room *room_get(struct core *core, const struct task *task)
{
    struct room *room = room_find(core, task->driver, task->kind, pool_of(task));
    if (room)
        return room;
    room = memory_need(calloc(1, sizeof *room));
    room->driver = task->driver;
    room->kind = task->kind;
    room->least = size_of(task);
    strncpy(room->pool, pool_of(task), sizeof room->pool - 1);
    LL_PREPEND(core->rooms, room);
    return room;
}

/* ---- what steps come to ------------------------------------------------------------- */

static void full_tell(struct core *core, const struct room *room, const struct error *err)
{
    struct arena *arena = batch_arena(core);
    struct value *data = value_map(arena);
    int64_t next = core_now_ms(core) + room->not_before_ms - mono(core);
    const char *at = core_time_text(arena, next);
    value_set_text(arena, data, "driver", room->driver->name);
    value_set_text(arena, data, "kind", room->kind->name);
    value_set_text(arena, data, "pool", room->pool[0] ? room->pool : NULL);
    value_set_text(arena, data, "message", err->message);
    value_set_text(arena, data, "nextTry", at);
    core_event(
        core, "place.full", NULL, data,
        "no room for any %s%s%s: %u in a row failed, the last: %s; the others wait until one "
        "finds room, the next try is at %s",
        room->kind->name, room->pool[0] ? " in pool " : "", room->pool, room->failures,
        err->message, at);
}

bool room_lacks(struct core *core, const struct task *task, const struct error *err)
{
    if (!task->driver || !needs_room(task->intent.verb))
        return false;
    if (err->code != ERR_NO_SPACE) {
        struct room *room = room_find(core, task->driver, task->kind, pool_of(task));
        if (room && room->is_probed) /* it says nothing of the room: the next ones do */
            room_drop(core, room);
        return false;
    }
    struct room *room = room_get(core, task);
    room->failures += !room->attempts;
    bool is_smaller = size_of(task) < room->least;
    if (is_smaller)
        room->least = size_of(task);
    if (room->failures < FULL_AFTER)
        return false;
    bool is_new = room->attempts == 0;
    if (is_new || room->is_probed) { /* what was on its way before says nothing new */
        room->not_before_ms = mono(core) + backoff_ms(core, ++room->attempts);
        room->is_probed = false;
    }
    if (is_new) {
        room->full_ms = mono(core);
        full_tell(core, room, err);
    }
    return is_new || is_smaller;
}

void room_is_there(struct core *core, const struct task *task)
{
    struct room *room = core->rooms && task->driver && needs_room(task->intent.verb)
                            ? room_find(core, task->driver, task->kind, pool_of(task))
                            : NULL;
    bool is_full = room && room->attempts;
    if (is_full && (size_of(task) < room->least || task->started_ms <= room->full_ms))
        return; /* it fits beside what does not, or found the last of it */
    if (room)
        room_drop(core, room);
}

/* ---- who may go --------------------------------------------------------------------- */

void rooms_schedule(struct core *core)
{
    for (struct room *room = core->rooms; room; room = room->next) {
        room->has_new = room->has_tried = false;
        for (const struct task *task = core->active; task; task = task->next) {
            if (room_find(core, task->driver, task->kind, pool_of(task)) != room)
                continue;
            if (retry_find(core, task->intent.uid))
                room->has_tried = true;
            else
                room->has_new = true;
        }
    }
}

bool room_blocks(struct core *core, const struct step *step)
{
    if (!core->rooms || step->action == ACTION_DELETE || step->action == ACTION_REPLACE ||
        step->action == ACTION_RELEASE)
        return false;
    struct room *room = room_find(core, driver_of_class(core, step_driver_class(step)), step->kind,
                                  value_get_text(step->spec, "pool", ""));
    if (!room || !room->attempts || value_get_int(step->spec, "size", 0) < room->least)
        return false;
    bool *is_under_way = retry_find(core, step->uid) ? &room->has_tried : &room->has_new;
    if (!room->is_probed || *is_under_way)
        return true;
    *is_under_way = true;
    return false;
}

bool room_is_full_for(const struct core *core, const struct task *task)
{
    const struct room *room = room_find(core, task->driver, task->kind, pool_of(task));
    return room && room->attempts && size_of(task) >= room->least && needs_room(task->intent.verb);
}

void rooms_wake(struct core *core)
{
    for (struct room *room = core->rooms; room; room = room->next) {
        if (!room->attempts || room->is_probed || room->not_before_ms > mono(core))
            continue;
        invariant(room->failures >= FULL_AFTER, "a place is full after %u failures",
                  room->failures);
        room->is_probed = true;
        core->wants_plan = true;
    }
}

int64_t rooms_next_ms(const struct core *core)
{
    int64_t soonest = INT64_MAX;
    for (const struct room *room = core->rooms; room; room = room->next)
        if (room->attempts && !room->is_probed && room->not_before_ms < soonest)
            soonest = room->not_before_ms;
    return soonest;
}
