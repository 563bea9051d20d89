/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_UNIT_H
#define MODEL_UNIT_H

#include <stdint.h>
#include "model/error.h"

/*
 * Sizes and durations as manifests write them.
 *
 * Sizes: digits and one IEC 80000-13 suffix ("512MiB", "20GiB", "64KiB", "1TiB",
 * "4096B") or, as Kubernetes has it, "512Mi". No sign, fraction or space; a bare
 * number or "20G" is refused as ambiguous. 1 byte to INT64_MAX.
 * Durations: one or more of "90s", "5m", "2h", "7d", largest first ("1h30m").
 * 0 to INT64_MAX seconds; "0s" is allowed.
 */
enum { UNIT_MAX_TEXT = 48 };

/* `*bytes`, `*seconds` are written on success only. ERR_INVALID with a sentence. */
int size_read(const char *text, int64_t *bytes, struct error *err);
int duration_read(const char *text, int64_t *seconds, struct error *err);

/* The shortest exact text ("20GiB", "1h30m") into `buf`, at least UNIT_MAX_TEXT
 * bytes long. Return `buf`. */
const char *size_text(int64_t bytes, char *buf);
const char *duration_text(int64_t seconds, char *buf);

#endif
