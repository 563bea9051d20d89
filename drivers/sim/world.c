/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The world is a log, one line a change:
 *
 *     <uid> <epoch> <json>     it is so now
 *     <uid> 0 -                it is gone
 *     draws <n> -              the generator of faults stands here
 *
 * Whoever writes holds flock() on the file, has read it to its end, and appends whole
 * lines; so each process's table is what the file says up to its own `offset`. A
 * compacted log is a new file under the old name, which the others notice by its inode.
 */
#include "drivers/sim/world.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "model/durable.h"
#include "model/hash.h"
#include "model/invariant.h"
#include "model/json.h"
#include "model/packed.h"
#include "model/text.h"

enum { COMPACT_SLACK = 1000, READ_BYTES = 1 << 18 };

struct world {
    char *path;
    int fd;
    ino_t inode;
    off_t offset;
    size_t line_count;
    uint64_t draws;
    struct packed things;
    size_t gone_count; /* of them */
};

typedef void seen_fn(void *context, const char *uid, bool is_gone);

static void things_free(struct world *world)
{
    packed_clear(&world->things);
    world->gone_count = 0;
}

/* Half a line would hide the next one, so nobody may write it. */
static _Noreturn void world_abandon(const struct world *world)
{
    fprintf(stderr, "sim: cannot write %s, nor take back what was written\n", world->path);
    abort();
}

/* What is gone, too. */
static struct thing *thing_of(const struct world *world, const char *uid)
{
    char key[UID_TEXT] = "";
    strncpy(key, uid, sizeof key - 1);
    return packed_find(&world->things, key);
}

static struct thing *thing_find(const struct world *world, const char *uid)
{
    struct thing *thing = thing_of(world, uid);
    return thing && !thing->is_gone ? thing : NULL;
}

static void thing_drop(struct world *world, struct thing *thing)
{
    invariant(!thing->is_gone, "%s goes twice", thing->uid);
    thing->is_gone = true;
    world->gone_count++;
}

static struct thing *thing_need(struct world *world, const char *uid)
{
    char key[UID_TEXT] = "";
    struct thing *thing = thing_of(world, uid);
    strncpy(key, uid, sizeof key - 1);
    if (!thing)
        return packed_add(&world->things, key);
    world->gone_count -= thing->is_gone;
    thing->is_gone = false;
    return thing;
}

static void thing_set(struct world *world, const char *uid, uint64_t epoch, const char *json,
                      off_t at)
{
    struct thing *thing = thing_need(world, uid);
    size_t len = strlen(json);
    invariant(len <= UINT32_MAX, "%s has a body of %zu bytes", uid, len);
    thing->at = at;
    thing->len = (uint32_t)len;
    thing->epoch = epoch;
    /* Of no key: the same in the next process. */
    thing->etag = hash_bytes_by(&(struct hash_key){{0}}, json, len) ^ epoch;
}

/* ---- reading ------------------------------------------------------------------------ */

/* Ends the line's first word, and reads the number behind it. By hand: sscanf() looks for the
 * end of all that is left of the line first. */
static int head_take(char *line, uint64_t *number, const char **rest)
{
    char *end, *space = strchr(line, ' ');
    if (!space || space == line || space - line >= UID_TEXT || space[1] < '0' || space[1] > '9')
        return -1;
    *number = strtoull(space + 1, &end, 10);
    if (*end != ' ')
        return -1;
    *space = '\0';
    *rest = end + 1;
    return 0;
}

/* `at` is where the line begins in the file. */
static int line_take(struct world *world, char *line, off_t at, seen_fn *seen, void *context)
{
    const char *word = line, *rest;
    uint64_t number;
    if (head_take(line, &number, &rest) < 0)
        return -1;
    world->line_count++;
    if (strcmp(word, "draws") == 0) {
        world->draws = number;
        return 0;
    }
    bool is_gone = strcmp(rest, "-") == 0;
    struct thing *thing = thing_find(world, word);
    if (!is_gone)
        thing_set(world, word, number, rest, at + (rest - line));
    else if (thing)
        thing_drop(world, thing);
    if (seen)
        seen(context, word, is_gone);
    return 0;
}

