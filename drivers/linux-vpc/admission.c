/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Conflicts are looked for in two places: the records of all VPCs of this driver,
 * and the host itself (its addresses, its listening sockets).
 */
#include "drivers/linux-vpc/admission.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <linux/netlink.h>
#include "drivers/linux-vpc/network.h"
#include "drivers/linux-vpc/route.h"
#include "drivers/linux-vpc/rtnl.h"
#include "model/arena.h"
#include "model/error.h"

enum { TCP_LISTEN_STATE = 0x0A, UDP_OPEN_STATE = 0x07 };

/* Calls `each` for the records of every VPC until it returns non-zero. */
static int records_each(struct arena *arena, const char *own_dir,
                        int (*each)(void *context, const struct record *record), void *context,
                        struct error *err)
{
    struct value *vpcs;
    int result = records_vpcs(arena, own_dir, &vpcs, err);
    for (size_t i = 0; result == 0 && i < vpcs->count; i++) {
        struct records records;
        result = records_load(arena, own_dir, vpcs->items[i]->text, &records, err);
        for (size_t n = 0; result == 0 && n < records.count; n++)
            result = each(context, &records.items[n]);
    }
    return result;
}

static int host_addresses(struct arena *arena, struct route_addresses *out, struct error *err)
{
    struct rtnl *host;
    if (rtnl_open(NETLINK_ROUTE, &host, err) < 0)
        return err->code;
    int result = route_addresses(host, arena, out, err);
    rtnl_close(host);
    return result;
}

/* ---- transit links ------------------------------------------------------------------ */

struct transit_search {
    int64_t number;
    bool is_taken;
};

static int transit_compare(void *context, const struct record *record)
{
    struct transit_search *search = context;
    if (record->kind == RECORD_VPC &&
        value_get_int(record->chosen, "transit", -1) == search->number)
        search->is_taken = true;
    return 0;
}

static bool host_overlaps(const struct route_addresses *addresses, const struct prefix *link)
{
    for (size_t i = 0; i < addresses->count; i++)
        if (prefix_overlaps(&addresses->items[i].prefix, link))
            return true;
    return false;
}

int admission_transit(struct arena *arena, const char *own_dir, const char *pool, int64_t *number,
                      struct error *err)
{
    struct prefix prefix;
    struct prefix host;
    struct prefix guest;
    struct route_addresses addresses;
    if (prefix_read(pool, &prefix, err) < 0 || host_addresses(arena, &addresses, err) < 0)
        return err->code;
    for (struct transit_search search = {0};; search.number++, search.is_taken = false) {
        if (network_transit(&prefix, search.number, &host, &guest, err) < 0)
            return error_set(err, ERR_NO_SPACE, "%s holds no free transit link", pool);
        if (host_overlaps(&addresses, &host))
            continue;
        if (records_each(arena, own_dir, transit_compare, &search, err) < 0)
            return err->code;
        if (!search.is_taken) {
            *number = search.number;
            return 0;
        }
    }
}

static bool transit_port_is_free(const struct records *records, const char *uid,
                                 const char *protocol, int64_t port)
{
    for (size_t i = 0; i < records->count; i++) {
        const struct record *record = &records->items[i];
        if (record->kind == RECORD_PORTFORWARD && strcmp(record->uid, uid) != 0 &&
            strcmp(value_get_text(record->spec, "protocol", "tcp"), protocol) == 0 &&
            value_get_int(record->chosen, "transitPort", 0) == port)
            return false;
    }
    return true;
}

int64_t admission_transit_port(const struct records *records, const char *uid,
                               const struct value *spec)
{
    enum { PORT_MAX = 65535 };
    const char *protocol = value_get_text(spec, "protocol", "tcp");
    int64_t port = value_get_int(spec, "port", 1);
    while (!transit_port_is_free(records, uid, protocol, port))
        port = port == PORT_MAX ? 1 : port + 1;
    return port;
}

/* ---- conflicts ---------------------------------------------------------------------- */

struct rivalry {
    const struct record *record;
    const struct record *rival;
};

static bool addresses_meet(const struct value *a, const struct value *b)
{
    const char *left = value_get_text(a, "address", NULL);
    const char *right = value_get_text(b, "address", NULL);
    return !left || !right || strcmp(left, right) == 0;
}

