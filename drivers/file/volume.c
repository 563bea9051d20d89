/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Volumes: one file each, "<pool>/<uid>.<format>". A volume gets its name when it is
 * whole, tagged and on disk, so what has a name is a volume and never half of one. It
 * is never shrunk, never touched while a process holds it, and a delete moves it to the
 * pool's trash.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "drivers/file/copy.h"
#include "drivers/file/file.h"
#include "drivers/file/mark.h"
#include "drivers/file/place.h"
#include "drivers/file/qcow2.h"
#include "drivers/file/staging.h"
#include "drivers/file/trash.h"
#include "model/digest.h"
#include "model/native.h"

static const char *const formats[] = {"raw", "qcow2"};
enum { FORMAT_COUNT = sizeof formats / sizeof *formats };

/* ---- finding ------------------------------------------------------------------------ */

struct found {
    const char *path;        /* NULL if there is no file */
    const char *format;      /* static */
    const struct value *tag; /* NULL if it is not ours */
};

static bool is_own(const struct value *tag, const char *uid)
{
    return tag && strcmp(value_get_text(tag, "uid", ""), uid) == 0;
}

static void found_in(struct spinel_host *host, const char *dir, const char *uid,
                     struct found *found)
{
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        const char *path = native_volume_path(spinel_arena(host), dir, uid, formats[i]);
        if (access(path, F_OK) < 0)
            continue;
        const struct value *tag = mark_read(host, path, "Volume");
        *found = (struct found){path, formats[i], is_own(tag, uid) ? tag : NULL};
        if (found->tag)
            return;
    }
}

/* In all pools, for it may have been made when its manifest said another one. A pool that
 * is not mounted may hold it: then nobody can tell. */
