/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_SET_CLAIM_H
#define MODEL_SET_CLAIM_H

#include "model/check.h"

/*
 * Claims: what only one may have (an address, a MAC, a port, a volume). Claims of
 * one `what` clash if the first has no detail (it takes the whole), or if two
 * have the same detail. Private to the model.
 */
struct claim {
    const char *what;   /* "address 10.0.1.5 in VPC shop/net" */
    const char *detail; /* a part of it (one address of the host), or NULL for the whole */
    const char *by;     /* "NIC eth0 of Instance shop/web" */
    struct position at;
};

struct claims {
    struct claim *items;
    size_t count;
    size_t room;
};

void claim_add(struct arena *arena, struct claims *claims, struct claim claim);

/* Reports each clash under `code`, at the later claim, naming the earlier one's
 * place; `advice` ends the sentence and may be "". With `parts_shared` claims of
 * the same detail do not clash. */
enum claim_sharing { PARTS_EXCLUSIVE, PARTS_SHARED };
void claims_check(struct checker *checker, struct claims *claims, enum claim_sharing sharing,
                  const char *code, const char *advice);

#endif
