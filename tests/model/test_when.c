/* SPDX-License-Identifier: MPL-2.0 */
/* Times for people and for programs. */
#include "tests/model/manifest.h"

#include "model/when.h"

static void an_age_is_told_in_the_largest_unit_that_still_says_something(void **state)
{
    static const struct {
        int64_t at, now;
        const char *age;
    } cases[] = {
        {0, 1000, "never"},
        {1000, 1000, "just now"},
        {1000, 1001, "just now"},
        {1000, 999, "just now"},
        {1000, 1040, "40s ago"},
        {1000, 1119, "119s ago"},
        {1000, 1120, "2m ago"},
        {1000, 1000 + 7199, "119m ago"},
        {1000, 1000 + 7200, "2h ago"},
        {1000, 1000 + 172799, "47h ago"},
        {1000, 1000 + 172800, "2d ago"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(when_age(f->arena, cases[i].at, cases[i].now), cases[i].age);
}

static void how_long_it_took_has_as_many_digits_as_matter(void **state)
{
    static const struct {
        int64_t ms;
        const char *took;
    } cases[] = {
        {0, "0ms"},     {999, "999ms"},   {1000, "1.0s"},    {9999, "9.9s"},
        {10000, "10s"}, {119999, "119s"}, {120000, "2m00s"}, {200500, "3m20s"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(when_took(f->arena, cases[i].ms), cases[i].took);
}

static void a_time_is_read_as_people_type_it(void **state)
{
    struct error err = ERROR_INIT;
    int64_t at = 0, now = when_now();

    (void)state;
    assert_int_equal(when_read("1970-01-02T00:00:01Z", 1, &at, &err), 0);
    assert_int_equal(at, 86401);
    assert_int_equal(when_read("1970-01-02", 1, &at, &err), 0);
    assert_int_equal(at, 86400);
    assert_int_equal(when_read("2h", 1, &at, &err), 0);
    assert_in_range(at, now + 7200, now + 7260);
    assert_int_equal(when_read("2h", -1, &at, &err), 0);
    assert_in_range(at, now - 7200, now - 7140);
    assert_int_equal(when_read("1970-01-02 and more", 1, &at, &err), ERR_INVALID);
    assert_int_equal(when_read("2024-02-29", 1, &at, &err), 0);
    assert_int_equal(when_read("2026-02-29", 1, &at, &err), ERR_INVALID);
    assert_int_equal(when_read("2026-04-31T10:00:00Z", 1, &at, &err), ERR_INVALID);
    assert_int_equal(when_read("tomorrow", 1, &at, &err), ERR_INVALID);
    assert_non_null(strstr(err.message, "tomorrow"));
    assert_int_equal(when_read("1969-12-31", 1, &at, &err), ERR_INVALID); /* before any clock's */
    /* Beyond the year 9999, which cannot be written. */
    assert_int_equal(when_read("9223372036854775807s", 1, &at, &err), ERR_INVALID);
    assert_int_equal(when_read("400000000000s", 1, &at, &err), ERR_INVALID);
}

static void programs_get_utc_and_nothing_for_never(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(when_rfc3339(f->arena, 0), "");
    assert_string_equal(when_rfc3339(f->arena, 86400), "1970-01-02T00:00:00Z");
    assert_string_equal(when_rfc3339(f->arena, INT64_MAX), ""); /* beyond what a calendar holds */
}

static void a_time_with_milliseconds_is_as_long_for_each(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(when_rfc3339_ms(f->arena, 0), "1970-01-01T00:00:00.000Z");
    assert_string_equal(when_rfc3339_ms(f->arena, 86400007), "1970-01-02T00:00:00.007Z");
    assert_string_equal(when_rfc3339_ms(f->arena, INT64_MIN), "1970-01-01T00:00:00.000Z");
    assert_string_equal(when_rfc3339_ms(f->arena, INT64_MAX), "9999-12-31T23:59:59.999Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(an_age_is_told_in_the_largest_unit_that_still_says_something),
        MODEL_TEST(how_long_it_took_has_as_many_digits_as_matter),
        MODEL_TEST(a_time_is_read_as_people_type_it),
        MODEL_TEST(programs_get_utc_and_nothing_for_never),
        MODEL_TEST(a_time_with_milliseconds_is_as_long_for_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
