/* SPDX-License-Identifier: MPL-2.0 */
#ifndef FILE_COPY_H
#define FILE_COPY_H

#include "drivers/spinel-driver.h"

/* Fills the new, empty file `to` with the bytes of `from`: by sharing them where the file
 * system can (reflink), else by copying what is not a hole. `from_path` is for errors. */
int file_copy(struct spinel_host *host, int from, const char *from_path, int to, struct error *err);

#endif
