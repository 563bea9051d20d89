/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Who else changes our networks? The kernel tells of links (rtnetlink) and of
 * rules (nf_tables, with pid and name of the process that committed them) to
 * sockets that were opened inside a namespace; a pidfd tells of the end of a
 * dnsmasq; inotify tells of VPCs that come and go. What our own calls do is left
 * out: rules by the committer's name, links by the lock that a call holds.
 *
 * A notice only says "look": one too many costs a look, one too few is made up
 * for by the slow resync.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_link.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include "drivers/linux-vpc/dhcp.h"
#include "drivers/linux-vpc/netns.h"
#include "drivers/linux-vpc/rtnl.h"
#include "drivers/linux-vpc/vpc.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/error.h"
#include "model/invariant.h"
#include "model/native.h"

enum {
    EVENT_BYTES = 65536,
    EVENTS_AT_ONCE = 64,      /* then others have their turn */
    EVENTS_WAITING = 4 << 20, /* bytes: some thousand links that come at once */
    COMM_MAX = 16,
    NAMED_OBJECTS_MAX = 32,
    WHY_MAX = 160
};

enum watch_source { WATCH_LINKS, WATCH_RULES, WATCH_DHCP, WATCH_SOURCES };

struct watched {
    struct watched *next;
    char vpc[UID_TEXT]; /* "" for the host's own namespace */
    uint64_t inode;
    int fds[WATCH_SOURCES]; /* -1: none */
    int directory;          /* inotify watch of the VPC's records */
};

static struct watched *watched_first;
static int watch_inotify = -1;

/* ---- telling ------------------------------------------------------------------------ */

/* Tells of each object of the VPC, so that the cause stands beside each drift; of
 * everything, once, where that would be too many. */
static void tell_vpc(struct spinel_host *host, const char *vpc, const char *why)
{
    struct records records;
    struct error ignored = ERROR_INIT;
    struct arena *arena = arena_new();
    if (records_load(arena, spinel_own_dir(host), vpc, &records, &ignored) < 0 ||
        records.count > NAMED_OBJECTS_MAX)
        spinel_changed(host, NULL, why);
    else
        for (size_t i = 0; i < records.count; i++)
            spinel_changed(host, records.items[i].uid, why);
    arena_free(arena);
}

static bool record_has_link(const struct record *record, const char *link)
{
    char name[16];
    switch (record->kind) {
    case RECORD_VPC:
        return strcmp(link, NETWORK_UPLINK) == 0 ||
               strcmp(link, native_uplink(record->uid, name)) == 0;
    case RECORD_SUBNET:
        return strcmp(link, native_bridge(record->uid, name)) == 0;
    case RECORD_NIC:
        return strcmp(link, native_tap(record->uid, name)) == 0;
    default:
        return false;
    }
}

static void tell_link(struct spinel_host *host, const char *vpc, const char *link, const char *what)
{
    char why[WHY_MAX];
    struct records records;
    struct error ignored = ERROR_INIT;
    if (records_are_locked(spinel_own_dir(host), vpc))
        return; /* our own doing; the engine looks when it is done */
    struct arena *arena = arena_new();
    snprintf(why, sizeof why, "link %s %s", link, what);
    if (records_load(arena, spinel_own_dir(host), vpc, &records, &ignored) == 0)
        for (size_t i = 0; i < records.count; i++)
            if (record_has_link(&records.items[i], link))
                spinel_changed(host, records.items[i].uid, why);
    arena_free(arena);
}

/* ---- events ------------------------------------------------------------------------- */

static struct watched *watched_by_fd(int fd, enum watch_source source)
{
    struct watched *watched = watched_first;
    while (watched && watched->fds[source] != fd)
        watched = watched->next;
    return watched;
}

struct link_event {
    char name[IFNAMSIZ];
};

static int link_name(const struct nlattr *attr, void *context)
{
    struct link_event *event = context;
    if (mnl_attr_get_type(attr) == IFLA_IFNAME)
        rtnl_text(attr, event->name, sizeof event->name);
    return MNL_CB_OK;
}

