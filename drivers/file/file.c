/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The file driver: pools, images, volumes and seeds as plain files of this host. Each
 * kind is one file of this folder; what has no valid tag of this rack is reported and
 * never touched.
 */
#include "drivers/file/file.h"

#include <curl/curl.h>
#include <string.h>
#include "drivers/file/place.h"
#include "drivers/file/reach.h"
#include "drivers/file/trash.h"
#include "drivers/file/watch.h"

static const struct file_kind *const kinds[] = {&pool_kind, &image_kind, &volume_kind, &seed_kind};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

static int file_start(struct spinel_host *host, const struct value *settings, struct value *reply,
                      struct error *err)
{
    (void)reply;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, ERR_UNSUPPORTED, "libcurl cannot start");
    int result = reach_start(settings, err);
    if (result == 0)
        result = trash_start(host, settings, err);
    return result < 0 ? result : watch_start(host, err);
}

static int file_list(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        int result = kinds[i]->list(host, list, err);
        if (result < 0)
            return result;
    }
    return trash_list(host, list, err);
}

/* A uid says nothing of its kind: each is asked. */
static int object_look(struct spinel_host *host, const struct pool_places *places,
                       struct spinel_object *object, struct error *err)
{
    object->absent = true;
    for (size_t i = 0; i < KIND_COUNT && object->absent; i++) {
        int result = kinds[i]->look(host, places, object, err);
        if (result < 0)
            return result;
    }
    return 0;
}

static int file_look(struct spinel_host *host, struct spinel_object *object, struct error *err)
{
    struct pool_places places;
    int result = places_read(host, &places, err);
    return result < 0 ? result : object_look(host, &places, object, err);
}

static int file_look_all(struct spinel_host *host, struct spinel_list *list, struct error *err)
{
    struct pool_places places;
    size_t count;
    const char *const *uids = spinel_list_wanted(list, &count);
    int result = places_read(host, &places, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        struct error why = ERROR_INIT;
        struct spinel_object object = {.uid = uids[i]};
        if (object_look(host, &places, &object, &why) < 0)
            spinel_list_unknown(list, uids[i], &why);
        else
            spinel_list_object(list, &object);
    }
    return result;
}

static int room_hint(int result, struct error *err)
{
    if (result == ERR_NO_SPACE && !err->hint[0])
        error_hint(err, "Make room on the pool's file system, or name another pool; it is tried "
                        "again.");
    return result;
}

static int file_apply(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strcmp(kinds[i]->name, op->kind) == 0)
            return room_hint(kinds[i]->apply(host, op, err), err);
    return error_set(err, ERR_UNSUPPORTED, "driver file has no kind %s", op->kind);
}

static const char *file_group(struct spinel_host *host, const struct spinel_op *op)
{
    return strcmp(op->kind, volume_kind.name) == 0 ? volume_group(host, op) : NULL;
}

static void file_apply_all(struct spinel_host *host, const struct spinel_op *const *ops,
                           size_t count, struct error *outcomes)
{
    volume_apply_all(host, ops, count, outcomes);
    for (size_t i = 0; i < count; i++)
        room_hint(outcomes[i].code, &outcomes[i]);
}

static const struct spinel_driver driver = {
    .name = "file",
    .version = "1",
    .kinds = "Pool Image Volume Seed",
    .start = file_start,
    .list = file_list,
    .look = file_look,
    .apply = file_apply,
    .look_all = file_look_all,
    .group = file_group,
    .apply_all = file_apply_all,
    .group_max = 256,
    .group_kinds = "Volume",
};

SPINEL_DRIVER(driver)
