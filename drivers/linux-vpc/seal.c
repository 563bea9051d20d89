/* SPDX-License-Identifier: MPL-2.0 */
#include "drivers/linux-vpc/seal.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include "drivers/linux-vpc/link.h"
#include "drivers/linux-vpc/netns.h"
#include "drivers/linux-vpc/rtnl.h"
#include "model/arena.h"
#include "model/digest.h"
#include "model/error.h"
#include "model/text.h"
#include "model/value.h"

static const char *const comment_keys[] = {"inside", "spoof"};

static int generation_attribute(const struct nlattr *attr, void *context)
{
    if (mnl_attr_get_type(attr) == NFTA_GEN_ID)
        *(uint32_t *)context = ntohl(rtnl_u32(attr));
    return MNL_CB_OK;
}

static int generation_message(const struct nlmsghdr *message, void *context)
{
    return rtnl_head(message, sizeof(struct nfgenmsg))
               ? mnl_attr_parse(message, sizeof(struct nfgenmsg), generation_attribute, context)
               : MNL_CB_OK;
}

uint32_t seal_generation(const char *netns)
{
    struct error ignored = ERROR_INIT;
    struct nfgenmsg *head;
    struct rtnl *rtnl;
    uint32_t generation = 0;
    if (rtnl_open_in(netns, NETLINK_NETFILTER, &rtnl, &ignored) < 0)
        return 0;
    struct nlmsghdr *request =
        rtnl_request(rtnl, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0, sizeof *head, &head);
    if (rtnl_get(rtnl, request, generation_message, &generation) < 0)
        generation = 0;
    rtnl_close(rtnl);
    return generation;
}

static void links_digest(const struct link_list *links, char digest[DIGEST_TEXT])
{
    struct text text = TEXT_INIT;
    for (size_t i = 0; i < links->count; i++)
        text_printf(&text, "%s=%d ", links->items[i].name, links->items[i].index);
    digest_bytes(text.len ? text.data : "", text.len, digest);
    text_free(&text);
}

struct value *seal_make(struct arena *arena, const struct seal *seal)
{
    char digest[DIGEST_TEXT];
    struct value *value = value_map(arena);
    links_digest(seal->links, digest);
    value_set_int(arena, value, "inode", (int64_t)netns_inode(seal->netns));
    value_set_int(arena, value, "generation", seal->generation);
    value_set_text(arena, value, "links", digest);
    for (size_t i = 0; i < sizeof comment_keys / sizeof *comment_keys; i++)
        value_set_text(arena, value, comment_keys[i], seal->comments[i]);
    value_set_text(arena, value, "rules", seal->rules);
    value_set(arena, value, "sections", seal->sections);
    value_set(arena, value, "chains", seal->chains);
    return value;
}

bool seal_is_last(const struct value *seal, const char *netns, uint32_t generation)
{
    return generation > 0 && value_get_int(seal, "generation", 0) == generation &&
           value_get_int(seal, "inode", 0) == (int64_t)netns_inode(netns);
}

bool seal_has_links(const struct value *seal, const struct link_list *links)
{
    char digest[DIGEST_TEXT];
    links_digest(links, digest);
    return strcmp(value_get_text(seal, "links", ""), digest) == 0;
}

const char *seal_comment(const struct value *seal, int table)
{
    return value_get_text(seal, comment_keys[table], "");
}
