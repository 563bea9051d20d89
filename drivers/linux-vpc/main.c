/* SPDX-License-Identifier: MPL-2.0 */
/*
 * linux-vpc: virtual private networks on plain Linux. A VPC is a network
 * namespace; a subnet a bridge in it; a NIC a tap on that bridge; firewalls,
 * floating IPs and port forwards are nftables rules and maps in the namespace and
 * on the host. Beside the rules stands one dnsmasq a VPC.
 *
 *   records.c    what was asked for, a file each      apply.c     one step
 *   kept.c       ... and was read before
 *   network.c    records resolved into one picture    observe*.c  what is there, from view.c
 *   policy.c     firewalls as one ordered list        watch.c     who else changes it
 *   compile*.c   picture and policy as nft text       admission.c what is taken already
 *   realise.c, realise_rules.c                        the kernel made to agree
 *   rtnl.c, link.c, route.c, conntrack.c, nft.c, netns.c, sysctl.c, dhcp.c
 *                                                     the means
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "drivers/linux-vpc/kept.h"
#include "drivers/linux-vpc/nft.h"
#include "drivers/linux-vpc/vpc.h"
#include "model/arena.h"
#include "model/error.h"
#include "model/net.h"

static struct vpc_settings vpc_settings = {
    .dhcp = {.program = "dnsmasq", .user = "dnsmasq"},
    .transit_pool = NETWORK_TRANSIT_POOL,
};

static int machine_check(struct error *err)
{
    struct error refused = ERROR_INIT;
    if (geteuid() != 0) {
        error_set(err, ERR_DENIED,
                  "linux-vpc makes network namespaces and rules, which needs root");
        return error_hint(err, "Run as root, or use the sim driver.");
    }
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        error_set(err, ERR_UNSUPPORTED, "cannot open /dev/net/tun: %s", strerror(errno));
        return error_hint(err, "Load the tun module, or give this container the device.");
    }
    close(fd);
    if (nft_apply(NULL, "list tables", &refused) < 0) {
        error_set(err, ERR_UNSUPPORTED, "nf_tables does not work here: %s", refused.message);
        return error_hint(err, "Load the nf_tables module (kernel 5.10 or newer).");
    }
    return 0;
}

static bool program_exists(struct arena *arena, const char *program)
{
    const char *directories[] = {"/usr/sbin", "/usr/bin", "/sbin", "/usr/local/sbin",
                                 "/usr/local/bin"};
    if (strchr(program, '/'))
        return access(program, X_OK) == 0;
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        if (access(arena_printf(arena, "%s/%s", directories[i], program), X_OK) == 0)
            return true;
    return false;
}

static int settings_read(struct spinel_host *host, const struct value *settings, struct error *err)
{
    struct prefix pool;
    struct arena *arena = spinel_arena(host);
    vpc_settings.dhcp.program =
        arena_text(arena, value_get_text(settings, "dnsmasq", vpc_settings.dhcp.program));
    vpc_settings.dhcp.user =
        arena_text(arena, value_get_text(settings, "dnsmasqUser", vpc_settings.dhcp.user));
    vpc_settings.transit_pool =
        arena_text(arena, value_get_text(settings, "transit", vpc_settings.transit_pool));
    if (prefix_read(vpc_settings.transit_pool, &pool, err) < 0)
        return error_wrap(err, "setting transit of linux-vpc");
    if (program_exists(arena, vpc_settings.dhcp.program))
        return 0;
    error_set(err, ERR_UNSUPPORTED, "there is no %s, which gives guests their addresses",
              vpc_settings.dhcp.program);
    return error_hint(err, "Install dnsmasq-base, or set dnsmasq in the driver's settings.");
}

static int start(struct spinel_host *host, const struct value *settings, struct value *reply,
                 struct error *err)
{
    (void)reply;
    if (machine_check(err) < 0 || settings_read(host, settings, err) < 0)
        return err->code;
    return vpc_watch_start(host, err);
}

static void prepare(struct spinel_host *host)
{
    kept_refresh(spinel_own_dir(host));
}

static int apply(struct spinel_host *host, const struct spinel_op *op, struct error *err)
{
    return vpc_apply(host, &vpc_settings, op, err);
}

static void apply_all(struct spinel_host *host, const struct spinel_op *const *ops, size_t count,
                      struct error *outcomes)
{
    vpc_apply_all(host, &vpc_settings, ops, count, outcomes);
}

static const struct spinel_driver linux_vpc = {
    .name = "linux-vpc",
    .version = "1",
    .kinds = "VPC Subnet NIC Firewall FloatingIP PortForward",
    .start = start,
    .list = vpc_list,
    .look = vpc_look,
    .apply = apply,
    .look_all = vpc_look_all,
    .group = vpc_group,
    .apply_all = apply_all,
    .prepare = prepare,
};

SPINEL_DRIVER(linux_vpc)
