/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The shape of the ruleset. Inside the namespace a packet meets:
 *
 *   netdev ingress of its tap   is it who it says it is?
 *   prerouting (nat)            floating IPs and forwarded ports become guests
 *   forward: established? ──► accept
 *            from a bridge ──► out: rules of the sender; allow returns
 *            to a bridge ────► in: rules of the receiver; default deny
 *            to the uplink ──► accept, if the VPC has NAT or the guest a floating IP
 *   input                       DHCP, DNS and ping of the gateway, nothing else
 *   postrouting (nat)           floating IPs, then the transit address
 *
 * On the host, a packet of the VPC may leave to anywhere but another VPC and the
 * host itself.
 */
#include "drivers/linux-vpc/compile.h"
#include <stdio.h>
#include <string.h>
#include "model/arena.h"
#include "model/text.h"

/* ---- pieces ------------------------------------------------------------------------- */

/* Writes "elements = { a, b }" piece by piece; nothing when there is none. */
struct elements {
    struct text *out;
    size_t count;
};

static void elements_add(struct elements *elements)
{
    text_add(elements->out, elements->count++ ? ", " : "\t\telements = { ");
}

static void elements_end(struct elements *elements)
{
    text_add(elements->out, elements->count ? " }\n\t}\n" : "\t}\n");
}

static void table_begin(struct text *out, const char *family, const char *name)
{
    text_printf(out, "table %s %s\ndelete table %s %s\ntable %s %s {\n", family, name, family, name,
                family, name);
}

static void chain_begin(struct text *out, const char *name, const char *type, const char *hook,
                        int priority, const char *policy)
{
    text_printf(out, "\tchain %s {\n\t\ttype %s hook %s priority %d; policy %s;\n", name, type,
                hook, priority, policy);
}

static void chain_end(struct text *out)
{
    text_add(out, "\t}\n");
}

static const char *a_text(const struct address *address)
{
    static char texts[4][ADDRESS_MAX_TEXT];
    static unsigned next;
    return address_text(address, texts[next++ % 4]);
}

/* ---- inside: sets and maps of the VPC ----------------------------------------------- */

static void gateways_write(struct text *out, const struct network *network)
{
    struct elements elements = {.out = out};
    text_add(out, "\tset gateways {\n\t\ttype ipv4_addr\n");
    for (size_t i = 0; i < network->subnet_count; i++) {
        elements_add(&elements);
        text_add(out, a_text(&network->subnets[i].gateway));
    }
    elements_end(&elements);
}

/* Several floating IPs may lead to one NIC; it then speaks with the first. */
static bool speaks_with(const struct network *network, size_t index)
{
    const struct network_nic *nic = network->floating[index].nic;
    for (size_t i = 0; i < index; i++)
        if (network->floating[i].nic == nic)
            return false;
    return nic != NULL;
}

static void floating_write(struct text *out, const struct network *network)
{
    struct elements in = {.out = out};
    struct elements away = {.out = out};
    text_add(out, "\tmap floating_in {\n\t\ttype ipv4_addr : ipv4_addr\n");
    for (size_t i = 0; i < network->floating_count; i++) {
        const struct network_floating *floating = &network->floating[i];
        if (!floating->nic)
            continue;
        elements_add(&in);
        text_printf(out, "%s : %s", a_text(&floating->address), a_text(&floating->nic->address));
    }
    elements_end(&in);
    text_add(out, "\tmap floating_out {\n\t\ttype ipv4_addr : ipv4_addr\n");
    for (size_t i = 0; i < network->floating_count; i++) {
        const struct network_floating *floating = &network->floating[i];
        if (!speaks_with(network, i))
            continue;
        elements_add(&away);
        text_printf(out, "%s : %s", a_text(&floating->nic->address), a_text(&floating->address));
    }
    elements_end(&away);
}

static void speakers_write(struct text *out, const struct network *network)
{
    struct elements elements = {.out = out};
    text_add(out, "\tset floating_guests {\n\t\ttype ipv4_addr\n");
    for (size_t i = 0; i < network->floating_count; i++) {
        if (!speaks_with(network, i))
            continue;
        elements_add(&elements);
        text_add(out, a_text(&network->floating[i].nic->address));
    }
    elements_end(&elements);
}

