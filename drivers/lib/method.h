/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_METHOD_H
#define DRIVER_METHOD_H

#include "drivers/lib/host.h"

struct call;
struct text;

/* Answers one line from the daemon, now or, by a call, later. */
void line_handle(struct spinel_host *host, const char *line, size_t len);

/* Answers a look; `objects` are what goes between the brackets. */
void objects_answer(struct spinel_host *host, const char *id, const struct text *objects);

/* Notes an apply that succeeded; replaces the error by the ledger's if that fails. */
int apply_acknowledge(struct spinel_host *host, const struct spinel_op *op, struct error *err);

#endif
