/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What linux-vpc makes of the records of a VPC, whatever stands in them: a network, its policy, the
 * text of its tables and the files of its dnsmasq. A line is a record. The same records make the
 * same bytes; what the driver also decides by its policy is what any of its rules says.
 */
#include "drivers/linux-vpc/compile.h"
#include "drivers/linux-vpc/dhcp.h"
#include "drivers/linux-vpc/policy.h"
#include "drivers/linux-vpc/records.c"
#include "tests/fuzz/fuzz.h"

#define VPC "0123456789abcdef0123456789abcdef"

enum { RECORDS_MAX = 64 };

static struct records records_of(struct arena *arena, const uint8_t *data, size_t size)
{
    struct fuzz_lines lines = fuzz_lines(data, size);
    struct records records = {.vpc = VPC};
    const char *line;
    size_t len;
    records.items = arena_array(arena, RECORDS_MAX, sizeof *records.items);
    while (records.count < RECORDS_MAX && fuzz_line(&lines, &line, &len)) {
        struct error err = ERROR_INIT;
        struct value *value = NULL;
        struct record record = {0};
        /* A file of another name is not read. */
        if (json_read(arena, line, len, &value, &err) == 0 && record_from(arena, value, &record) &&
            strlen(record.uid) == UID_TEXT - 1)
            records.items[records.count++] = record;
    }
    qsort(records.items, records.count, sizeof *records.items, record_order);
    return records;
}

static bool every_tap(void *context, const char *tap)
{
    (void)context;
    return tap[0] != '\0';
}

static void texts_write(struct text *out, const struct network *network,
                        const struct policy *policy)
{
    compile_inside(out, network, policy, every_tap, NULL);
    compile_host(out, network);
    compile_host_removal(out, network);
    dhcp_write_config(out, network, "/run/x", "nobody");
    dhcp_write_hosts(out, network);
    dhcp_write_options(out, network);
    dhcp_write_names(out, network);
}

/* A rule that denies everybody everything, first of all, lets nothing in. */
static bool denies_all_in(const struct policy *policy)
{
    const struct policy_rule *first = policy->count ? &policy->rules[0] : NULL;
    return first && first->is_in && first->is_deny && !first->targets->name &&
           !first->hosts->name && !(value_is_list(first->protocols) && first->protocols->count);
}

static void flows_try(const struct network *network, const struct policy *policy)
{
    static const int protocols[] = {1, 6, 17, 47};
    for (size_t i = 0; i < network->nic_count; i++)
        for (size_t n = 0; n < sizeof protocols / sizeof *protocols; n++) {
            const struct flow in = {.from = {.family = 4, .bytes = {198, 51, 100, 7}},
                                    .to = network->nics[i].address,
                                    .protocol = protocols[n],
                                    .port = 80,
                                    .icmp_type = 8};
            bool is_let_in = policy_allows(policy, network, &in);
            MUST(!is_let_in || !denies_all_in(policy) || network_nic_at(network, &in.from));
            MUST(!is_let_in || policy->count); /* nothing comes in by itself */
        }
}

static void network_try(struct arena *arena, const struct network *network)
{
    const struct policy policy = policy_make(arena, network), again = policy_make(arena, network);
    struct text one = TEXT_INIT, two = TEXT_INIT;
    texts_write(&one, network, &policy);
    texts_write(&two, network, &again);
    MUST(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
    flows_try(network, &policy);
    for (size_t i = 0; i < network->nic_count; i++)
        MUST(network_nic_find(network, network->nics[i].record->uid));
    for (size_t i = 0; i < network->subnet_count; i++)
        MUST(network_subnet_find(network, network->subnets[i].record->uid));
    text_free(&one);
    text_free(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct network network;
    const struct records records = records_of(arena, data, size);
    if (network_make(arena, &records, &network, &err) == 0)
        network_try(arena, &network);
    else
        MUST(err.message[0]);
    arena_free(arena);
    return 0;
}
