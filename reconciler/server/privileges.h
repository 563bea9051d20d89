/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SERVER_PRIVILEGES_H
#define RECONCILER_SERVER_PRIVILEGES_H

#include <pwd.h>
#include "model/error.h"

/* Borrowed texts, until the next one is asked for. ERR_NOT_FOUND names `field` of the site file. */
int user_find(const char *name, const char *field, struct passwd *user, struct error *err);

/* This process becomes that user for good, and not dumpable. Does nothing without a user or
 * without root. */
int privileges_drop(const char *user, struct error *err);

#endif