static void ports_in_write(struct text *out, const struct network *network)
{
    struct elements elements = {.out = out};
    text_add(out,
             "\tmap ports_in {\n\t\ttype inet_proto . inet_service : ipv4_addr . inet_service\n");
    for (size_t i = 0; i < network->forward_count; i++) {
        const struct network_forward *forward = &network->forwards[i];
        if (!forward->nic)
            continue;
        elements_add(&elements);
        text_printf(out, "%s . %d : %s . %d", forward->protocol, forward->transit_port,
                    a_text(&forward->nic->address), forward->target_port);
    }
    elements_end(&elements);
}

/* Of the policy. */
static void sets_write(struct text *out, const struct policy *policy)
{
    char text[PREFIX_MAX_TEXT];
    for (size_t i = 0; i < policy->set_count; i++) {
        const struct policy_set *set = policy->sets[i];
        struct elements elements = {.out = out};
        text_printf(out, "\tset %s {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\tauto-merge\n",
                    set->name);
        for (size_t n = 0; n < set->count; n++) {
            elements_add(&elements);
            text_add(out, set->items[n].length == 32 ? a_text(&set->items[n].address)
                                                     : prefix_text(&set->items[n], text));
        }
        elements_end(&elements);
    }
}

/* ---- inside: chains ----------------------------------------------------------------- */

static void forward_write(struct text *out, const struct network *network)
{
    chain_begin(out, "forward", "filter", "forward", 0, "drop");
    text_add(out, "\t\tct state vmap { established : accept, related : accept, invalid : drop }"
                  " comment \"base/state\"\n"
                  "\t\tiifname \"spb*\" jump out comment \"base/out\"\n"
                  "\t\toifname \"spb*\" goto in comment \"base/in\"\n");
    if (network->has_nat)
        text_add(out, "\t\tiifname \"spb*\" oifname \"" NETWORK_UPLINK
                      "\" accept comment \"base/egress\"\n");
    else
        text_add(out, "\t\tiifname \"spb*\" oifname \"" NETWORK_UPLINK
                      "\" ip saddr @floating_guests accept comment \"base/floating-egress\"\n");
    chain_end(out);
}

enum bridge_service { SERVICE_DHCP, SERVICE_DNS };

static bool has_service(const struct network_subnet *subnet, enum bridge_service service)
{
    return service == SERVICE_DHCP ? subnet->has_dhcp : subnet->has_dns;
}

/* One rule for all bridges that offer the service; none if there is none. */
static void service_write(struct text *out, const struct network *network,
                          enum bridge_service service, const char *rest)
{
    size_t count = 0;
    for (size_t i = 0; i < network->subnet_count; i++) {
        if (!has_service(&network->subnets[i], service))
            continue;
        text_printf(out, "%s\"%s\"", count++ ? ", " : "\t\tiifname { ", network->subnets[i].bridge);
    }
    if (count)
        text_printf(out, " } %s\n", rest);
}

static void input_write(struct text *out, const struct network *network)
{
    chain_begin(out, "input", "filter", "input", 0, "drop");
    text_add(out, "\t\tct state vmap { established : accept, related : accept, invalid : drop }"
                  " comment \"base/input-state\"\n"
                  "\t\tiifname \"lo\" accept comment \"base/loopback\"\n");
    service_write(out, network, SERVICE_DHCP,
                  "udp sport 68 udp dport 67 accept comment \"base/dhcp\"");
    service_write(out, network, SERVICE_DNS,
                  "ip daddr @gateways meta l4proto { tcp, udp } th dport 53 accept"
                  " comment \"base/dns\"");
    text_add(out, "\t\tiifname \"spb*\" ip daddr @gateways icmp type echo-request accept"
                  " comment \"base/ping\"\n");
    chain_end(out);
}

