/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_DHCP_H
#define LINUX_VPC_DHCP_H

#include <stdbool.h>
#include <sys/types.h>
#include "drivers/linux-vpc/network.h"

struct arena;
struct error;
struct text;

/*
 * DHCP and DNS of a VPC: one dnsmasq in its namespace, for all its subnets. Only
 * known MACs get leases. It outlives the driver and is adopted again by pid, start
 * time and boot; its files lie under /run/spinel/<namespace>, where its own user can
 * reach them.
 */
struct dhcp_settings {
    const char *program; /* "dnsmasq", found on PATH, or a path */
    const char *user;
};

/* Makes files and process agree with the network: starts, signals, restarts or
 * stops, whichever is the least. */
int dhcp_converge(struct arena *arena, const char *own_dir, const struct network *network,
                  const struct dhcp_settings *settings, struct error *err);

/* Ends the process and removes its files. */
int dhcp_remove(struct arena *arena, const char *own_dir, const struct network *network,
                const struct dhcp_settings *settings, struct error *err);

/* Whether the network needs a dnsmasq, and a pidfd (-1: none) and the pid (0: none) of the one that
 * runs. */
bool dhcp_is_wanted(const struct network *network);
int dhcp_process(struct arena *arena, const char *own_dir, const char *vpc);
pid_t dhcp_pid(struct arena *arena, const char *own_dir, const char *vpc);

/* What is wrong with it, as far as can be told without a question to it: "missing", "out of
 * date"; or NULL. `pid` is what dhcp_pid() told. */
const char *dhcp_damage(struct arena *arena, const struct network *network, pid_t pid);

/* The four files, as text; pure. */
void dhcp_write_config(struct text *out, const struct network *network, const char *dir,
                       const char *user);
void dhcp_write_hosts(struct text *out, const struct network *network);
void dhcp_write_options(struct text *out, const struct network *network);
void dhcp_write_names(struct text *out, const struct network *network);

#endif
