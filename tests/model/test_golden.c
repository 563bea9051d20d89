/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Every golden/X.yaml gives exactly the problems of golden/X.txt, as `check` shows
 * them. GOLDEN_UPDATE=1 writes the .txt files anew; read the difference as prose.
 */
#include "tests/model/manifest.h"

#include <dirent.h>

static const char dir[] = "tests/model/golden";

static char *file_read(struct arena *arena, const char *path, size_t *len)
{
    FILE *file = fopen(path, "r");
    char *data;
    long size;

    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    data = arena_alloc(arena, (size_t)size + 1);
    *len = fread(data, 1, (size_t)size, file);
    fclose(file);
    return data;
}

static void golden_check(const char *name)
{
    void *state;
    struct fixture *f;
    struct text found = TEXT_INIT;
    char *expected;
    char *path;
    char *data;
    size_t len;

    fixture_setup(&state);
    f = state;
    data = file_read(f->arena, arena_printf(f->arena, "%s/%s.yaml", dir, name), &len);
    assert_non_null(data);
    fixture_read(f, arena_printf(f->arena, "%s.yaml", name), data, len);
    report_write(&found, &f->report, false);
    path = arena_printf(f->arena, "%s/%s.txt", dir, name);
    if (getenv("GOLDEN_UPDATE")) {
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        fputs(found.data, file);
        fclose(file);
    }
    expected = file_read(f->arena, path, &len);
    assert_non_null(expected);
    assert_string_equal(found.data, expected);
    text_free(&found);
    fixture_teardown(&state);
}

static void problems_read_as_the_golden_files_say(void **state)
{
    DIR *entries = opendir(dir);
    struct dirent *entry;
    int count = 0;

    (void)state;
    assert_non_null(entries);
    while ((entry = readdir(entries)) != NULL) {
        char *dot = strrchr(entry->d_name, '.');

        if (!dot || strcmp(dot, ".yaml") != 0)
            continue;
        *dot = '\0';
        golden_check(entry->d_name);
        count++;
    }
    closedir(entries);
    assert_true(count >= 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problems_read_as_the_golden_files_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
