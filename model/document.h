/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_DOCUMENT_H
#define MODEL_DOCUMENT_H

#include "model/check.h"

/* What stands around a spec. Private to the model. */
struct document {
    const struct kind *kind;
    const char *project; /* NULL if rack-wide */
    const char *name;
    const char *renamed_from; /* or NULL */
    struct value *labels;     /* maps, ordered by key, never NULL */
    struct value *annotations;
    struct value *drift_policy; /* paths to "heal", "report", "ignore"; never NULL */
    const struct value *spec;   /* as it was given; may be NULL */
    struct position at;         /* of the document */
    struct position project_at; /* of metadata.project, or of the document */
};

enum document_use { DOCUMENT_MANIFEST, DOCUMENT_SITE };

/* Checks apiVersion, kind, metadata and the keys beside them. False if kind or
 * name are not good enough to go on; everything wrong is in the report. */
bool document_check(struct checker *checker, const struct value *given, enum document_use use,
                    struct document *document);

#endif
