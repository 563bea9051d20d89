/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_METHOD_H
#define DRIVER_METHOD_H

#include "drivers/lib/host.h"

struct call;
struct text;

/* Answers one line from the daemon, now or, by a call, later. */
void line_handle(struct spinel_host *host, const char *line, size_t len);

/* Run the driver's callback in this very process and append its answer as JSON. */
int callback_list(struct spinel_host *host, struct text *out, struct error *err);
int callback_apply(struct spinel_host *host, const struct spinel_op *op, struct text *out,
                   struct error *err);
/* Always appends something: the object, or that it cannot be told. */
void callback_look(struct spinel_host *host, const char *uid, struct text *out);
/* The same for many at once, by look_all. */
void callback_look_all(struct spinel_host *host, const char *const *uids, size_t count,
                       struct text *out);
void unknown_write(struct text *out, const char *uid, const struct error *err);

/* Answers a look; `objects` are what goes between the brackets. */
void objects_answer(struct spinel_host *host, const char *id, const struct text *objects);

/* Notes an apply that succeeded; replaces the error by the ledger's if that fails. */
int apply_acknowledge(struct spinel_host *host, const struct spinel_op *op, struct error *err);

#endif
