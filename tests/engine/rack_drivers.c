/* SPDX-License-Identifier: MPL-2.0 */
/* The rack's two drivers: what they hold, list and tell, what an apply does, and the faults of
 * both. A part of rack.c. */

static void queue_put(struct rack *rack, const char *driver, const struct value *message)
{
    assert_true(rack->queue_end < RACK_MESSAGES);
    rack->queue[rack->queue_end++] =
        (struct rack_message){driver_names[driver_index(driver)], message};
}

static struct value *answer_to(struct rack *rack, const struct value *message)
{
    struct value *answer = value_map(rack->arena);
    value_set_text(rack->arena, answer, "jsonrpc", "2.0");
    value_set_int(rack->arena, answer, "id", value_get_int(message, "id", 0));
    return answer;
}

static void refuse(struct rack *rack, const char *driver, const struct value *message, int code,
                   const char *word, uint64_t epoch)
{
    struct arena *arena = rack->arena;
    struct value *answer = answer_to(rack, message), *error = value_map(arena);
    struct value *data = value_map(arena);
    value_set_text(arena, data, "kind", word);
    if (epoch)
        value_set_int(arena, data, "epoch", (int64_t)epoch);
    if (rack->hint)
        value_set_text(arena, data, "hint", rack->hint);
    value_set_int(arena, error, "code", code);
    value_set_text(arena, error, "message", "refused by the test");
    value_set(arena, error, "data", data);
    value_set(arena, answer, "error", error);
    queue_put(rack, driver, answer);
}

static struct rack_object *object_get(struct rack *rack, const char *uid)
{
    for (size_t i = 0; i < rack->object_count; i++)
        if (!strcmp(rack->objects[i].uid, uid))
            return &rack->objects[i];
    assert_true(rack->object_count < RACK_OBJECTS);
    struct rack_object *object = &rack->objects[rack->object_count++];
    snprintf(object->uid, sizeof object->uid, "%s", uid);
    return object;
}

static bool holds(const char *driver, const struct rack_object *object)
{
    bool is_disk = !strcmp(object->kind, "Volume") || !strcmp(object->kind, "Pool") ||
                   !strcmp(object->kind, "Image") || !strcmp(object->kind, "Seed");
    return is_disk == !strcmp(driver, "disk");
}

static int64_t epoch_told(const struct rack *rack, const struct rack_object *object)
{
    return rack->lie_epoch ? rack->lie_epoch : (int64_t)object->epoch;
}

/* It lists what another one holds, and says that it is gone. */
static bool is_greedy(const struct rack *rack, const char *driver)
{
    return rack->greedy && !strcmp(rack->greedy, driver);
}

static struct value *list_make(struct rack *rack, const char *driver)
{
    struct arena *arena = rack->arena;
    struct value *list = value_list(arena);
    for (size_t i = 0; i < rack->object_count; i++) {
        struct rack_object *object = &rack->objects[i];
        if (!object->exists || !(holds(driver, object) || is_greedy(rack, driver)))
            continue;
        char etag[DIGEST_TEXT];
        struct value *entry = value_append(arena, list, value_list(arena));
        value_append(arena, entry, value_text(arena, object->uid));
        value_append(arena, entry, value_int(arena, epoch_told(rack, object)));
        digest_value(object->spec, etag);
        value_append(arena, entry, value_text(arena, holds(driver, object) ? etag : "mine"));
    }
    return list;
}

static bool has_ended(const struct rack *rack, const struct rack_object *object)
{
    return rack->exit_reason && !object->booted && !strcmp(object->kind, "Instance");
}

/* A machine's driver sees what is plugged in, but not which subnet that is, and what
 * it was started as only in the record of that. */
static const struct value *spec_seen(struct rack *rack, const struct rack_object *object)
{
    struct value *spec = value_copy(rack->arena, object->spec);
    const struct value *nics = value_get(spec, "nics");
    for (size_t i = 0; object->booted && nics && i < nics->count; i++)
        value_unset(nics->items[i], "subnet");
    if (object->booted)
        value_unset(spec, "machine");
    if (has_ended(rack, object))
        value_set_text(rack->arena, spec, "power", "off");
    return spec;
}

