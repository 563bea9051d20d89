/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The envelope of a manifest: apiVersion, kind, metadata. Whatever is wrong here
 * must not hide what is wrong in the spec, so a document is given up only when
 * its kind or its name cannot be told.
 */
#include "model/document.h"

#include <stdlib.h>
#include <string.h>

#include "model/arena.h"
#include "model/error.h"
#include "model/format.h"
#include "model/invariant.h"

static const char api_version[] = "spinel/v1";

enum { KINDS_MAX = 64 };

/* The value, or NULL if it is no text, which is reported. */
static const struct value *text_need(struct checker *checker, const char *key,
                                     const struct value *value)
{
    if (value_is_text(value))
        return value;
    report_add(checker->report, value->at, "wrong-type", "%s: expected text, found %s%s", key,
               check_found(checker->arena, value),
               value->type == VALUE_INT || value->type == VALUE_BOOL ? "; put it in quotes" : "");
    return NULL;
}

/* The text at `key`, or NULL; missing (if it is needed) and mistyped are reported. */
static const struct value *text_field(struct checker *checker, const struct value *map,
                                      const char *key, bool is_needed)
{
    const struct value *value = value_get(map, key);

    if (!value && is_needed)
        report_add(checker->report, map->at, "missing-field", "%s is missing", key);
    return value ? text_need(checker, key, value) : NULL;
}

static void check_version(struct checker *checker, const struct value *given)
{
    const struct value *version = text_field(checker, given, "apiVersion", true);

    if (version && strcmp(version->text, api_version) != 0)
        report_add(checker->report, version->at, "bad-version",
                   "apiVersion \"%.60s\" is not known; write %s", version->text, api_version);
}

static void refuse_kind(struct checker *checker, const struct value *word)
{
    const char *names[KINDS_MAX];
    size_t known = 0;
    size_t count;
    const struct kind *const *kinds = kinds_get(&count);
    const char *nearest;

    invariant(count <= KINDS_MAX, "%zu kinds are more than are proposed from", count);
    for (size_t i = 0; i < count; i++)
        if (!kinds[i]->is_derived && kinds[i]->scope != SCOPE_SITE)
            names[known++] = kinds[i]->name;
    nearest = report_suggest(checker->report, word->text, names, known);
    if (nearest)
        report_add(checker->report, word->at, "unknown-kind",
                   "unknown kind `%.60s`, did you mean `%s`?", word->text, nearest);
    else
        report_add(checker->report, word->at, "unknown-kind",
                   "unknown kind `%.60s`; `spinel explain` lists those that there are", word->text);
}

static const struct kind *check_kind(struct checker *checker, const struct value *given,
                                     enum document_use use)
{
    const struct value *word = text_field(checker, given, "kind", true);
    const struct kind *kind = word ? kind_find(word->text) : NULL;

    if (!word)
        return NULL;
    if (!kind) {
        refuse_kind(checker, word);
    } else if (kind->is_derived) {
        report_add(checker->report, word->at, "derived-kind",
                   "a %s is derived from its Instance and not declared; write it into the "
                   "instance's spec.%s",
                   kind->name, strcmp(kind->name, "NIC") == 0 ? "nics" : "cloudInit");
    } else if (kind->scope == SCOPE_SITE && use == DOCUMENT_MANIFEST) {
        report_add(checker->report, word->at, "unknown-kind",
                   "a %s is the site file and not a manifest; it stays outside the repository",
                   kind->name);
    } else if (kind->scope != SCOPE_SITE && use == DOCUMENT_SITE) {
        report_add(checker->report, word->at, "unknown-kind",
                   "the site file has kind Site, and this is a %s", kind->name);
    } else {
        return kind;
    }
    return NULL;
}

/* A name by RFC 1123, or NULL. */
static const char *check_name(struct checker *checker, const struct value *metadata,
                              const char *key, bool is_needed)
{
    const struct value *name = text_field(checker, metadata, key, is_needed);

    if (!name || format_is_label(name->text))
        return name ? name->text : NULL;
    report_add(checker->report, name->at, "bad-name",
               "%s: \"%.80s\" is not a name; use a-z, 0-9 and - inside, at most 63 characters", key,
               name->text);
    return NULL;
}

static const char *check_project(struct checker *checker, const struct kind *kind,
                                 const struct value *metadata)
{
    const struct value *given = value_get(metadata, "project");

    if (!given && kind->scope == SCOPE_PROJECT)
        report_add(checker->report, metadata->at, "missing-project",
                   "metadata.project is missing; a %s belongs to a project", kind->name);
    if (!given || kind->scope == SCOPE_PROJECT || kind->scope == SCOPE_EITHER)
        return check_name(checker, metadata, "project", false);
    report_add(checker->report, given->at, "forbidden-project",
               "a %s is rack-wide; leave metadata.project out", kind->name);
    return NULL;
}

