/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_SAVED_H
#define RECONCILER_CLI_SAVED_H

#include "model/arena.h"
#include "model/error.h"
#include "model/value.h"

/* Saved plans as files: mode 0600, replaced as a whole or not at all. */
int saved_write(struct arena *arena, const char *path, const struct value *plan, struct error *err);
int saved_read(struct arena *arena, const char *path, struct value **saved, struct error *err);

#endif
