/* SPDX-License-Identifier: MPL-2.0 */
#ifndef FILE_FILE_H
#define FILE_FILE_H

#include "drivers/spinel-driver.h"

/* One kind of the file driver. `look` leaves object->absent true if it finds nothing. */
struct file_kind {
    const char *name;
    int (*list)(struct spinel_host *host, struct spinel_list *list, struct error *err);
    int (*look)(struct spinel_host *host, struct spinel_object *object, struct error *err);
    int (*apply)(struct spinel_host *host, const struct spinel_op *op, struct error *err);
};

/* Whether the bytes of this Image are still those that were verified: by the size and time of
 * change that its tag keeps. ERR_BUSY: they are not here yet; ERR_CORRUPT: something wrote to them.
 */
int image_check(struct spinel_host *host, const char *uid, const char *path, struct error *err);

extern const struct file_kind pool_kind, image_kind, volume_kind, seed_kind;

#endif
