/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SOURCE_BOUND_H
#define RECONCILER_SOURCE_BOUND_H

#include <stddef.h>

/*
 * A bound on what libgit2 takes of memory at a time, so that an object can be read without its
 * size being asked for first: to tell the size of a packed object, libgit2 walks its deltas down to
 * their base, which costs as much as to read it.
 */

/* Makes libgit2 ask here for memory; once, after its first git_libgit2_init() and before there are
 * threads. */
void bound_install(void);

/* From now on a request of libgit2 in this thread for more bytes than that fails, and with it the
 * call that made it. It should leave room for libgit2's own tables. SIZE_MAX: none. */
void bound_set(size_t most);

#endif