static struct value *damage_make(const struct rack *rack, unsigned count)
{
    static const char *const paths[] = {"status.table", "status.other"};
    struct arena *arena = rack->arena;
    struct value *list = value_list(arena);
    for (unsigned i = 2 - count; i < 2; i++) {
        struct value *item = value_append(arena, list, value_map(arena));
        value_set_text(arena, item, "path", rack->damaged ? rack->damaged : paths[i]);
        value_set_text(arena, item, "observed", "missing");
    }
    return list;
}

static struct value *object_make(struct rack *rack, const char *uid)
{
    struct arena *arena = rack->arena;
    struct rack_object *object = object_get(rack, uid);
    struct value *out = value_map(arena);
    value_set_text(arena, out, "uid", uid);
    value_set_int(arena, out, "epoch", epoch_told(rack, object));
    if (!object->exists) {
        value_set_bool(arena, out, "absent", true);
        return out;
    }
    if ((rack->blur && !strcmp(rack->blur, object->name)) ||
        (rack->blur_all && !strncmp(rack->blur_all, object->name, strlen(rack->blur_all)))) {
        value_set_bool(arena, out, "unknown", true);
        return out;
    }
    value_set_bool(arena, out, "released", object->released);
    if (object->damages)
        value_set(arena, out, "damage", damage_make(rack, object->damages));
    value_set_text(arena, out, "kind", object->kind);
    value_set_text(arena, out, "name", object->name);
    value_set_text(arena, out, "project", strcmp(object->kind, "Pool") ? "shop" : NULL);
    if (!rack->bare || strcmp(rack->bare, object->name))
        value_set(arena, out, "spec", (struct value *)(size_t)spec_seen(rack, object));
    if (object->booted)
        value_set(arena, out, "booted", value_copy(arena, object->booted));
    if (has_ended(rack, object))
        value_set_text(arena,
                       value_set(arena, value_set(arena, out, "status", value_map(arena)), "exit",
                                 value_map(arena)),
                       "reason", rack->exit_reason);
    if (rack->foreign_all && !strncmp(rack->foreign_all, object->name, strlen(rack->foreign_all)))
        value_set_bool(arena, value_set(arena, out, "status", value_map(arena)), "foreign", true);
    if (rack->keeps_chosen)
        value_set_text(arena, value_set(arena, out, "chosen", value_map(arena)), "kept", "before");
    if (rack->is_restless)
        value_set_int(arena, value_set(arena, out, "status", value_map(arena)), "free",
                      (int64_t)rack->looks);
    return out;
}

static struct value *list_unchanged(struct rack *rack, const char *token)
{
    struct value *result = value_map(rack->arena);
    value_set_text(rack->arena, result, "unchanged", token);
    value_set_bool(rack->arena, result, "complete", true);
    rack->lists_unchanged++;
    return result;
}

static struct value *list_told(struct rack *rack, struct value *result, const char *since)
{
    struct arena *arena = rack->arena;
    char token[DIGEST_TEXT];
    if (rack->stranger) {
        struct value *list = value_set(arena, result, "unmanaged", value_list(arena));
        value_set_text(arena, value_append(arena, list, value_map(arena)), "native",
                       rack->stranger);
    }
    digest_value(result, token);
    if (rack->unchanged)
        return list_unchanged(rack, rack->unchanged);
    if (rack->has_tokens && !strcmp(token, since))
        return list_unchanged(rack, token);
    if (rack->has_tokens)
        value_set_text(arena, result, "token", token);
    rack->lists++;
    return result;
}

static struct value *observe(struct rack *rack, const char *driver, const struct value *params)
{
    struct arena *arena = rack->arena;
    const struct value *uids = value_get(params, "uids");
    struct value *result = value_map(arena);
    bool is_partial = !uids && rack->partial && !strcmp(rack->partial, driver);
    value_set_bool(arena, result, "complete", !is_partial);
    if (!uids) {
        value_set(arena, result, "list", is_partial ? value_list(arena) : list_make(rack, driver));
        return list_told(rack, result, value_get_text(params, "since", ""));
    }
    struct value *objects = value_set(arena, result, "objects", value_list(arena));
    rack->looks++;
    rack->details += (unsigned)uids->count;
    for (size_t i = 0; i < uids->count; i++) {
        const struct rack_object *object = object_get(rack, uids->items[i]->text);
        if (rack->hide && !strcmp(rack->hide, object->name))
            continue;
        struct value *told = object_make(rack, uids->items[i]->text);
        if (is_greedy(rack, driver) && !holds(driver, object))
            value_set_bool(arena, told, "absent", true);
        value_append(arena, objects, told);
    }
    return result;
}

