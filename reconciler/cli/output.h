/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_OUTPUT_H
#define RECONCILER_CLI_OUTPUT_H

#include "model/value.h"

/* A result on standard output: one indented JSON document, one JSON line, or YAML. */
void output_json(const struct value *document);
void output_json_line(const struct value *document);
void output_yaml(const struct value *document);

#endif
