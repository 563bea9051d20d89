/* SPDX-License-Identifier: MPL-2.0 */
#ifndef SERVER_CONFORMANCE_H
#define SERVER_CONFORMANCE_H

#include <stdio.h>

struct value;

/*
 * The conformance suite: whether a driver keeps the promises of docs/driver-protocol.md.
 * Starts the command `argv` (ends with NULL) in a temporary state directory, as often as
 * it takes, and writes TAP to `out`. Creates and deletes one object of the first kind
 * that it has a sample of: it is meant for a machine where that does no harm.
 *
 * `settings` (may be NULL) goes to the driver as the site file's would. Returns 0 if
 * every promise is kept, 1 if one is not, or if the driver does not start.
 */
int conformance_run_with(const char *const argv[], const struct value *settings, FILE *out);
int conformance_run(const char *const argv[], FILE *out);

#endif
