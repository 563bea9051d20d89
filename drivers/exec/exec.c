/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The exec driver: its callbacks run a script, so that ten lines of shell are a driver
 * that keeps every promise; admission, the ledger and deadlines are the library's.
 * Settings: `script`, a path; `kinds`, a list, all if left out. The rest is the script's,
 * which gets it with each call. contrib/drivers/README.md says what a script is asked.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "drivers/exec/script.h"

static struct {
    const char *script;
    const struct value *settings;
} exec;

static char kinds[512] =
    "Pool Image Volume VPC Subnet Firewall NIC Seed FloatingIP PortForward Instance";

/* What every call is told of the place where it runs. */
static struct value *input_new(struct spinel_host *host)
{
    struct arena *arena = spinel_arena(host);
    struct value *input = value_map(arena), *rack = value_map(arena);
    value_set_text(arena, rack, "name", spinel_rack(host));
    value_set_text(arena, rack, "id", spinel_rack_id(host));
    value_set(arena, input, "rack", rack);
    value_set_text(arena, input, "stateDir", spinel_state_dir(host));
    value_set_text(arena, input, "ownDir", spinel_own_dir(host));
    value_set(arena, input, "settings",
              exec.settings ? value_copy(arena, exec.settings) : value_map(arena));
    return input;
}

static int kinds_read(const struct value *list, struct error *err)
{
    size_t len = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct value *item = list->items[i];
        if (!value_is_text(item) || len + item->text_len + 2 > sizeof kinds)
            return error_set(err, ERR_INVALID, "settings.kinds is not a list of kinds");
        len +=
            (size_t)snprintf(kinds + len, sizeof kinds - len, "%s%s", i > 0 ? " " : "", item->text);
    }
    return 0;
}

static int exec_start(struct spinel_host *host, const struct value *settings, struct value *reply,
                      struct error *err)
{
    const struct value *list = value_get(settings, "kinds");
    (void)host, (void)reply;
    exec.settings = settings;
    exec.script = value_get_text(settings, "script", NULL);
    if (!exec.script || exec.script[0] != '/') {
        error_set(err, ERR_INVALID, "settings.script is not an absolute path");
        return error_hint(err, "Name the script in the site file, under drivers.");
    }
    if (access(exec.script, X_OK) < 0)
        return error_sys(err, "cannot run %s", exec.script);
    return value_is_list(list) ? kinds_read(list, err) : 0;
}

/* ---- observe ------------------------------------------------------------------------ */

static bool row_add(struct spinel_list *list, const struct value *row)
{
    if (!value_is_list(row) || row->count != 3 || !value_is_text(row->items[0]) ||
        row->items[1]->type != VALUE_INT || row->items[1]->integer < 0 ||
        !value_is_text(row->items[2]))
        return false;
    spinel_list_add(list, row->items[0]->text, (uint64_t)row->items[1]->integer,
                    row->items[2]->text);
    return true;
}

static void unmanaged_add(struct spinel_list *list, const struct value *strangers)
{
    for (size_t i = 0; value_is_list(strangers) && i < strangers->count; i++)
        spinel_list_unmanaged(list, value_get_text(strangers->items[i], "kind", "?"),
                              value_get_text(strangers->items[i], "native", "?"),
                              value_get_text(strangers->items[i], "why", ""));
}

static int exec_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    struct value *output;
    int result = script_run(host, exec.script, "list", input_new(host), &output, err);
    if (result < 0)
        return result;
    const struct value *rows = value_get(output, "list");
    if (!value_is_list(rows))
        return error_set(err, ERR_INVALID, "the script's list has no \"list\"");
    for (size_t i = 0; i < rows->count; i++)
        if (!row_add(list, rows->items[i]))
            return error_set(err, ERR_INVALID,
                             "row %zu of the script's list is not "
                             "[\"<uid>\",<epoch>,\"<etag>\"]",
                             i + 1);
    unmanaged_add(list, value_get(output, "unmanaged"));
    return 0;
}

