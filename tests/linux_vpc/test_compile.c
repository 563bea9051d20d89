/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The rule compiler, from records to bytes. The golden texts are what a VPC with a
 * bit of everything becomes; GOLDEN=update writes them anew, to be read in review.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "drivers/linux-vpc/compile.c"
#include "drivers/linux-vpc/compile_firewall.c"
#include "drivers/linux-vpc/dhcp_files.c"
#include "drivers/linux-vpc/draft.c"
#include "drivers/linux-vpc/kept.c"
#include "drivers/linux-vpc/names.c"
#include "drivers/linux-vpc/network.c"
#include "drivers/linux-vpc/policy.c"
#include "drivers/linux-vpc/records.c"

#define GOLDEN "tests/linux_vpc/golden/"
#define U(n) "0" #n "0000000000000000000000000000" #n

static const char *const shop[] = {
    "{'kind':'VPC','uid':'" U(1) "','project':'shop','name':'net','epoch':1,"
                                 "'spec':{'prefixes':['10.0.0.0/16'],'nat':true,'mtu':1500},"
                                 "'chosen':{'transit':3,'tag':'a tag'}}",
    "{'kind':'Subnet','uid':'" U(
        2) "','project':'shop','name':'front','epoch':1,"
           "'spec':{'vpc':'net','cidr':'10.0.1.0/24','dhcp':true,"
           "'dns':{'enabled':true,'servers':['9.9.9.9'],'domain':'internal'}}}",
    "{'kind':'Subnet','uid':'" U(
        3) "','project':'shop','name':'quiet','epoch':1,"
           "'spec':{'vpc':'net','cidr':'10.0.2.0/25','gateway':'10.0.2.9','dhcp':false,"
           "'dns':{'enabled':false,'servers':[],'domain':'internal'}}}",
    "{'kind':'NIC','uid':'" U(
        4) "','project':'shop','name':'web.eth0','epoch':1,"
           "'spec':{'instance':'web','interface':'eth0','subnet':'front','address':'10.0.1.5',"
           "'mac':'02:00:00:00:00:05','labels':{'role':'web'}}}",
    "{'kind':'NIC','uid':'" U(
        5) "','project':'shop','name':'web.eth1','epoch':1,"
           "'spec':{'instance':'web','interface':'eth1','subnet':'quiet','address':'10.0.2.5',"
           "'mac':'02:00:00:00:02:05','labels':{'role':'web'}}}",
    "{'kind':'NIC','uid':'" U(
        6) "','project':'shop','name':'db.eth0','epoch':1,"
           "'spec':{'instance':'db','interface':'eth0','subnet':'front','address':'10.0.1.6',"
           "'mac':'02:00:00:00:00:06','labels':{}}}",
    "{'kind':'Firewall','uid':'" U(
        7) "','project':'shop','name':'fw','epoch':1,'spec':{'vpc':'net',"
           "'rules':[{'name':'web','direction':'in','action':'allow','priority':1000,"
           "'targets':[{'label':'role=web'}],'hosts':[],'protocols':[{'protocol':'tcp',"
           "'ports':['80','8000-8080']},{'protocol':'icmp','icmpTypes':['echo-request','3/4']}],"
           "'log':true},"
           "{'name':'blocked','direction':'in','action':'deny','priority':1000,'targets':[],"
           "'hosts':[{'cidr':'192.0.2.0/24'}],'protocols':[],'log':false},"
           "{'name':'db','direction':'in','action':'allow','priority':500,"
           "'targets':[{'instance':'db'}],'hosts':[{'subnet':'front'},{'cidr':'198.51.100.7/32'}],"
           "'protocols':[{'protocol':'tcp','ports':['5432']}],'log':false},"
           "{'name':'no-mail','direction':'out','action':'deny','priority':1000,'targets':[],'"
           "hosts':[],"
           "'protocols':[{'protocol':'tcp','ports':['25']}],'log':false}]}}",
    "{'kind':'FloatingIP','uid':'" U(
        8) "','project':'shop','name':'public','epoch':1,"
           "'spec':{'address':'203.0.113.10','vpc':'net','instance':'web'}}",
    "{'kind':'FloatingIP','uid':'" U(9) "','project':'shop','name':'spare','epoch':1,"
                                        "'spec':{'address':'203.0.113.11','vpc':'net'}}",
    "{'kind':'PortForward','uid':'0a000000000000000000000000000000','project':'shop','name':'http',"
    "'epoch':1,'spec':{'vpc':'net','protocol':'tcp','port':8080,'instance':'web','nic':'eth1',"
    "'targetPort':80},'chosen':{'transitPort':8080}}",
    "{'kind':'PortForward','uid':'0b000000000000000000000000000000','project':'shop','name':'other'"
    ","
    "'epoch':1,'spec':{'vpc':'net','address':'192.0.2.1','protocol':'tcp','port':8080,"
    "'instance':'db'},'chosen':{'transitPort':8081}}",
};

