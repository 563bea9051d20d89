/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Images: bytes under the name of their digest, and for each Image that uses them a tag
 * "<uid>.tag" beside them; two projects may declare the same image and share the bytes.
 * What has the name of a digest was verified when it got it; its size and time of change
 * are in the tag, so that a later change is seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "drivers/file/fetch.h"
#include "drivers/file/file.h"
#include "drivers/file/mark.h"
#include "drivers/file/place.h"
#include "drivers/file/qcow2.h"
#include "drivers/file/staging.h"
#include "model/digest.h"
#include "model/native.h"

#define IMAGE_LIMIT_BYTES ((int64_t)1 << 40)

static char *images_dir(struct spinel_host *host)
{
    return arena_printf(spinel_arena(host), "%s/images", spinel_state_dir(host));
}

static char *image_tag_path(struct spinel_host *host, const char *uid)
{
    return arena_printf(spinel_arena(host), "%s/%s.tag", images_dir(host), uid);
}

/* `*tag`: NULL, there is none of ours. */
static int image_tag(struct spinel_host *host, const char *uid, const struct value **tag,
                     struct error *err)
{
    int result = tag_file_read(host, image_tag_path(host, uid), (struct natives){.now = uid},
                               "Image", tag, err);
    if (result == 0)
        *tag = tag_own(*tag, uid);
    return result;
}

static char *image_path(struct spinel_host *host, const struct value *tag)
{
    return native_image_path(spinel_arena(host), spinel_state_dir(host),
                             value_at_text(tag, "extra.digest", "sha256:none"));
}

/* ---- observe ------------------------------------------------------------------------ */

static bool is_uid_tag(const char *name)
{
    return strlen(name) == UID_TEXT - 1 + 4 && mark_is_sidecar(name) &&
           strspn(name, "0123456789abcdef") == UID_TEXT - 1;
}

struct image_scan {
    struct spinel_list *list;
    struct value *used; /* map: names of bytes that a tag refers to */
};

static int tag_each(struct spinel_host *host, const char *dir, const char *name, void *context,
                    struct error *err)
{
    (void)dir;
    struct image_scan *scan = context;
    char etag[64];
    if (!is_uid_tag(name))
        return 0;
    const char *uid = arena_text_n(spinel_arena(host), name, UID_TEXT - 1);
    const struct value *tag;
    int result = image_tag(host, uid, &tag, err);
    if (result < 0 || !tag)
        return result;
    const char *path = image_path(host, tag);
    if (access(path, F_OK) < 0)
        return errno == ENOENT ? 0 : error_sys(err, "cannot look at %s", path);
    mark_etag(path, tag, etag);
    spinel_list_add(scan->list, uid, (uint64_t)value_get_int(tag, "epoch", 0), etag);
    value_set_bool(spinel_arena(host), scan->used, strrchr(path, '/') + 1, true);
    return 0;
}

static int bytes_each(struct spinel_host *host, const char *dir, const char *name, void *context,
                      struct error *err)
{
    (void)err;
    struct image_scan *scan = context;
    const char *path = arena_printf(spinel_arena(host), "%s/%s", dir, name);
    if (!mark_is_sidecar(name) && !value_get(scan->used, name))
        spinel_list_unmanaged(scan->list, "Image", path, "no image of this rack uses it");
    return 0;
}

static int image_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    struct image_scan scan = {list, value_map(spinel_arena(host))};
    int result = names_each(host, images_dir(host), tag_each, &scan, err);
    return result < 0 ? result : names_each(host, images_dir(host), bytes_each, &scan, err);
}

static int64_t changed_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static bool is_as_verified(const struct value *tag, const struct stat *st)
{
    const struct value *extra = value_get(tag, "extra");
    return value_get_int(extra, "size", -1) == (int64_t)st->st_size &&
           value_get_int(extra, "changed", -1) == changed_ns(st);
}

