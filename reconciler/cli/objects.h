/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_OBJECTS_H
#define RECONCILER_CLI_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include "model/error.h"
#include "model/kind.h"
#include "model/value.h"
#include "reconciler/cli/command.h"
#include "reconciler/plan/plan.h"
#include "reconciler/store/documents.h"
#include "reconciler/store/store.h"

/* The objects that the store knows, as `get` and `describe` show them. */

/* The site's store for reading: 0, with `*store` NULL if there is none yet. */
int objects_store(struct cli *cli, struct store **store, struct error *err);

/* Whether `row` is what "PROJECT/NAME" or "NAME" means. */
bool object_is_named(const struct known *row, const char *name);

/* The one object of `kind` that `name` means: ERR_NOT_FOUND if there is none or no store
 * (`store` NULL), ERR_INVALID if there are several, which the error names. */
int object_find(struct arena *arena, struct store *store, const struct kind *kind, const char *name,
                const struct known **row, struct error *err);

/* {"kind","metadata","spec","status"} */
struct value *object_value(struct arena *arena, const struct known *row);

#endif
