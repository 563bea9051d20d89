/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Seeds: a FAT file system labelled CIDATA for cloud-init's NoCloud, the same bytes from
 * the same content. What is in it is in its tag too, but user-data, which is a secret:
 * of the whole there is a keyed digest, so that a seed that was changed is seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "drivers/file/file.h"
#include "drivers/file/mark.h"
#include "drivers/file/place.h"
#include "drivers/file/staging.h"
#include "model/digest.h"
#include "model/native.h"

#define SEEDS "seeds" /* what names are within (mark.h) */

enum { SEED_BYTES = 1 << 20, SEED_MAX_BYTES = 16 << 20, FILE_TIME = 946684800 /* 2000-01-01 */ };

static const struct {
    const char *field, *file;
} parts[] = {
    {"metaData", "meta-data"},
    {"userData", "user-data"},
    {"networkConfig", "network-config"},
};
enum { PART_COUNT = sizeof parts / sizeof *parts };

static char *seeds_dir(struct spinel_host *host)
{
    return arena_printf(spinel_arena(host), "%s/seeds", spinel_state_dir(host));
}

static char *seed_path(struct spinel_host *host, const char *uid)
{
    return native_seed_path(spinel_arena(host), spinel_state_dir(host), uid);
}

/* `*tag`: NULL, there is none of ours. */
static int seed_tag(struct spinel_host *host, const char *uid, const struct value **tag,
                    struct error *err)
{
    int result = mark_read(host, seed_path(host, uid), SEEDS, "Seed", tag, err);
    if (result == 0)
        *tag = tag_own(*tag, uid);
    return result;
}

/* ---- observe ------------------------------------------------------------------------ */

static int seed_each(struct spinel_host *host, const char *dir, const char *name, void *context,
                     struct error *err)
{
    struct spinel_list *list = context;
    const char *path = arena_printf(spinel_arena(host), "%s/%s", dir, name);
    const char *uid = arena_text_n(spinel_arena(host), name, strcspn(name, "."));
    const struct value *tag = NULL;
    char etag[64];
    if (mark_is_sidecar(name))
        return 0;
    if (strlen(uid) == UID_TEXT - 1 && seed_tag(host, uid, &tag, err) < 0)
        return err->code;
    if (!tag) {
        spinel_list_unmanaged(list, "Seed", path, "it carries no valid tag of this rack");
        return 0;
    }
    mark_etag(path, tag, etag);
    spinel_list_add(list, uid, (uint64_t)value_get_int(tag, "epoch", 0), etag);
    return 0;
}

static int seed_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    return names_each(host, seeds_dir(host), seed_each, list, err);
}

/* The keyed digest of the whole file. */
static int content_digest(struct spinel_host *host, int fd, const char **digest, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size > SEED_MAX_BYTES)
        return error_set(err, ERR_CORRUPT, "a seed is larger than any that was made here");
    char *bytes = arena_alloc(spinel_arena(host), (size_t)st.st_size + 1);
    if (pread(fd, bytes, (size_t)st.st_size, 0) != st.st_size)
        return error_sys(err, "cannot read a seed");
    *digest = spinel_digest(host, bytes, (size_t)st.st_size);
    return 0;
}

static struct value *content_damage(struct arena *arena)
{
    struct value *list = value_list(arena), *item = value_map(arena);
    value_set_text(arena, item, "path", "status.content");
    value_set_text(arena, item, "desired", "as declared");
    value_set_text(arena, item, "observed", "changed");
    value_append(arena, list, item);
    return list;
}

static bool is_untouched(struct spinel_host *host, const char *path, const struct value *tag)
{
    struct error ignored = ERROR_INIT;
    const char *digest = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    int result = content_digest(host, fd, &digest, &ignored);
    close(fd);
    return result == 0 && strcmp(digest, value_at_text(tag, "extra.content", "")) == 0;
}

static int seed_look(struct spinel_host *host, const struct pool_places *places,
                     struct spinel_object *object, struct error *err)
{
    (void)places;
    struct arena *arena = spinel_arena(host);
    const struct value *tag;
    const char *path = seed_path(host, object->uid);
    int result = seed_tag(host, object->uid, &tag, err);
    if (result < 0 || !tag)
        return result;
    mark_fill(object, tag);
    object->etag = mark_etag_text(host, path, tag);
    object->spec = value_copy(arena, value_at(tag, "extra.spec"));
    object->status = value_map(arena);
    value_set_text(arena, object->status, "state", object->released ? "released" : "ready");
    value_set_text(arena, object->status, "path", path);
    if (!is_untouched(host, path, tag))
        object->damage = content_damage(arena);
    return 0;
}

/* ---- apply -------------------------------------------------------------------------- */

