/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_PIPE_H
#define RECONCILER_CLI_PIPE_H

#include <stddef.h>

#include "model/error.h"

/* Runs a program of the path with `input` on its standard input, and waits for it.
 * ERR_SYSTEM if it cannot be run or fails; what it said is on standard error. SIGPIPE is
 * ignored from then on. */
int pipe_run(const char *const argv[], const char *input, size_t len, struct error *err);

#endif
