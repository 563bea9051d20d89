/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Steps of volumes, those of one pool together: what waits for a disk waits once.
 *
 *   begin   each makes its file without a name, or tags the one that is there, or moves it away
 *   sync    each file is made durable: the first one takes most of the others along
 *   name    each new file gets its name
 *   sync    each directory that was written to, once
 *
 * Whoever dies in the middle leaves what a single step would leave: nothing, or a whole volume
 * whose step comes again. One that fails is passed over by the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include "drivers/file/file.h"
#include "drivers/file/mark.h"
#include "drivers/lib/sync.h"
#include "drivers/file/trash.h"
#include "drivers/file/volume.h"

enum { TOGETHER_MAX = 128 }; /* files that are open at once */

struct step {
    const struct spinel_op *op;
    struct error *err;      /* its outcome */
    struct staging staging; /* of a new volume; its fd is -1 if there is none */
    int tagged_fd;          /* of one that was there and has a new tag; -1 */
    const char *into_dir;   /* that a name was moved into; NULL */
    const char *pool_dir;   /* whose names changed, or may have, when a step died; NULL */
};

/* ---- one of them -------------------------------------------------------------------- */

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

static int volume_grow(struct spinel_host *host, const struct volume_found *found,
                       uint64_t size_bytes, struct error *err)
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

/* What a volume was made of stays; how safe it is to be may change. */
static const struct value *extra_changed(struct arena *arena, const struct volume_found *found,
                                         const struct spinel_op *op)
{
    const struct value *had = value_get(found->tag, "extra");
    struct value *extra = had ? value_copy(arena, had) : value_map(arena);
    value_set_bool(arena, extra, "protect", value_get_bool(op->spec, "protect", false));
    return extra;
}

static int volume_change(struct spinel_host *host, struct step *step,
                         const struct volume_found *found, struct error *err)
{
    const struct spinel_op *op = step->op;
    uint64_t now_bytes, wanted_bytes = (uint64_t)value_get_int(op->spec, "size", 0);
    struct stat st;
    if (stat(found->path, &st) < 0)
        return error_sys(err, "cannot look at %s", found->path);
    int result = volume_size(found, &st, &now_bytes, err);
    if (result < 0)
        return result;
    if (wanted_bytes < now_bytes)
        return error_set(err, ERR_INVALID,
                         "volume %s: %" PRIu64 " to %" PRIu64 " bytes would shrink it", op->name,
                         now_bytes, wanted_bytes);
    if (wanted_bytes > now_bytes)
        result = volume_grow(host, found, wanted_bytes, err);
    return result < 0
               ? result
               : mark_rewrite(host, found->path, found->within, op,
                              extra_changed(spinel_arena(host), found, op), &step->tagged_fd, err);
}

/* A purge says that nothing of it is to be kept, in the trash either. What is protected says so by
 * itself, whatever the daemon's records have come to. */
static int volume_delete(struct spinel_host *host, struct step *step,
                         const struct volume_found *found, struct error *err)
{
    const struct spinel_op *op = step->op;
    if (value_get_bool(value_get(found->tag, "extra"), "protect", false)) {
        error_set(err, ERR_DENIED, "volume %s is protected", op->name);
        return error_hint(err, "Lift protect in one commit, and remove it in a later one.");
    }
    int result = free_need(found->path, err);
    if (result == 0)
        result = trash_put(host, found->path, op->uid, &step->into_dir, err);
    return result == 0 && op->is_purge ? trash_purge(host, op->uid, err) : result;
}

/* Who moved it into the trash may have died before that was durable, and before its sidecar. */
static int gone_make_durable(struct spinel_host *host, const struct pool_places *places,
                             const char *uid, struct error *err)
{
    for (size_t i = 0; i < places->count; i++) {
        const char *dir = places->items[i].dir, *trash = trash_dir(host, dir);
        if (places->items[i].is_unmounted)
            continue;
        if (access(trash, F_OK) < 0) {
            if (errno == ENOENT)
                continue;
            return error_sys(err, "cannot look at %s", trash);
        }
        volume_sidecars_drop(host, dir, uid);
        if (directory_sync(trash, err) < 0 || directory_sync(dir, err) < 0)
            return err->code;
    }
    return 0;
}

static int volume_absent(struct spinel_host *host, const struct pool_places *places,
                         struct step *step, const struct volume_found *found, struct error *err)
{
    const struct spinel_op *op = step->op;
    int result = 0;
    if (found->path)
        return volume_doubt(found, err);
    switch (op->verb) {
    case SPINEL_DELETE:
        result = gone_make_durable(host, places, op->uid, err);
        return result == 0 && op->is_purge ? trash_purge(host, op->uid, err) : result;
    case SPINEL_RELEASE:
        return 0;
    case SPINEL_ADOPT:
        return error_set(err, ERR_NOT_FOUND, "volume %s is not there to adopt", op->name);
    default:
        break;
    }
    result = volume_make(host, op, &step->staging, err);
    if (result == 0)
        step->pool_dir = parent_of(spinel_arena(host), step->staging.target);
    return result;
}

