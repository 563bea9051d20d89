/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The batch: everything that one turn of the core decides is written in one
 * transaction, and nothing leaves the core before that transaction is durable.
 * A store that fails, fills up or is corrupt ends all effects at once: what was
 * gathered is rolled back and never sent, and the process is expected to end.
 */
#include "reconciler/engine/core_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "model/invariant.h"
#include "model/text.h"

struct arena *batch_arena(struct core *core)
{
    if (!core->batch_arena)
        core->batch_arena = arena_new();
    return core->batch_arena;
}

void core_fail(struct core *core, const struct error *err)
{
    invariant(err->code < 0 && err->message[0], "the store failed with %d and says nothing",
              err->code);
    if (core->failure.code)
        return;
    core->failure = *err;
    core->env->log(core->env->context, "store.failed", err->message);
}

/* R1 of docs/model/README.md: a transaction of the one who holds the writer's lock. */
bool batch_open(struct core *core)
{
    if (!core->config.effects || core->failure.code)
        return false;
    if (core->is_open)
        return true;
    struct error err = ERROR_INIT;
    if (core->env->ledger->begin(core->env->store, &err)) {
        core_fail(core, &err);
        return false;
    }
    core->is_open = true;
    return true;
}

void core_begin(struct core *core)
{
    batch_open(core);
}

static void batch_reset(struct core *core)
{
    invariant(!core->is_open, "%zu events are forgotten in an open batch", core->event_count);
    arena_free(core->batch_arena);
    core->batch_arena = NULL;
    core->events = NULL;
    core->event_count = core->event_room = 0;
    core->outgoing = NULL;
    core->outgoing_end = &core->outgoing;
}

static void batch_release(struct core *core)
{
    const struct env *env = core->env;
    invariant(!core->is_open && !core->failure.code, "messages leave before they are durable");
    invariant(core->event_count <= core->event_room, "%zu events in room for %zu",
              core->event_count, core->event_room);
    for (size_t i = 0; i < core->event_count; i++)
        env->emit(env->context, &core->events[i]);
    for (struct outgoing *out = core->outgoing; out; out = out->next)
        if (out->driver->state != DRIVER_DYING)
            env->driver_send(env->context, out->driver->name, out->message);
}

/* R2 of docs/model/README.md: what is sent rests on what is durable. */
void batch_commit(struct core *core)
{
    struct error err = ERROR_INIT;
    bool was_open = core->is_open;
    core->is_open = false;
    if (was_open && !core->failure.code && core->env->ledger->commit(core->env->store, &err))
        core_fail(core, &err);
    if (!core->failure.code)
        batch_release(core);
    else if (was_open)
        core->env->ledger->rollback(core->env->store);
    batch_reset(core);
}

static void batch_check(struct core *core, int status, const struct error *err)
{
    if (status < 0)
        core_fail(core, err);
}

void save_object(struct core *core, const struct known *known)
{
    struct error err = ERROR_INIT;
    invariant(known->uid && known->uid[0] && known->kind, "a row of nobody is written");
    invariant(known->life >= LIFE_NEW && known->life <= LIFE_GONE, "%s is written with life %d",
              known->uid, (int)known->life);
    invariant(known->epoch <= (uint64_t)EPOCH_MAX, "%s is written at epoch %llu", known->uid,
              (unsigned long long)known->epoch);
    if (!batch_open(core))
        return;
    core->writes++;
    batch_check(core, core->env->ledger->object_put(core->env->store, known, &err), &err);
}

void save_observation(struct core *core, const char *uid, const struct observation *observation,
                      const char *etag)
{
    struct error err = ERROR_INIT;
    invariant(uid && uid[0], "an observation of nobody is written");
    invariant(observation->known || !observation->absent,
              "%s was not seen, and is said not to be there", uid);
    if (!batch_open(core))
        return;
    core->writes++;
    batch_check(core,
                core->env->ledger->observation_put(core->env->store, uid, observation, etag, &err),
                &err);
}

void save_intent(struct core *core, const struct intent *intent)
{
    struct error err = ERROR_INIT;
    invariant(intent->op[0] && intent->uid[0] && intent->epoch > 0,
              "intent %s of %s is written with epoch %llu", intent->op, intent->uid,
              (unsigned long long)intent->epoch);
    invariant(!intent->finished_at || strcmp(intent->state, "pending") != 0,
              "op %s has ended, and is pending", intent->op);
    if (batch_open(core))
        batch_check(core, core->env->ledger->intent_put(core->env->store, intent, &err), &err);
}

void save_fact(struct core *core, const char *key, const char *text)
{
    struct error err = ERROR_INIT;
    invariant(key && key[0] && text, "fact %s is written without a text", key ? key : "");
    if (batch_open(core))
        batch_check(core, core->env->ledger->fact_put(core->env->store, key, text, &err), &err);
}

const char *load_fact(struct core *core, struct arena *arena, const char *key)
{
    struct error err = ERROR_INIT;
    const char *text = NULL;
    if (core->env->ledger->fact_get(core->env->store, arena, key, &text, &err) < 0)
        core_fail(core, &err);
    return text;
}

static void event_keep(struct core *core, const struct event *event)
{
    struct arena *arena = batch_arena(core);
    core->events =
        arena_grow(arena, core->events, core->event_count, &core->event_room, sizeof *core->events);
    invariant(core->event_count < core->event_room, "event %zu of %zu", core->event_count,
              core->event_room);
    invariant(event->text && event->data, "an event of type %s says nothing", event->type);
    core->events[core->event_count++] = *event;
}

void core_event(struct core *core, const char *type, const struct about *about, struct value *data,
                const char *fmt, ...)
{
    char sentence[1024];
    va_list args;
    invariant(type && type[0], "an event without a type: %s", fmt);
    invariant(!data || value_is_map(data), "event %s has data that is no map", type);
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);

    struct arena *arena = batch_arena(core);
    struct text shown = TEXT_INIT; /* it may quote what a driver said, and ends on terminals */
    text_add_shown(&shown, sentence, strlen(sentence));
    struct event event = {.at_ms = core_now_ms(core),
                          .type = type,
                          .text = arena_text(arena, shown.data),
                          .data = data ? data : value_map(arena)};
    if (about) {
        event.uid = arena_text(arena, about->uid);
        event.kind = arena_text(arena, about->kind);
        event.project = arena_text(arena, about->project);
        event.name = arena_text(arena, about->name);
    }
    struct error err = ERROR_INIT;
    if (batch_open(core))
        batch_check(core, core->env->ledger->event_add(core->env->store, &event, &event.seq, &err),
                    &err);
    event_keep(core, &event);
    text_free(&shown);
}
