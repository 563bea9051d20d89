/* SPDX-License-Identifier: MPL-2.0 */
/* What nobody could look at: command, daemon and viewer count it by one rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "model/error.h"
#include "model/json.h"
#include "reconciler/engine/unseen.h"

static int64_t count_of(const char *unseen, const char *const *touched, size_t count)
{
    struct arena *arena = arena_new();
    struct error err = ERROR_INIT;
    struct value *list = NULL;
    assert_int_equal(json_read(arena, unseen, strlen(unseen), &list, &err), 0);
    int64_t found = unseen_count(arena, list, touched, count);
    arena_free(arena);
    return found;
}

#define NIC(name) "{\"kind\":\"NIC\",\"project\":\"shop\",\"name\":\"" name "\"}"
#define WEB "{\"kind\":\"Instance\",\"project\":\"shop\",\"name\":\"web\"}"

static void a_machine_whose_nic_is_unseen_is_unknown(void **state)
{
    (void)state;
    assert_int_equal(count_of("[" NIC("web.eth0") "]", NULL, 0), 1);
}

static void a_machine_is_counted_once_with_all_that_is_derived_of_it(void **state)
{
    (void)state;
    assert_int_equal(
        count_of("[" NIC("web.eth0") "," WEB "," NIC("web.eth1") "," NIC("db.eth0") "]", NULL, 0),
        2);
}

static void of_what_the_plan_says_more_the_unseen_say_nothing(void **state)
{
    const char *const touched[] = {"Volume shop/web", "Instance shop/web"};
    (void)state;
    assert_int_equal(count_of("[" NIC("web.eth0") "," NIC("db.eth0") "]", touched, 2), 1);
    assert_int_equal(count_of("[" NIC("web.eth0") "]", touched, 2), 0);
}

static void where_all_was_seen_nothing_is_unknown(void **state)
{
    const char *const touched[] = {"Instance shop/web"};
    (void)state;
    assert_int_equal(count_of("[]", touched, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_whose_nic_is_unseen_is_unknown),
        cmocka_unit_test(a_machine_is_counted_once_with_all_that_is_derived_of_it),
        cmocka_unit_test(of_what_the_plan_says_more_the_unseen_say_nothing),
        cmocka_unit_test(where_all_was_seen_nothing_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
