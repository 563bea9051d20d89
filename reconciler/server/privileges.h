/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SERVER_PRIVILEGES_H
#define RECONCILER_SERVER_PRIVILEGES_H

#include "model/error.h"

/*
 * Both do nothing without a user (NULL) or without root's rights to give away.
 * ERR_NOT_FOUND: no such user on this machine.
 */

/* Gives the state directory, and the regular files directly in it, to the user. */
int state_hand_over(const char *state_dir, const char *user_name, struct error *err);

/* For good: this process and its children are the user's, with the user's groups. */
int privileges_drop(const char *user_name, struct error *err);

#endif
