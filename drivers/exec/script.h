/* SPDX-License-Identifier: MPL-2.0 */
#ifndef EXEC_SCRIPT_H
#define EXEC_SCRIPT_H

#include "drivers/spinel-driver.h"

/* Runs `path method` with `input` as JSON on its standard input. What it prints on
 * standard output is parsed into `*output` (NULL if it prints nothing); `output` may be
 * NULL. Exit status 0 is success; else the last line of its standard error is the
 * message: 2 means invalid, 3 unsupported, 4 busy, anything else a failure. */
int script_run(struct spinel_host *host, const char *path, const char *method,
               const struct value *input, struct value **output, struct error *err);

#endif