static void damage_add(struct arena *arena, struct spinel_object *object, const char *path,
                       const char *desired, const char *observed)
{
    struct value *item = value_map(arena);
    value_set_text(arena, item, "path", path);
    value_set_text(arena, item, "desired", desired);
    value_set_text(arena, item, "observed", observed);
    object->damage = object->damage ? object->damage : value_list(arena);
    value_append(arena, object->damage, item);
}

static int image_look(struct spinel_host *host, const struct pool_places *places,
                      struct spinel_object *object, struct error *err)
{
    (void)places;
    struct arena *arena = spinel_arena(host);
    const struct value *tag;
    struct stat st;
    int result = image_tag(host, object->uid, &tag, err);
    if (result < 0 || !tag)
        return result;
    const char *path = image_path(host, tag);
    object->etag = mark_etag_text(host, path, tag);
    if (stat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_sys(err, "cannot look at %s", path);
    mark_fill(object, tag);
    object->spec = value_map(arena);
    object->status = value_map(arena);
    value_set_text(arena, object->spec, "digest", value_at_text(tag, "extra.digest", NULL));
    value_set_text(arena, object->spec, "format", value_at_text(tag, "extra.format", NULL));
    value_set_text(arena, object->status, "state", object->released ? "released" : "verified");
    value_set_text(arena, object->status, "path", path);
    value_set_int(arena, object->status, "size", (int64_t)st.st_size);
    if (!is_as_verified(tag, &st))
        damage_add(arena, object, "status.content", "verified", "changed since it was verified");
    return 0;
}

int image_check(struct spinel_host *host, const char *uid, const char *path, struct error *err)
{
    const struct value *tag;
    struct stat st;
    if (image_tag(host, uid, &tag, err) < 0)
        return err->code;
    if (!tag || stat(path, &st) < 0)
        return error_set(err, ERR_BUSY, "image %s is not here yet", path);
    if (is_as_verified(tag, &st))
        return 0;
    error_set(err, ERR_CORRUPT, "image %s has changed since it was verified", path);
    return error_hint(err, "Nothing is made from it; it is fetched and verified again first.");
}

/* ---- apply -------------------------------------------------------------------------- */

static int format_check(struct spinel_host *host, const struct spinel_op *op, const char *path,
                        const char *what, struct error *err)
{
    bool is_qcow2 = strcmp(value_get_text(op->spec, "format", "qcow2"), "qcow2") == 0;
    return is_qcow2 ? qcow2_check(host, path, what, err) : 0;
}

static int bytes_fetch(struct spinel_host *host, const struct spinel_op *op,
                       const struct checksum *checksum, const char *path, struct error *err)
{
    const char *source = value_get_text(op->spec, "path", value_get_text(op->spec, "url", NULL));
    struct staging staging;
    if (!source)
        return error_set(err, ERR_INVALID, "image %s has neither path nor url", op->name);
    int result = staging_open(host, path, &staging, err);
    if (result < 0)
        return result;
    result = fetch_verified(host, source, checksum, staging.fd, IMAGE_LIMIT_BYTES, err);
    if (result == 0)
        result = format_check(host, op, staging.path, source, err);
    if (result == 0 && fchmod(staging.fd, 0444) < 0)
        result = error_sys(err, "cannot protect %s", path);
    if (result == 0)
        result = staging_publish(&staging, STAGING_REPLACE, err);
    staging_close(&staging);
    return result;
}

/* Makes sure that the bytes are there and right, at the cost of a look if our tag says
 * that they were verified and nothing changed, of a hash if it does not. */
static int bytes_need(struct spinel_host *host, const struct spinel_op *op, const struct value *tag,
                      const struct checksum *checksum, const char *path, struct error *err)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        if (tag && strcmp(image_path(host, tag), path) == 0 && is_as_verified(tag, &st))
            return 0;
        int matches = checksum_matches(host, path, checksum, err);
        if (matches < 0)
            return matches;
        if (matches)
            return format_check(host, op, path, path, err);
    }
    return bytes_fetch(host, op, checksum, path, err);
}

