/* SPDX-License-Identifier: MPL-2.0 */
/* What is wrong with manifests, for people. */
#include "reconciler/cli/problems.h"

#include <stdio.h>

#include "model/text.h"
#include "reconciler/cli/terminal.h"

void problems_print(const struct report *report)
{
    struct text text = TEXT_INIT;

    report_write(&text, report, terminal_has_color(stderr));
    text_printf(&text, "%zu errors in %zu files\n", report->count, report_files(report));
    fwrite(text.data, 1, text.len, stderr);
    text_free(&text);
}
