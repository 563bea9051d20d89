/* SPDX-License-Identifier: MPL-2.0 */
/*
 * list and look. The etag of an object is a digest of all that would be told of
 * it, so a list shows at once which objects are worth a look.
 */
#include "drivers/linux-vpc/observe.h"
#include <string.h>
#include "drivers/linux-vpc/decompile.h"
#include "drivers/linux-vpc/vpc.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/error.h"

enum { ETAG_DIGITS = 16 };

void observation_damage(struct observation *observation, const char *path, const char *desired,
                        const char *observed)
{
    struct value *entry =
        value_append(observation->arena, observation->damage, value_map(observation->arena));
    value_set_text(observation->arena, entry, "path", path);
    value_set_text(observation->arena, entry, "desired", desired);
    value_set_text(observation->arena, entry, "observed", observed);
}

void observation_missing(struct observation *observation, const char *path)
{
    observation_damage(observation, path, "present", "missing");
}

void observe_changes(struct observation *observation, enum view_table table,
                     bool (*is_mine)(const struct observation *, const struct nft_entry *))
{
    const struct view *view = observation->view;
    for (size_t i = 0; i < view->change_count[table]; i++) {
        const struct nft_change *change = &view->changes[table][i];
        const struct nft_entry *entry = change->expected ? change->expected : change->observed;
        if (!is_mine(observation, entry))
            continue;
        observation_damage(
            observation,
            arena_printf(observation->arena, "status.rules[%s %s]", entry->place,
                         !entry->comment   ? "definition"
                         : *entry->comment ? entry->comment
                                           : "?"),
            change->expected ? decompile_shown(observation->arena, change->expected->text)
                             : "nothing",
            change->observed ? decompile_shown(observation->arena, change->observed->text)
                             : "missing");
    }
}

static void (*const observers[RECORD_KINDS])(struct observation *) = {
    [RECORD_VPC] = observe_vpc,
    [RECORD_SUBNET] = observe_subnet,
    [RECORD_NIC] = observe_nic,
    [RECORD_FIREWALL] = observe_firewall,
    [RECORD_FLOATINGIP] = observe_floating,
    [RECORD_PORTFORWARD] = observe_forward,
};

static void object_fill(const struct view *view, const struct record *record,
                        struct spinel_object *object)
{
    struct observation observation = {
        .view = view,
        .arena = view->arena,
        .record = record,
        .spec = value_copy(view->arena, record->spec),
        .status = value_map(view->arena),
        .damage = value_list(view->arena),
    };
    observers[record->kind](&observation);
    value_set_text(view->arena, observation.status, "state",
                   observation.damage->count ? "damaged" : "up");
    *object = (struct spinel_object){
        .uid = record->uid,
        .kind = record_kind_text(record->kind),
        .project = record->project,
        .name = record->name,
        .epoch = record->epoch,
        .released = record->is_released,
        .spec = observation.spec,
        .status = observation.status,
        .damage = observation.damage,
    };
}

/* ---- callbacks ---------------------------------------------------------------------- */

static const char *object_etag(struct arena *arena, const struct spinel_object *object)
{
    char hex[DIGEST_TEXT];
    struct value *all = value_map(arena);
    value_set_int(arena, all, "epoch", (int64_t)object->epoch);
    value_set_bool(arena, all, "released", object->released);
    value_set(arena, all, "spec", object->spec);
    value_set(arena, all, "status", object->status);
    value_set(arena, all, "damage", object->damage);
    return arena_text_n(arena, digest_value(all, hex), ETAG_DIGITS);
}

bool vpc_tag_verifies(struct spinel_host *host, const struct network *network)
{
    const char *tag = value_get_text(network->vpc->chosen, "tag", "");
    return spinel_tag_read(host, tag, network->netns) != NULL;
}

static int list_one(struct spinel_host *host, struct spinel_list *list, const char *vpc,
                    struct error *err)
{
    struct view view;
    struct arena *arena = spinel_arena(host);
    if (view_make(arena, spinel_own_dir(host), vpc, VIEW_OF_ALL, &view, err) < 0)
        return err->code;
    if (view.is_foreign)
        spinel_list_unmanaged(list, "VPC", view.network.netns,
                              "a network namespace of this name that Spinel did not make");
    if (!view.is_there)
        return 0;
    if (!vpc_tag_verifies(host, &view.network)) {
        spinel_list_unmanaged(list, "VPC", view.network.netns, "its tag does not verify");
        return 0;
    }
    for (size_t i = 0; i < view.records.count; i++) {
        struct spinel_object object;
        object_fill(&view, &view.records.items[i], &object);
        spinel_list_add(list, object.uid, object.epoch, object_etag(arena, &object));
    }
    return 0;
}

int vpc_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    struct value *vpcs;
    int result = records_vpcs(spinel_arena(host), spinel_own_dir(host), &vpcs, err);
    for (size_t i = 0; result == 0 && i < vpcs->count; i++)
        result = list_one(host, list, vpcs->items[i]->text, err);
    return result;
}