static struct value *part(struct spinel_host *host, const struct value *output, const char *key)
{
    const struct value *value = value_get(output, key);
    return value && value->type != VALUE_NULL ? value_copy(spinel_arena(host), value) : NULL;
}

/* A script is written in an afternoon: the daemon gets nothing of it that the protocol forbids. */
static int object_check(const struct value *output, struct error *err)
{
    static const struct {
        const char *key, *what;
        enum value_type type;
        bool is_needed;
    } members[] = {
        {"kind", "a text", VALUE_STRING, true},     {"name", "a text", VALUE_STRING, true},
        {"project", "a text", VALUE_STRING, false}, {"epoch", "a number", VALUE_INT, false},
        {"spec", "a map", VALUE_MAP, false},        {"booted", "a map", VALUE_MAP, false},
        {"status", "a map", VALUE_MAP, false},      {"damage", "a list", VALUE_LIST, false},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const struct value *value = value_get(output, members[i].key);
        bool is_there = value && value->type != VALUE_NULL;
        if (is_there ? value->type != members[i].type : members[i].is_needed)
            return error_set(err, ERR_INVALID, "\"%s\" of the script's object is not %s",
                             members[i].key, members[i].what);
    }
    return value_get_int(output, "epoch", 0) < 0
               ? error_set(err, ERR_INVALID, "\"epoch\" of the script's object is below 0")
               : 0;
}

static int exec_look(struct spinel_host *host, struct spinel_object *object, struct error *err)
{
    struct value *input = input_new(host), *output;
    value_set_text(spinel_arena(host), input, "uid", object->uid);
    int result = script_run(host, exec.script, "look", input, &output, err);
    if (result < 0)
        return result;
    object->absent = !output || value_get_bool(output, "absent", false);
    if (object->absent)
        return 0;
    if ((result = object_check(output, err)) < 0)
        return result;
    object->kind = value_get_text(output, "kind", NULL);
    object->project = value_get_text(output, "project", NULL);
    object->name = value_get_text(output, "name", NULL);
    object->released = value_get_bool(output, "released", false);
    object->epoch = (uint64_t)value_get_int(output, "epoch", 0);
    object->spec = part(host, output, "spec");
    object->booted = part(host, output, "booted");
    object->status = part(host, output, "status");
    object->damage = part(host, output, "damage");
    return 0;
}

/* ---- apply -------------------------------------------------------------------------- */

static const char *const verbs[] = {
    [SPINEL_CREATE] = "create", [SPINEL_UPDATE] = "update",   [SPINEL_RESTART] = "restart",
    [SPINEL_DELETE] = "delete", [SPINEL_RELEASE] = "release", [SPINEL_ADOPT] = "adopt",
};

static void copy_part(struct arena *arena, struct value *input, const char *key,
                      const struct value *value)
{
    value_set(arena, input, key, value ? value_copy(arena, value) : NULL);
}

static int exec_apply(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    struct arena *arena = spinel_arena(host);
    struct value *input = input_new(host);
    value_set_text(arena, input, "op", op->op);
    value_set_text(arena, input, "uid", op->uid);
    value_set_int(arena, input, "epoch", (int64_t)op->epoch);
    value_set_text(arena, input, "verb", verbs[op->verb]);
    value_set_text(arena, input, "kind", op->kind);
    value_set_text(arena, input, "project", op->project);
    value_set_text(arena, input, "name", op->name);
    value_set_int(arena, input, "generation", (int64_t)op->generation);
    copy_part(arena, input, "spec", op->spec);
    copy_part(arena, input, "changed", op->changed);
    copy_part(arena, input, "refs", op->refs);
    copy_part(arena, input, "labels", op->labels);
    return script_run(host, exec.script, "apply", input, NULL, err);
}

static const struct spinel_driver driver = {
    .name = "exec",
    .version = "1",
    .kinds = kinds,
    .start = exec_start,
    .list = exec_list,
    .look = exec_look,
    .apply = exec_apply,
};

SPINEL_DRIVER(driver)