static int volume_turn(struct spinel_host *host, const struct pool_places *places,
                       struct step *step, struct error *err)
{
    struct volume_found found;
    int result = volume_find(host, places, step->op->uid, &found, err);
    if (result < 0)
        return result;
    if (!found.tag)
        return volume_absent(host, places, step, &found, err);
    result = mark_admit(found.tag, step->op, err);
    if (result < 0)
        return result;
    /* Who gave it its name may have died before that was durable. */
    step->pool_dir = parent_of(spinel_arena(host), found.path);
    switch (step->op->verb) {
    case SPINEL_DELETE:
        return volume_delete(host, step, &found, err);
    case SPINEL_RELEASE:
    case SPINEL_ADOPT:
        return mark_rewrite(host, found.path, found.within, step->op, NULL, &step->tagged_fd, err);
    default:
        return volume_change(host, step, &found, err);
    }
}

/* ---- all of them -------------------------------------------------------------------- */

static bool has_failed(const struct step *step)
{
    return step->err->code != ERR_NONE;
}

static void step_begin(struct spinel_host *host, const struct pool_places *places,
                       struct step *step)
{
    if (spinel_remaining_ms(host) == 0)
        error_set(step->err, ERR_BUSY, "time was up before the turn of volume %s", step->op->name);
    else
        volume_turn(host, places, step, step->err);
}

static void step_name(struct step *step)
{
    if (!has_failed(step) && step->staging.fd >= 0)
        staging_name(&step->staging, STAGING_NEW, step->err);
}

static void step_end(struct step *step)
{
    staging_close(&step->staging);
    if (step->tagged_fd >= 0)
        close(step->tagged_fd);
}

/* The file that it made or tagged; -1: none. */
static int file_of(const struct step *step)
{
    if (has_failed(step))
        return -1;
    return step->staging.fd >= 0 ? step->staging.fd : step->tagged_fd;
}

static void files_make_durable(struct step *steps, size_t count)
{
    struct to_sync files[TOGETHER_MAX];
    size_t file_count = 0;
    for (size_t i = 0; i < count; i++)
        if (file_of(&steps[i]) >= 0)
            files[file_count++] = (struct to_sync){.fd = file_of(&steps[i])};
    files_sync(files, file_count);
    for (size_t i = 0, n = 0; i < count; i++) {
        if (file_of(&steps[i]) < 0)
            continue;
        errno = files[n++].failed;
        if (errno)
            error_sys(steps[i].err, "cannot make volume %s durable", steps[i].op->name);
    }
}

/* Where a name was moved to comes before where it was: in between there are two, and never none. */
static const char *into_dir_of(const struct step *step)
{
    return step->into_dir;
}

static const char *pool_dir_of(const struct step *step)
{
    return step->pool_dir;
}

static bool is_to_sync(const struct step *step, const char *(*dir_of)(const struct step *),
                       const char *dir)
{
    return !has_failed(step) && dir_of(step) && strcmp(dir_of(step), dir) == 0;
}

/* Each directory once; if it cannot be synced, all that wrote to it have failed. */
static void directories_sync(struct step *steps, size_t count,
                             const char *(*dir_of)(const struct step *))
{
    for (size_t i = 0; i < count; i++) {
        struct error err = ERROR_INIT;
        const char *dir = has_failed(&steps[i]) ? NULL : dir_of(&steps[i]);
        size_t first = 0;
        while (dir && !is_to_sync(&steps[first], dir_of, dir))
            first++;
        if (!dir || first < i || directory_sync(dir, &err) == 0)
            continue;
        for (size_t n = i; n < count; n++)
            if (is_to_sync(&steps[n], dir_of, dir))
                *steps[n].err = err;
    }
}

static void steps_carry_out(struct spinel_host *host, const struct pool_places *places,
                            struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        step_begin(host, places, &steps[i]);
    files_make_durable(steps, count);
    for (size_t i = 0; i < count; i++)
        step_name(&steps[i]);
    directories_sync(steps, count, into_dir_of);
    directories_sync(steps, count, pool_dir_of);
    for (size_t i = 0; i < count; i++)
        step_end(&steps[i]);
}

void volume_apply_all(struct spinel_host *host, const struct spinel_op *const *ops, size_t count,
                      struct error *outcomes)
{
    struct step steps[TOGETHER_MAX];
    struct pool_places places;
    for (size_t at = 0, now; at < count; at += now) {
        struct error err = ERROR_INIT;
        now = count - at < TOGETHER_MAX ? count - at : TOGETHER_MAX;
        for (size_t i = 0; i < now; i++)
            steps[i] = (struct step){.op = ops[at + i],
                                     .err = &outcomes[at + i],
                                     .staging = {.fd = -1},
                                     .tagged_fd = -1};
        if (places_read(host, &places, &err) == 0)
            steps_carry_out(host, &places, steps, now);
        for (size_t i = 0; err.code != ERR_NONE && i < now; i++)
            *steps[i].err = err;
    }
}

/* What has an image copies or converts it, a program makes what is no raw file larger, and a purge
 * gives back the room of large files. */
static bool may_take_long(const struct spinel_op *op)
{
    switch (op->verb) {
    case SPINEL_DELETE:
        return op->is_purge;
    case SPINEL_RELEASE:
    case SPINEL_ADOPT:
        return false;
    default:
        return value_get_text(op->spec, "image", NULL) ||
               (op->verb != SPINEL_CREATE &&
                strcmp(value_get_text(op->spec, "format", "raw"), "raw") != 0);
    }
}

/* Without a manifest nobody knows which pool it is. */
const char *volume_group(struct spinel_host *host, const struct spinel_op *op)
{
    return op->spec && !may_take_long(op) ? volume_pool_dir(host, op) : NULL;
}
