/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_DRIFT_HTML_H
#define RECONCILER_CLI_DRIFT_HTML_H

#include "model/arena.h"
#include "model/error.h"
#include "model/value.h"

/* Writes a drift document as one HTML file that needs nothing else; replaced as a whole. */
int drift_html_write(struct arena *arena, const char *path, const struct value *document,
                     struct error *err);

#endif