static void effect(struct rack *rack, const char *driver, struct rack_object *object,
                   const struct value *params)
{
    const char *verb = value_get_text(params, "verb", "");
    bool is_delete = !strcmp(verb, "delete");
    const char *op = value_get_text(params, "op", "");
    uint64_t epoch = (uint64_t)value_get_int(params, "epoch", 0);
    snprintf(object->kind, sizeof object->kind, "%s", value_get_text(params, "kind", ""));
    snprintf(object->name, sizeof object->name, "%s", value_get_text(params, "name", ""));
    if (holds(driver, object) && (!is_delete || !rack->deny_epochs))
        object->epoch = epoch;
    if (!strcmp(object->op, op))
        return; /* the same op again: no second effect */
    snprintf(object->op, sizeof object->op, "%s", op);
    if (rack->lie && !strcmp(rack->lie, object->name) &&
        (!rack->lie_verb || !strcmp(rack->lie_verb, verb)))
        return;
    object->damages -= object->damages > 0;
    object->exists &= !(rack->vanish && !strcmp(verb, "release"));
    if (!strcmp(verb, "release") || !strcmp(verb, "adopt")) {
        object->released = !strcmp(verb, "release");
        return;
    }
    object->applied++;
    object->made += !is_delete && !object->exists;
    object->exists = !is_delete;
    if (!is_delete)
        object->spec = value_copy(rack->arena, value_get(params, "spec"));
    if (!strcmp(object->kind, "Instance") && (strcmp(verb, "update") || has_ended(rack, object)))
        object->booted = is_delete ? NULL : object->spec;
}

static bool finds_no_room(struct rack *rack, const struct value *params)
{
    const char *kind = value_get_text(params, "kind", "");
    bool is_full = rack->full_pool && strcmp(value_get_text(params, "verb", ""), "delete") &&
                   (!rack->full_kind || !strcmp(rack->full_kind, kind)) &&
                   !strcmp(rack->full_pool, value_at_text(params, "spec.pool", "")) &&
                   value_at_int(params, "spec.size", 0) >= rack->full_from;
    bool has_last = is_full && rack->full_after > 0;
    rack->full_after -= has_last;
    return is_full && !has_last;
}

static void apply(struct rack *rack, const char *driver, const struct value *message)
{
    const struct value *params = value_get(message, "params");
    struct rack_object *object = object_get(rack, value_get_text(params, "uid", ""));
    rack->applied_at[rack->applies++ % 256] = rack->now_ms;
    if (!rack->loads_at_apply)
        rack->loads_at_apply = rack->loads;
    object->repeats += !strcmp(object->asked, value_get_text(params, "op", ""));
    object->ops += strcmp(object->asked, value_get_text(params, "op", "")) != 0;
    snprintf(object->asked, sizeof object->asked, "%s", value_get_text(params, "op", ""));
    object->deadline = value_get_int(params, "deadline", 0);
    if (rack->lose_applies) {
        snprintf(object->kind, sizeof object->kind, "%s", value_get_text(params, "kind", ""));
        snprintf(object->name, sizeof object->name, "%s", value_get_text(params, "name", ""));
        rack->lose_applies--;
        return;
    }
    if (rack->refuse && !strcmp(rack->refuse, value_get_text(params, "name", ""))) {
        refuse(rack, driver, message, -32000, rack->refuse_kind, 0);
        return;
    }
    if (finds_no_room(rack, params)) {
        refuse(rack, driver, message, -32000, "no-space", 0);
        return;
    }
    uint64_t epoch = (uint64_t)value_get_int(params, "epoch", 0);
    uint64_t *fence = &object->fence[driver_index(driver)];
    if (epoch < *fence) {
        refuse(rack, driver, message, -32009, "stale", rack->silent_fence ? 0 : *fence);
        return;
    }
    *fence = epoch;
    effect(rack, driver, object, params);
    if (rack->lose_replies) {
        rack->lose_replies--;
        return;
    }
    struct value *answer = answer_to(rack, message);
    value_set(rack->arena, answer, "result", value_map(rack->arena));
    if (rack->keep_replies)
        rack->kept = answer;
    else
        queue_put(rack, driver, answer);
}

