/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What was seen and is no object of the target's: what is not ours, what lies in the trash, what
 * bears our tag and has no row. And what is one, and nobody could look at.
 */
#include "reconciler/engine/core_state.h"

#include <stdlib.h>
#include <string.h>
#include "model/invariant.h"
#include "model/json.h"

/* ---- as drivers tell them ----------------------------------------------------------- */

/* Of what a driver says only maps count: commands and the viewer show them. */
static char *list_text(struct arena *arena, const struct value *list)
{
    struct value *maps = value_list(arena);
    for (size_t i = 0; value_is_list(list) && i < list->count; i++)
        if (value_is_map(list->items[i]))
            value_append(arena, maps, value_copy(arena, list->items[i]));
    return maps->count ? memory_need(strdup(json_text(arena, maps))) : NULL;
}

static bool list_replace(char **text, char *fresh)
{
    bool is_same = *text && fresh ? !strcmp(*text, fresh) : *text == fresh;
    free(*text);
    *text = fresh;
    return !is_same;
}

bool strangers_take(struct driver *driver, const struct value *result)
{
    struct arena *arena = arena_new();
    bool is_news =
        list_replace(&driver->unmanaged, list_text(arena, value_get(result, "unmanaged")));
    is_news |= list_replace(&driver->trash, list_text(arena, value_get(result, "trash")));
    arena_free(arena);
    return is_news;
}

void strangers_free(struct driver *driver)
{
    free(driver->unmanaged);
    free(driver->trash);
}

/* ---- as they are told --------------------------------------------------------------- */

static void list_join(struct arena *arena, struct value *list, const char *json)
{
    struct error err = ERROR_INIT;
    struct value *more = NULL;
    if (!json || json_read(arena, json, strlen(json), &more, &err) < 0)
        return;
    for (size_t i = 0; i < more->count; i++)
        value_append(arena, list, more->items[i]);
}

static struct value *unmanaged_value(const struct core *core, struct arena *arena)
{
    struct value *list = value_list(arena);
    for (size_t i = 0; i < core->config.driver_count; i++)
        list_join(arena, list, core->drivers[i].unmanaged);
    return list;
}

static struct value *trash_value(const struct core *core, struct arena *arena)
{
    struct value *list = value_list(arena);
    for (size_t i = 0; i < core->config.driver_count; i++)
        list_join(arena, list, core->drivers[i].trash);
    return list;
}

/* [{"uid","kind","project","name","driver"}] */
static struct value *orphans_value(const struct core *core, struct arena *arena)
{
    struct value *list = value_list(arena);
    for (const struct seen *seen = core->seen.first; seen; seen = seen->next) {
        struct error err = ERROR_INIT;
        struct value *orphan = NULL;
        if (seen->has_row || !seen->etag || !seen_rare(seen)->identity ||
            json_read(arena, seen_rare(seen)->identity, strlen(seen_rare(seen)->identity), &orphan,
                      &err) < 0)
            continue;
        value_unset(orphan, "chosen");
        value_set_text(arena, orphan, "uid", seen->uid);
        value_set_int(arena, orphan, "epoch", (int64_t)seen->epoch);
        value_set_text(arena, orphan, "driver", seen->driver ? seen->driver->name : NULL);
        value_append(arena, list, orphan);
    }
    return list;
}

static struct value *strangers_value(const struct core *core, struct arena *arena)
{
    struct value *strangers = value_map(arena);
    value_set(arena, strangers, "unmanaged", unmanaged_value(core, arena));
    value_set(arena, strangers, "trash", trash_value(core, arena));
    value_set(arena, strangers, "orphans", orphans_value(core, arena));
    return strangers;
}

void strangers_save(struct core *core)
{
    struct arena *arena = arena_new();
    invariant(!core->round.is_active && core->round.is_full,
              "who is a stranger is written down in the middle of round %llu",
              (unsigned long long)core->round.number);
    const char *text = json_text(arena, strangers_value(core, arena));
    if (!core->orphans_text || strcmp(core->orphans_text, text)) {
        free(core->orphans_text);
        invariant(text[0] == '{', "who is a stranger is told as %.40s", text);
        core->orphans_text = memory_need(strdup(text));
        save_fact(core, "unmanaged", json_text(arena, unmanaged_value(core, arena)));
        save_fact(core, "trash", json_text(arena, trash_value(core, arena)));
        save_fact(core, "orphans", json_text(arena, orphans_value(core, arena)));
    }
    arena_free(arena);
}

bool row_is_unseen(struct core *core, const struct known *row)
{
    return !row->observed.known && row->life == LIFE_LIVE && driver_of_kind(core, row->kind);
}

struct value *core_unseen(struct core *core, struct arena *arena)
{
    struct value *list = value_list(arena);
    for (size_t i = 0; core->input && i < core->input->known_count; i++) {
        const struct known *row = &core->input->known[i];
        if (!row_is_unseen(core, row))
            continue;
        struct value *object = value_append(arena, list, value_map(arena));
        value_set_text(arena, object, "kind", row->kind);
        value_set_text(arena, object, "project", row->project);
        value_set_text(arena, object, "name", row->name);
        value_set_text(arena, object, "uid", row->uid);
    }
    return list;
}

void unseen_announce(struct core *core, const struct known *first, size_t count)
{
    if (core->was_announced)
        return;
    core->was_announced = true;
    invariant(first && count > 0, "%zu objects cannot be looked at, and none is named", count);
    const char *label = identity_label(batch_arena(core), first->kind, first->project, first->name);
    if (count == 1)
        core_event(core, "waiting", NULL, NULL, "%s cannot be looked at: not converged", label);
    else
        core_event(core, "waiting", NULL, NULL,
                   "%s and %zu more cannot be looked at: not converged", label, count - 1);
}

/* True if none was unseen, and some is, or the other way round. */
static bool unseen_replace(struct core *core, const char *known, const char *text)
{
    bool was_none = !known || strcmp(known, "[]") == 0, is_none = strcmp(text, "[]") == 0;
    invariant(text[0] == '[', "what was not seen is told as %.40s", text);
    if (strcmp(known ? known : "[]", text) != 0)
        save_fact(core, "unseen", text);
    if (!core->unseen_text || strcmp(core->unseen_text, text) != 0) {
        free(core->unseen_text);
        core->unseen_text = memory_need(strdup(text));
    }
    return was_none != is_none;
}

/* The viewer asks the core nothing, and would say of them what was so when they were seen last. */
void unseen_save(struct core *core)
{
    if (!core->config.effects || !core->looks || core->round.is_active)
        return;
    struct arena *arena = arena_new();
    const struct value *unseen = core_unseen(core, arena);
    const char *known = core->unseen_text ? core->unseen_text : load_fact(core, arena, "unseen");
    if (unseen_replace(core, known, json_text(arena, unseen))) {
        core->was_announced = false; /* what was said last is so no more */
        size_t i = 0;
        while (unseen->count && !row_is_unseen(core, &core->input->known[i]))
            i++;
        if (unseen->count)
            unseen_announce(core, &core->input->known[i], unseen->count);
    }
    arena_free(arena);
}

struct value *core_strangers(struct core *core, struct arena *arena)
{
    struct value *strangers = strangers_value(core, arena);
    value_set(arena, strangers, "unknown", core_unseen(core, arena));
    return strangers;
}
