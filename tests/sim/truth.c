/* SPDX-License-Identifier: MPL-2.0 */
#include "tests/sim/truth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/sim/wish.h"

struct thing *thing_of_uid(const struct truth *truth, const char *uid)
{
    for (size_t i = 0; i < truth->count; i++)
        if (truth->things[i].is_ours && strcmp(truth->things[i].uid, uid) == 0)
            return &truth->things[i];
    return NULL;
}

struct thing *thing_of_native(const struct truth *truth, const char *native)
{
    for (size_t i = 0; i < truth->count; i++)
        if (truth->things[i].exists && strcmp(truth->things[i].native, native) == 0)
            return &truth->things[i];
    return NULL;
}

struct thing *thing_add(struct truth *truth)
{
    if (truth->count == truth->room) {
        truth->room = truth->room ? 2 * truth->room : 64;
        truth->things = reallocarray(truth->things, truth->room, sizeof *truth->things);
        if (!truth->things)
            abort();
    }
    struct thing *thing = &truth->things[truth->count++];
    *thing = (struct thing){.exists = true};
    return thing;
}

void truth_leavers_forget(struct truth *truth)
{
    for (size_t i = 0; i < truth->count; i++)
        truth->things[i].left_ms = 0;
}

void truth_free(struct truth *truth)
{
    free(truth->things);
    free(truth->words);
    free(truth->undos);
    free(truth->sent);
    free(truth->fences);
    *truth = (struct truth){.things = NULL};
}

/* ---- what was declared -------------------------------------------------------------- */

static struct last_word *word_find(const struct truth *truth, const char *project, const char *name)
{
    for (size_t i = 0; i < truth->word_count; i++)
        if (strcmp(truth->words[i].project, project) == 0 &&
            strcmp(truth->words[i].name, name) == 0)
            return &truth->words[i];
    return NULL;
}

static struct last_word *word_need(struct truth *truth, const char *project, const char *name)
{
    struct last_word *word = word_find(truth, project, name);
    if (word)
        return word;
    if (truth->word_count == truth->word_room) {
        truth->word_room = truth->word_room ? 2 * truth->word_room : 16;
        truth->words = reallocarray(truth->words, truth->word_room, sizeof *truth->words);
        if (!truth->words)
            abort();
    }
    word = &truth->words[truth->word_count++];
    *word = (struct last_word){.is_protected = false};
    snprintf(word->project, sizeof word->project, "%s", project);
    snprintf(word->name, sizeof word->name, "%s", name);
    return word;
}

static void volume_declare(struct truth *truth, const char *project, int index,
                           const struct wish_volume *volume)
{
    char name[WISH_NAME], former[WISH_NAME];
    wish_volume_name(name, index, volume->name);
    wish_volume_name(former, index, volume->renamed_from);
    struct last_word *word = word_need(truth, project, name);
    word->is_protected = volume->is_protected;
    word->is_deleted = volume->is_deleted;
    word->is_declared = true;
    word->moved_to[0] = '\0';
    struct last_word *before = word_find(truth, project, former);
    if (volume->renamed_from != volume->name && before && !before->is_declared &&
        !truth_volume(truth, project, name)) /* else the name is taken, and nothing moves */
        snprintf(before->moved_to, sizeof before->moved_to, "%s", name);
}

void truth_declare(struct truth *truth, const struct wish *wish)
{
    for (size_t i = 0; i < truth->word_count; i++)
        truth->words[i].is_declared = false;
    for (int p = 0; p < WISH_PROJECTS; p++)
        for (int i = 0; i < WISH_VOLUMES; i++)
            if (wish->projects[p].is_declared && wish->projects[p].volumes[i].is_declared)
                volume_declare(truth, p ? "west" : "east", i, &wish->projects[p].volumes[i]);
}

const struct last_word *truth_last_word(const struct truth *truth, const char *project,
                                        const char *name)
{
    const struct last_word *word = word_find(truth, project, name);
    for (int hops = 0; word && word->moved_to[0] && !word->is_declared && hops < 64; hops++)
        word = word_find(truth, project, word->moved_to);
    return word;
}

/* ---- machines ----------------------------------------------------------------------- */

const char *truth_disk_uid(const struct thing *machine, const struct value *disk)
{
    char path[96];
    snprintf(path, sizeof path, "spec.disks[%s].volume", value_get_text(disk, "name", ""));
    return value_get_text(machine->refs, path, "");
}