static int rival_compare(void *context, const struct record *other)
{
    struct rivalry *rivalry = context;
    const struct record *record = rivalry->record;
    if (other->kind != record->kind || strcmp(other->uid, record->uid) == 0 ||
        !addresses_meet(other->spec, record->spec))
        return 0;
    bool is_rival =
        record->kind == RECORD_FLOATINGIP ||
        (value_get_int(other->spec, "port", 0) == value_get_int(record->spec, "port", 0) &&
         strcmp(value_get_text(other->spec, "protocol", "tcp"),
                value_get_text(record->spec, "protocol", "tcp")) == 0);
    if (is_rival)
        rivalry->rival = other;
    return 0;
}

static int floating_check(struct arena *arena, const struct record *record, struct error *err)
{
    struct address address;
    struct route_addresses addresses;
    const char *text = value_get_text(record->spec, "address", "");
    if (address_read(text, &address, err) < 0 || host_addresses(arena, &addresses, err) < 0)
        return err->code;
    for (size_t i = 0; i < addresses.count; i++) {
        if (!address_equal(&addresses.items[i].prefix.address, &address))
            continue;
        error_set(err, ERR_CONFLICT, "FloatingIP %s: %s is an address of this host", record->name,
                  text);
        return error_hint(err, "Take the address off the host's interface, or use a PortForward.");
    }
    return 0;
}

/* Whether a line of /proc/net/tcp or udp is a socket that listens on that port, on
 * `address` or on every address. */
static bool line_listens(const char *line, bool is_udp, unsigned port,
                         const struct address *address)
{
    char local[40];
    unsigned local_port;
    unsigned state;
    uint32_t word;
    if (sscanf(line, " %*d: %32[0-9A-F]:%X %*[0-9A-F]:%*X %X", local, &local_port, &state) != 3)
        return false;
    if (local_port != port || state != (is_udp ? UDP_OPEN_STATE : TCP_LISTEN_STATE))
        return false;
    bool is_any = strspn(local, "0") == strlen(local);
    if (!address || is_any || strlen(local) != 8)
        return !address || is_any;
    sscanf(local, "%" SCNx32, &word);
    return memcmp(&word, address->bytes, sizeof word) == 0;
}

static bool host_listens(const char *protocol, unsigned port, const struct address *address)
{
    char path[64];
    char line[256];
    bool found = false;
    for (int version = 0; version < 2 && !found; version++) {
        snprintf(path, sizeof path, "/proc/thread-self/net/%s%s", protocol, version ? "6" : "");
        FILE *file = fopen(path, "re");
        while (file && !found && fgets(line, sizeof line, file))
            found = line_listens(line, strcmp(protocol, "udp") == 0, port, address);
        if (file)
            fclose(file);
    }
    return found;
}

static int forward_check(const struct record *record, struct error *err)
{
    struct address address;
    const char *text = value_get_text(record->spec, "address", NULL);
    const char *protocol = value_get_text(record->spec, "protocol", "tcp");
    unsigned port = (unsigned)value_get_int(record->spec, "port", 0);
    if (text && address_read(text, &address, err) < 0)
        return err->code;
    if (!host_listens(protocol, port, text ? &address : NULL))
        return 0;
    error_set(err, ERR_CONFLICT, "PortForward %s: a process of this host listens on %s port %u",
              record->name, protocol, port);
    return error_hint(err, "Stop it (ss -lnp shows it), or forward another port or address.");
}

int admission_check(struct arena *arena, const char *own_dir, const struct record *record,
                    struct error *err)
{
    struct rivalry rivalry = {.record = record};
    if (record->kind != RECORD_FLOATINGIP && record->kind != RECORD_PORTFORWARD)
        return 0;
    if (records_each(arena, own_dir, rival_compare, &rivalry, err) < 0)
        return err->code;
    if (rivalry.rival) {
        error_set(err, ERR_CONFLICT, "%s %s: %s/%s has the same %s", record_kind_text(record->kind),
                  record->name, rivalry.rival->project ? rivalry.rival->project : "-",
                  rivalry.rival->name,
                  record->kind == RECORD_FLOATINGIP ? "address" : "address and port");
        return error_hint(err, "Give one of the two another address or port.");
    }
    return record->kind == RECORD_FLOATINGIP ? floating_check(arena, record, err)
                                             : forward_check(record, err);
}
