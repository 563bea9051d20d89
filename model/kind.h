/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_KIND_H
#define MODEL_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct text;
struct value;

/*
 * Kinds as data. Each file of model/kinds/ is a subset of JSON Schema with our
 * extensions (x-change, x-ref, ...); it is compiled into the binary and read
 * once, at the first kinds_get(). The parser's checks, the defaults, the
 * differ's behaviour, `explain`, the editor's schema and the manual all come
 * from here. Docs: docs/kinds.md.
 */
enum field_type { FIELD_BOOL, FIELD_INT, FIELD_STRING, FIELD_LIST, FIELD_MAP };
enum field_unit { UNIT_NONE, UNIT_BYTES, UNIT_SECONDS };              /* x-unit: bytes, seconds */
enum field_origin { ORIGIN_DESIRED, ORIGIN_CHOSEN, ORIGIN_OBSERVED }; /* x-origin */

/* What it takes to change a field of a running thing (x-change). */
enum change {
    CHANGE_LIVE,     /* at once */
    CHANGE_LIVE_IF,  /* at once if the booted headroom or the guest allows, else restart */
    CHANGE_RESTART,  /* a new hypervisor process; a guest reboot is not enough */
    CHANGE_REPLACE,  /* a new object; opt-in only */
    CHANGE_METADATA, /* our records only */
    CHANGE_REFUSE,   /* never */
};
const char *change_text(enum change change);            /* "live", "live-if", "restart", ... */
int change_read(const char *text, enum change *change); /* 0, or -1 if unknown */

struct field {
    const char *name;
    enum field_type type;
    enum field_unit unit;
    enum field_origin origin;
    enum change change;   /* inherited from the parent field where not given */
    const char *means;    /* x-means: how it is changed, for the plan; may be NULL */
    const char *at_most;  /* x-at-most: path of the field whose booted value bounds a
                           * live-if change, e.g. "spec.maxCpus"; may be NULL */
    const char *ref;      /* x-ref: the kind this text names; may be NULL */
    const char *format;   /* x-format: cidr, address, mac, url, digest, path, ports,
                           * protocol, label, ssh-key, time-of-day; may be NULL */
    bool ref_weak;        /* x-weak: must exist, but makes no order between the two */
    const char *list_key; /* x-list-key: elements are compared by this key; may be NULL */
    bool is_set;          /* x-set: order of the elements means nothing */
    bool is_sensitive;    /* x-sensitive: never shown, stored or logged */
    bool is_required;
    bool grows_only;              /* x-grows-only: a smaller value is refused */
    bool is_open;                 /* a map with any keys (labels): additionalProperties */
    const struct value *fallback; /* default, normalised; NULL if there is none */
    const struct value *allowed;  /* enum: list of texts; NULL if any */
    const char *pattern;          /* POSIX extended regular expression; may be NULL */
    int64_t minimum, maximum;     /* of integers; INT64_MIN, INT64_MAX if not given */
    int64_t max_length;           /* of strings and lists; INT64_MAX if not given */
    int64_t min_length;           /* of lists and maps (minItems, minProperties); 0 */
    int64_t max_pairs;            /* of maps (maxProperties); INT64_MAX if not given */
    const void *compiled;         /* the pattern as regex_t; NULL if there is none */
    const char *doc;
    const struct field *const *fields; /* of a map, in file order */
    size_t field_count;
    const struct field *item;   /* of a list, or of an open map; else NULL */
    const struct field *parent; /* NULL at the top */
};

enum kind_scope {
    SCOPE_PROJECT, /* metadata.project is required */
    SCOPE_RACK,    /* metadata.project is refused */
    SCOPE_EITHER,  /* rack-wide if project is left out */
    SCOPE_SITE,    /* the site file; not a resource */
};

struct kind {
    const char *name;   /* "Volume" */
    const char *plural; /* "volumes" */
    const char *doc;
    const char *driver; /* class in the site file: "instance", "volume", "network";
                         * NULL: records only, no driver (Project, SSHKey) */
    enum kind_scope scope;
    bool is_derived;          /* made by the model from another kind (NIC of an Instance);
                               * refused in manifests, counted with its owner */
    bool holds_data;          /* leaving Git releases it and never destroys it */
    int rank;                 /* position among kinds, for stable order of output */
    const struct field *spec; /* a FIELD_MAP */
};

/* All kinds, ordered by rank; built on first use, lives as long as the process.
 * A broken kind file is a mistake of ours and ends the process. */
const struct kind *const *kinds_get(size_t *count);

/* By exact name, or NULL. */
const struct kind *kind_find(const char *name);

/* As people type it: any case, singular or plural ("vpcs", "Instance"), or NULL. */
const struct kind *kind_find_loose(const char *word);

/* The field at a path such as "spec.disks.volume" or "spec.disks[root].volume"
 * ("spec." may be left out), or NULL. */
const struct field *kind_field(const struct kind *kind, const char *path);
const struct field *field_child(const struct field *field, const char *name); /* or NULL */

/* "spec.disks.volume": the path of a field as kind_field() takes it, in the arena. */
char *field_path(struct arena *arena, const struct field *field);

/* JSON Schema (draft 2020-12) of manifests of this kind, for editors. */
struct value *kind_schema(struct arena *arena, const struct kind *kind);

/* The reference page of a kind, in Markdown. */
void kind_manual(struct text *out, const struct kind *kind);

/* What `spinel explain` prints of a kind (path NULL or "") or of one of its fields;
 * `color` adds ANSI colours. 0, or -1 (nothing written) if there is no such field. */
int kind_explain(struct text *out, const struct kind *kind, const char *path, bool color);

/* Digest over all kind files: cached parses are only valid for the same one. Static. */
const char *kinds_digest(void);

#endif
