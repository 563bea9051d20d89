/* SPDX-License-Identifier: MPL-2.0 */
/* Calling the driver: an arena for each callback, and its answer as JSON, whether this is
 * the process of a call or, for a driver that asks for that, the main one. */
#include "drivers/lib/callback.h"

#include <inttypes.h>
#include <string.h>
#include "drivers/lib/host.h"
#include "drivers/lib/list.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/invariant.h"

int give_reason(const struct spinel_host *host, int result, struct error *err)
{
    if (result < 0 && err->code == ERR_NONE)
        error_set(err, ERR_SYSTEM, "driver %s failed without a reason", host->driver->name);
    return result < 0 ? err->code : 0;
}

static const char *token_of(struct spinel_host *host, const struct text *answer)
{
    char digest[DIGEST_TEXT];
    return arena_text(host->arena, digest_bytes(answer->data, answer->len, digest));
}

/* Of a driver that knows without a list: with all that the library adds to one. NULL: it does not.
 */
static const char *token_known(struct spinel_host *host)
{
    const char *state = host->driver->unchanged ? host->driver->unchanged(host) : NULL;
    struct text text = TEXT_INIT;
    if (!state)
        return NULL;
    text_printf(&text, "%" PRIx64 " %zx ", host->born_ns, host->apply_moves);
    ledger_stamp(host->ledger, &text);
    text_add(&text, state);
    const char *token = token_of(host, &text);
    text_free(&text);
    return token;
}

static void list_write(struct text *out, const struct spinel_list *list)
{
    text_add(out, "{\"list\":[");
    text_add_n(out, list->rows.data, list->rows.len);
    text_add(out, "],\"unmanaged\":[");
    text_add_n(out, list->unmanaged.data, list->unmanaged.len);
    text_add(out, "],\"trash\":[");
    text_add_n(out, list->trash.data, list->trash.len);
    text_add(out, "],\"complete\":true");
}

static void unchanged_write(struct text *out, const char *token)
{
    text_reset(out);
    text_printf(out, "{\"unchanged\":\"%s\",\"complete\":true}", token);
}

/* What may change while it is listed gets its token before that. */
int callback_list(struct spinel_host *host, const char *since, struct text *out, struct error *err)
{
    const char *token = token_known(host);
    if (token && since && strcmp(token, since) == 0) {
        unchanged_write(out, token);
        return 0;
    }
    struct spinel_list list = {
        .host = host, .rows = TEXT_INIT, .unmanaged = TEXT_INIT, .trash = TEXT_INIT};
    int result = give_reason(host, host->driver->list(host, &list, err), err);
    if (result == 0) {
        list_write(out, &list);
        token = token ? token : token_of(host, out);
        if (since && strcmp(token, since) == 0)
            unchanged_write(out, token);
        else
            text_printf(out, ",\"token\":\"%s\"}", token);
    }
    text_free(&list.rows);
    text_free(&list.unmanaged);
    text_free(&list.trash);
    return result;
}

void unknown_write(struct text *out, const char *uid, const struct error *err)
{
    text_add(out, "{\"uid\":");
    json_add_text(out, uid);
    text_add(out, ",\"unknown\":true,\"error\":{\"message\":");
    json_add_text(out, err->message);
    text_add(out, ",\"hint\":");
    json_add_text(out, err->hint);
    text_add(out, "}}");
}

void callback_look(struct spinel_host *host, const char *uid, struct text *out)
{
    struct error err = ERROR_INIT;
    struct arena *outer = host->arena;
    host->arena = arena_new();
    struct spinel_object object = {.uid = uid};
    if (give_reason(host, host->driver->look(host, &object, &err), &err) < 0)
        unknown_write(out, uid, &err);
    else
        object_write(host, out, &object);
    arena_free(host->arena);
    host->arena = outer;
}

static int told_all(const struct spinel_list *list, struct error *err)
{
    if (list->told == list->uid_count)
        return 0;
    return error_set(err, ERR_SYSTEM, "driver %s told %zu of %zu objects", list->host->driver->name,
                     list->told, list->uid_count);
}

void callback_look_all(struct spinel_host *host, const char *const *uids, size_t count,
                       struct text *out)
{
    struct error err = ERROR_INIT;
    struct arena *outer = host->arena;
    struct spinel_list list = {
        .host = host, .objects = TEXT_INIT, .uids = uids, .uid_count = count};
    invariant(count == 0 || uids, "%zu objects are looked at, and none is named", count);
    host->arena = arena_new();
    int result = give_reason(host, host->driver->look_all(host, &list, &err), &err);
    if (result == 0)
        result = told_all(&list, &err);
    if (result == 0)
        text_add_n(out, list.objects.data, list.objects.len);
    for (size_t i = 0; result < 0 && i < count; i++) {
        if (i > 0)
            text_add_char(out, ',');
        unknown_write(out, uids[i], &err);
    }
    text_free(&list.objects);
    arena_free(host->arena);
    host->arena = outer;
}

void applied_write(struct text *out, const struct spinel_op *op)
{
    text_printf(out, "{\"epoch\":%" PRIu64 "}", op->epoch);
}

int callback_apply(struct spinel_host *host, const struct spinel_op *op, struct text *out,
                   struct error *err)
{
    struct arena *outer = host->arena;
    invariant(!host->op, "%s begins while %s is carried out", op->op, host->op);
    host->arena = arena_new();
    host->op = op->op;
    int result = give_reason(host, host->driver->apply(host, op, err), err);
    host->op = NULL;
    if (result == 0)
        applied_write(out, op);
    arena_free(host->arena);
    host->arena = outer;
    return result;
}

void callback_apply_all(struct spinel_host *host, const struct spinel_op *const *ops, size_t count,
                        struct error *outcomes)
{
    struct arena *outer = host->arena;
    host->arena = arena_new();
    invariant(count > 1 && host->driver->apply_all, "driver %s is given a group of %zu",
              host->driver->name, count);
    host->driver->apply_all(host, ops, count, outcomes);
    arena_free(host->arena);
    host->arena = outer;
}