static int image_tag_write(struct spinel_host *host, const struct spinel_op *op, const char *path,
                           struct error *err)
{
    struct arena *arena = spinel_arena(host);
    struct value *extra = value_map(arena);
    struct stat st;
    if (stat(path, &st) < 0)
        return error_sys(err, "cannot look at %s", path);
    value_set_text(arena, extra, "digest", value_get_text(op->spec, "digest", NULL));
    value_set_text(arena, extra, "format", value_get_text(op->spec, "format", "qcow2"));
    value_set_int(arena, extra, "size", (int64_t)st.st_size);
    value_set_int(arena, extra, "changed", changed_ns(&st));
    return tag_file_write(host, image_tag_path(host, op->uid), op, op->uid, extra, err);
}

struct user_search {
    const char *path, *but_uid;
    bool is_used;
};

static int user_each(struct spinel_host *host, const char *dir, const char *name, void *context,
                     struct error *err)
{
    (void)dir;
    struct user_search *search = context;
    if (!is_uid_tag(name) || strncmp(name, search->but_uid, UID_TEXT - 1) == 0)
        return 0;
    const char *uid = arena_text_n(spinel_arena(host), name, UID_TEXT - 1);
    const struct value *tag;
    if (image_tag(host, uid, &tag, err) < 0)
        return err->code;
    if (tag && strcmp(image_path(host, tag), search->path) == 0)
        search->is_used = true;
    return 0;
}

/* Removes the bytes at `path` unless an image other than `but_uid` uses them. */
static int bytes_drop(struct spinel_host *host, const char *path, const char *but_uid,
                      struct error *err)
{
    struct user_search search = {path, but_uid, false};
    int result = names_each(host, images_dir(host), user_each, &search, err);
    if (result < 0 || search.is_used)
        return result;
    if (unlink(path) < 0 && errno != ENOENT)
        return error_sys(err, "cannot remove %s", path);
    return parent_sync(path, err);
}

static int image_make(struct spinel_host *host, const struct spinel_op *op, const struct value *tag,
                      struct error *err)
{
    struct checksum checksum;
    const char *digest = value_get_text(op->spec, "digest", "");
    int result = checksum_read(digest, &checksum, err);
    if (result == 0)
        result = directories_make(host, images_dir(host), err);
    if (result < 0)
        return result;
    const char *path = native_image_path(spinel_arena(host), spinel_state_dir(host), digest);
    const char *old = tag ? image_path(host, tag) : path;
    result = bytes_need(host, op, tag, &checksum, path, err);
    if (result == 0)
        result = image_tag_write(host, op, path, err);
    if (result == 0 && strcmp(old, path) != 0)
        result = bytes_drop(host, old, op->uid, err);
    return result;
}

static int image_remove(struct spinel_host *host, const struct spinel_op *op,
                        const struct value *tag, struct error *err)
{
    if (!tag)
        return 0;
    int result = bytes_drop(host, image_path(host, tag), op->uid, err);
    const char *tag_path = image_tag_path(host, op->uid);
    if (result == 0 && unlink(tag_path) < 0 && errno != ENOENT)
        result = error_sys(err, "cannot remove %s", tag_path);
    return result < 0 ? result : parent_sync(tag_path, err);
}

static int image_apply(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    const struct value *tag;
    int result = image_tag(host, op->uid, &tag, err);
    if (result == 0)
        result = mark_admit(tag, op, err);
    if (result < 0)
        return result;
    if (op->verb == SPINEL_DELETE)
        return image_remove(host, op, tag, err);
    if (op->verb != SPINEL_RELEASE && op->verb != SPINEL_ADOPT)
        return image_make(host, op, tag, err);
    if (!tag)
        return op->verb == SPINEL_RELEASE
                   ? 0
                   : error_set(err, ERR_NOT_FOUND, "image %s is not there to adopt", op->name);
    return tag_file_write(host, image_tag_path(host, op->uid), op, op->uid, value_get(tag, "extra"),
                          err);
}

const struct file_kind image_kind = {"Image", image_list, image_look, image_apply};
