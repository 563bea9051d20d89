/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_FUZZ_SCENE_H
#define TESTS_FUZZ_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include "model/site.h"
#include "reconciler/store/query.h"

/* Behind tokenFile: must never be seen in an answer. */
#define FUZZ_TOKEN "a-token-that-nobody-guesses"

/*
 * A site in memory for targets of the server: a repository with a commit on main, a driver
 * that is never started, a token. Made once.
 */
const struct site *fuzz_site(void);

bool fuzz_tells_token(const char *said, size_t len);

/*
 * Keeps the rows of a store that stays open, and brings them back: what an input wrote is
 * gone before the next, without a file closed or a statement prepared again.
 */
void fuzz_rows_keep(struct store *store);
void fuzz_rows_restore(struct store *store);

#endif
