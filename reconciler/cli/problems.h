/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_PROBLEMS_H
#define RECONCILER_CLI_PROBLEMS_H

#include "model/report.h"

/* "2 errors in 1 file"; lives in the report's arena. */
const char *problems_count(const struct report *report);

/* All problems with source lines and carets on standard error, and how many. */
void problems_print(const struct report *report);

/* The same on standard output, in lines of at most `columns`: sentences are wrapped, and of
 * a long source line the part around the caret is shown. */
void problems_print_narrow(const struct report *report, int columns);

#endif
