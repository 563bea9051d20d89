/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_LIST_H
#define DRIVER_LIST_H

#include "drivers/spinel-driver.h"
#include "model/text.h"

/* What callbacks add to, kept as the JSON that will be sent: 100,000 rows are no tree. */
struct spinel_list {
    struct spinel_host *host;
    struct text rows;
    struct text unmanaged;
    struct text trash;
    struct text objects;
    const char *const *uids; /* of look_all: what is asked for */
    size_t uid_count;
    size_t told; /* objects added so far */
};

/* Appends `text` as a JSON string. */
void json_add_text(struct text *out, const char *text);

/* Appends one object as docs/driver-protocol.md has it; what the driver left to the
 * library (epoch 0) is filled in from the ledger. */
void object_write(struct spinel_host *host, struct text *out, const struct spinel_object *object);

#endif
