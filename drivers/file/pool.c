/* SPDX-License-Identifier: MPL-2.0 */
/* Pools: directories with our tag in them, never removed while they hold anything. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "drivers/file/file.h"
#include "drivers/file/mark.h"
#include "drivers/file/place.h"
#include "drivers/file/staging.h"
#include "drivers/lib/host.h"
#include "model/native.h"

static int unmounted(const struct pool_place *place, struct error *err)
{
    error_set(err, ERR_BUSY, "pool directory %s is not the one that was tagged", place->dir);
    return error_hint(err, "Mount the pool's file system, then it is looked at again.");
}

static int pool_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    struct pool_places places;
    int result = places_read(host, &places, err);
    for (size_t i = 0; result == 0 && i < places.count; i++) {
        const struct pool_place *place = &places.items[i];
        if (place->is_unmounted)
            result = unmounted(place, err);
        else if (place->tag)
            spinel_list_add(list, place->uid, (uint64_t)value_get_int(place->tag, "epoch", 0),
                            value_get_text(place->tag, "mac", "untagged"));
    }
    return result;
}

static const struct pool_place *place_find(const struct pool_places *places, const char *uid)
{
    for (size_t i = 0; i < places->count; i++)
        if (places->items[i].uid && strcmp(places->items[i].uid, uid) == 0)
            return &places->items[i];
    return NULL;
}

static void pool_describe(struct spinel_host *host, struct spinel_object *object,
                          const struct pool_place *place)
{
    struct arena *arena = spinel_arena(host);
    struct statvfs fs;
    object->spec = value_map(arena);
    object->status = value_map(arena);
    /* A pool that named no directory has none in its spec. */
    if (value_get_bool(value_get(place->tag, "extra"), "named", false))
        value_set_text(arena, object->spec, "path", place->dir);
    value_set_text(arena, object->status, "state", object->released ? "released" : "ready");
    value_set_text(arena, object->status, "path", place->dir);
    if (statvfs(place->dir, &fs) == 0)
        value_set_int(arena, object->status, "free", (int64_t)(fs.f_bavail * fs.f_frsize));
}

static int pool_look(struct spinel_host *host, const struct pool_places *places,
                     struct spinel_object *object, struct error *err)
{
    const struct pool_place *place = place_find(places, object->uid);
    if (!place)
        return 0;
    if (place->is_unmounted)
        return unmounted(place, err);
    /* Its tag was removed: it is not ours to use until a create tags it again. */
    if (!place->tag)
        return 0;
    mark_fill(object, place->tag);
    object->etag = value_get_text(place->tag, "mac", "untagged");
    pool_describe(host, object, place);
    return 0;
}

static int pool_tag_write(struct spinel_host *host, const struct spinel_op *op, const char *dir,
                          bool is_named, struct error *err)
{
    struct arena *arena = spinel_arena(host);
    struct value *extra = value_map(arena);
    const char *path = arena_printf(arena, "%s/" POOL_TAG, dir);
    value_set_bool(arena, extra, "named", is_named);
    return tag_file_write(host, path, op, dir, extra, err);
}

struct contents {
    const char *within; /* that names of its own would be */
    bool has_ours;
    const char *stranger; /* name of one that is not; NULL: none */
};

static int contents_each(struct spinel_host *host, const char *dir, const char *name, void *context,
                         struct error *err)
{
    struct contents *contents = context;
    struct error ignored = ERROR_INIT;
    const struct value *tag = NULL;
    (void)err;
    if (strcmp(name, "lost+found") == 0 || mark_is_sidecar(name))
        return 0;
    const char *path = arena_printf(spinel_arena(host), "%s/%s", dir, name);
    if (mark_read(host, path, contents->within, "Volume", &tag, &ignored) == 0 && tag)
        contents->has_ours = true;
    else
        contents->stranger = name;
    return 0;
}

/* A directory that is in use for something else, or for another pool's files, does not become a
 * pool: its owner would find volumes between his files, and we would watch and list what is not
 * ours. */
static int directory_may_be_pool(struct spinel_host *host, const char *dir, const char *uid,
                                 struct error *err)
{
    struct contents contents = {.within = pool_within(host, dir, uid)};
    int result = names_each(host, dir, contents_each, &contents, err);
    if (result < 0 || contents.has_ours || !contents.stranger)
        return result;
    error_set(err, ERR_CONFLICT, "%s is no pool of this rack, and is not empty: it holds %s", dir,
              contents.stranger);
    return error_hint(err, "Name a directory that does not exist yet, or an empty one.");
}