static int pair_compare(const void *a, const void *b)
{
    return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

/* Labels or annotations: keys as Kubernetes has them, values text. */
static struct value *check_labels(struct checker *checker, const struct value *metadata,
                                  const char *key, bool is_free)
{
    struct value *map = value_map(checker->arena);
    const struct value *given = value_get(metadata, key);

    if (given && given->type != VALUE_MAP)
        report_add(checker->report, given->at, "wrong-type", "%s: expected a map, found %s", key,
                   check_found(checker->arena, given));
    if (!value_is_map(given))
        return map;
    for (size_t i = 0; i < given->pair_count; i++) {
        const struct pair *pair = &given->pairs[i];
        struct error err = ERROR_INIT;

        if (format_label_key(pair->key, &err) < 0)
            report_add(checker->report, pair->at, "bad-label", "%s: %s", key, err.message);
        if (!text_need(checker, pair->key, pair->value))
            continue;
        if (!is_free && format_label_value(pair->value->text, &err) < 0)
            report_add(checker->report, pair->value->at, "bad-label", "%s: %s", key, err.message);
        value_push_owned(checker->arena, map, pair->key, pair->at, pair->value);
    }
    if (map->pair_count > 1)
        qsort(map->pairs, map->pair_count, sizeof(*map->pairs), pair_compare);
    return map;
}

/* Whether it is "default", "object" (all of it is gone) or a field of the kind. */
static bool is_drift_path(const struct document *document, const char *path)
{
    if (strcmp(path, "default") == 0 || strcmp(path, "object") == 0)
        return true;
    return strncmp(path, "spec.", 5) == 0 && (!document->kind || kind_field(document->kind, path));
}

static struct value *check_drift_policy(struct checker *checker, const struct document *document,
                                        const struct value *metadata)
{
    struct value *map = value_map(checker->arena);
    const struct value *given = value_get(metadata, "driftPolicy");

    if (given && given->type != VALUE_MAP)
        report_add(checker->report, given->at, "wrong-type",
                   "driftPolicy: expected a map such as {default: report}, found %s",
                   check_found(checker->arena, given));
    for (size_t i = 0; value_is_map(given) && i < given->pair_count; i++) {
        const struct pair *pair = &given->pairs[i];
        const struct value *word = text_need(checker, pair->key, pair->value);

        if (!is_drift_path(document, pair->key))
            report_add(checker->report, pair->at, "unknown-field",
                       "driftPolicy: \"%.80s\" is no field; write default, object (it is gone) or "
                       "a path such as spec.%s",
                       pair->key,
                       document->kind && document->kind->spec->field_count
                           ? document->kind->spec->fields[0]->name
                           : "size");
        if (word && strcmp(word->text, "heal") != 0 && strcmp(word->text, "report") != 0 &&
            strcmp(word->text, "ignore") != 0)
            report_add(checker->report, word->at, "bad-value",
                       "driftPolicy: \"%.80s\" is not a policy; write heal, report or ignore",
                       word->text);
        if (word)
            value_push_owned(checker->arena, map, pair->key, pair->at, pair->value);
    }
    if (map->pair_count > 1)
        qsort(map->pairs, map->pair_count, sizeof(*map->pairs), pair_compare);
    return map;
}

static void check_metadata(struct checker *checker, const struct value *given,
                           struct document *document)
{
    static const char *const names[] = {"project",     "name",        "labels",
                                        "annotations", "renamedFrom", "driftPolicy"};
    const struct value *metadata = value_get(given, "metadata");

    if (!metadata) {
        report_add(checker->report, given->at, "missing-field", "metadata is missing");
        return;
    }
    if (metadata->type != VALUE_MAP) {
        report_add(checker->report, metadata->at, "wrong-type",
                   "metadata: expected a map, found %s", check_found(checker->arena, metadata));
        return;
    }
    check_unknown(checker, metadata, names, sizeof(names) / sizeof(names[0]));
    document->name = check_name(checker, metadata, "name", true);
    document->renamed_from = check_name(checker, metadata, "renamedFrom", false);
    if (document->kind)
        document->project = check_project(checker, document->kind, metadata);
    if (document->project)
        document->project_at = value_get(metadata, "project")->at;
    document->labels = check_labels(checker, metadata, "labels", false);
    document->annotations = check_labels(checker, metadata, "annotations", true);
    document->drift_policy = check_drift_policy(checker, document, metadata);
}

bool document_check(struct checker *checker, const struct value *given, enum document_use use,
                    struct document *document)
{
    static const char *const names[] = {"apiVersion", "kind", "metadata", "spec"};

    *document = (struct document){.at = given->at, .project_at = given->at};
    if (given->type != VALUE_MAP) {
        report_add(checker->report, given->at, "wrong-type",
                   "a document is a map with apiVersion, kind, metadata and spec, and this is %s",
                   check_found(checker->arena, given));
        return false;
    }
    document->spec = value_get(given, "spec");
    document->labels = value_map(checker->arena);
    document->annotations = value_map(checker->arena);
    document->drift_policy = value_map(checker->arena);
    check_unknown(checker, given, names, sizeof(names) / sizeof(names[0]));
    check_version(checker, given);
    document->kind = check_kind(checker, given, use);
    check_metadata(checker, given, document);
    invariant(!document->project || (document->kind && document->kind->scope != SCOPE_RACK),
              "a %s that is rack-wide has project %s",
              document->kind ? document->kind->name : "document", document->project);
    return document->kind && document->name;
}
