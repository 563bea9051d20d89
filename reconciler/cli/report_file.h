/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_REPORT_FILE_H
#define RECONCILER_CLI_REPORT_FILE_H

#include <stdbool.h>
#include "model/arena.h"
#include "model/error.h"
#include "model/text.h"

/* Files that a report goes to, whole or not at all. */

/* Text as HTML or XML may have it between tags or in a quoted attribute. What XML 1.0 has no
 * place for, control characters, becomes U+FFFD. */
void markup_add(struct text *out, const char *text);

/* Whether the FILE that an option was given is "-": standard output. NULL is none. */
bool file_is_stdout(const char *path);

/* Sees to it that a file that is renamed to `*path` takes no other's place: a device or a pipe is
 * refused, and where a link leads to takes the place of the link. */
int file_need_own(struct arena *arena, const char **path, struct error *err);

/* Writes the file beside its name and then gives it the name; readable by everybody. "-" is
 * standard output. */
int report_file_write(struct arena *arena, const char *path, const struct text *text,
                      struct error *err);

#endif
