/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SERVER_PRIVILEGES_H
#define RECONCILER_SERVER_PRIVILEGES_H

#include <pwd.h>
#include "model/error.h"

/* Borrowed texts, until the next one is asked for. ERR_NOT_FOUND names `field` of the site file. */
int user_find(const char *name, const char *field, struct passwd *user, struct error *err);

/* No program that this process runs gets rights that it has not, and it becomes that user for
 * good, and not dumpable; the latter two not without a user or without root. */
int privileges_drop(const char *user, struct error *err);

/* The same with `user` of the viewer, who may read what the group of `core_user` may; NULL: it is
 * the core's. */
int privileges_drop_for_viewer(const char *user, const char *core_user, struct error *err);

/* ERR_NOT_FOUND if one that is named is none of this machine's. As root only. */
int privileges_check(const char *core_user, const char *web_user, struct error *err);

#endif
