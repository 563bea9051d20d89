/* SPDX-License-Identifier: MPL-2.0 */
/* Texts with a grammar, and the one way in which each is kept. */
#include "tests/model/manifest.h"

#include "model/format.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define KEY "AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"
#define L60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *format, *text, *kept; /* NULL: refused */
} cases[] = {
    {"label", "web-1", "web-1"},
    {"label", "", NULL},
    {"label", L60 "aaaa", NULL},
    {"label", "Web", NULL},
    {"label", "-web", NULL},
    {"label", "web-", NULL},
    {"cidr", "10.0.0.0/8", "10.0.0.0/8"},
    {"cidr", "10.0.0.1/8", NULL},
    {"cidr", "10.0.0.0", NULL},
    {"cidr", "FD00::/48", "fd00::/48"},
    {"address", "FD00:0:0::1", "fd00::1"},
    {"address", "1.2.3", NULL},
    {"mac", "02:AB:cd:00:00:01", "02:ab:cd:00:00:01"},
    {"mac", "03:00:00:00:00:01", NULL},
    {"mac", "02:00", NULL},
    {"url", "https://example.org/a", "https://example.org/a"},
    {"url", "file:///a", "file:///a"},
    {"url", "https://", NULL},
    {"url", "https://a b", NULL},
    {"url", "ftp://a", NULL},
    {"digest", "sha256:" HEX64, "sha256:" HEX64},
    {"digest", "sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
     "sha256:" HEX64},
    {"digest", "sha512:" HEX64 HEX64, "sha512:" HEX64 HEX64},
    {"digest", "sha512:" HEX64, NULL},
    {"digest", "sha256:g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", NULL},
    {"digest", "md5:00", NULL},
    {"path", "/a//b/./c/", "/a/b/c"},
    {"path", "/", "/"},
    {"path", "/.", "/"},
    {"path", "/.hidden/..b/...", "/.hidden/..b/..."},
    {"path", "/a/../b", NULL},
    {"path", "/a/..", NULL},
    {"path", "a", NULL},
    {"ports", "80", "80"},
    {"ports", "0080", "80"},
    {"ports", "80-80", "80"},
    {"ports", "8000-8080", "8000-8080"},
    {"ports", "8080-8000", NULL},
    {"ports", "0", NULL},
    {"ports", "80-", NULL},
    {"ports", "80x", NULL},
    {"ports", "", NULL},
    {"ports", "65536", NULL},
    {"ports", "99999999999999999999", NULL},
    {"ssh-key", "ssh-ed25519 " KEY " ann@example.org \n", "ssh-ed25519 " KEY " ann@example.org"},
    {"ssh-key", "ssh-ed25519 " KEY, "ssh-ed25519 " KEY},
    {"ssh-key", "ssh-rsa " KEY, NULL},
    {"ssh-key", "ssh-ed2551X " KEY, NULL},
    {"ssh-key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", NULL}, /* a type and no key */
    {"ssh-key", "ssh-ed25519 AAA=", NULL},
    {"ssh-key", "ssh-ed25519 !!!!", NULL},
    {"ssh-key", "ssh-ed25519 " KEY "\nssh-ed25519 " KEY, NULL},
    {"ssh-key", "-----BEGIN OPENSSH PRIVATE KEY-----", NULL},
    {"ssh-key", "  ", NULL},
    {"ssh-key", "", NULL},
    {"time-of-day", "02:00", "02:00"},
    {"time-of-day", "23:59", "23:59"},
    {"time-of-day", "24:00", NULL},
    {"time-of-day", "12:60", NULL},
    {"time-of-day", "2:00", NULL},
    {"time-of-day", "x2:00", NULL},
    {"time-of-day", "0x:00", NULL},
    {"time-of-day", "02-00", NULL},
    {"time-of-day", "02:x0", NULL},
    {"time-of-day", "02:0x", NULL},
};

static void a_text_is_kept_in_one_way_or_refused_with_a_reason(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        const char *kept = NULL;
        int rc = format_read(f->arena, cases[i].format, cases[i].text, &kept, &err);

        if ((rc == 0) != (cases[i].kept != NULL))
            fail_msg("%s \"%s\": %d, %s", cases[i].format, cases[i].text, rc, err.message);
        if (rc == 0)
            assert_string_equal(kept, cases[i].kept);
        else
            assert_true(*err.message);
    }
}

/* What was kept is kept again as it is: equal meaning gives equal bytes. */
static void what_was_kept_stays_as_it_is(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        const char *kept = NULL;

        if (!cases[i].kept)
            continue;
        assert_int_equal(format_read(f->arena, cases[i].format, cases[i].kept, &kept, &err), 0);
        assert_string_equal(kept, cases[i].kept);
    }
}

static void formats_are_known_by_name(void **state)
{
    (void)state;
    assert_true(format_is_known("url"));
    assert_false(format_is_known("telephone"));
}

static void labels_are_those_of_kubernetes(void **state)
{
    static const char *const good[] = {"role", "a_b.C-1", "example.org/role", "a-b.c1/x"};
    static const char too_long[] = L60 "aaaa";
    static const char *const bad[] = {"",        "-a",           "a-",       "a b",
                                      "/a",      "example.org/", "-x.org/a", "x-/a",
                                      "X.org/a", "x_y/a",        too_long,   "example.org/a/b"};
    char domain[300];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct error err = ERROR_INIT;

        assert_int_equal(format_label_key(good[i], &err), 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = ERROR_INIT;

        assert_int_equal(format_label_key(bad[i], &err), ERR_INVALID);
    }
    memset(domain, 'a', sizeof(domain));
    memcpy(domain + 254, "/a", 3);
    struct error err = ERROR_INIT;
    assert_int_equal(format_label_key(domain, &err), ERR_INVALID);
    assert_int_equal(format_label_value("", &err), 0);
    assert_int_equal(format_label_value("v1.2", &err), 0);
    assert_int_equal(format_label_value("v 1", &err), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(a_text_is_kept_in_one_way_or_refused_with_a_reason),
        MODEL_TEST(what_was_kept_stays_as_it_is),
        MODEL_TEST(formats_are_known_by_name),
        MODEL_TEST(labels_are_those_of_kubernetes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