/* A link in a volume's place would be followed. */
static int directory_is_own(const char *dir, struct error *err)
{
    struct stat st;
    if (stat(dir, &st) < 0)
        return error_sys(err, "cannot look at directory %s", dir);
    if (dir_check_own(dir, &st, err) == 0)
        return 0;
    return error_hint(err, "A pool is where nobody else may write: 'chown root' and 'chmod go-w' "
                           "it, or name another directory.");
}

static int pool_make(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    bool is_named = value_get_text(op->spec, "path", NULL) != NULL;
    const char *dir =
        native_pool_dir(spinel_arena(host), spinel_state_dir(host), op->name, op->spec);
    int result = directories_make(host, dir, err);
    if (result == 0)
        result = directory_is_own(dir, err);
    const struct value *tag = NULL;
    if (result == 0)
        result = pool_tag(host, dir, &tag, err);
    if (result == 0 && !tag)
        result = directory_may_be_pool(host, dir, op->uid, err);
    if (result < 0 || (result = mark_admit(tag, op, err)) < 0)
        return result;
    if (tag && strcmp(value_get_text(tag, "uid", ""), op->uid) != 0)
        return error_set(err, ERR_DENIED, "%s is the directory of another pool, %s", dir,
                         value_get_text(tag, "name", "?"));
    result = place_note(host, op->uid, dir, err);
    return result < 0 ? result : pool_tag_write(host, op, dir, is_named, err);
}

/* Also a draft of our tag, whose writer died before it got its name. */
static bool is_own_name(const char *name)
{
    static const char *const own[] = {".", "..", POOL_TAG, "." POOL_TAG ".new", POOL_TRASH};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(name, own[i]) == 0)
            return true;
    return false;
}

static int directory_is_empty(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;
    if (!dir)
        return errno == ENOENT;
    errno = 0;
    for (const struct dirent *entry; (entry = readdir(dir));)
        count += !is_own_name(entry->d_name);
    count += errno != 0; /* what could not be read may be there */
    closedir(dir);
    return count == 0;
}

static int pool_remove(struct spinel_host *host, const struct pool_place *place, struct error *err)
{
    struct arena *arena = spinel_arena(host);
    const char *trash = arena_printf(arena, "%s/" POOL_TRASH, place->dir);
    if (!directory_is_empty(place->dir) || !directory_is_empty(trash)) {
        error_set(err, ERR_BUSY, "pool directory %s still holds files and is kept", place->dir);
        return error_hint(
            err, "Move the files away, or list what was kept and give it up: spinel purge");
    }
    rmdir(trash);
    unlink(arena_printf(arena, "%s/." POOL_TAG ".new", place->dir));
    unlink(arena_printf(arena, "%s/" POOL_TAG, place->dir));
    /* A mount point or a directory of somebody who wrote in just now stays. */
    bool is_gone = rmdir(place->dir) == 0 || errno == ENOENT;
    if (!is_gone && errno != EBUSY && errno != ENOTEMPTY)
        return error_sys(err, "cannot remove %s", place->dir);
    if ((is_gone ? parent_sync(place->dir, err) : directory_sync(place->dir, err)) < 0)
        return err->code;
    return place_forget(host, place->uid, err);
}

static int pool_apply(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    struct pool_places places;
    int result = places_read(host, &places, err);
    const struct pool_place *place = result == 0 ? place_find(&places, op->uid) : NULL;
    if (result == 0 && place && place->is_unmounted)
        result = unmounted(place, err);
    if (result < 0)
        return result;
    if (op->verb == SPINEL_CREATE || op->verb == SPINEL_UPDATE || op->verb == SPINEL_RESTART)
        return pool_make(host, op, err);
    if (place && (result = mark_admit(place->tag, op, err)) < 0)
        return result;
    if (op->verb == SPINEL_DELETE)
        return place ? pool_remove(host, place, err) : 0;
    if (!place)
        return op->verb == SPINEL_RELEASE
                   ? 0
                   : error_set(err, ERR_NOT_FOUND, "pool %s is not there to adopt", op->name);
    return pool_tag_write(host, op, place->dir,
                          value_get_bool(value_get(place->tag, "extra"), "named", false), err);
}

const struct file_kind pool_kind = {"Pool", pool_list, pool_look, pool_apply};
