/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_ADMISSION_H
#define LINUX_VPC_ADMISSION_H

#include "drivers/linux-vpc/records.h"

struct arena;
struct error;

/*
 * What this host can say before anything is done: addresses and ports that
 * somebody holds already, and the numbers that the driver itself chooses once.
 */

/* A number of a transit link that no record and no address of the host uses. Call
 * with the lock that all share. ERR_NO_SPACE when there is none left. */
int admission_transit(struct arena *arena, const char *own_dir, const char *pool, int64_t *number,
                      struct error *err);

/* The port on the transit address for a PortForward: its own port if that is free in
 * the VPC, else the next free one. */
int64_t admission_transit_port(const struct records *records, const char *uid,
                               const struct value *spec);

/* ERR_CONFLICT when the host or another VPC holds the address (FloatingIP) or the
 * port (PortForward); 0 for other kinds. `record` may be one that exists. */
int admission_check(struct arena *arena, const char *own_dir, const struct record *record,
                    struct error *err);

#endif
