/* SPDX-License-Identifier: MPL-2.0 */
/* Documents to standard output. A line of a stream is flushed: someone is waiting for it. */
#include "reconciler/cli/output.h"

#include <stdio.h>

#include "model/json.h"
#include "model/text.h"
#include "model/yaml.h"

static void text_put(struct text *text)
{
    fwrite(text->data, 1, text->len, stdout);
    text_free(text);
}

void output_json(const struct value *document)
{
    struct text text = TEXT_INIT;

    json_write_pretty(&text, document);
    text_add_char(&text, '\n');
    text_put(&text);
}

void output_json_line(const struct value *document)
{
    struct text text = TEXT_INIT;

    json_write(&text, document);
    text_add_char(&text, '\n');
    text_put(&text);
    fflush(stdout);
}

void output_yaml(const struct value *document)
{
    struct text text = TEXT_INIT;

    yaml_write(&text, document);
    text_put(&text);
}
