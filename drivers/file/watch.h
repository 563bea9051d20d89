/* SPDX-License-Identifier: MPL-2.0 */
#ifndef FILE_WATCH_H
#define FILE_WATCH_H

#include "drivers/spinel-driver.h"

/* Tells the engine when files of ours change behind its back: what happens within a
 * fifth of a second is told once for each object. Lives in the main process. */
int watch_start(struct spinel_host *host, struct error *err);

#endif
