/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SERVER_HANDOVER_H
#define RECONCILER_SERVER_HANDOVER_H

#include <stdbool.h>
#include "model/error.h"

/*
 * Before the core starts as `user`: `state_dir` is root's, which the user may pass through and not
 * write to, and `state_dir`/core with all regular files in it is the user's. What lies in
 * `state_dir` itself from before moves there: `*has_moved` says so. Anything else of the user's in
 * `state_dir`, and a directory above it or above `key_file` (NULL: none) in which the user could
 * put another thing in place of it, is ERR_DENIED.
 * Does nothing without a user or without root.
 */
int state_hand_over(const char *state_dir, const char *key_file, const char *user, bool *has_moved,
                    struct error *err);

#endif
