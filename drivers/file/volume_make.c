/* SPDX-License-Identifier: MPL-2.0 */
/* New volumes: empty, or with an image's bytes. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include "drivers/file/copy.h"
#include "drivers/file/file.h"
#include "drivers/file/mark.h"
#include "drivers/file/qcow2.h"
#include "drivers/file/volume.h"
#include "model/native.h"

/* What a new volume is made of. */
struct blank {
    const char *path;
    const char *within; /* that its name is (mark.h) */
    const char *format;
    uint64_t size_bytes;
    const char *image_path; /* NULL: it starts empty */
    const char *image_format;
};

static const struct value *ref_spec(const struct spinel_op *op, const char *kind, const char *name)
{
    return value_get(value_get(value_get(op->refs, kind), name), "spec");
}

const char *volume_pool_dir(struct spinel_host *host, const struct spinel_op *op)
{
    const char *name = value_get_text(op->spec, "pool", NULL);
    return native_pool_dir(spinel_arena(host), spinel_state_dir(host), name,
                           name ? ref_spec(op, "Pool", name) : NULL);
}

static int pool_need(struct spinel_host *host, const struct spinel_op *op, const char **dir,
                     const char **within, struct error *err)
{
    const char *name = value_get_text(op->spec, "pool", NULL);
    const struct value *tag;
    *dir = volume_pool_dir(host, op);
    *within = pool_within(host, *dir, NULL);
    if (!name)
        return directories_make(host, *dir, err);
    if (!ref_spec(op, "Pool", name))
        return error_set(err, ERR_INVALID, "volume %s: pool %s was not sent along", op->name, name);
    if (pool_tag(host, *dir, &tag, err) == 0 && tag) {
        *within = pool_within(host, *dir, value_get_text(tag, "uid", NULL));
        return 0;
    }
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
    struct volume_found image = {.path = blank->image_path, .format = blank->image_format};
    int result = volume_size(&image, &st, &needs_bytes, err);
    if (result < 0 || needs_bytes <= blank->size_bytes)
        return result;
    error_set(err, ERR_INVALID, "the image holds %" PRIu64 " bytes and the volume only %" PRIu64,
              needs_bytes, blank->size_bytes);
    return error_hint(err, "Make spec.size at least as large as the image.");
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
    result = qcow2_create(staging->fd, blank->size_bytes, err);
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

static int blank_make(struct spinel_host *host, const struct spinel_op *op,
                      const struct blank *blank, struct staging *staging, struct error *err)
{
    int result = staging_open(host, blank->path, staging, err);
    if (result < 0)
        return result;
    result = blank_fill(host, blank, staging, err);
    if (result == 0)
        result = mark_write(host, staging->fd, blank->path, blank->within, op,
                            volume_extra(spinel_arena(host), op), err);
    if (result < 0)
        staging_close(staging);
    return result;
}

int volume_make(struct spinel_host *host, const struct spinel_op *op, struct staging *staging,
                struct error *err)
{
    struct blank blank = {.format = value_get_text(op->spec, "format", "raw"),
                          .size_bytes = (uint64_t)value_get_int(op->spec, "size", 0)};
    const char *dir;
    if (strcmp(blank.format, "raw") != 0 && strcmp(blank.format, "qcow2") != 0)
        return error_set(err, ERR_INVALID, "volume format \"%s\" is neither raw nor qcow2",
                         blank.format);
    if (value_get_int(op->spec, "size", 0) < 512)
        return error_set(err, ERR_INVALID, "volume %s has no size", op->name);
    int result = pool_need(host, op, &dir, &blank.within, err);
    if (result == 0)
        result = image_need(host, op, &blank, err);
    if (result < 0)
        return result;
    blank.path = native_volume_path(spinel_arena(host), dir, op->uid, blank.format);
    return blank_make(host, op, &blank, staging, err);
}
