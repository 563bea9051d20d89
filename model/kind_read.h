/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_KIND_READ_H
#define MODEL_KIND_READ_H

#include "model/kind.h"

/* One file of model/kinds/ as model/embed.sh puts it into the binary. */
struct kind_file {
    const char *name;
    const char *text;
    size_t len;
};

/* A kind from its file; a mistake in it ends the process with file and line.
 * Lives in `arena`. Private to kind.c. */
struct kind *kind_read(struct arena *arena, const struct kind_file *file);

#endif
