/* SPDX-License-Identifier: MPL-2.0 */
#ifndef FILE_TRASH_H
#define FILE_TRASH_H

#include "drivers/spinel-driver.h"

/*
 * What a delete took away lies in its pool's trash for a while ("trashRetention" of the
 * driver's settings, seven days if it is left out), for the person who finds out late.
 * It is over when the wall clock says so and this driver has also been up for as long:
 * a clock that was set wrong destroys nothing.
 */

/* Reads the settings and looks at the trash of every pool now and then. */
int trash_start(struct spinel_host *host, const struct value *settings, struct error *err);

char *trash_dir(struct spinel_host *host, const char *pool_dir);

/* Moves a volume's file and tag into its pool's trash, `*dir`. ERR_SYSTEM leaves it where it is.
 * Durable once `*dir` was synced, and after it the directory where the volume was. */
int trash_put(struct spinel_host *host, const char *path, const char *uid, const char **dir,
              struct error *err);

/* Unlinks what lies in any trash of this uid; nothing there is no error. */
int trash_purge(struct spinel_host *host, const char *uid, struct error *err);

/* Tells what lies in the trash of every pool. */
int trash_list(struct spinel_host *host, struct spinel_list *list, struct error *err);

#endif
