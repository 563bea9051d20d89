/* SPDX-License-Identifier: MPL-2.0 */
#ifndef MODEL_HASH_H
#define MODEL_HASH_H

#include "model/invariant.h"

/* uthash, which would exit without a word when memory runs out. */
#define uthash_fatal(message) memory_out()
#include <uthash.h>

#endif
