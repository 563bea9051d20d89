/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Somebody else commits rules to the same namespace all the time, between and amid our own
 * transactions: each of ours is there as a whole or not at all, and what is read is one of
 * those that were.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "drivers/linux-vpc/names.c"
#include "drivers/linux-vpc/netns.c"
#include "drivers/linux-vpc/nft.c"

enum { ROUNDS = 300, RULES = 40 };

/* So many rules that a list of them takes more than one message. */
static const char *rules(struct arena *arena, int round)
{
    struct text text = TEXT_INIT;
    text_add(&text, "table inet spinel\ndelete table inet spinel\ntable inet spinel {\n"
                    "comment \"ours\"\nchain in {\n");
    for (int i = 0; i < RULES; i++)
        text_printf(&text, "tcp dport %d accept comment \"fw/%d#%d\"\n", 1000 + i, round, i);
    text_add(&text, "}\n}\n");
    const char *made = arena_text(arena, text.data);
    text_free(&text);
    return made;
}

/* Until it is killed. */
static _Noreturn void other_main(unsigned *commits)
{
    struct error err = ERROR_INIT;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        nft_apply(NULL,
                  "table ip other\ndelete table ip other\ntable ip other {\n"
                  "chain c {\ncounter accept\n}\n}\n",
                  &err);
        ++*(volatile unsigned *)commits;
    }
}

static void assert_whole(const struct nft_table *table, int round)
{
    char comment[32];
    snprintf(comment, sizeof comment, "fw/%d#", round);
    assert_true(table->is_present);
    assert_int_equal(table->count, RULES + 1);
    for (size_t i = 0; i < table->count; i++)
        if (table->entries[i].comment &&
            strncmp(table->entries[i].comment, comment, strlen(comment)) != 0)
            fail_msg("round %d: %s", round, table->entries[i].text);
}

static void who_commits_beside_us_breaks_no_transaction(void **state)
{
    unsigned *commits =
        mmap(NULL, sizeof *commits, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)state;
    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0 || system("nft list ruleset") != 0) {
        print_message("# SKIP not root, or no network namespace with nf_tables to be had\n");
        skip();
    }
    pid_t other = fork();
    if (other == 0)
        other_main(commits);
    for (int round = 0; round < ROUNDS; round++) {
        struct arena *arena = arena_new();
        struct nft_table table;
        struct error err = ERROR_INIT;
        if (nft_apply(NULL, rules(arena, round), &err) < 0)
            fail_msg("round %d: %s", round, err.message);
        if (nft_read(arena, NULL, "inet spinel", &table, &err) < 0)
            fail_msg("round %d is not read: %s", round, err.message);
        assert_whole(&table, round);
        arena_free(arena);
    }
    unsigned between = *commits;
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    munmap(commits, sizeof *commits);
    assert_true(between > ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_commits_beside_us_breaks_no_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
