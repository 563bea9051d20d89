/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SERVER_ADDRESS_H
#define RECONCILER_SERVER_ADDRESS_H

#include "model/error.h"

/* Where the control socket is: <stateDir>/control.sock, or in <stateDir>/core (store/home.h),
 * however long that path is. */

/* ERR_NOT_FOUND when no daemon is up: no socket, or nobody behind it. Close-on-exec. */
int control_connect(const char *state_dir, int *fd, struct error *err);

/* A listening, non-blocking socket, mode 0660, of group `spinel` where that exists. What a
 * dead daemon left is replaced. The store's lock keeps a second daemon from coming here. */
int control_listen(const char *state_dir, int *fd, struct error *err);

/* Takes the socket's name away again, while the store's lock is still held. */
void control_forget(const char *state_dir);

#endif
