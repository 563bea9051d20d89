/* SPDX-License-Identifier: MPL-2.0 */
/* Lists and objects on their way out: straight into JSON text. */
#include "drivers/lib/list.h"

#include <inttypes.h>
#include <string.h>
#include "drivers/lib/callback.h"
#include "drivers/lib/host.h"
#include "drivers/lib/ledger.h"
#include "model/invariant.h"
#include "model/json.h"
#include "model/value.h"

void json_add_text(struct text *out, const char *text)
{
    struct value value = {.type = VALUE_NULL};
    if (text) {
        value.type = VALUE_STRING;
        value.text = text;
        value.text_len = strlen(text);
    }
    json_write(out, &value);
}

static void text_member(struct text *out, const char *key, const char *text)
{
    text_printf(out, ",\"%s\":", key);
    json_add_text(out, text);
}

/* What was begun and has not succeeded may have its effect after a look, with nothing in the
 * object's own etag to tell. So it is another one for each time that a call began or ended, and
 * for each process of the driver. */
static void etag_add(struct text *out, const struct spinel_host *host, const char *uid,
                     const char *etag)
{
    struct text text = TEXT_INIT;
    if (!ledger_is_open(host->ledger, uid)) {
        json_add_text(out, etag);
        return;
    }
    text_printf(&text, "%s.open.%" PRIx64 ".%zx", etag, host->born_ns, host->apply_moves);
    json_add_text(out, text.data);
    text_free(&text);
}

void spinel_list_add(struct spinel_list *list, const char *uid, uint64_t epoch, const char *etag)
{
    invariant(!list->uids, "%s is listed where %zu objects are looked at", uid, list->uid_count);
    if (list->rows.len > 0)
        text_add_char(&list->rows, ',');
    if (epoch == 0)
        epoch = spinel_ledger_epoch(list->host, uid);
    text_add_char(&list->rows, '[');
    json_add_text(&list->rows, uid);
    text_add_char(&list->rows, ',');
    json_write(&list->rows, &(struct value){.type = VALUE_INT, .integer = (int64_t)epoch});
    text_add_char(&list->rows, ',');
    etag_add(&list->rows, list->host, uid, etag ? etag : "");
    text_add_char(&list->rows, ']');
}

void spinel_list_unmanaged(struct spinel_list *list, const char *kind, const char *native,
                           const char *why)
{
    text_add(&list->unmanaged, list->unmanaged.len > 0 ? ",{\"kind\":" : "{\"kind\":");
    json_add_text(&list->unmanaged, kind);
    text_add(&list->unmanaged, ",\"native\":");
    json_add_text(&list->unmanaged, native);
    text_add(&list->unmanaged, ",\"why\":");
    json_add_text(&list->unmanaged, why);
    text_add_char(&list->unmanaged, '}');
}

void spinel_list_trash(struct spinel_list *list, const char *kind, const char *uid,
                       const char *native, int64_t bytes, int64_t deleted_at, int64_t until)
{
    text_add(&list->trash, list->trash.len > 0 ? ",{\"kind\":" : "{\"kind\":");
    json_add_text(&list->trash, kind);
    text_member(&list->trash, "uid", uid);
    text_member(&list->trash, "native", native);
    text_printf(&list->trash,
                ",\"bytes\":%" PRId64 ",\"deletedAt\":%" PRId64 ",\"until\":%" PRId64 "}", bytes,
                deleted_at, until);
}

const char *const *spinel_list_wanted(const struct spinel_list *list, size_t *count)
{
    invariant(list->uids || list->uid_count == 0, "%zu objects are wanted, and none is named",
              list->uid_count);
    *count = list->uid_count;
    return list->uids;
}

void spinel_list_object(struct spinel_list *list, const struct spinel_object *object)
{
    if (list->objects.len > 0)
        text_add_char(&list->objects, ',');
    object_write(list->host, &list->objects, object);
    list->told++;
}

void spinel_list_unknown(struct spinel_list *list, const char *uid, const struct error *why)
{
    if (list->objects.len > 0)
        text_add_char(&list->objects, ',');
    unknown_write(&list->objects, uid, why);
    list->told++;
}

static void value_member(struct text *out, const char *key, const struct value *value,
                         const char *fallback)
{
    text_printf(out, ",\"%s\":", key);
    if (value)
        json_write(out, value);
    else
        text_add(out, fallback);
}

static void absent_write(struct text *out, const char *uid, uint64_t epoch)
{
    text_add(out, "{\"uid\":");
    json_add_text(out, uid);
    text_printf(out, ",\"absent\":true,\"epoch\":%" PRIu64 "}", epoch);
}

void object_write(struct spinel_host *host, struct text *out, const struct spinel_object *object)
{
    uint64_t epoch = object->epoch ? object->epoch : spinel_ledger_epoch(host, object->uid);
    if (object->absent) {
        absent_write(out, object->uid, epoch);
        return;
    }
    text_add(out, "{\"uid\":");
    json_add_text(out, object->uid);
    text_member(out, "kind", object->kind);
    text_member(out, "project", object->project);
    text_member(out, "name", object->name);
    text_printf(out, ",\"epoch\":%" PRIu64 ",\"released\":%s", epoch,
                object->released ? "true" : "false");
    value_member(out, "spec", object->spec, "{}");
    value_member(out, "booted", object->booted, "null");
    value_member(out, "status", object->status, "{}");
    value_member(out, "damage", object->damage, "[]");
    if (object->etag) { /* that of the list, whatever is under way */
        text_add(out, ",\"etag\":");
        etag_add(out, host, object->uid, object->etag);
    }
    text_add_char(out, '}');
}
