/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_STORE_MAPPING_H
#define RECONCILER_STORE_MAPPING_H

/* From now on SQLite maps a file for writing only once every block of the mapping is there; where
 * the disk has no room for them it gets ENOSPC, and so do we. Once for the whole process; harmless
 * to repeat. */
void mappings_reserve(void);

#endif