bool truth_has_open(const struct thing *machine, const char *volume_uid)
{
    const struct value *disks = value_get(machine->spec, "disks");
    for (size_t i = 0; value_is_list(disks) && i < disks->count; i++)
        if (strcmp(truth_disk_uid(machine, disks->items[i]), volume_uid) == 0)
            return true;
    return false;
}

const char *truth_open_twice(const struct thing *machine)
{
    const struct value *disks = value_get(machine->spec, "disks");
    for (size_t i = 0; value_is_list(disks) && i < disks->count; i++) {
        const char *uid = truth_disk_uid(machine, disks->items[i]);
        for (size_t n = 0; *uid && n < i; n++)
            if (strcmp(truth_disk_uid(machine, disks->items[n]), uid) == 0)
                return value_get_text(disks->items[i], "volume", "");
    }
    return NULL;
}

const struct thing *truth_holder(const struct truth *truth, const char *volume_uid,
                                 const struct thing *but)
{
    for (size_t i = 0; i < truth->count; i++) {
        const struct thing *thing = &truth->things[i];
        if (thing != but && thing->exists && thing->booted && truth_has_open(thing, volume_uid))
            return thing;
    }
    return NULL;
}

const struct thing *truth_volume(const struct truth *truth, const char *project, const char *name)
{
    const struct thing *released = NULL;
    for (size_t i = 0; i < truth->count; i++) {
        const struct thing *thing = &truth->things[i];
        if (!thing->exists || !thing->is_ours || strcmp(thing->kind, "Volume") != 0 ||
            strcmp(thing->project, project) != 0 || strcmp(thing->name, name) != 0)
            continue;
        if (!thing->is_released)
            return thing;
        released = thing;
    }
    return released;
}

void truth_write(struct truth *truth)
{
    for (size_t i = 0; i < truth->count; i++)
        if (truth->things[i].exists && strcmp(truth->things[i].kind, "Volume") == 0)
            truth->things[i].writes++;
}

bool thing_is_kernel_state(const struct thing *thing)
{
    static const char *const kinds[] = {"VPC", "Subnet", "NIC", "Firewall", "PortForward"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i], thing->kind) == 0)
            return true;
    return false;
}

/* ---- what was said ------------------------------------------------------------------- */

const struct sent *truth_last_sent(const struct truth *truth, const char *uid)
{
    for (size_t i = 0; i < truth->sent_count; i++)
        if (strcmp(truth->sent[i].uid, uid) == 0)
            return &truth->sent[i];
    return NULL;
}

static struct sent *sent_need(struct truth *truth, const char *uid)
{
    const struct sent *sent = truth_last_sent(truth, uid);
    if (sent)
        return &truth->sent[sent - truth->sent];
    if (truth->sent_count == truth->sent_room) {
        truth->sent_room = truth->sent_room ? 2 * truth->sent_room : 64;
        truth->sent = reallocarray(truth->sent, truth->sent_room, sizeof *truth->sent);
        if (!truth->sent)
            abort();
    }
    return &truth->sent[truth->sent_count++];
}

void truth_sent(struct truth *truth, const struct value *params)
{
    struct sent *sent = sent_need(truth, value_get_text(params, "uid", ""));
    const struct value *disks = value_at(params, "spec.disks");
    const struct value *volumes = value_at(params, "refs.Volume");
    *sent = (struct sent){.is_release = strcmp(value_get_text(params, "verb", ""), "release") == 0};
    snprintf(sent->uid, sizeof sent->uid, "%s", value_get_text(params, "uid", ""));
    snprintf(sent->name, sizeof sent->name, "%s", value_get_text(params, "name", ""));
    for (size_t i = 0;
         value_is_list(disks) && i < disks->count && sent->volume_count < SENT_VOLUMES; i++)
        snprintf(sent->volumes[sent->volume_count++], sizeof *sent->volumes, "%s",
                 value_get_text(value_get(volumes, value_get_text(disks->items[i], "volume", "")),
                                "uid", ""));
}

static size_t fence_find(const struct truth *truth, const struct sim_driver *driver,
                         const char *uid)
{
    size_t at = 0;
    while (at < truth->fence_count &&
           (truth->fences[at].driver != driver || strcmp(truth->fences[at].uid, uid) != 0))
        at++;
    return at;
}

uint64_t truth_fence(const struct truth *truth, const struct sim_driver *driver, const char *uid)
{
    size_t at = fence_find(truth, driver, uid);
    return at < truth->fence_count ? truth->fences[at].epoch : 0;
}