struct world {
    struct arena *arena;
    struct records records;
    struct network network;
    struct policy policy;
};

/* JSON with single quotes, so that it reads well in C. */
static struct value *value_of(struct arena *arena, const char *quoted)
{
    struct error err = ERROR_INIT;
    struct value *value = NULL;
    char *text = arena_text(arena, quoted);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    if (json_read(arena, text, strlen(text), &value, &err) < 0)
        fail_msg("%s", err.message);
    return value;
}

static void world_make(struct world *world, const char *const *records, size_t count)
{
    struct error err = ERROR_INIT;
    world->records = (struct records){.vpc = U(1)};
    world->records.items = arena_array(world->arena, count, sizeof(struct record));
    for (size_t i = 0; i < count; i++)
        assert_true(record_from(world->arena, value_of(world->arena, records[i]),
                                &world->records.items[world->records.count++]));
    qsort(world->records.items, count, sizeof(struct record), record_order);
    if (network_make(world->arena, &world->records, &world->network, &err) < 0)
        fail_msg("%s", err.message);
    world->policy = policy_make(world->arena, &world->network);
}

static int setup(void **state)
{
    static struct world world;
    world.arena = arena_new();
    world_make(&world, shop, sizeof shop / sizeof *shop);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    arena_free(world->arena);
    return 0;
}

static void assert_golden(const char *name, struct text *text)
{
    char path[128];
    struct text golden = TEXT_INIT;
    snprintf(path, sizeof path, GOLDEN "%s", name);
    if (getenv("GOLDEN")) {
        FILE *file = fopen(path, "we");
        assert_non_null(file);
        fputs(text->data, file);
        fclose(file);
    }
    assert_int_equal(file_read(path, &golden), 0);
    assert_string_equal(text->data, golden.data);
    text_free(&golden);
    text_free(text);
}

static bool tap_is_there(void *context, const char *tap)
{
    const char *missing = context;
    return !missing || strcmp(tap, missing) != 0;
}

static void a_vpc_compiles_to_its_golden_text(void **state)
{
    struct world *world = *state;
    struct text text = TEXT_INIT;
    compile_inside(&text, &world->network, &world->policy, tap_is_there, NULL);
    assert_golden("inside.nft", &text);
}

static void its_host_side_compiles_to_its_golden_text(void **state)
{
    struct world *world = *state;
    struct text text = TEXT_INIT;
    compile_host(&text, &world->network);
    assert_golden("host.nft", &text);
}

static void dnsmasq_gets_its_golden_files(void **state)
{
    struct world *world = *state;
    struct text text = TEXT_INIT;
    dhcp_write_config(&text, &world->network, "/run/x", "dnsmasq");
    text_add(&text, "--- hosts\n");
    dhcp_write_hosts(&text, &world->network);
    text_add(&text, "--- options\n");
    dhcp_write_options(&text, &world->network);
    text_add(&text, "--- names\n");
    dhcp_write_names(&text, &world->network);
    assert_golden("dnsmasq.conf", &text);
}

static void a_nic_without_its_tap_has_no_chain(void **state)
{
    struct world *world = *state;
    struct text text = TEXT_INIT;
    char tap[16];
    compile_inside(&text, &world->network, &world->policy, tap_is_there, native_tap(U(6), tap));
    assert_null(strstr(text.data, tap));
    assert_non_null(strstr(text.data, native_tap(U(4), tap)));
    text_free(&text);
}

