/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_CLI_STALL_H
#define RECONCILER_CLI_STALL_H

#include <stdbool.h>
#include <stdint.h>

/* From now on standard output is written piece by piece, and who takes none of it for `most_s`
 * seconds is waited for no longer: `stdout` has an error, and the last words are put behind what
 * still lies in the pipe. However slowly somebody reads, that is no stall. `last_words` is kept. */
void stall_watch(int64_t most_s, const char *last_words);
/* True if somebody was waited for in vain; then what is still written is dropped, and `stdout` has
 * no error any more. */
bool stall_is_over(void);

#endif
