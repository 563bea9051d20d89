/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_DRIFT_JUNIT_H
#define RECONCILER_CLI_DRIFT_JUNIT_H

#include "model/arena.h"
#include "model/error.h"
#include "model/value.h"

/* Writes a drift document (spinel/drift/v1) as JUnit XML: each field that drifted is a test
 * case, and one that is open has failed; without any there is one case that passed. */
int drift_junit_write(struct arena *arena, const char *path, const struct value *document,
                      struct error *err);

#endif
