/* SPDX-License-Identifier: MPL-2.0 */
#ifndef LINUX_VPC_NETWORK_H
#define LINUX_VPC_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "drivers/linux-vpc/records.h"
#include "model/net.h"

struct arena;
struct error;

/*
 * One VPC as its records describe it, with names resolved and texts read. Pure:
 * made from records alone, and what the rule compiler, the DHCP files and the
 * observer work on.
 */
enum { NETWORK_MARK_MAX = 128 };

#define NETWORK_UPLINK "uplink" /* our end of the veth pair, inside the namespace */

struct network_subnet {
    const struct record *record;
    char bridge[16];
    struct prefix cidr;
    struct address gateway;
    bool has_dhcp;
    bool has_dns;
    const char *domain;
    const struct value *servers; /* list of texts, may be NULL */
};

struct network_nic {
    const struct record *record;
    const struct network_subnet *subnet; /* NULL while the subnet is not there */
    char tap[16];
    const char *instance;
    const char *interface;
    struct address address;
    struct mac mac;
};

struct network_floating {
    const struct record *record;
    struct address address;
    const struct network_nic *nic; /* NULL: leads nowhere */
};

struct network_forward {
    const struct record *record;
    bool has_address;
    struct address address; /* of the host */
    const char *protocol;   /* "tcp", "udp" */
    int port;
    int transit_port;              /* on the transit address, unique in the VPC by protocol */
    const struct network_nic *nic; /* NULL: leads nowhere */
    int target_port;
};

struct network {
    const struct records *records;
    const struct record *vpc; /* NULL while there is no record of it */
    char netns[16];
    char uplink[16];         /* the host's end */
    struct address host_end; /* transit addresses; both ends of a /30 */
    struct address guest_end;
    bool has_nat;
    int mtu;
    char
        mark[NETWORK_MARK_MAX]; /* comment of our tables: the uid and the digest of the VPC's tag */
    struct network_subnet *subnets;
    size_t subnet_count;
    struct network_nic *nics; /* ordered by instance and interface */
    size_t nic_count;
    struct names nics_by_uid;
    struct network_floating *floating;
    size_t floating_count;
    struct network_forward *forwards;
    size_t forward_count;
};

/* ERR_INVALID or ERR_UNSUPPORTED names the record that cannot be realised.
 * `records` must live as long as the network. */
int network_make(struct arena *arena, const struct records *records, struct network *out,
                 struct error *err);

/* By uid or address; NULL if there is none. */
const struct network_subnet *network_subnet_find(const struct network *network, const char *uid);
const struct network_nic *network_nic_find(const struct network *network, const char *uid);
const struct network_nic *network_nic_at(const struct network *network,
                                         const struct address *address);

/* The n-th /30 of `pool` as (host end, guest end); ERR_INVALID past its end. */
int network_transit(const struct prefix *pool, int64_t number, struct prefix *host,
                    struct prefix *guest, struct error *err);

/* What the transit links are numbered from (RFC 6598), unless a setting says else. */
#define NETWORK_TRANSIT_POOL "100.64.0.0/10"

#endif
