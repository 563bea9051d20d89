/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SERVER_LOADING_H
#define RECONCILER_SERVER_LOADING_H

#include "model/error.h"

struct loading;
struct server;
struct store;

/* By a thread: the server's store, source and core are its own until it has ended. */
typedef int loading_work(struct server *server, struct error *err);
/* By the loop, once it has ended: `status` and `err` are what it came to. */
typedef void loading_done(struct server *server, int status, struct error *err);

/* Begins the work; server->loading is set until it is done. */
int loading_begin(struct server *server, loading_work *work, loading_done *done, struct error *err);

/* The store for reading, meanwhile. */
struct store *loading_reader(const struct loading *loading);

#endif
