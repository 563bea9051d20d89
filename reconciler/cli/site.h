/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_SITE_H
#define RECONCILER_CLI_SITE_H

#include "model/site.h"
#include "reconciler/cli/command.h"

/* The site file: --site, $SPINEL_SITE, ./spinel.yaml, /etc/spinel/spinel.yaml, the first
 * that is named or there. `*site` lives in cli->arena. An invalid file's problems have
 * been printed when it returns. */
int site_find(struct cli *cli, const struct site **site, struct error *err);

#endif