static void nat_write(struct text *out, const struct network *network)
{
    const char *transit = a_text(&network->guest_end);
    chain_begin(out, "prerouting", "nat", "prerouting", -100, "accept");
    text_add(out, "\t\tdnat ip to ip daddr map @floating_in comment \"base/floating-in\"\n");
    text_printf(out,
                "\t\tiifname \"" NETWORK_UPLINK "\" ip daddr %s dnat ip to meta l4proto . th dport"
                " map @ports_in comment \"base/ports-in\"\n",
                transit);
    chain_end(out);
    chain_begin(out, "postrouting", "nat", "postrouting", 100, "accept");
    text_add(out, "\t\toifname \"" NETWORK_UPLINK "\" snat ip to ip saddr map @floating_out"
                  " comment \"base/floating-out\"\n");
    if (network->has_nat)
        text_printf(out,
                    "\t\toifname \"" NETWORK_UPLINK "\" ip saddr != %s masquerade"
                    " comment \"base/nat\"\n",
                    transit);
    chain_end(out);
}

/* ---- inside: anti-spoofing ---------------------------------------------------------- */

void compile_chain(struct text *out, const struct network_nic *nic)
{
    char mac[MAC_TEXT];
    const char *address = a_text(&nic->address);
    mac_text(&nic->mac, mac);
    text_printf(out,
                "\tchain %s {\n\t\ttype filter hook ingress device \"%s\" priority -300; policy "
                "drop;\n",
                nic->tap, nic->tap);
    text_printf(out, "\t\tether saddr != %s drop comment \"base/mac\"\n", mac);
    text_printf(out,
                "\t\tarp saddr ether %s arp saddr ip { 0.0.0.0, %s } accept comment \"base/arp\"\n",
                mac, address);
    text_add(out, "\t\tip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept"
                  " comment \"base/dhcp\"\n"
                  "\t\tudp sport 67 drop comment \"base/dhcp-server\"\n");
    text_printf(out, "\t\tip saddr %s accept comment \"base/address\"\n", address);
    chain_end(out);
}

/* A chain goes with its tap, so that it may be gone: what is not there cannot be deleted, and what
 * is there may be added. */
void compile_chain_removal(struct text *out, const char *tap)
{
    text_printf(out,
                "add chain netdev " COMPILE_TABLE " %s\ndelete chain netdev " COMPILE_TABLE " %s\n",
                tap, tap);
}

void compile_chain_made(struct text *out, const char *chain)
{
    text_printf(out, "table netdev " COMPILE_TABLE " {\n%s}\n", chain);
}

void compile_spoof(struct text *out, const struct network *network,
                   bool (*has_tap)(void *context, const char *tap), void *context)
{
    table_begin(out, "netdev", COMPILE_TABLE);
    for (size_t i = 0; i < network->nic_count; i++)
        if (has_tap(context, network->nics[i].tap))
            compile_chain(out, &network->nics[i]);
    text_add(out, "}\n");
}

void compile_frame(struct text *out, const struct network *network, const struct policy *policy,
                   const struct compile_sections *sections)
{
    table_begin(out, "inet", COMPILE_TABLE);
    text_printf(out, "\tcomment \"%s\"\n", network->mark);
    gateways_write(out, network);
    speakers_write(out, network);
    floating_write(out, network);
    ports_in_write(out, network);
    sets_write(out, policy);
    compile_firewall(out, policy, sections);
    forward_write(out, network);
    input_write(out, network);
    nat_write(out, network);
    text_add(out, "}\n");
}

void compile_rules(struct text *out, const struct network *network, const struct policy *policy)
{
    struct arena *arena = arena_new();
    struct compile_sections sections = compile_sections(arena, policy);
    compile_frame(out, network, policy, &sections);
    for (size_t i = 0; i < sections.count; i++)
        compile_section(out, policy, &sections.items[i]);
    arena_free(arena);
}

void compile_inside(struct text *out, const struct network *network, const struct policy *policy,
                    bool (*has_tap)(void *context, const char *tap), void *context)
{
    compile_rules(out, network, policy);
    compile_spoof(out, network, has_tap, context);
}

/* ---- host --------------------------------------------------------------------------- */

static void host_table(const struct network *network, char name[32])
{
    snprintf(name, 32, COMPILE_TABLE "_%s", network->uplink);
}

