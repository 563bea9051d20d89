/* SPDX-License-Identifier: MPL-2.0 */
#ifndef RECONCILER_SOURCE_NOTE_H
#define RECONCILER_SOURCE_NOTE_H

#include "model/error.h"
#include "model/site.h"

/* Where outcomes are noted: `git log --notes=spinel`. */
#define NOTES_REF "refs/notes/spinel"

/*
 * Writes the note of a commit, in place of the one it may have; the same text again writes
 * nothing. A process of root becomes the repository's owner for good first, so that what is
 * written can be written to by whoever could before: call it at the end of a process's life.
 */
int note_write(const struct site *site, const char *commit, const char *text, struct error *err);

#endif
