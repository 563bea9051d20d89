/* SPDX-License-Identifier: MPL-2.0 */
/* Volumes found and told; see volume.h. */
#include "drivers/file/volume.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "drivers/file/file.h"
#include "drivers/file/mark.h"
#include "drivers/file/qcow2.h"
#include "model/digest.h"
#include "model/native.h"

static const char *const formats[] = {"raw", "qcow2"};
enum { FORMAT_COUNT = sizeof formats / sizeof *formats };

/* ---- finding ------------------------------------------------------------------------ */

static int found_in(struct spinel_host *host, const char *dir, const char *uid,
                    struct volume_found *found, struct error *err)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        const char *path = native_volume_path(spinel_arena(host), dir, uid, formats[i]);
        if (access(path, F_OK) < 0) {
            if (errno == ENOENT)
                continue;
            return error_sys(err, "cannot look at %s", path);
        }
        const struct value *tag;
        if (mark_read(host, path, "Volume", &tag, err) < 0)
            return err->code;
        *found = (struct volume_found){path, formats[i], tag_own(tag, uid)};
        if (found->tag)
            break;
    }
    return 0;
}

int volume_find(struct spinel_host *host, const struct pool_places *places, const char *uid,
                struct volume_found *found, struct error *err)
{
    const char *unmounted = NULL;
    *found = (struct volume_found){0};
    for (size_t i = 0; i < places->count && !found->tag; i++) {
        if (places->items[i].is_unmounted)
            unmounted = places->items[i].dir;
        else if (found_in(host, places->items[i].dir, uid, found, err) < 0)
            return err->code;
    }
    if (!found->tag && unmounted)
        return error_set(err, ERR_BUSY, "pool directory %s is not mounted", unmounted);
    return 0;
}

void volume_sidecars_drop(struct spinel_host *host, const char *pool_dir, const char *uid)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        const char *path = native_volume_path(spinel_arena(host), pool_dir, uid, formats[i]);
        if (access(path, F_OK) < 0 && errno == ENOENT)
            unlink(mark_sidecar(host, path));
    }
}

/* ---- observe ------------------------------------------------------------------------ */

static bool has_volume_name(const char *name)
{
    size_t len = UID_TEXT - 1;
    return strspn(name, "0123456789abcdef") == len &&
           (strcmp(name + len, ".raw") == 0 || strcmp(name + len, ".qcow2") == 0);
}

static int volume_each(struct spinel_host *host, const char *dir, const char *name, void *context,
                       struct error *err)
{
    struct spinel_list *list = context;
    const char *path = arena_printf(spinel_arena(host), "%s/%s", dir, name);
    const struct value *tag;
    char etag[64];
    if (mark_read(host, path, "Volume", &tag, err) < 0)
        return err->code; /* what cannot be told is not lost */
    if (tag && has_volume_name(name) && strncmp(value_get_text(tag, "uid", ""), name, 32) == 0) {
        mark_etag(path, tag, etag);
        spinel_list_add(list, value_get_text(tag, "uid", ""),
                        (uint64_t)value_get_int(tag, "epoch", 0), etag);
    } else if (!mark_is_sidecar(name)) {
        spinel_list_unmanaged(list, "Volume", path, "it carries no valid tag of this rack");
    }
    return 0;
}

static int volume_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    struct pool_places places;
    int result = places_read(host, &places, err);
    for (size_t i = 0; result == 0 && i < places.count; i++)
        result = names_each(host, places.items[i].dir, volume_each, list, err);
    return result;
}

int volume_size(const struct volume_found *found, const struct stat *st, uint64_t *size_bytes,
                struct error *err)
{
    if (strcmp(found->format, "qcow2") == 0)
        return qcow2_size(found->path, size_bytes, err);
    *size_bytes = (uint64_t)st->st_size;
    return 0;
}

static int volume_describe(struct spinel_host *host, struct spinel_object *object,
                           const struct volume_found *found, struct error *err)
{
    struct arena *arena = spinel_arena(host);
    const struct value *extra = value_get(found->tag, "extra");
    struct stat st;
    uint64_t size_bytes;
    if (stat(found->path, &st) < 0)
        return error_sys(err, "cannot look at %s", found->path);
    int result = volume_size(found, &st, &size_bytes, err);
    if (result < 0)
        return result;
    object->spec = value_map(arena);
    object->status = value_map(arena);
    value_set_int(arena, object->spec, "size", (int64_t)size_bytes);
    value_set_text(arena, object->spec, "format", found->format);
    if (value_get(extra, "image"))
        value_set_text(arena, object->spec, "image", value_get_text(extra, "image", NULL));
    if (value_get(extra, "pool"))
        value_set_text(arena, object->spec, "pool", value_get_text(extra, "pool", NULL));
    if (value_get(extra, "protect"))
        value_set_bool(arena, object->spec, "protect", value_get_bool(extra, "protect", false));
    value_set_text(arena, object->status, "state", object->released ? "released" : "ready");
    value_set_text(arena, object->status, "path", found->path);
    value_set_int(arena, object->status, "allocated", (int64_t)st.st_blocks * 512);
    return 0;
}

static int volume_look(struct spinel_host *host, const struct pool_places *places,
                       struct spinel_object *object, struct error *err)
{
    struct volume_found found;
    int result = volume_find(host, places, object->uid, &found, err);
    if (result < 0 || !found.tag)
        return result;
    mark_fill(object, found.tag);
    object->etag = mark_etag_text(host, found.path, found.tag);
    return volume_describe(host, object, &found, err);
}

static int volume_apply(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    struct error outcome = ERROR_INIT;
    volume_apply_all(host, &op, 1, &outcome);
    if (outcome.code != ERR_NONE)
        *err = outcome;
    return outcome.code;
}

const struct file_kind volume_kind = {"Volume", volume_list, volume_look, volume_apply};
