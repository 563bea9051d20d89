/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From what nft prints back to what a manifest says, and from two readings of a
 * table to what somebody did between them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "drivers/linux-vpc/decompile.c"
#include "model/json.h"

static const char committed[] =
    "ip daddr @sel_1 ip saddr @sel_2 tcp dport 80 accept comment \"fw/web#aaaaaaaa\"";

static char *protocol_text(struct arena *arena, const char *observed)
{
    struct decompiled found;
    if (!decompile_rule(arena, committed, observed, &found))
        return arena_text(arena, "not told");
    return arena_printf(arena, "%s %s", found.verdict, json_text(arena, found.protocol));
}

static void ports_and_verdict_are_read_back(void **state)
{
    struct arena *arena = arena_new();
    (void)state;
    assert_string_equal(
        protocol_text(arena,
                      "ip daddr @sel_1 ip saddr @sel_2 tcp dport { 80, 443, 8000-8080 } drop"),
        "drop {\"protocol\":\"tcp\",\"ports\":[\"443\",\"80\",\"8000-8080\"],\"icmpTypes\":[]}");
    assert_string_equal(protocol_text(arena, "ip daddr @sel_1 ip saddr @sel_2 udp dport 53 counter "
                                             "log prefix \"spinel fw/web \" group 64 accept"),
                        "accept {\"protocol\":\"udp\",\"ports\":[\"53\"],\"icmpTypes\":[]}");
    assert_string_equal(
        protocol_text(arena, "ip daddr @sel_1 ip saddr @sel_2 icmp type echo-request accept"),
        "accept {\"protocol\":\"icmp\",\"ports\":[],\"icmpTypes\":[\"echo-request\"]}");
    assert_string_equal(protocol_text(arena,
                                      "ip daddr @sel_1 ip saddr @sel_2 meta l4proto ipv6-icmp"
                                      " accept"),
                        "accept {\"protocol\":\"icmpv6\",\"ports\":[],\"icmpTypes\":[]}");
    assert_string_equal(protocol_text(arena, "ip daddr @sel_1 ip saddr @sel_2 accept"),
                        "accept null");
    arena_free(arena);
}

static void a_rule_that_names_a_prefix_is_read_back_with_it(void **state)
{
    static const char asked[] =
        "ip saddr 192.0.2.0/24 tcp dport 80 accept comment \"fw/web#aaaaaaaa\"";
    struct arena *arena = arena_new();
    struct decompiled found;
    (void)state;
    assert_true(decompile_rule(arena, asked, "ip saddr 192.0.2.0/24 tcp dport 81 drop", &found));
    assert_string_equal(found.verdict, "drop");
    assert_string_equal(json_text(arena, value_get(found.protocol, "ports")), "[\"81\"]");
    assert_false(decompile_rule(arena, asked, "ip saddr 192.0.2.0/25 tcp dport 80 accept", &found));
    assert_false(decompile_rule(arena, asked, "tcp dport 80 accept", &found));
    assert_false(
        decompile_rule(arena, asked, "ip saddr != 192.0.2.0/24 tcp dport 80 accept", &found));
    arena_free(arena);
}

static void more_than_a_manifest_can_say_is_left_as_text(void **state)
{
    struct arena *arena = arena_new();
    (void)state;
    assert_string_equal(protocol_text(arena, "ip daddr @sel_1 tcp dport 80 accept"), "not told");
    assert_string_equal(
        protocol_text(arena,
                      "ip daddr @sel_1 ip saddr @sel_2 tcp dport 80 limit rate 5/second accept"),
        "not told");
    assert_string_equal(protocol_text(arena, "ip daddr @sel_1 ip saddr @sel_2 tcp dport 80 reject"),
                        "not told");
    assert_string_equal(protocol_text(arena, "ip daddr @sel_1 ip saddr @sel_2 ct state new accept"),
                        "not told");
    arena_free(arena);
}

static void map_elements_are_found_by_key(void **state)
{
    struct arena *arena = arena_new();
    const char *map = "map ports_in type x elements = { tcp . 80 : 10.0.0.5 . 8080, "
                      "tcp . 8080 : 10.0.0.6 . 80 }";
    (void)state;
    assert_string_equal(decompile_element(arena, map, "tcp . 80"), "10.0.0.5 . 8080");
    assert_string_equal(decompile_element(arena, map, "tcp . 8080"), "10.0.0.6 . 80");
    assert_null(decompile_element(arena, map, "udp . 80"));
    assert_int_equal(decompile_element_count(map), 2);
    assert_int_equal(decompile_element_count("map empty type x"), 0);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_and_verdict_are_read_back),
        cmocka_unit_test(a_rule_that_names_a_prefix_is_read_back_with_it),
        cmocka_unit_test(more_than_a_manifest_can_say_is_left_as_text),
        cmocka_unit_test(map_elements_are_found_by_key),
    };
    return cmocka_run_group_tests_name("linux-vpc decompiler", tests, NULL, NULL);
}
