/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_PROBLEMS_H
#define RECONCILER_CLI_PROBLEMS_H

#include "model/report.h"

/* All problems with source lines and carets on standard error, and "N errors in M files". */
void problems_print(const struct report *report);

#endif
