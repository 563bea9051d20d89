/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_STORE_HOME_H
#define RECONCILER_STORE_HOME_H

#include <limits.h>

/* The name of the core's own directory within stateDir. */
#define STORE_HOME "core"
/* And of what it keeps there: the database, and the lock of who may write to it. */
#define STORE_FILE "spinel.db"
#define STORE_LOCK "lock"

/*
 * Where the core keeps what is its own: <stateDir>/core if that is a directory, and stateDir
 * itself if not. The supervisor makes it for a core with a user of its own (server/handover.c).
 */
void store_home(const char *state_dir, char home[PATH_MAX]);

#endif
