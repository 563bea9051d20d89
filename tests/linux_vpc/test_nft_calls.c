/* SPDX-License-Identifier: MPL-2.0 */
/*
 * libnftables, failing: each of its calls once and for good, while rules are set and read
 * back. What comes of it is an error or what is really there; never rules that look absent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include "drivers/linux-vpc/names.c"
#include "drivers/linux-vpc/netns.c"
#include "drivers/linux-vpc/nft.c"

#define RULES(port)                                                      \
    "table inet spinel\ndelete table inet spinel\ntable inet spinel {\n" \
    "comment \"ours\"\nchain in {\ntcp dport " port " accept comment \"fw/a.1#1\"\n}\n}\n"

enum call { CTX_NEW, BUFFER_OUTPUT, BUFFER_ERROR, RUN, CALLS };

static struct {
    unsigned nth[CALLS]; /* counts down; 0: never */
    bool lasts;
    unsigned failed[CALLS];
} faults;

static bool fails(enum call call)
{
    if (faults.nth[call] == 0)
        return false;
    if (--faults.nth[call] > 0)
        return false;
    faults.nth[call] = faults.lasts ? 1 : 0;
    faults.failed[call]++;
    return true;
}

struct nft_ctx *__real_nft_ctx_new(uint32_t flags);
struct nft_ctx *__wrap_nft_ctx_new(uint32_t flags);
struct nft_ctx *__wrap_nft_ctx_new(uint32_t flags)
{
    return fails(CTX_NEW) ? NULL : __real_nft_ctx_new(flags);
}

int __real_nft_ctx_buffer_output(struct nft_ctx *nft);
int __wrap_nft_ctx_buffer_output(struct nft_ctx *nft);
int __wrap_nft_ctx_buffer_output(struct nft_ctx *nft)
{
    return fails(BUFFER_OUTPUT) ? -1 : __real_nft_ctx_buffer_output(nft);
}

int __real_nft_ctx_buffer_error(struct nft_ctx *nft);
int __wrap_nft_ctx_buffer_error(struct nft_ctx *nft);
int __wrap_nft_ctx_buffer_error(struct nft_ctx *nft)
{
    return fails(BUFFER_ERROR) ? -1 : __real_nft_ctx_buffer_error(nft);
}

int __real_nft_run_cmd_from_buffer(struct nft_ctx *nft, const char *commands);
int __wrap_nft_run_cmd_from_buffer(struct nft_ctx *nft, const char *commands);
int __wrap_nft_run_cmd_from_buffer(struct nft_ctx *nft, const char *commands)
{
    return fails(RUN) ? -1 : __real_nft_run_cmd_from_buffer(nft, commands);
}

static int read_table(struct arena *arena, struct nft_table *table, struct error *err)
{
    *table = (struct nft_table){0};
    return nft_read(arena, NULL, "inet spinel", table, err);
}

static bool is_same(struct arena *arena, const struct nft_table *a, const struct nft_table *b)
{
    struct nft_change *changes;
    return a->is_present == b->is_present && a->count == b->count &&
           nft_compare(arena, a, b, &changes) == 0;
}

static void fail_at(enum call call, unsigned nth, bool lasts)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct nft_table before, now, after;
    memset(&faults, 0, sizeof faults);
    if (nft_apply(NULL, RULES("80"), &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(read_table(arena, &before, &err), 0);
    assert_true(before.is_present && before.count >= 2);

    faults.nth[call] = nth;
    faults.lasts = lasts;
    int rc = read_table(arena, &now, &err);
    assert_true(rc < 0 || is_same(arena, &before, &now));
    int applied = nft_apply(NULL, RULES("81"), &err);
    assert_true(applied == 0 || err.message[0]);
    assert_true(faults.failed[call] > 0);

    memset(&faults, 0, sizeof faults);
    assert_int_equal(read_table(arena, &after, &err), 0);
    assert_int_equal(is_same(arena, &before, &after), applied < 0);
    arena_free(arena);
}

static void each_call_fails(void **state)
{
    (void)state;
    if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0 || system("nft list ruleset") != 0) {
        print_message("# SKIP not root, or no network namespace with nf_tables to be had\n");
        skip();
    }
    for (int call = 0; call < CALLS; call++)
        for (unsigned nth = 1; nth <= 2; nth++)
            for (int lasts = 0; lasts < 2; lasts++)
                fail_at((enum call)call, nth, lasts != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