/* Ports of the host: those of one address, and those of every address. */
static void host_ports_write(struct text *out, const struct network *network, bool of_address)
{
    struct elements elements = {.out = out};
    text_printf(out,
                "\tmap %s {\n\t\ttype %sinet_proto . inet_service : ipv4_addr . inet_service\n",
                of_address ? "ports_at" : "ports_any", of_address ? "ipv4_addr . " : "");
    for (size_t i = 0; i < network->forward_count; i++) {
        const struct network_forward *forward = &network->forwards[i];
        if (forward->has_address != of_address)
            continue;
        elements_add(&elements);
        if (of_address)
            text_printf(out, "%s . ", a_text(&forward->address));
        text_printf(out, "%s . %d : %s . %d", forward->protocol, forward->port,
                    a_text(&network->guest_end), forward->transit_port);
    }
    elements_end(&elements);
}

static void host_sources_write(struct text *out, const struct network *network)
{
    struct elements elements = {.out = out};
    text_add(out, "\tset sources {\n\t\ttype ipv4_addr\n");
    elements_add(&elements);
    text_add(out, a_text(&network->guest_end));
    for (size_t i = 0; i < network->floating_count; i++) {
        elements_add(&elements);
        text_add(out, a_text(&network->floating[i].address));
    }
    elements_end(&elements);
}

static void host_dnat_write(struct text *out, const char *hook)
{
    chain_begin(out, hook, "nat", hook, -100, "accept");
    text_add(out, "\t\tdnat ip to ip daddr . meta l4proto . th dport map @ports_at"
                  " comment \"base/ports-at\"\n"
                  "\t\tfib daddr type local dnat ip to meta l4proto . th dport map @ports_any"
                  " comment \"base/ports-any\"\n");
    chain_end(out);
}

static void host_filter_write(struct text *out, const char *uplink)
{
    chain_begin(out, "raw", "filter", "prerouting", -300, "accept");
    text_printf(out, "\t\tiifname \"%s\" meta nfproto ipv6 drop comment \"base/ipv6\"\n", uplink);
    text_printf(out, "\t\tiifname \"%s\" ip saddr != @sources drop comment \"base/source\"\n",
                uplink);
    text_printf(out, "\t\tiifname \"%s\" ip daddr 127.0.0.0/8 drop comment \"base/loopback\"\n",
                uplink);
    chain_end(out);
    chain_begin(out, "input", "filter", "input", 0, "accept");
    text_printf(out,
                "\t\tiifname \"%s\" ct state established,related accept comment"
                " \"base/input-state\"\n"
                "\t\tiifname \"%s\" drop comment \"base/input\"\n",
                uplink, uplink);
    chain_end(out);
    chain_begin(out, "forward", "filter", "forward", 0, "accept");
    text_printf(out, "\t\tiifname \"%s\" oifname \"spu*\" drop comment \"base/isolation\"\n",
                uplink);
    chain_end(out);
}

void compile_host(struct text *out, const struct network *network)
{
    char table[32];
    host_table(network, table);
    table_begin(out, "inet", table);
    text_printf(out, "\tcomment \"%s\"\n", network->mark);
    host_sources_write(out, network);
    host_ports_write(out, network, false);
    host_ports_write(out, network, true);
    host_dnat_write(out, "prerouting");
    host_dnat_write(out, "output");
    host_filter_write(out, network->uplink);
    chain_begin(out, "postrouting", "nat", "postrouting", 100, "accept");
    if (network->has_nat)
        text_printf(out, "\t\tip saddr %s oifname != \"spu*\" masquerade comment \"base/nat\"\n",
                    a_text(&network->guest_end));
    text_printf(out,
                "\t\toifname \"%s\" ip saddr 127.0.0.0/8 masquerade"
                " comment \"base/loopback-client\"\n",
                network->uplink);
    chain_end(out);
    text_add(out, "}\n");
}

void compile_host_removal(struct text *out, const struct network *network)
{
    char table[32];
    host_table(network, table);
    text_printf(out, "table inet %s\ndelete table inet %s\n", table, table);
}
