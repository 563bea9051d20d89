/* SPDX-License-Identifier: MPL-2.0 */
#ifndef TESTS_FUZZ_SHOWN_ROWS_H
#define TESTS_FUZZ_SHOWN_ROWS_H

#include "reconciler/store/store.h"

/* What `spinel top` and `spinel purge` make of the rows of this store. */
void fuzz_rows_show(struct store *store, struct arena *arena);

#endif