static void link_event_tell(struct spinel_host *host, const struct watched *watched,
                            const struct nlmsghdr *message)
{
    const struct ifinfomsg *info = rtnl_head(message, sizeof *info);
    struct link_event event = {{0}};
    bool is_removed = message->nlmsg_type == RTM_DELLINK;
    if (!info || (!is_removed && (message->nlmsg_type != RTM_NEWLINK || info->ifi_flags & IFF_UP)))
        return;
    mnl_attr_parse(message, sizeof *info, link_name, &event);
    const char *what = is_removed ? "removed" : "set down";
    if (*watched->vpc) {
        tell_link(host, watched->vpc, event.name, what);
        return;
    }
    for (const struct watched *one = watched_first; one; one = one->next) {
        char uplink[16];
        if (*one->vpc && strcmp(native_uplink(one->vpc, uplink), event.name) == 0)
            tell_link(host, one->vpc, event.name, what);
    }
}

struct commit_event {
    uint32_t pid;
    char name[COMM_MAX + 1];
};

static int commit_attribute(const struct nlattr *attr, void *context)
{
    struct commit_event *event = context;
    if (mnl_attr_get_type(attr) == NFTA_GEN_PROC_PID)
        event->pid = ntohl(rtnl_u32(attr));
    if (mnl_attr_get_type(attr) == NFTA_GEN_PROC_NAME)
        rtnl_text(attr, event->name, sizeof event->name);
    return MNL_CB_OK;
}

static void commit_event_tell(struct spinel_host *host, const struct watched *watched,
                              const struct nlmsghdr *message)
{
    char own[COMM_MAX + 1] = "";
    char why[WHY_MAX];
    struct commit_event event = {0};
    if (message->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN))
        return;
    mnl_attr_parse(message, sizeof(struct nfgenmsg), commit_attribute, &event);
    prctl(PR_GET_NAME, own);
    if (strcmp(event.name, own) == 0)
        return;
    snprintf(why, sizeof why, "nftables changed by process %u (%s)", event.pid,
             *event.name ? event.name : "name unknown");
    for (const struct watched *one = watched_first; one; one = one->next)
        if (*one->vpc && (one == watched || !*watched->vpc))
            tell_vpc(host, one->vpc, why);
}

/* An overrun (ENOBUFS) lost events, so everything has to be looked at. */
static void events_read(struct spinel_host *host, int fd, const struct watched *watched,
                        void (*each)(struct spinel_host *, const struct watched *,
                                     const struct nlmsghdr *))
{
    static char buffer[EVENT_BYTES];
    for (int turn = 0; turn < EVENTS_AT_ONCE; turn++) {
        ssize_t got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got < 0 && errno == ENOBUFS)
            spinel_changed(host, NULL, "too many network events to tell them apart");
        if (got < 0)
            return;
        int left = (int)got;
        for (struct nlmsghdr *message = (struct nlmsghdr *)(void *)buffer;
             watched && mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
            each(host, watched, message);
    }
}

static void links_ready(struct spinel_host *host, int fd)
{
    events_read(host, fd, watched_by_fd(fd, WATCH_LINKS), link_event_tell);
}

static void rules_ready(struct spinel_host *host, int fd)
{
    events_read(host, fd, watched_by_fd(fd, WATCH_RULES), commit_event_tell);
}

static void source_close(struct spinel_host *host, struct watched *watched,
                         enum watch_source source)
{
    if (watched->fds[source] < 0)
        return;
    spinel_unwatch(host, watched->fds[source]);
    close(watched->fds[source]);
    watched->fds[source] = -1;
}

static void dhcp_ready(struct spinel_host *host, int fd)
{
    struct watched *watched = watched_by_fd(fd, WATCH_DHCP);
    if (!watched)
        return;
    source_close(host, watched, WATCH_DHCP);
    if (!records_are_locked(spinel_own_dir(host), watched->vpc))
        spinel_changed(host, watched->vpc, "dnsmasq exited");
}

/* ---- sources ------------------------------------------------------------------------ */

/* A commit is an event for each of its rules, and a link that comes one for each thing that is
 * set on it: thousands in a large network, too many for any queue. The kernel leaves out what
 * would be read and passed over here. */
static void events_filter(int fd, int bus)
{
    struct sock_filter commits[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN), 0,
                 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_filter links[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELLINK), 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWLINK), 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NLMSG_HDRLEN + offsetof(struct ifinfomsg, ifi_flags)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, htonl(IFF_UP), 1, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program =
        bus == NETLINK_ROUTE ? (struct sock_fprog){sizeof links / sizeof *links, links}
                             : (struct sock_fprog){sizeof commits / sizeof *commits, commits};
    int room = EVENTS_WAITING;
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
}

