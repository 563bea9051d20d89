/* SPDX-License-Identifier: MPL-2.0 */
#ifndef DRIVER_LEDGER_H
#define DRIVER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include "drivers/spinel-driver.h"
#include "model/text.h"

/*
 * What a driver remembers of the operations that it was sent: for each uid the
 * highest epoch that it let in (which fences older ones), the highest that it
 * acknowledged (which confirms a delete), and the last operation that succeeded.
 * Entries outlive their objects: an acknowledged delete stays acknowledged.
 */
struct ledger;

/* Reads "<dir>/ledger"; a missing file is an empty ledger, a torn last line is what a
 * crash leaves and is dropped, any other bad line is ERR_CORRUPT. */
int ledger_open(const char *dir, struct ledger **out, struct error *err);
void ledger_free(struct ledger *ledger); /* NULL is allowed */

/* From now on this process writes: opens the file for appending, compacted if most of it is old. */
int ledger_claim(struct ledger *ledger, struct error *err);

/* Reads again what another process may have written; only without a claim. */
int ledger_refresh(struct ledger *ledger, struct error *err);

uint64_t ledger_admitted(const struct ledger *ledger, const char *uid); /* 0: never heard of */
uint64_t ledger_acknowledged(const struct ledger *ledger, const char *uid);

/* Appends a word and a space: another word whenever any of this may have changed. */
void ledger_stamp(const struct ledger *ledger, struct text *out);

/* Whether an operation was let in and has not succeeded: it is under way, failed, or died with
 * whoever carried it out, and what came of it is anybody's guess. */
bool ledger_is_open(const struct ledger *ledger, const char *uid);

/* Whether this very delete succeeded before and nothing was let in since. */
bool ledger_has_deleted(const struct ledger *ledger, const struct spinel_op *op);

/* Note that an operation was let in, that it succeeded. ERR_NO_SPACE leaves file and
 * ledger as they were. Both are durable only after ledger_sync(). */
int ledger_admit(struct ledger *ledger, const struct spinel_op *op, struct error *err);
int ledger_acknowledge(struct ledger *ledger, const struct spinel_op *op, struct error *err);

/* fsync, if anything was written since the last one. A failure is fatal to the caller:
 * the kernel may have dropped what it could not write. */
int ledger_sync(struct ledger *ledger, struct error *err);

/* Whether `op` may stand in a ledger: 1 to 128 printable characters without a space. */
bool ledger_takes(const char *op);

#endif
