/* SPDX-License-Identifier: MPL-2.0 */
/* The site file. */
#include "model/arena.h"
#include "model/report.h"
#include "model/site.h"
#include "model/text.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct report report;
    struct site *site = NULL;
    struct text out = TEXT_INIT;
    char *text = fuzz_text(data, size);
    report_init(&report, arena);
    int rc = site_read(arena, "/lab/spinel.yaml", NULL, text, size, &site, &report);
    MUST((rc == 0) == (report.count == 0) && (rc == 0) == (site != NULL));
    report_attach_source(&report, "/lab/spinel.yaml", text, size);
    report_write(&out, &report, true);
    if (site) {
        MUST(site->name && site->state_dir[0] == '/' && site->repository.path[0] == '/');
        site_driver(site, "instance");
        site_settings(site, "qemu");
    }
    text_free(&out);
    free(text);
    arena_free(arena);
    return 0;
}