static void a_new_nic_changes_sets_and_no_rule(void **state)
{
    struct world *world = *state;
    struct world more = {.arena = world->arena};
    const char *records[sizeof shop / sizeof *shop + 1];
    struct text before = TEXT_INIT;
    struct text after = TEXT_INIT;
    memcpy(records, shop, sizeof shop);
    records[sizeof shop / sizeof *shop] =
        "{'kind':'NIC','uid':'0c000000000000000000000000000000','project':'shop','name':'web2.eth0'"
        ","
        "'epoch':1,'spec':{'instance':'web2','interface':'eth0','subnet':'front',"
        "'address':'10.0.1.7','mac':'02:00:00:00:00:07','labels':{'role':'web'}}}";
    world_make(&more, records, sizeof shop / sizeof *shop + 1);
    rules_write(&before, &world->policy, 0, world->policy.count, true);
    rules_write(&after, &more.policy, 0, more.policy.count, true);
    assert_string_equal(before.data, after.data);
    text_reset(&after);
    sets_write(&after, &more.policy);
    assert_non_null(strstr(after.data, "10.0.1.7"));
    text_free(&before);
    text_free(&after);
}

/* ---- sections ----------------------------------------------------------------------- */

/* A policy of so many rules, without the one of that number. Every third one is of what goes out.
 */
static struct policy policy_of(struct world *world, size_t count, size_t without)
{
    struct policy policy = {0};
    policy.rules = arena_array(world->arena, count + 1, sizeof *policy.rules);
    for (size_t i = 0; i < count; i++) {
        struct policy_rule *rule = &policy.rules[policy.count];
        *rule = world->policy.rules[0];
        rule->name = arena_printf(world->arena, "r%zu", i);
        rule->is_in = i % 3 != 0;
        policy.count += i != without;
    }
    return policy;
}

static char *section_text(struct world *world, const struct policy *policy,
                          const struct compile_section *section)
{
    struct text text = TEXT_INIT;
    compile_section(&text, policy, section);
    char *copy = arena_text(world->arena, text.data);
    text_free(&text);
    return copy;
}

static void a_short_list_of_rules_has_no_sections(void **state)
{
    struct world *world = *state;
    struct policy policy = policy_of(world, 3 * LONG_LIST / 2 - 1, SIZE_MAX);
    assert_int_equal(compile_sections(world->arena, &policy).count, 0);
    policy = policy_of(world, 3 * LONG_LIST / 2 + 1, SIZE_MAX);
    assert_true(compile_sections(world->arena, &policy).count > 0);
}

static void sections_have_each_rule_that_comes_in_once_and_in_order(void **state)
{
    struct world *world = *state;
    struct policy policy = policy_of(world, 3000, SIZE_MAX);
    struct compile_sections sections = compile_sections(world->arena, &policy);
    struct text together = TEXT_INIT, alone = TEXT_INIT, frame = TEXT_INIT;
    size_t longest = 0;
    compile_firewall(&frame, &policy, &sections);
    const char *jump = strstr(frame.data, "chain in {");
    for (size_t i = 0; i < sections.count; i++) {
        const struct compile_section *section = &sections.items[i];
        size_t rules = section->end - section->first;
        assert_true(rules > 0 && (i == 0 || section->first >= sections.items[i - 1].end));
        longest = rules > longest ? rules : longest;
        rules_write(&together, &policy, section->first, section->end, true);
        for (size_t n = 0; n < i; n++)
            assert_string_not_equal(section->name, sections.items[n].name);
        jump = strstr(jump, arena_printf(world->arena, "jump %s ", section->name));
        assert_non_null(jump);
    }
    assert_true(longest <= 2 * SECTION_MAX);
    rules_write(&alone, &policy, 0, policy.count, true);
    assert_string_equal(together.data, alone.data);
    text_free(&together);
    text_free(&alone);
    text_free(&frame);
}

/* Sections of `after` that `before` does not have. */
static size_t sections_changed(struct world *world, const struct policy *before,
                               const struct policy *after)
{
    struct compile_sections was = compile_sections(world->arena, before);
    struct compile_sections is = compile_sections(world->arena, after);
    size_t changed = 0;
    for (size_t i = 0; i < is.count; i++) {
        const char *text = section_text(world, after, &is.items[i]);
        bool is_there = false;
        for (size_t n = 0; n < was.count && !is_there; n++)
            is_there = strcmp(section_text(world, before, &was.items[n]), text) == 0;
        changed += !is_there;
    }
    return changed;
}

