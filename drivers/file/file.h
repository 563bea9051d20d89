/* SPDX-License-Identifier: MPL-2.0 */
#ifndef FILE_FILE_H
#define FILE_FILE_H

#include "drivers/spinel-driver.h"

struct pool_places;

/* One kind of the file driver. `look` leaves object->absent true if it finds nothing; the places
 * were read just before. */
struct file_kind {
    const char *name;
    int (*list)(struct spinel_host *host, struct spinel_list *list, struct error *err);
    int (*look)(struct spinel_host *host, const struct pool_places *places,
                struct spinel_object *object, struct error *err);
    int (*apply)(struct spinel_host *host, const struct spinel_op *op, struct error *err);
};

/* Whether the bytes of this Image are still those that were verified: by the size and time of
 * change that its tag keeps. ERR_BUSY: they are not here yet; ERR_CORRUPT: something wrote to them.
 */
int image_check(struct spinel_host *host, const char *uid, const char *path, struct error *err);

/* Volumes' steps together, an outcome each; which may go together, or NULL (struct spinel_driver).
 */
void volume_apply_all(struct spinel_host *host, const struct spinel_op *const *ops, size_t count,
                      struct error *outcomes);
const char *volume_group(struct spinel_host *host, const struct spinel_op *op);

extern const struct file_kind pool_kind, image_kind, volume_kind, seed_kind;

#endif
