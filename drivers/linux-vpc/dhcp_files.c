/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What dnsmasq reads. Its main configuration changes with the subnets; hosts,
 * options and names are files of their own, which SIGHUP makes it read again.
 */
#include <arpa/inet.h>
#include <string.h>
#include "drivers/linux-vpc/dhcp.h"
#include "model/text.h"

enum { LEASE_MINUTES = 60 };

static bool any_dns(const struct network *network)
{
    for (size_t i = 0; i < network->subnet_count; i++)
        if (network->subnets[i].has_dns)
            return true;
    return false;
}

static void mask_write(struct text *out, int length)
{
    struct address mask = {.family = 4};
    char text[ADDRESS_MAX_TEXT];
    for (int bit = 0; bit < length; bit++)
        mask.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    text_add(out, address_text(&mask, text));
}

static void subnet_config(struct text *out, const struct network_subnet *subnet)
{
    char text[PREFIX_MAX_TEXT];
    if (subnet->has_dhcp) {
        text_printf(out, "dhcp-range=set:%s,%s,static,", subnet->bridge,
                    address_text(&subnet->cidr.address, text));
        mask_write(out, subnet->cidr.length);
        text_printf(out, ",%dm\n", LEASE_MINUTES);
    }
    if (!subnet->has_dns)
        return;
    text_printf(out, "local=/%s/\ndomain=%s,%s\n", subnet->domain, subnet->domain,
                prefix_text(&subnet->cidr, text));
    for (size_t i = 0; value_is_list(subnet->servers) && i < subnet->servers->count; i++)
        text_printf(out, "server=%s\n", value_item_text(subnet->servers, i));
}

void dhcp_write_config(struct text *out, const struct network *network, const char *dir,
                       const char *user)
{
    text_printf(out,
                "keep-in-foreground\nuser=%s\nbind-dynamic\ninterface=spb*\nexcept-interface=lo\n"
                "no-resolv\nno-hosts\nno-poll\nno-ping\ndhcp-authoritative\nquiet-dhcp\n"
                "port=%d\npid-file=%s/pid\nlog-facility=%s/log\n",
                user, any_dns(network) ? 53 : 0, dir, dir);
    text_printf(out,
                "dhcp-hostsfile=%s/hosts\ndhcp-optsfile=%s/options\naddn-hosts=%s/names\n"
                "dhcp-leasefile=%s/leases\n",
                dir, dir, dir, dir);
    for (size_t i = 0; i < network->subnet_count; i++)
        subnet_config(out, &network->subnets[i]);
}

/* NICs are ordered by instance and interface: the first one bears the plain name. */
static bool is_first_of_instance(const struct network *network, size_t index)
{
    return index == 0 ||
           strcmp(network->nics[index - 1].instance, network->nics[index].instance) != 0;
}

void dhcp_write_hosts(struct text *out, const struct network *network)
{
    char mac[MAC_TEXT];
    char address[ADDRESS_MAX_TEXT];
    for (size_t i = 0; i < network->nic_count; i++) {
        const struct network_nic *nic = &network->nics[i];
        if (!nic->subnet || !nic->subnet->has_dhcp)
            continue;
        text_printf(out, "%s,%s", mac_text(&nic->mac, mac), address_text(&nic->address, address));
        if (is_first_of_instance(network, i))
            text_printf(out, ",%s", nic->instance);
        text_add_char(out, '\n');
    }
}

/* Without DNS of our own the guest is told the subnet's servers, or none. */
static void dns_option(struct text *out, const struct network_subnet *subnet, const char *gateway)
{
    const struct value *servers = subnet->servers;
    text_printf(out, "tag:%s,option:dns-server", subnet->bridge);
    if (subnet->has_dns)
        text_printf(out, ",%s", gateway);
    for (size_t i = 0; !subnet->has_dns && value_is_list(servers) && i < servers->count; i++)
        text_printf(out, ",%s", value_item_text(servers, i));
    text_add_char(out, '\n');
}

void dhcp_write_options(struct text *out, const struct network *network)
{
    char gateway[ADDRESS_MAX_TEXT];
    for (size_t i = 0; i < network->subnet_count; i++) {
        const struct network_subnet *subnet = &network->subnets[i];
        if (!subnet->has_dhcp)
            continue;
        address_text(&subnet->gateway, gateway);
        text_printf(out, "tag:%s,option:router,%s\n", subnet->bridge, gateway);
        text_printf(out, "tag:%s,option:mtu,%d\n", subnet->bridge, network->mtu);
        text_printf(out, "tag:%s,option:domain-name,%s\n", subnet->bridge, subnet->domain);
        dns_option(out, subnet, gateway);
    }
}

void dhcp_write_names(struct text *out, const struct network *network)
{
    char address[ADDRESS_MAX_TEXT];
    for (size_t i = 0; i < network->nic_count; i++) {
        const struct network_nic *nic = &network->nics[i];
        if (!nic->subnet || !nic->subnet->has_dns)
            continue;
        text_printf(out, "%s", address_text(&nic->address, address));
        if (is_first_of_instance(network, i))
            text_printf(out, " %s.%s %s", nic->instance, nic->subnet->domain, nic->instance);
        text_printf(out, " %s.%s.%s\n", nic->interface, nic->instance, nic->subnet->domain);
    }
}
