/* SPDX-License-Identifier: MPL-2.0 */
#ifndef FILE_QCOW2_H
#define FILE_QCOW2_H

#include <stdint.h>
#include "drivers/spinel-driver.h"

/* Virtual size in bytes, from the header alone. */
int qcow2_size(const char *path, uint64_t *size_bytes, struct error *err);

/* Makes the empty file `fd` an image of zeros, as `qemu-img create` would, of whole sectors. */
int qcow2_create(int fd, uint64_t size_bytes, struct error *err);

/* Refuses what an image may not have: a backing file, an external data file, encryption,
 * features we do not know, a virtual size beyond reason; then has `qemu-img info` look at
 * it, with little memory and time, for a structure that does not hold together. `path`
 * is named `what` in errors. */
int qcow2_check(struct spinel_host *host, const char *path, const char *what, struct error *err);

#endif