static int volume_find(struct spinel_host *host, const char *uid, struct found *found,
                       struct error *err)
{
    struct pool_places places;
    const char *unmounted = NULL;
    *found = (struct found){0};
    int result = places_read(host, &places, err);
    for (size_t i = 0; result == 0 && i < places.count && !found->tag; i++) {
        if (places.items[i].is_unmounted)
            unmounted = places.items[i].dir;
        else
            found_in(host, places.items[i].dir, uid, found);
    }
    if (result == 0 && !found->tag && unmounted)
        result = error_set(err, ERR_BUSY, "pool directory %s is not mounted", unmounted);
    return result;
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
    (void)err;
    struct spinel_list *list = context;
    const char *path = arena_printf(spinel_arena(host), "%s/%s", dir, name);
    const struct value *tag = mark_read(host, path, "Volume");
    char etag[64];
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

static int size_of(const struct found *found, const struct stat *st, uint64_t *size_bytes,
                   struct error *err)
{
    if (strcmp(found->format, "qcow2") == 0)
        return qcow2_size(found->path, size_bytes, err);
    *size_bytes = (uint64_t)st->st_size;
    return 0;
}

static int volume_describe(struct spinel_host *host, struct spinel_object *object,
                           const struct found *found, struct error *err)
{
    struct arena *arena = spinel_arena(host);
    const struct value *extra = value_get(found->tag, "extra");
    struct stat st;
    uint64_t size_bytes;
    if (stat(found->path, &st) < 0)
        return error_sys(err, "cannot look at %s", found->path);
    int result = size_of(found, &st, &size_bytes, err);
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

static int volume_look(struct spinel_host *host, struct spinel_object *object, struct error *err)
{
    struct found found;
    int result = volume_find(host, object->uid, &found, err);
    if (result < 0 || !found.tag)
        return result;
    mark_fill(object, found.tag);
    return volume_describe(host, object, &found, err);
}

/* ---- make --------------------------------------------------------------------------- */

/* What a new volume is made of. */
struct blank {
    const char *path;
    const char *format;
    uint64_t size_bytes;
    const char *image_path; /* NULL: it starts empty */
    const char *image_format;
};

static const struct value *ref_spec(const struct spinel_op *op, const char *kind, const char *name)
{
    return value_get(value_get(value_get(op->refs, kind), name), "spec");
}

static int pool_need(struct spinel_host *host, const struct spinel_op *op, const char **dir,
                     struct error *err)
{
    const char *name = value_get_text(op->spec, "pool", NULL);
    const struct value *spec = name ? ref_spec(op, "Pool", name) : NULL;
    *dir = native_pool_dir(spinel_arena(host), spinel_state_dir(host), name, spec);
    if (!name)
        return directory_make(host, *dir, err);
    if (!spec)
        return error_set(err, ERR_INVALID, "volume %s: pool %s was not sent along", op->name, name);
    if (pool_tag(host, *dir))
        return 0;
    error_set(err, ERR_BUSY, "pool %s is not there: %s has no valid " POOL_TAG, name, *dir);
    return error_hint(err, "It is made first; if it was there before, mount its file system.");
}

static int image_need(struct spinel_host *host, const struct spinel_op *op, struct blank *blank,
                      struct error *err)
{
    const char *name = value_get_text(op->spec, "image", NULL);
    const struct value *spec = name ? ref_spec(op, "Image", name) : NULL;
    if (!name)
        return 0;
    if (!spec)
        return error_set(err, ERR_INVALID, "volume %s: image %s was not sent along", op->name,
                         name);
    blank->image_path = native_image_path(spinel_arena(host), spinel_state_dir(host),
                                          value_get_text(spec, "digest", ""));
    blank->image_format = value_get_text(spec, "format", "qcow2");
    return image_check(host,
                       value_get_text(value_get(value_get(op->refs, "Image"), name), "uid", ""),
                       blank->image_path, err);
}

static int image_fits(const struct blank *blank, struct error *err)
{
    struct stat st;
    uint64_t needs_bytes;
    if (stat(blank->image_path, &st) < 0)
        return error_sys(err, "cannot look at %s", blank->image_path);
    struct found image = {blank->image_path, blank->image_format, NULL};
    int result = size_of(&image, &st, &needs_bytes, err);
    if (result < 0 || needs_bytes <= blank->size_bytes)
        return result;
    error_set(err, ERR_INVALID, "the image holds %" PRIu64 " bytes and the volume only %" PRIu64,
              needs_bytes, blank->size_bytes);
    return error_hint(err, "Make spec.size at least as large as the image.");
}

static int qcow2_make(struct spinel_host *host, const struct blank *blank, const char *path,
                      struct error *err)
{
    const char *size = arena_printf(spinel_arena(host), "%" PRIu64, blank->size_bytes);
    const char *const argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", path, size, NULL};
    return spinel_run(host, argv, NULL, err);
}

static int image_convert(struct spinel_host *host, const struct blank *blank, const char *path,
                         struct error *err)
{
    const char *const argv[] = {
        "qemu-img",    "convert",         "-n", "-q", "-f", blank->image_format, "-O",
        blank->format, blank->image_path, path, NULL};
    spinel_progress(host, 0, "converting image");
    int result = spinel_run(host, argv, NULL, err);
    return result < 0 ? error_wrap(err, "cannot convert %s", blank->image_path) : 0;
}

static int raw_fill(struct spinel_host *host, const struct blank *blank,
                    const struct staging *staging, struct error *err)
{
    if (blank->image_path && strcmp(blank->image_format, "raw") == 0) {
        int from = open(blank->image_path, O_RDONLY | O_CLOEXEC);
        int result = from < 0 ? error_sys(err, "cannot open %s", blank->image_path)
                              : file_copy(host, from, blank->image_path, staging->fd, err);
        if (from >= 0)
            close(from);
        if (result < 0)
            return result;
    }
    if (ftruncate(staging->fd, (off_t)blank->size_bytes) < 0)
        return error_sys(err, "cannot size %s", blank->path);
    bool is_foreign = blank->image_path && strcmp(blank->image_format, "raw") != 0;
    return is_foreign ? image_convert(host, blank, staging->path, err) : 0;
}

static int blank_fill(struct spinel_host *host, const struct blank *blank,
                      const struct staging *staging, struct error *err)
{
    int result = blank->image_path ? image_fits(blank, err) : 0;
    if (result < 0)
        return result;
    if (strcmp(blank->format, "raw") == 0)
        return raw_fill(host, blank, staging, err);
    result = qcow2_make(host, blank, staging->path, err);
    if (result == 0 && blank->image_path)
        result = image_convert(host, blank, staging->path, err);
    return result;
}

static struct value *volume_extra(struct arena *arena, const struct spinel_op *op)
{
    struct value *extra = value_map(arena);
    if (value_get(op->spec, "image"))
        value_set_text(arena, extra, "image", value_get_text(op->spec, "image", NULL));
    if (value_get(op->spec, "pool"))
        value_set_text(arena, extra, "pool", value_get_text(op->spec, "pool", NULL));
    value_set_bool(arena, extra, "protect", value_get_bool(op->spec, "protect", false));
    return extra;
}

/* What a volume was made of stays; how safe it is to be may change. */
static const struct value *extra_changed(struct arena *arena, const struct found *found,
                                         const struct spinel_op *op)
{
    const struct value *had = value_get(found->tag, "extra");
    struct value *extra = had ? value_copy(arena, had) : value_map(arena);
    value_set_bool(arena, extra, "protect", value_get_bool(op->spec, "protect", false));
    return extra;
}

static int blank_make(struct spinel_host *host, const struct spinel_op *op,
                      const struct blank *blank, struct error *err)
{
    struct staging staging;
    int result = staging_open(host, blank->path, &staging, err);
    if (result < 0)
        return result;
    result = blank_fill(host, blank, &staging, err);
    if (result == 0)
        result = mark_write(host, staging.fd, blank->path, op, volume_extra(spinel_arena(host), op),
                            err);
    if (result == 0)
        result = staging_publish(&staging, STAGING_NEW, err);
    staging_close(&staging);
    return result;
}

static int volume_make(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    struct blank blank = {.format = value_get_text(op->spec, "format", "raw"),
                          .size_bytes = (uint64_t)value_get_int(op->spec, "size", 0)};
    const char *dir;
    if (strcmp(blank.format, "raw") != 0 && strcmp(blank.format, "qcow2") != 0)
        return error_set(err, ERR_INVALID, "volume format \"%s\" is neither raw nor qcow2",
                         blank.format);
    if (value_get_int(op->spec, "size", 0) < 512)
        return error_set(err, ERR_INVALID, "volume %s has no size", op->name);
    int result = pool_need(host, op, &dir, err);
    if (result == 0)
        result = image_need(host, op, &blank, err);
    if (result < 0)
        return result;
    blank.path = native_volume_path(spinel_arena(host), dir, op->uid, blank.format);
    return blank_make(host, op, &blank, err);
}

/* ---- change ------------------------------------------------------------------------- */

/* QEMU holds open record locks on every image that it uses. */
static int free_need(const char *path, struct error *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, "cannot open %s", path);
    int answer = fcntl(fd, F_OFD_GETLK, &lock);
    close(fd);
    if (answer < 0)
        return error_sys(err, "cannot ask who holds %s", path);
    if (lock.l_type == F_UNLCK)
        return 0;
    error_set(err, ERR_BUSY, "%s is in use by a running process", path);
    return error_hint(err, "Stop the instance that has it, or detach the volume first.");
}

static int volume_grow(struct spinel_host *host, const struct found *found, uint64_t size_bytes,
                       struct error *err)
{
    const char *size = arena_printf(spinel_arena(host), "%" PRIu64, size_bytes);
    const char *const argv[] = {"qemu-img", "resize", "-q", "-f", "qcow2", found->path, size, NULL};
    int result = free_need(found->path, err);
    if (result < 0)
        return result;
    if (strcmp(found->format, "qcow2") == 0)
        return spinel_run(host, argv, NULL, err);
    return truncate(found->path, (off_t)size_bytes) < 0
               ? error_sys(err, "cannot grow %s", found->path)
               : 0;
}

static int volume_change(struct spinel_host *host, const struct spinel_op *op,
                         const struct found *found, struct error *err)
{
    uint64_t now_bytes, wanted_bytes = (uint64_t)value_get_int(op->spec, "size", 0);
    struct stat st;
    if (stat(found->path, &st) < 0)
        return error_sys(err, "cannot look at %s", found->path);
    int result = size_of(found, &st, &now_bytes, err);
    if (result < 0)
        return result;
    if (wanted_bytes < now_bytes)
        return error_set(err, ERR_INVALID,
                         "volume %s: %" PRIu64 " to %" PRIu64 " bytes would shrink it", op->name,
                         now_bytes, wanted_bytes);
    if (wanted_bytes > now_bytes)
        result = volume_grow(host, found, wanted_bytes, err);
    return result < 0 ? result
                      : mark_rewrite(host, found->path, op,
                                     extra_changed(spinel_arena(host), found, op), err);
}

/* A purge says that nothing of it is to be kept, in the trash either. What is protected says so by
 * itself, whatever the daemon's records have come to. */
static int volume_delete(struct spinel_host *host, const struct spinel_op *op,
                         const struct found *found, struct error *err)
{
    if (value_get_bool(value_get(found->tag, "extra"), "protect", false)) {
        error_set(err, ERR_DENIED, "volume %s is protected", op->name);
        return error_hint(err, "Lift protect in one commit, and remove it in a later one.");
    }
    int result = free_need(found->path, err);
    if (result == 0)
        result = trash_put(host, found->path, op->uid, err);
    return result == 0 && op->is_purge ? trash_purge(host, op->uid, err) : result;
}

static int volume_absent(struct spinel_host *host, const struct spinel_op *op,
                         const struct found *found, struct error *err)
{
    switch (op->verb) {
    case SPINEL_DELETE:
        return op->is_purge ? trash_purge(host, op->uid, err) : 0;
    case SPINEL_RELEASE:
        return 0;
    case SPINEL_ADOPT:
        return error_set(err, ERR_NOT_FOUND, "volume %s is not there to adopt", op->name);
    default:
        break;
    }
    if (!found->path)
        return volume_make(host, op, err);
    error_set(err, ERR_DENIED, "%s is there, but carries no valid tag of this rack", found->path);
    return error_hint(err, "Move the file away; it is never overwritten.");
}

static int volume_apply(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    struct found found;
    int result = volume_find(host, op->uid, &found, err);
    if (result < 0)
        return result;
    if (!found.tag)
        return volume_absent(host, op, &found, err);
    result = mark_admit(found.tag, op, err);
    if (result < 0)
        return result;
    switch (op->verb) {
    case SPINEL_DELETE:
        return volume_delete(host, op, &found, err);
    case SPINEL_RELEASE:
    case SPINEL_ADOPT:
        return mark_rewrite(host, found.path, op, NULL, err);
    default:
        return volume_change(host, op, &found, err);
    }
}

const struct file_kind volume_kind = {"Volume", volume_list, volume_look, volume_apply};