/* `kinds` gets the bit of its kind. NULL, with `err` set: it cannot be told. */
static const char *vpc_of_uid(struct spinel_host *host, const char *uid, unsigned *kinds,
                              struct error *err)
{
    for (int kind = 0; kind < RECORD_KINDS && err->code == ERR_NONE; kind++) {
        const char *vpc = records_vpc_of(spinel_arena(host), spinel_own_dir(host),
                                         (enum record_kind)kind, uid, err);
        *kinds |= vpc ? 1U << kind : 0;
        if (vpc)
            return vpc;
    }
    return NULL;
}

/* One VPC of a look, read when the first of it is asked for. */
struct looked {
    const char *vpc;
    struct view view;
    struct error err;
};

static int look_in(struct spinel_host *host, struct looked *looked, const char *vpc, unsigned kinds)
{
    looked->vpc = vpc;
    if (view_make(spinel_arena(host), spinel_own_dir(host), vpc, kinds, &looked->view,
                  &looked->err) < 0)
        return looked->err.code;
    if (looked->view.is_there && !vpc_tag_verifies(host, &looked->view.network))
        error_set(&looked->err, ERR_DENIED, "the tag of namespace %s does not verify",
                  looked->view.network.netns);
    return looked->err.code;
}

static void looked_tell(const struct looked *looked, const char *uid, struct spinel_object *object)
{
    const struct record *record =
        looked && looked->view.is_there ? records_find(&looked->view.records, uid) : NULL;
    if (!record) {
        object->absent = true;
        return;
    }
    object_fill(&looked->view, record, object);
    object->etag = object_etag(looked->view.arena, object);
}

int vpc_look(struct spinel_host *host, struct spinel_object *object, struct error *err)
{
    struct looked *looked = arena_alloc(spinel_arena(host), sizeof *looked);
    unsigned kinds = 0;
    const char *vpc = vpc_of_uid(host, object->uid, &kinds, err);
    if (err->code != ERR_NONE)
        return err->code;
    if (vpc && look_in(host, looked, vpc, kinds) < 0) {
        *err = looked->err;
        return err->code;
    }
    looked_tell(vpc ? looked : NULL, object->uid, object);
    return 0;
}

/* The view of the VPC that has the object, or what is wrong with it; NULL: none has it. */
static struct looked *looked_find(struct spinel_host *host, struct looked *all, size_t *count,
                                  const char *uid, unsigned kinds)
{
    unsigned its = 0;
    struct error err = ERROR_INIT;
    for (size_t i = 0; i < *count; i++)
        if (records_find(&all[i].view.records, uid))
            return &all[i];
    const char *vpc = vpc_of_uid(host, uid, &its, &err);
    if (err.code != ERR_NONE) {
        struct looked *unknown = arena_alloc(spinel_arena(host), sizeof *unknown);
        unknown->err = err;
        return unknown;
    }
    for (size_t i = 0; vpc && i < *count; i++)
        if (strcmp(all[i].vpc, vpc) == 0)
            return &all[i];
    if (!vpc)
        return NULL;
    struct looked *looked = &all[(*count)++];
    look_in(host, looked, vpc, kinds | its);
    return looked;
}

/* A record that came only after it was told which kinds are to be read. */
static bool is_too_new(const struct looked *looked, const char *uid, struct error *err)
{
    const struct record *record = looked ? records_find(&looked->view.records, uid) : NULL;
    if (!record || (looked->view.kinds >> record->kind & 1))
        return false;
    error_set(err, ERR_BUSY, "%s %s is being made", record_kind_text(record->kind), record->name);
    return true;
}

/* Of a few objects it is soon told which kinds they are. */
static unsigned kinds_of(struct spinel_host *host, const char *const *uids, size_t count)
{
    enum { FEW = 8 };
    unsigned kinds = 0;
    if (count > FEW)
        return VIEW_OF_ALL;
    for (size_t i = 0; i < count; i++) {
        struct error said_later = ERROR_INIT;
        vpc_of_uid(host, uids[i], &kinds, &said_later);
    }
    return kinds;
}

int vpc_look_all(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    (void)err;
    size_t count, looked_count = 0;
    const char *const *uids = spinel_list_wanted(list, &count);
    unsigned kinds = kinds_of(host, uids, count);
    struct looked *all = arena_array(spinel_arena(host), count + 1, sizeof *all);
    for (size_t i = 0; i < count; i++) {
        struct spinel_object object = {.uid = uids[i]};
        struct error too_new = ERROR_INIT;
        const struct looked *looked = looked_find(host, all, &looked_count, uids[i], kinds);
        if (looked && looked->err.code != ERR_NONE) {
            spinel_list_unknown(list, uids[i], &looked->err);
            continue;
        }
        if (is_too_new(looked, uids[i], &too_new)) {
            spinel_list_unknown(list, uids[i], &too_new);
            continue;
        }
        looked_tell(looked, uids[i], &object);
        spinel_list_object(list, &object);
    }
    return 0;
}
