/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_NETNS_H
#define LINUX_VPC_NETNS_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/*
 * Named network namespaces, kept as iproute2 keeps them: a bind mount at
 * /run/netns/<name>. Entering changes the calling thread only, so this is for
 * single-threaded processes; netlink sockets stay in the namespace in which they
 * were opened.
 */

/* Makes the namespace; one that is there already is success. */
int netns_create(const char *name, struct error *err);

/* Unmounts and removes the name; what still runs inside keeps it alive, so end
 * that first. Absent already is success. */
int netns_delete(const char *name, struct error *err);

/* A descriptor of the namespace (the caller closes it), or ERR_NOT_FOUND: there is
 * no such name, or it is a file left behind with no namespace on it. */
int netns_open(const char *name, struct error *err);

/* Inode number of the namespace, which proves that a name still means what it
 * meant; 0 if it is not there. An error, for lack of a descriptor for one, says that
 * it cannot be told. */
int netns_find(const char *name, uint64_t *inode, struct error *err);
/* The same, where 0 may as well mean that it cannot be told. */
uint64_t netns_inode(const char *name);

/* Enters the namespace. `*home` is what netns_leave() needs to come back. */
int netns_enter(const char *name, int *home, struct error *err);
void netns_leave(int home);

#endif
