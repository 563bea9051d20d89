/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_FUZZ_SCENE_H
#define TESTS_FUZZ_SCENE_H

#include "model/site.h"

/* Behind tokenFile: must never be seen in an answer. */
#define FUZZ_TOKEN "a-token-that-nobody-guesses"

/*
 * A site in memory for targets of the server: a repository with a commit on main, a driver
 * that is never started, a token. Made once.
 */
const struct site *fuzz_site(void);

/* Keeps what is in the state directory now, and brings it back. */
void fuzz_state_keep(const struct site *site);
void fuzz_state_restore(const struct site *site);

#endif
