/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Two readings of a table, and what somebody did between them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "drivers/linux-vpc/names.c"
#include "drivers/linux-vpc/netns.c"
#include "drivers/linux-vpc/nft.c"

static struct nft_entry rules[] = {
    {"inet spinel", "in", "fw/a.1#1", "tcp dport 1 accept comment \"fw/a.1#1\""},
    {"inet spinel", "in", "fw/b.1#2", "tcp dport 2 accept comment \"fw/b.1#2\""},
    {"inet spinel", "in", "fw/c.1#3", "tcp dport 3 accept comment \"fw/c.1#3\""},
    {"inet spinel", "in", NULL, "chain"},
};

static struct nft_table table_of(struct nft_entry *entries, size_t count)
{
    return (struct nft_table){
        .is_present = true, .comment = "", .entries = entries, .count = count};
}

static void the_same_entries_are_no_change(void **state)
{
    struct arena *arena = arena_new();
    struct nft_table table = table_of(rules, 4);
    struct nft_change *changes;
    (void)state;
    assert_int_equal(nft_compare(arena, &table, &table, &changes), 0);
    arena_free(arena);
}

static void an_edit_that_drops_the_comment_is_paired_with_its_rule(void **state)
{
    struct arena *arena = arena_new();
    struct nft_entry edited[4];
    struct nft_change *changes;
    (void)state;
    memcpy(edited, rules, sizeof rules);
    edited[1] = (struct nft_entry){"inet spinel", "in", "", "tcp dport 22 accept"};
    struct nft_table expected = table_of(rules, 4);
    struct nft_table observed = table_of(edited, 4);
    assert_int_equal(nft_compare(arena, &expected, &observed, &changes), 1);
    assert_string_equal(changes[0].expected->comment, "fw/b.1#2");
    assert_string_equal(changes[0].observed->text, "tcp dport 22 accept");
    arena_free(arena);
}

static void an_added_and_a_removed_rule_are_told_apart(void **state)
{
    struct arena *arena = arena_new();
    struct nft_entry more[5];
    struct nft_change *changes;
    (void)state;
    memcpy(more, rules, sizeof rules);
    more[4] = (struct nft_entry){"inet spinel", "in", "", "accept"};
    struct nft_table four = table_of(rules, 4);
    struct nft_table five = table_of(more, 5);
    assert_int_equal(nft_compare(arena, &four, &five, &changes), 1);
    assert_null(changes[0].expected);
    assert_int_equal(nft_compare(arena, &five, &four, &changes), 1);
    assert_null(changes[0].observed);
    arena_free(arena);
}

static void a_rule_that_moved_is_a_change(void **state)
{
    struct arena *arena = arena_new();
    struct nft_entry moved[4];
    struct nft_change *changes;
    (void)state;
    memcpy(moved, rules, sizeof rules);
    moved[0] = rules[2];
    moved[2] = rules[0];
    struct nft_table expected = table_of(rules, 4);
    struct nft_table observed = table_of(moved, 4);
    assert_int_equal(nft_compare(arena, &expected, &observed, &changes), 1);
    arena_free(arena);
}

static void the_order_of_elements_means_nothing(void **state)
{
    struct arena *arena = arena_new();
    (void)state;
    assert_string_equal(elements_sorted(arena, "set s type t elements = { c, a, b }"),
                        elements_sorted(arena, "set s type t elements = { b, c, a }"));
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_entries_are_no_change),
        cmocka_unit_test(an_edit_that_drops_the_comment_is_paired_with_its_rule),
        cmocka_unit_test(an_added_and_a_removed_rule_are_told_apart),
        cmocka_unit_test(a_rule_that_moved_is_a_change),
        cmocka_unit_test(the_order_of_elements_means_nothing),
    };
    return cmocka_run_group_tests_name("linux-vpc ruleset", tests, NULL, NULL);
}
