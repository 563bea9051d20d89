/* SPDX-License-Identifier: MPL-2.0 */
/* What was seen of objects whose uids a driver has chosen. Steps are counted, never time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "reconciler/engine/core_state.h"

enum { UIDS = 30000, FAR = 20 };

static void uids_in_a_row_make_no_long_chain(void **state)
{
    struct core core = {0};
    (void)state;
    for (int i = 0; i < UIDS; i++) {
        char uid[UID_TEXT];
        snprintf(uid, sizeof uid, "%032x", i);
        assert_null(seen_find(&core, uid));
        const struct seen *seen = seen_add(&core, uid);
        assert_ptr_equal(seen_find(&core, uid), seen);
    }
    for (size_t i = 0; i < core.seen.slot_count; i++) {
        size_t far = 0;
        for (const struct seen *seen = core.seen.slots[i]; seen; seen = seen->chained)
            far++;
        assert_in_range(far, 0, FAR);
    }
    seen_clear(&core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uids_in_a_row_make_no_long_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
