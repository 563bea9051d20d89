/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SERVER_CONTROL_H
#define RECONCILER_SERVER_CONTROL_H

#include <stdint.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/site.h"
#include "model/value.h"

/*
 * The client's end of the control socket, <stateDir>/control.sock: one JSON-RPC
 * 2.0 message a line (docs/control-protocol.md). Blocking, with a deadline.
 */
struct control;

/* ERR_NOT_FOUND: no daemon is up (no socket, or nobody behind it). */
int control_open(const struct site *site, struct control **out, struct error *err);
void control_close(struct control *control); /* NULL is allowed */

/* Sends a request and waits for its answer; notices that arrive meanwhile are kept
 * for control_next(). `timeout_ms` < 0: no limit. An error answer fills `err` (code
 * and hint from its data) and, if not NULL, `*data` with all of its data. */
int control_call(struct control *control, struct arena *arena, const char *method,
                 const struct value *params, int64_t timeout_ms, struct value **result,
                 const struct value **data, struct error *err);

/* The next notice's params: 1 with `*event`, 0 at the timeout, ERR_NOT_FOUND when the
 * daemon has closed; also returns 0 early when a signal interrupts the wait. */
int control_next(struct control *control, struct arena *arena, int64_t timeout_ms,
                 struct value **event, struct error *err);

#endif