static int lines_take(struct world *world, char *data, size_t len, seen_fn *seen, void *context,
                      struct error *err)
{
    char *line = data;
    for (char *end; (end = memchr(line, '\n', len - (size_t)(line - data))); line = end + 1) {
        *end = '\0';
        if (line_take(world, line, world->offset + (line - data), seen, context) < 0)
            return error_set(err, ERR_CORRUPT, "%s:%zu: not a line of a world", world->path,
                             world->line_count + 1);
    }
    world->offset += line - data;
    return 0;
}

static int tail_take(struct world *world, seen_fn *seen, void *context, struct error *err)
{
    size_t room = READ_BYTES;
    char *data = memory_need(malloc(room));
    ssize_t got;
    int result = 0;
    while (result == 0 && (got = pread(world->fd, data, room, world->offset)) > 0) {
        off_t before = world->offset;
        result = lines_take(world, data, (size_t)got, seen, context, err);
        if (world->offset > before)
            continue;
        if ((size_t)got < room)
            break; /* half a line, whose writer has not come to its end */
        data = memory_need(realloc(data, room *= 2));
    }
    if (result == 0 && got < 0)
        result = error_sys(err, "cannot read %s", world->path);
    free(data);
    return result;
}

static int file_open(struct world *world, struct error *err)
{
    struct stat st;
    if (world->fd >= 0)
        close(world->fd);
    things_free(world);
    world->offset = 0;
    world->line_count = 0;
    world->fd = open(world->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (world->fd < 0 || fstat(world->fd, &st) < 0)
        return error_sys(err, "cannot open %s", world->path);
    world->inode = st.st_ino;
    return 0;
}

int world_refresh(struct world *world, seen_fn *seen, void *context, struct error *err)
{
    struct stat st;
    if (world->fd < 0 || stat(world->path, &st) < 0 || st.st_ino != world->inode) {
        int result = file_open(world, err);
        if (result < 0)
            return result;
        seen = NULL; /* everything is read anew */
    } else if (st.st_size == world->offset) {
        return 0;
    }
    return tail_take(world, seen, context, err);
}

/* ---- writing ------------------------------------------------------------------------ */

/* What is left without a newline is half a line of a writer that died. */
static int tail_mend(struct world *world, struct error *err)
{
    struct stat st;
    if (fstat(world->fd, &st) == 0 &&
        (st.st_size == world->offset || ftruncate(world->fd, world->offset) == 0))
        return 0;
    return error_sys(err, "cannot mend %s", world->path);
}

/* Holds the file's lock with the table up to date, on the file that has the name now. */
static int world_lock(struct world *world, struct error *err)
{
    struct stat st;
    for (;;) {
        if (world->fd >= 0 && flock(world->fd, LOCK_EX) < 0)
            return error_sys(err, "cannot lock %s", world->path);
        if (world->fd >= 0 && stat(world->path, &st) == 0 && st.st_ino == world->inode)
            break;
        int result = file_open(world, err);
        if (result < 0)
            return result;
    }
    if (st.st_size == world->offset)
        return 0;
    int result = tail_take(world, NULL, NULL, err);
    if (result == 0)
        result = tail_mend(world, err);
    if (result < 0)
        flock(world->fd, LOCK_UN);
    return result;
}

static int line_append(struct world *world, struct text *line, struct error *err)
{
    int result = world_lock(world, err);
    if (result < 0)
        return result;
    if (write_all(world->fd, line->data, line->len) < 0) {
        result = error_sys(err, "cannot write %s", world->path);
        if (ftruncate(world->fd, world->offset) < 0)
            world_abandon(world);
    } else {
        result = lines_take(world, line->data, line->len, NULL, NULL, err);
    }
    flock(world->fd, LOCK_UN);
    return result;
}

int world_put(struct world *world, const char *uid, uint64_t epoch, const struct value *body,
              struct error *err)
{
    struct text line = TEXT_INIT;
    text_printf(&line, "%s %" PRIu64 " ", uid, epoch);
    json_write(&line, body);
    text_add_char(&line, '\n');
    int result = line_append(world, &line, err);
    text_free(&line);
    return result;
}

int world_remove(struct world *world, const char *uid, struct error *err)
{
    struct text line = TEXT_INIT;
    text_printf(&line, "%s 0 -\n", uid);
    int result = line_append(world, &line, err);
    text_free(&line);
    return result;
}

int world_note_draws(struct world *world, uint64_t draws, struct error *err)
{
    struct text line = TEXT_INIT;
    text_printf(&line, "draws %" PRIu64 " -\n", draws);
    int result = line_append(world, &line, err);
    text_free(&line);
    return result;
}

/* On the heap, to be freed; NULL with `err`. */
static char *body_text(const struct world *world, const struct thing *thing, struct error *err)
{
    char *text = memory_need(malloc((size_t)thing->len + 1));
    ssize_t got = pread(world->fd, text, thing->len, thing->at);
    text[thing->len] = '\0';
    if (got >= 0 && (size_t)got == thing->len)
        return text;
    error_set(err, ERR_CORRUPT, "%s: cannot read what it says of %s", world->path, thing->uid);
    free(text);
    return NULL;
}

int world_body(const struct world *world, struct arena *arena, const struct thing *thing,
               struct value **body, struct error *err)
{
    char *text = body_text(world, thing, err);
    int result = text ? json_read(arena, text, thing->len, body, err) : err->code;
    free(text);
    return result;
}

static int things_write(const struct world *world, struct text *out, struct error *err)
{
    for (const struct thing *thing = NULL; (thing = world_next(world, thing));) {
        char *body = body_text(world, thing, err);
        if (!body)
            return err->code;
        text_printf(out, "%s %" PRIu64 " ", thing->uid, thing->epoch);
        text_add_n(out, body, thing->len);
        text_add_char(out, '\n');
        free(body);
    }
    return 0;
}

static int world_compact(struct world *world, struct error *err)
{
    struct text whole = TEXT_INIT;
    char *fresh = NULL;
    int result = world_lock(world, err);
    if (result < 0)
        return result;
    if (asprintf(&fresh, "%s.new", world->path) < 0)
        memory_out();
    text_printf(&whole, "draws %" PRIu64 " -\n", world->draws);
    result = things_write(world, &whole, err);
    int fd = result < 0 ? -1 : fresh_open(AT_FDCWD, fresh, O_WRONLY);
    if (result == 0 && (fd < 0 || write_all(fd, whole.data, whole.len) < 0 || fsync(fd) < 0 ||
                        rename(fresh, world->path) < 0))
        result = error_sys(err, "cannot write %s", fresh);
    if (fd >= 0)
        close(fd);
    flock(world->fd, LOCK_UN);
    text_free(&whole);
    free(fresh);
    return result < 0 ? result : world_refresh(world, NULL, NULL, err);
}

/* ---- the rest ----------------------------------------------------------------------- */

int world_open(const char *path, struct world **out, struct error *err)
{
    struct world *world = memory_need(calloc(1, sizeof *world));
    world->path = memory_need(strdup(path));
    world->fd = -1;
    world->things = (struct packed)PACKED_OF(struct thing, uid);
    int result = world_refresh(world, NULL, NULL, err);
    if (result == 0 && world->line_count > 2 * world_count(world) + COMPACT_SLACK)
        result = world_compact(world, err);
    if (result < 0)
        world_free(world);
    else
        *out = world;
    return result;
}

void world_free(struct world *world)
{
    if (!world)
        return;
    things_free(world);
    if (world->fd >= 0)
        close(world->fd);
    free(world->path);
    free(world);
}

const struct thing *world_find(const struct world *world, const char *uid)
{
    return thing_find(world, uid);
}

const struct thing *world_next(const struct world *world, const struct thing *last)
{
    const struct thing *first = (const struct thing *)(const void *)world->things.rows;
    size_t i = last ? (size_t)(last - first) + 1 : 0;
    while (i < world->things.count && first[i].is_gone)
        i++;
    return i < world->things.count ? &first[i] : NULL;
}

size_t world_count(const struct world *world)
{
    return world->things.count - world->gone_count;
}

const char *world_stamp(const struct world *world, struct arena *arena)
{
    return arena_printf(arena, "%jx.%jx", (uintmax_t)world->inode, (uintmax_t)world->offset);
}

uint64_t world_draws(const struct world *world)
{
    return world->draws;
}