static int events_open(int bus, unsigned group)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, bus);
    if (fd >= 0 &&
        (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
         setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)) {
        close(fd);
        return -1;
    }
    if (fd >= 0)
        events_filter(fd, bus);
    return fd;
}

static void source_set(struct spinel_host *host, struct watched *watched, enum watch_source source,
                       int fd, void (*ready)(struct spinel_host *, int))
{
    watched->fds[source] = fd;
    if (fd >= 0)
        spinel_watch(host, fd, ready);
}

/* In the namespace that is entered. */
static void namespace_sources(struct spinel_host *host, struct watched *watched)
{
    source_set(host, watched, WATCH_LINKS, events_open(NETLINK_ROUTE, RTNLGRP_LINK), links_ready);
    source_set(host, watched, WATCH_RULES, events_open(NETLINK_NETFILTER, NFNLGRP_NFTABLES),
               rules_ready);
}

static struct watched *watched_new(const char *vpc)
{
    struct watched *watched = memory_need(calloc(1, sizeof *watched));
    snprintf(watched->vpc, sizeof watched->vpc, "%s", vpc);
    for (int i = 0; i < WATCH_SOURCES; i++)
        watched->fds[i] = -1;
    watched->next = watched_first;
    watched_first = watched;
    return watched;
}

static struct watched *watched_find(const char *vpc)
{
    struct watched *watched = watched_first;
    while (watched && strcmp(watched->vpc, vpc) != 0)
        watched = watched->next;
    return watched;
}

static void dhcp_refresh(struct spinel_host *host, struct arena *arena, struct watched *watched)
{
    int pidfd = dhcp_process(arena, spinel_own_dir(host), watched->vpc);
    source_close(host, watched, WATCH_DHCP);
    if (pidfd >= 0)
        source_set(host, watched, WATCH_DHCP, pidfd, dhcp_ready);
}

static void vpc_refresh(struct spinel_host *host, struct arena *arena, const char *vpc)
{
    int home;
    char netns[16];
    struct error ignored = ERROR_INIT;
    struct watched *watched = watched_find(vpc);
    uint64_t inode = netns_inode(native_netns(vpc, netns));
    if (!watched) {
        watched = watched_new(vpc);
        watched->directory = inotify_add_watch(
            watch_inotify, arena_printf(arena, "%s/%s", spinel_own_dir(host), vpc), IN_MOVED_TO);
    }
    if (inode && inode != watched->inode && netns_enter(netns, &home, &ignored) == 0) {
        source_close(host, watched, WATCH_LINKS);
        source_close(host, watched, WATCH_RULES);
        namespace_sources(host, watched);
        netns_leave(home);
        watched->inode = inode;
    }
    dhcp_refresh(host, arena, watched);
}

/* Forgets VPCs whose directory is gone. */
static void watched_prune(struct spinel_host *host, const struct value *vpcs)
{
    for (struct watched **at = &watched_first; *at;) {
        struct watched *watched = *at;
        bool is_kept = !*watched->vpc;
        for (size_t i = 0; !is_kept && i < vpcs->count; i++)
            is_kept = strcmp(vpcs->items[i]->text, watched->vpc) == 0;
        if (is_kept) {
            at = &watched->next;
            continue;
        }
        for (int source = 0; source < WATCH_SOURCES; source++)
            source_close(host, watched, (enum watch_source)source);
        *at = watched->next;
        free(watched);
    }
}

static void all_refresh(struct spinel_host *host)
{
    struct value *vpcs;
    struct error ignored = ERROR_INIT;
    struct arena *arena = arena_new();
    if (records_vpcs(arena, spinel_own_dir(host), &vpcs, &ignored) == 0) {
        watched_prune(host, vpcs);
        for (size_t i = 0; i < vpcs->count; i++)
            vpc_refresh(host, arena, vpcs->items[i]->text);
    }
    arena_free(arena);
}

static void records_ready(struct spinel_host *host, int fd)
{
    char buffer[8192];
    while (read(fd, buffer, sizeof buffer) > 0)
        continue;
    all_refresh(host);
}

int vpc_watch_start(struct spinel_host *host, struct error *err)
{
    watch_inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch_inotify < 0 ||
        inotify_add_watch(watch_inotify, spinel_own_dir(host), IN_CREATE | IN_DELETE) < 0)
        return error_sys(err, "cannot watch %s", spinel_own_dir(host));
    spinel_watch(host, watch_inotify, records_ready);
    namespace_sources(host, watched_new(""));
    all_refresh(host);
    return 0;
}
