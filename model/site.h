/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_SITE_H
#define MODEL_SITE_H

#include <stddef.h>
#include <stdint.h>
#include "model/value.h"

struct arena;
struct report;

/*
 * The site file: one document of kind Site (model/kinds/site.yaml). Paths are
 * absolute here, whatever the file says. Lives in the arena it was read into.
 */
struct site {
    const char *name;
    const char *file; /* as it was named */
    const char *dir;  /* of the site file: what relative paths are relative to */
    struct {
        const char *path;
        const char *branch;
        const char *subdir; /* "" for the whole repository */
        const char *owner;  /* user name, or NULL */
        int64_t max_files;
        int64_t max_bytes;
    } repository;
    const char *state_dir;
    const char *key_file;
    const char *user;            /* that the core runs as, or NULL */
    const struct value *drivers; /* class to driver name; see site_driver() */
    const char *const *driver_dirs;
    size_t driver_dir_count;
    const struct value *settings; /* driver name to its settings, maps */
    int64_t parallelism;
    int64_t resync_s;
    int64_t push_wait_s;
    const char *web_listen;     /* "ADDRESS:PORT" or "unix:PATH"; NULL: no viewer */
    const char *web_user;       /* that the viewer runs as; NULL: as the core does */
    const char *web_token_file; /* absolute; NULL: the viewer decides nothing */
    const char *log_format;     /* "logfmt" or "json" */
    const char *traces_otlp;    /* URL of a collector; NULL: none */
    struct {
        int64_t count;
        int64_t percent;
        int64_t collapse_percent;
    } budget;
};

/*
 * Reads the site file `file` (named in positions, borrowed) of `len` bytes.
 * `dir` is its directory, absolute; NULL takes it from `file`. `*out` is written
 * on success only; ERR_INVALID when anything went to the report.
 */
int site_read(struct arena *arena, const char *file, const char *dir, const char *data, size_t len,
              struct site **out, struct report *report);

/* The driver for a class ("instance", "volume", "network"): the one named for it,
 * else the default, else NULL. */
const char *site_driver(const struct site *site, const char *class);

/* The settings of a driver by its name; an empty map or NULL if there are none. */
const struct value *site_settings(const struct site *site, const char *driver);

#endif
