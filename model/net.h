/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_NET_H
#define MODEL_NET_H

#include <stdbool.h>
#include <stdint.h>
#include "model/error.h"

/* IPv4 and IPv6 addresses, prefixes and MACs, without any system call. */
struct address {
    int family;        /* 4 or 6 */
    uint8_t bytes[16]; /* network order; the first 4 for family 4 */
};

struct prefix {
    struct address address; /* host bits as written; prefix_network() clears them */
    int length;
};

struct mac {
    uint8_t bytes[6];
};

enum { ADDRESS_MAX_TEXT = 48, PREFIX_MAX_TEXT = 52, MAC_TEXT = 18 };

int address_read(const char *text, struct address *address, struct error *err);
int prefix_read(const char *text, struct prefix *prefix, struct error *err);
int mac_read(const char *text, struct mac *mac, struct error *err);

/* Write canonical text (RFC 5952 for IPv6, lower-case MAC); return `buf`. */
const char *address_text(const struct address *address, char *buf);
const char *prefix_text(const struct prefix *prefix, char *buf);
const char *mac_text(const struct mac *mac, char *buf);

bool address_equal(const struct address *a, const struct address *b);
struct prefix prefix_network(const struct prefix *prefix);
bool prefix_has(const struct prefix *prefix, const struct address *address);
bool prefix_overlaps(const struct prefix *a, const struct prefix *b);

/* The n-th address after the network address (n = 0 is the network itself), or
 * ERR_INVALID when the prefix ends before it. */
int prefix_nth(const struct prefix *prefix, uint64_t n, struct address *out, struct error *err);

/* Number of addresses a subnet can give to guests: not network, broadcast or
 * gateway. Saturates at INT64_MAX. */
int64_t prefix_hosts(const struct prefix *prefix);

#endif
