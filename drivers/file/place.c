/* SPDX-License-Identifier: MPL-2.0 */
/* Finding pools again; see place.h. */
#include "drivers/file/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "drivers/file/mark.h"
#include "drivers/file/staging.h"
#include "model/json.h"
#include "model/native.h"

enum { PLACES_MAX = 4096, NOTE_MAX = 8192 };

int names_each(struct spinel_host *host, const char *path,
               int (*each)(struct spinel_host *, const char *, const char *, void *,
                           struct error *),
               void *context, struct error *err)
{
    DIR *dir = opendir(path);
    int result = 0;
    if (!dir)
        return errno == ENOENT ? 0 : error_sys(err, "cannot read directory %s", path);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno)
                result = error_sys(err, "cannot read directory %s", path);
            break;
        }
        if (entry->d_name[0] == '.')
            continue;
        result = each(host, path, arena_text(spinel_arena(host), entry->d_name), context, err);
        if (result < 0)
            break;
    }
    closedir(dir);
    return result;
}

const char *pool_within(struct spinel_host *host, const char *dir, const char *uid)
{
    struct arena *arena = spinel_arena(host);
    const char *usual = native_pool_dir(arena, spinel_state_dir(host), NULL, NULL);
    return strcmp(dir, usual) == 0 ? "default" : uid;
}

int pool_tag(struct spinel_host *host, const char *dir, const struct value **tag, struct error *err)
{
    struct arena *arena = spinel_arena(host);
    struct stat st;
    if (stat(dir, &st) < 0) {
        if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
            return error_sys(err, "cannot read the tag of %s", dir);
        *tag = NULL;
        return 0;
    }
    struct natives natives = {dir, arena_printf(arena, "%s:%ju", dir, (uintmax_t)st.st_ino)};
    return tag_file_read(host, arena_printf(arena, "%s/" POOL_TAG, dir), natives, "Pool", tag, err);
}

char *place_notes_dir(struct spinel_host *host)
{
    return arena_printf(spinel_arena(host), "%s/pools", spinel_own_dir(host));
}

static struct pool_place *place_of(const struct pool_places *places, const char *dir)
{
    for (size_t i = 0; i < places->count; i++)
        if (strcmp(places->items[i].dir, dir) == 0)
            return &places->items[i];
    return NULL;
}

static struct pool_place *place_add(struct spinel_host *host, struct pool_places *places,
                                    const char *dir)
{
    struct error ignored = ERROR_INIT;
    struct pool_place *place = place_of(places, dir);
    if (place || places->count == PLACES_MAX)
        return place;
    places->items = arena_grow(spinel_arena(host), places->items, places->count, &places->room,
                               sizeof *places->items);
    place = &places->items[places->count++];
    *place = (struct pool_place){.dir = dir};
    /* What cannot be looked at may be. */
    place->is_unmounted = pool_tag(host, dir, &place->tag, &ignored) < 0;
    place->uid = value_get_text(place->tag, "uid", NULL);
    place->within = pool_within(host, dir, place->uid);
    return place;
}

static int note_read(struct spinel_host *host, const char *path, struct value **note,
                     struct error *err)
{
    char *text = arena_alloc(spinel_arena(host), NOTE_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, NOTE_MAX);
    int result = len < 0 ? error_sys(err, "cannot read %s", path)
                         : json_read(spinel_arena(host), text, (size_t)len, note, err);
    if (fd >= 0)
        close(fd);
    return result;
}

/* Whether a file system is missing. A directory that is gone was removed, or its mount took it
 * along: then it was on another device than what is above it. What cannot be looked at may be. */
static bool is_missing(struct spinel_host *host, const char *dir, int64_t device, bool *is_there)
{
    struct stat st;
    char *path = arena_text(spinel_arena(host), dir);
    *is_there = true;
    while (stat(path, &st) < 0) {
        char *slash = strrchr(path, '/');
        if (errno != ENOENT || !slash || strcmp(path, "/") == 0)
            return true;
        slash[slash == path] = '\0';
        *is_there = false;
    }
    return (int64_t)st.st_dev != device;
}

static int note_each(struct spinel_host *host, const char *dir, const char *name, void *context,
                     struct error *err)
{
    struct value *note;
    bool is_there;
    const char *path = arena_printf(spinel_arena(host), "%s/%s", dir, name);
    if (note_read(host, path, &note, err) < 0)
        return error_wrap(err, "the note on pool %s", name);
    const char *pool_dir = value_get_text(note, "path", "");
    bool is_unmounted = is_missing(host, pool_dir, value_get_int(note, "device", 0), &is_there);
    if (!is_there && !is_unmounted)
        return 0;
    struct pool_place *place = place_add(host, context, pool_dir);
    if (!place || place->tag)
        return 0;
    place->uid = name;
    place->within = pool_within(host, pool_dir, name);
    place->is_unmounted |= is_unmounted;
    return 0;
}

static int own_each(struct spinel_host *host, const char *dir, const char *name, void *context,
                    struct error *err)
{
    struct stat st;
    const char *path = arena_printf(spinel_arena(host), "%s/%s", dir, name);
    if (stat(path, &st) < 0) /* a pool that cannot be looked at has not lost its volumes */
        return errno == ENOENT || errno == ELOOP ? 0 : error_sys(err, "cannot look at %s", path);
    if (S_ISDIR(st.st_mode))
        place_add(host, context, path);
    return 0;
}

int places_read(struct spinel_host *host, struct pool_places *places, struct error *err)
{
    struct arena *arena = spinel_arena(host);
    *places = (struct pool_places){.count = 0};
    int result = names_each(host, place_notes_dir(host), note_each, places, err);
    if (result < 0)
        return result;
    const char *own = arena_printf(arena, "%s/pools", spinel_state_dir(host));
    return names_each(host, own, own_each, places, err);
}

int place_note(struct spinel_host *host, const char *uid, const char *dir, struct error *err)
{
    struct arena *arena = spinel_arena(host);
    struct stat st;
    if (stat(dir, &st) < 0)
        return error_sys(err, "cannot look at %s", dir);
    struct value *note = value_map(arena);
    value_set_text(arena, note, "path", dir);
    value_set_int(arena, note, "device", (int64_t)st.st_dev);
    if (directories_make(host, place_notes_dir(host), err) < 0)
        return err->code;
    return staging_replace(host, arena_printf(arena, "%s/%s", place_notes_dir(host), uid),
                           json_text(arena, note), err);
}

int place_forget(struct spinel_host *host, const char *uid, struct error *err)
{
    const char *path = arena_printf(spinel_arena(host), "%s/%s", place_notes_dir(host), uid);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_sys(err, "cannot remove %s", path);
    return parent_sync(path, err);
}