void truth_begun(struct truth *truth, const struct sim_driver *driver, const char *uid,
                 uint64_t epoch)
{
    size_t at = fence_find(truth, driver, uid);
    if (at == truth->fence_room) {
        truth->fence_room = truth->fence_room ? 2 * truth->fence_room : 64;
        truth->fences = reallocarray(truth->fences, truth->fence_room, sizeof *truth->fences);
        if (!truth->fences)
            abort();
    }
    if (at == truth->fence_count) {
        truth->fences[truth->fence_count++] = (struct fence){.driver = driver};
        snprintf(truth->fences[at].uid, sizeof truth->fences[at].uid, "%s", uid);
    }
    if (epoch > truth->fences[at].epoch)
        truth->fences[at].epoch = epoch;
}

static void thing_told(const struct truth *truth, const char *uid, int64_t now_ms)
{
    struct thing *thing = thing_of_uid(truth, uid);
    if (!thing)
        return;
    thing->was_told = true;
    if (!thing->told_ms)
        thing->told_ms = now_ms;
}

void truth_told(struct truth *truth, const struct value *message, int64_t now_ms)
{
    const struct value *objects = value_at(message, "result.objects");
    for (size_t i = 0; value_is_list(objects) && i < objects->count; i++)
        if (value_is_map(value_get(objects->items[i], "spec")))
            thing_told(truth, value_get_text(objects->items[i], "uid", ""), now_ms);
}

void truth_forgotten(struct truth *truth)
{
    for (size_t i = 0; i < truth->count; i++)
        truth->things[i].told_ms = 0;
}

/* ---- what is not synced ------------------------------------------------------------- */

void truth_change_begins(struct truth *truth, const char *uid, const struct thing *thing)
{
    if (truth->undo_count == truth->undo_room) {
        truth->undo_room = truth->undo_room ? 2 * truth->undo_room : 16;
        truth->undos = reallocarray(truth->undos, truth->undo_room, sizeof *truth->undos);
        if (!truth->undos)
            abort();
    }
    struct undo *undo = &truth->undos[truth->undo_count++];
    *undo = (struct undo){.before = thing ? *thing : (struct thing){.exists = false}};
    snprintf(undo->before.uid, sizeof undo->before.uid, "%s", uid);
}

void truth_change_ends(struct truth *truth)
{
    struct undo *undo = &truth->undos[truth->undo_count - 1];
    const struct thing *thing = thing_of_uid(truth, undo->before.uid);
    undo->version = thing ? thing->version : 0;
}

void truth_synced(struct truth *truth, const char *uid)
{
    size_t kept = 0;
    for (size_t i = 0; i < truth->undo_count; i++)
        if (strcmp(truth->undos[i].before.uid, uid) != 0)
            truth->undos[kept++] = truth->undos[i];
    truth->undo_count = kept;
}

/* What the ledger of truth itself has counted stays. */
static void thing_undo(struct thing *thing, const struct undo *undo)
{
    const struct thing now = *thing;
    if (undo->before.exists)
        *thing = undo->before;
    else
        *thing = (struct thing){.is_ours = true};
    memcpy(thing->uid, now.uid, sizeof thing->uid);
    memcpy(thing->kind, now.kind, sizeof thing->kind);
    memcpy(thing->native, now.native, sizeof thing->native);
    memcpy(thing->owner, now.owner, sizeof thing->owner);
    thing->version = now.version + 1;
    thing->made = now.made;
    thing->applied = now.applied;
    thing->gone_epoch = now.gone_epoch;
}

void truth_undo(struct truth *truth, size_t count)
{
    for (; count > 0; count--) {
        const struct undo *undo = &truth->undos[--truth->undo_count];
        struct thing *thing = thing_of_uid(truth, undo->before.uid);
        if (!thing || thing->version != undo->version)
            continue; /* somebody else has changed it since */
        thing_undo(thing, undo);
        for (size_t i = 0; i < truth->undo_count; i++)
            if (strcmp(truth->undos[i].before.uid, thing->uid) == 0 &&
                truth->undos[i].version == undo->before.version)
                truth->undos[i].version = thing->version;
    }
    truth->undo_count = 0;
}

/* ---- power -------------------------------------------------------------------------- */

void truth_power_loss(struct truth *truth, struct arena *arena)
{
    for (size_t i = 0; i < truth->count; i++) {
        struct thing *thing = &truth->things[i];
        if (!thing->exists)
            continue;
        if (thing_is_kernel_state(thing))
            thing->exists = false;
        if (thing->booted) {
            struct value *spec = value_copy(arena, thing->spec);
            value_set_text(arena, spec, "power", "off");
            thing->spec = spec;
            thing->exit_reason = NULL;
        }
        thing->booted = NULL;
        thing->version++;
    }
}
