/* SPDX-License-Identifier: MPL-2.0 */
#ifndef FILE_REACH_H
#define FILE_REACH_H

#include <curl/curl.h>
#include <stdbool.h>
#include "drivers/spinel-driver.h"

/*
 * Whom an image may be downloaded from. Who may push names the URL, and whoever answers it may
 * name another; services of this host and of its link (127.0.0.1, 169.254.169.254) trust whoever
 * reaches them. So no connection is made to an address that is loopback, link-local or
 * unspecified, by whatever name, unless the setting `imageHosts` has it.
 */

/* Takes `imageHosts`, a list of HOST or HOST:PORT, each the host of a URL or an address as one
 * is written in it. The settings stay. ERR_INVALID. */
int reach_start(const struct value *settings, struct error *err);

/* Of one download. */
struct reach {
    CURL *curl;
    bool has_refused; /* some address */
};

/* From now on `reach->curl` asks; without CURLE_OK it must not be used. */
CURLcode reach_guard(struct reach *reach);

#endif
