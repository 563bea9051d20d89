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

static bool is_same_file(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static int twice(const char *one, const char *other, struct error *err)
{
    error_set(err, ERR_CONFLICT, "one volume is there twice: as %s and as %s", one, other);
    return error_hint(err, "Move the copy out of the pools' directories; neither is touched until "
                           "then.");
}

/* Directories of one pool, which was moved: a tag verifies in each of them, and nowhere else. */
static bool is_same_pool(const char *within, const char *other)
{
    return within && other && strcmp(within, other) == 0;
}

static int found_in(struct spinel_host *host, const struct pool_place *place, const char *uid,
                    struct volume_found *found, struct error *err)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        const char *path = native_volume_path(spinel_arena(host), place->dir, uid, formats[i]);
        if (access(path, F_OK) < 0) {
            if (errno == ENOENT)
                continue;
            return error_sys(err, "cannot look at %s", path);
        }
        const struct value *tag;
        if (mark_read(host, path, place->within, "Volume", &tag, err) < 0)
            return err->code;
        tag = tag_own(tag, uid);
        if (tag && found->tag && !is_same_file(path, found->path))
            return twice(found->path, path, err);
        if (!found->tag)
            *found = (struct volume_found){path, formats[i], place->within, tag};
    }
    return 0;
}

int volume_find(struct spinel_host *host, const struct pool_places *places, const char *uid,
                struct volume_found *found, struct error *err)
{
    const char *unmounted = NULL;
    *found = (struct volume_found){0};
    for (size_t i = 0; i < places->count; i++) {
        const struct pool_place *place = &places->items[i];
        if (place->is_unmounted)
            unmounted = place->dir;
        else if (found->tag && !is_same_pool(place->within, found->within))
            continue;
        else if (found_in(host, place, uid, found, err) < 0)
            return err->code;
    }
    if (!found->tag && unmounted)
        return error_set(err, ERR_BUSY, "pool directory %s is not mounted", unmounted);
    return 0;
}

#define NO_TAG                                                                                 \
    "its tag is missing or does not verify: it was restored without its extended attributes, " \
    "comes from another pool or rack, or was put there by hand"

int volume_doubt(const struct volume_found *found, struct error *err)
{
    error_set(err, ERR_DENIED, "%s is there, but " NO_TAG, found->path);
    return error_hint(err, "Nothing is made in its place. Restore it under this name, in the pool "
                           "that it was made in, with its attributes (tar --xattrs, rsync -X); a "
                           "copy of a volume belongs outside of the pools.");
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

struct volume_scan {
    struct spinel_list *list;
    const struct pool_places *places;
    const struct pool_place *place; /* that is being read */
};

/* In another directory of the same pool, which was moved and whose files were copied. */
static bool has_twin(struct spinel_host *host, const struct volume_scan *scan, const char *path,
                     const char *name)
{
    for (size_t i = 0; i < scan->places->count; i++) {
        const struct pool_place *place = &scan->places->items[i];
        if (place == scan->place || !is_same_pool(place->within, scan->place->within))
            continue;
        const char *other = arena_printf(spinel_arena(host), "%s/%s", place->dir, name);
        if (access(other, F_OK) == 0 && !is_same_file(other, path))
            return true;
    }
    return false;
}

static int volume_each(struct spinel_host *host, const char *dir, const char *name, void *context,
                       struct error *err)
{
    const struct volume_scan *scan = context;
    const char *path = arena_printf(spinel_arena(host), "%s/%s", dir, name);
    const struct value *tag;
    char etag[64];
    if (mark_read(host, path, scan->place->within, "Volume", &tag, err) < 0)
        return err->code; /* what cannot be told is not lost */
    if (tag && has_volume_name(name) && strncmp(value_get_text(tag, "uid", ""), name, 32) == 0) {
        if (has_twin(host, scan, path, name)) {
            spinel_list_unmanaged(
                scan->list, "Volume", path,
                "the volume is there twice, in two directories of its pool: move the "
                "copy out of the pools' directories");
            return 0;
        }
        mark_etag(path, tag, etag);
        spinel_list_add(scan->list, value_get_text(tag, "uid", ""),
                        (uint64_t)value_get_int(tag, "epoch", 0), etag);
    } else if (!mark_is_sidecar(name)) {
        spinel_list_unmanaged(scan->list, "Volume", path,
                              has_volume_name(name) ? NO_TAG
                                  "; nothing takes its place: restore it "
                                  "with its attributes (tar --xattrs, "
                                  "rsync -X) in the pool of its volume"
                                                    : "it carries no valid tag of this rack");
    }
    return 0;
}

static int volume_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    struct pool_places places;
    int result = places_read(host, &places, err);
    for (size_t i = 0; result == 0 && i < places.count; i++) {
        struct volume_scan scan = {list, &places, &places.items[i]};
        result = names_each(host, places.items[i].dir, volume_each, &scan, err);
    }
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
    if (result < 0 || !found.path)
        return result;
    if (!found.tag)
        return volume_doubt(&found, err);
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
