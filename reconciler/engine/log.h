/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_LOG_H
#define RECONCILER_ENGINE_LOG_H

#include "model/value.h"

/* One line of the daemon's log on standard error, by whichever of its processes: a map whose
 * first members are "at" (RFC 3339) and "event". `format` is the site's: "json", or "logfmt"
 * (also if NULL; https://brandur.org/logfmt). */
void log_write(const char *format, const struct value *fields);

#endif
