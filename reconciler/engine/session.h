/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_ENGINE_SESSION_H
#define RECONCILER_ENGINE_SESSION_H

#include <stddef.h>
#include <sys/types.h>
#include "model/error.h"

/*
 * A driver leads a session. Who is in it dies with it, whatever process group that is in; who
 * leaves it (setsid) is to outlive the driver, as a machine is.
 *
 * A driver that nobody buries, because whoever started it is dead, too, may leave others of its
 * session alive. They are known by their environment: it names the session, and what the site
 * file gave the driver.
 */

enum { SESSION_MARK = 48 };

/* "SPINEL_SESSION=<launcher> <session>", for the environment of the one who leads the session. */
void session_mark(char mark[SESSION_MARK], pid_t launcher, pid_t session);

/* Kills the leader and all others of its session, and waits a second at most until the others are
 * dead. The leader is not reaped yet, so that its number is nobody else's. */
void session_end(pid_t leader);

/* Kills who is left in a session with these words in its environment ("SPINEL_GIVEN=...") whose
 * leader is dead, or no child of its launcher any more. ERR_BUSY if one does not die. */
int sessions_clear(const char *given, struct error *err);

#endif
