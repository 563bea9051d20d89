/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SERVER_CHECKING_H
#define RECONCILER_SERVER_CHECKING_H

struct checking;
struct server;

/*
 * Reads a store through that was too large to be read before the start, in a thread of the lowest
 * priority. When it finds damage the core ends with that error (server->failure), and none starts
 * on this store until it is repaired. Until then server->checking is set, and who ends does not
 * wait for it: see core_process().
 */
void checking_begin(struct server *server);

#endif
