/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_DAEMON_H
#define RECONCILER_CLI_DAEMON_H

#include "model/site.h"
#include "reconciler/cli/command.h"
#include "reconciler/server/control.h"

/* 0 with `*control`, which is NULL if no daemon is up; negative on other errors. */
int daemon_open(const struct site *site, struct control **control, struct error *err);

/* One request to a daemon that may not be there: 0 with `*result`, which is NULL if
 * no daemon is up. `params` NULL: none. */
int daemon_ask(const struct site *site, struct arena *arena, const char *method,
               const struct value *params, struct value **result, struct error *err);

/* Who is at the keyboard, for the record: $SUDO_USER, else the user's name. */
const char *daemon_who(struct arena *arena);

#endif