static void a_rule_less_moves_hardly_any_other_sections_rules(void **state)
{
    struct world *world = *state;
    struct policy whole = policy_of(world, 1500, SIZE_MAX);
    size_t changed = 0, times = 0;
    assert_true(compile_sections(world->arena, &whole).count > 20);
    for (size_t without = 1; without < 1500; without += 150) {
        struct policy less = policy_of(world, 1500, without);
        size_t now = sections_changed(world, &whole, &less);
        assert_true(now <= 5);
        changed += now;
        times++;
    }
    assert_true(changed > 0 && changed <= 2 * times);
}

static void long_names_leave_room_for_the_digest(void **state)
{
    char mark[COMPILE_COMMENT_MAX];
    char name[64];
    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    compile_rule_mark(mark, "fw", "web", 1);
    assert_string_equal(mark, "fw/web#");
    compile_rule_mark(mark, "fw", "web", 2);
    assert_string_equal(mark, "fw/web.2#");
    compile_rule_mark(mark, name, name, 1024);
    assert_true(strlen(mark) + RULE_DIGEST < COMPILE_COMMENT_MAX);
    assert_non_null(strstr(mark, ".1024#"));
}

/* ---- policy ------------------------------------------------------------------------- */

static bool allows(const struct world *world, const char *from, const char *to, int protocol,
                   int port)
{
    struct error err = ERROR_INIT;
    struct flow flow = {.protocol = protocol, .port = port, .icmp_type = 8};
    assert_int_equal(address_read(from, &flow.from, &err), 0);
    assert_int_equal(address_read(to, &flow.to, &err), 0);
    return policy_allows(&world->policy, &world->network, &flow);
}

static void what_no_rule_allows_is_denied_in_and_allowed_out(void **state)
{
    struct world *world = *state;
    assert_false(allows(world, "10.0.1.6", "10.0.1.5", 6, 22));
    assert_true(allows(world, "10.0.1.6", "198.51.100.1", 6, 22));
}

static void rules_are_matched_by_label_instance_subnet_and_cidr(void **state)
{
    struct world *world = *state;
    assert_true(allows(world, "10.0.1.6", "10.0.1.5", 6, 80));
    assert_true(allows(world, "10.0.1.6", "10.0.2.5", 6, 8040));
    assert_true(allows(world, "10.0.1.5", "10.0.1.6", 6, 5432));
    assert_true(allows(world, "198.51.100.7", "10.0.1.6", 6, 5432));
    assert_false(allows(world, "10.0.2.5", "10.0.1.6", 6, 5432));
    assert_false(allows(world, "10.0.1.5", "10.0.1.6", 17, 5432));
    assert_true(allows(world, "10.0.1.6", "10.0.1.5", 1, 0));
}

static void deny_wins_a_tie_and_a_lower_number_wins_over_deny(void **state)
{
    struct world *world = *state;
    assert_false(allows(world, "192.0.2.77", "10.0.1.5", 6, 80));
    assert_true(allows(world, "198.51.100.9", "10.0.1.5", 6, 80));
    assert_string_equal(world->policy.rules[0].name, "db");
}

static void an_outbound_deny_binds_the_sender(void **state)
{
    struct world *world = *state;
    assert_false(allows(world, "10.0.1.6", "198.51.100.1", 6, 25));
    assert_true(allows(world, "10.0.1.6", "198.51.100.1", 17, 25));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_vpc_compiles_to_its_golden_text, setup, teardown),
        cmocka_unit_test_setup_teardown(its_host_side_compiles_to_its_golden_text, setup, teardown),
        cmocka_unit_test_setup_teardown(dnsmasq_gets_its_golden_files, setup, teardown),
        cmocka_unit_test_setup_teardown(a_nic_without_its_tap_has_no_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_nic_changes_sets_and_no_rule, setup, teardown),
        cmocka_unit_test_setup_teardown(a_short_list_of_rules_has_no_sections, setup, teardown),
        cmocka_unit_test_setup_teardown(sections_have_each_rule_that_comes_in_once_and_in_order,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_rule_less_moves_hardly_any_other_sections_rules, setup,
                                        teardown),
        cmocka_unit_test(long_names_leave_room_for_the_digest),
        cmocka_unit_test_setup_teardown(what_no_rule_allows_is_denied_in_and_allowed_out, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(rules_are_matched_by_label_instance_subnet_and_cidr, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(deny_wins_a_tie_and_a_lower_number_wins_over_deny, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_outbound_deny_binds_the_sender, setup, teardown),
    };
    return cmocka_run_group_tests_name("linux-vpc compiler", tests, NULL, NULL);
}