/* The object changes once the driver has read it; the notice of it overtakes the answer. */
static void move_behind(struct rack *rack, const char *driver, const struct value *params)
{
    const struct value *uids = value_get(params, "uids");
    if (!rack->move_behind || !uids || uids->count == 0)
        return;
    struct rack_object *object = object_get(rack, uids->items[0]->text);
    struct value *spec = value_copy(rack->arena, object->spec);
    value_set_int(rack->arena, spec, "mtu", 1280);
    object->spec = spec;
    rack->move_behind = false;
    rack_notice(rack, driver, object->uid, "moved meanwhile");
}

static bool look_hangs(struct rack *rack, const struct value *params)
{
    const struct value *uids = value_get(params, "uids");
    if (!uids || uids->count == 0 || uids->count != rack->hang_looks_of)
        return false;
    rack->hang_looks_of = 0;
    return true;
}

/* Somebody sets an object back just after it was looked at, and nobody tells. */
static void set_back(struct rack *rack, const struct value *params)
{
    const struct value *uids = value_get(params, "uids");
    if (!rack->set_back || !uids || uids->count == 0)
        return;
    object_get(rack, uids->items[0]->text)->spec = rack->set_back;
    rack->set_back = NULL;
}

static struct value *initialize(struct rack *rack)
{
    struct value *result = value_map(rack->arena), *capabilities = value_map(rack->arena);
    value_set(rack->arena, result, "capabilities", capabilities);
    value_set_bool(rack->arena, capabilities, "queue", rack->has_queue);
    value_set_bool(rack->arena, capabilities, "groups", rack->makes_groups);
    if (rack->group_kind)
        value_append(rack->arena,
                     value_set(rack->arena, capabilities, "groups", value_list(rack->arena)),
                     value_text(rack->arena, rack->group_kind));
    if (rack->etags)
        value_set_text(rack->arena, capabilities, "etags", rack->etags);
    return result;
}

static void rack_send(void *context, const char *driver, const struct value *borrowed)
{
    struct rack *rack = context;
    const struct value *message = value_copy(rack->arena, borrowed);
    const char *method = value_get_text(message, "method", "");
    called(rack);
    if (rack->mute && !strcmp(rack->mute, driver) && strcmp(method, "initialize"))
        return;
    if (!strcmp(method, "apply")) {
        apply(rack, driver, message);
        return;
    }
    if (!strcmp(method, "cancel") && rack->lose_cancels)
        return;
    if (look_hangs(rack, value_get(message, "params")))
        return;
    if (!strcmp(method, "cancel") && rack->kept)
        queue_put(rack, driver, rack->kept); /* it was done at the last moment */
    struct value *answer = answer_to(rack, message);
    struct value *result = strcmp(method, "observe")
                               ? initialize(rack)
                               : observe(rack, driver, value_get(message, "params"));
    value_set(rack->arena, answer, "result", result);
    move_behind(rack, driver, value_get(message, "params"));
    set_back(rack, value_get(message, "params"));
    queue_put(rack, driver, answer);
}

static void rack_start(void *context, const char *driver)
{
    struct rack *rack = context;
    called(rack);
    rack->starts[driver_index(driver)]++;
}

/* Its end is told as if it had been an answer. */
static void rack_kill(void *context, const char *driver)
{
    struct rack *rack = context;
    called(rack);
    rack->kills[driver_index(driver)]++;
    for (size_t i = rack->queue_first; i < rack->queue_end; i++)
        if (!strcmp(rack->queue[i].driver, driver))
            rack->queue[i].driver = NULL;
    queue_put(rack, driver, NULL);
}
