/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_CALLBACK_H
#define DRIVER_CALLBACK_H

#include "drivers/spinel-driver.h"
#include "model/text.h"

/* Run the driver's callback in this very process and append its answer as JSON. */
/* `since`: token of the list that the asker has, who is then only told if it is still so; or NULL.
 */
int callback_list(struct spinel_host *host, const char *since, struct text *out, struct error *err);
int callback_apply(struct spinel_host *host, const struct spinel_op *op, struct text *out,
                   struct error *err);
/* What an apply that was carried out is answered with. */
void applied_write(struct text *out, const struct spinel_op *op);
/* Several of one group, with an outcome for each. */
void callback_apply_all(struct spinel_host *host, const struct spinel_op *const *ops, size_t count,
                        struct error *outcomes);
/* Always appends something: the object, or that it cannot be told. */
void callback_look(struct spinel_host *host, const char *uid, struct text *out);
/* The same for many at once, by look_all. */
void callback_look_all(struct spinel_host *host, const char *const *uids, size_t count,
                       struct text *out);
void unknown_write(struct text *out, const char *uid, const struct error *err);

/* `result`, which is the error's code if it is negative; a driver that failed without
 * filling the error gets one. */
int give_reason(const struct spinel_host *host, int result, struct error *err);

#endif