/* A file in memory with this content, old enough to be the same in every copy. */
static int memory_file(const char *text, struct error *err)
{
    const struct timespec times[2] = {{.tv_sec = FILE_TIME}, {.tv_sec = FILE_TIME}};
    size_t len = strlen(text);
    int fd = memfd_create("seed", MFD_CLOEXEC);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len || futimens(fd, times) < 0) {
        int result = error_sys(err, "cannot hold a seed's file in memory");
        if (fd >= 0)
            close(fd);
        return result;
    }
    return fd;
}

static int part_copy(struct spinel_host *host, const char *image, const char *text,
                     const char *name, struct error *err)
{
    struct arena *arena = spinel_arena(host);
    int fd = memory_file(text, err);
    if (fd < 0)
        return fd;
    const char *const argv[] = {"mcopy",
                                "-i",
                                image,
                                "-m",
                                "-Q",
                                arena_printf(arena, "/proc/%d/fd/%d", (int)getpid(), fd),
                                arena_printf(arena, "::/%s", name),
                                NULL};
    int result = spinel_run(host, argv, NULL, err);
    close(fd);
    return result;
}

static int seed_fill(struct spinel_host *host, const struct spinel_op *op,
                     const struct staging *staging, struct error *err)
{
    const char *const argv[] = {"mkfs.vfat", "--invariant", "-n", "CIDATA", staging->path, NULL};
    if (ftruncate(staging->fd, SEED_BYTES) < 0)
        return error_sys(err, "cannot size %s", staging->target);
    /* FAT keeps local times and mtools the time of the copy: both are made constant. */
    setenv("TZ", "UTC", 1);
    setenv("SOURCE_DATE_EPOCH", "946684800", 1);
    setenv("MTOOLS_SKIP_CHECK", "1", 1);
    int result = spinel_run(host, argv, NULL, err);
    for (size_t i = 0; result == 0 && i < PART_COUNT; i++) {
        const char *text = value_get_text(op->spec, parts[i].field, NULL);
        if (text || strcmp(parts[i].file, "user-data") == 0) /* NoCloud needs it, even empty */
            result = part_copy(host, staging->path, text ? text : "", parts[i].file, err);
    }
    return result;
}

static int seed_extra(struct spinel_host *host, const struct spinel_op *op, int fd,
                      struct value **extra, struct error *err)
{
    struct arena *arena = spinel_arena(host);
    const char *digest;
    int result = content_digest(host, fd, &digest, err);
    if (result < 0)
        return result;
    struct value *spec = value_copy(arena, op->spec);
    value_unset(spec, "userData");
    *extra = value_map(arena);
    value_set(arena, *extra, "spec", spec);
    value_set_text(arena, *extra, "content", digest);
    return 0;
}

static int seed_make(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    const char *path = seed_path(host, op->uid);
    struct staging staging;
    struct value *extra;
    int result = directories_make(host, seeds_dir(host), err);
    if (result == 0)
        result = staging_open(host, path, &staging, err);
    if (result < 0)
        return result;
    result = seed_fill(host, op, &staging, err);
    if (result == 0)
        result = seed_extra(host, op, staging.fd, &extra, err);
    if (result == 0)
        result = mark_write(host, staging.fd, path, SEEDS, op, extra, err);
    if (result == 0)
        result = staging_publish(&staging, STAGING_REPLACE, err);
    staging_close(&staging);
    return result;
}

static int seed_retag(struct spinel_host *host, const struct spinel_op *op, const char *path,
                      struct error *err)
{
    int fd, result = mark_rewrite(host, path, SEEDS, op, NULL, &fd, err);
    if (result < 0)
        return result;
    if (fsync(fd) < 0)
        result = error_sys(err, "cannot make the tag of %s durable", path);
    close(fd);
    return result;
}

static int seed_remove(struct spinel_host *host, const char *path, struct error *err)
{
    if (unlink(path) < 0 && errno != ENOENT)
        return error_sys(err, "cannot remove %s", path);
    unlink(mark_sidecar(host, path));
    return parent_sync(path, err);
}

static int seed_apply(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    const char *path = seed_path(host, op->uid);
    const struct value *tag;
    int result = seed_tag(host, op->uid, &tag, err);
    if (result == 0)
        result = mark_admit(tag, op, err);
    bool makes =
        op->verb != SPINEL_DELETE && op->verb != SPINEL_RELEASE && op->verb != SPINEL_ADOPT;
    if (result < 0)
        return result;
    if (!tag && makes && access(path, F_OK) == 0) {
        error_set(err, ERR_DENIED, "%s is there, but carries no valid tag of this rack", path);
        return error_hint(err, "Move the file away; it is never overwritten.");
    }
    if (makes)
        return seed_make(host, op, err);
    if (op->verb == SPINEL_DELETE)
        return tag ? seed_remove(host, path, err) : 0;
    if (tag)
        return seed_retag(host, op, path, err);
    return op->verb == SPINEL_RELEASE
               ? 0
               : error_set(err, ERR_NOT_FOUND, "seed %s is not there to adopt", op->name);
}

const struct file_kind seed_kind = {"Seed", seed_list, seed_look, seed_apply};
