/* SPDX-License-Identifier: MPL-2.0 */
#ifndef QEMU_TAP_H
#define QEMU_TAP_H

#include <stdint.h>
#include <sys/types.h>

struct error;

/*
 * Taps are made by the network's driver, are persistent, and live in the namespace
 * of their VPC. Here they are only opened, by name; a descriptor works from any
 * namespace. QEMU itself never enters one.
 */

/* Opens the tap `name` in the namespace `netns` (a file under /run/netns).
 * ERR_NOT_FOUND if namespace or tap is missing, ERR_BUSY if another process has it. */
int tap_open(const char *netns, const char *name, int *fd, struct error *err);

/* The interface index of what is there under the name now, 0 if there is nothing. One
 * that was made anew has another. ERR_NOT_FOUND if the namespace is missing. */
int tap_look(const char *netns, const char *name, int64_t *ifindex, struct error *err);

/*
 * Puts a tap that was made anew under a descriptor that process `pidfd` already has
 * (its number there is `fd`), whose own tap was deleted. The process, and the guest in
 * it, go on as if the cable had been out for a moment.
 */
int tap_reattach(int pidfd, int fd, const char *netns, const char *name, struct error *err);

/* The number of the descriptor through which `pid` holds the tap `name`; -1 if it does
 * not: a descriptor whose tap was deleted holds none, whatever bears its name now. */
int tap_find_fd(pid_t pid, const char *name);

#endif
