/* SPDX-License-Identifier: MPL-2.0 */
#ifndef FILE_FETCH_H
#define FILE_FETCH_H

#include "drivers/spinel-driver.h"

/* A digest as manifests write it, split: "sha256:<64 hex>" or "sha512:<128 hex>". */
struct checksum {
    bool is_sha512;
    const char *hex; /* lower case, borrowed from the text */
};

int checksum_read(const char *text, struct checksum *checksum, struct error *err);

/* Writes the bytes of `source` (an absolute path or a URL) to `fd` from its start and
 * verifies them on the way. A path must be a regular file that everybody may read, else
 * ERR_DENIED: the driver is root, and whoever may push names it. ERR_INVALID, with both digests, if
 * they are not the ones expected; without the one found if the source is a URL, or the file lies in
 * a directory that not everybody may enter: to use such bytes one has to know them already.
 * ERR_DENIED if a URL leads to where reach.h refuses. ERR_BUSY if the source does
 * not answer. */
int fetch_verified(struct spinel_host *host, const char *source, const struct checksum *expected,
                   int fd, int64_t size_limit_bytes, struct error *err);

/* Whether the file at `path` has this digest: 1, 0, or an error. */
int checksum_matches(struct spinel_host *host, const char *path, const struct checksum *expected,
                     struct error *err);

#endif
