/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_SHARE_H
#define RECONCILER_CLI_SHARE_H

#include "model/arena.h"

/* Files that come with the program: some in the binary, others beside it. */

/* A file compiled in ("pre-receive", "post-receive", "starter.yaml"); never NULL: asking for
 * another is a mistake of ours. NUL-terminated, static. */
const char *share_text(const char *name);

/* The absolute path of this program. */
const char *share_program(struct arena *arena);

/* A file or directory that is installed: in the build tree ("../<tree>" from the program's
 * directory) or in PREFIX/share/spinel/<installed>. NULL if it is in neither. */
const char *share_find(struct arena *arena, const char *tree, const char *installed);

#endif
