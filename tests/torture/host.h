/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_TORTURE_HOST_H
#define TESTS_TORTURE_HOST_H

/*
 * Goes on, as root, as the first process of a PID namespace: a driver whose calls fail may kill
 * whom it never meant to, and meets nobody else there.
 */
void host_enter(void);

/* What ends this process by SIGTERM, SIGINT or SIGHUP: SIG_DFL, or a handler. */
void host_signals(void (*handler)(int signal));

/*
 * A host for the real drivers: a network namespace and a /run of this process's own, and whatever
 * becomes an orphan below it is its child. NULL, or what this machine lacks for it.
 */
const char *host_open(void);

/* A fresh one: every process that is left ends, and networks and /run are empty. */
void host_renew(void);

void host_close(void);

#endif
