#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# The engine's core, the plan and the model have no I/O, clock, randomness, environment or
# locale of their own: whatever their objects need from outside is named here, and nothing
# else may be. What they need beyond comes through struct env.
build=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# model/durable.c is left out, and with it whoever would call it: files, for drivers and the store.
core=$(ls "$build"/obj/reconciler/engine/core*.o "$build"/obj/reconciler/engine/part*.o "$build"/obj/reconciler/engine/lines.o \
    "$build"/obj/reconciler/plan/*.o "$build"/obj/model/*.o | grep -v /model/durable)

# Pure: the result depends on the arguments alone. (strtod follows LC_NUMERIC, regcomp
# LC_COLLATE, strftime and strptime LC_TIME: no program of ours sets them, test 5. LC_CTYPE, which
# regcomp and the classes of characters follow too, `top` alone sets, which runs no core.)
cat >"$work/pure" <<'LIST'
__assert_fail
__ctype_b_loc
__ctype_tolower_loc
__ctype_toupper_loc
__errno_location
__isoc99_sscanf
__memcpy_chk
__memmove_chk
__memset_chk
__snprintf_chk
__stack_chk_fail
__strcpy_chk
__strncat_chk
__strncpy_chk
__vsnprintf_chk
_GLOBAL_OFFSET_TABLE_
abort
calloc
crypto_generichash
crypto_generichash_final
crypto_generichash_init
crypto_generichash_update
free
gmtime_r
inet_ntop
inet_pton
json_array_get
json_array_size
json_delete
json_integer_value
json_loadb
json_object_iter
json_object_iter_key
json_object_iter_next
json_object_iter_value
json_object_key_to_iter
json_string_length
json_string_value
malloc
memchr
memcmp
memcpy
memmem
memmove
memset
qsort
realloc
reallocarray
regcomp
regexec
regfree
snprintf
sodium_base642bin
sodium_bin2hex
sodium_hex2bin
sodium_memcmp
sscanf
strcasecmp
strchr
strcmp
strcpy
strcspn
strdup
strerror_r
strftime
strlen
strncasecmp
strncat
strncmp
strncpy
strndup
strnlen
strpbrk
strptime
strrchr
strspn
strstr
strtod
strtol
strtoll
strtoul
strtoull
timegm
utf8proc_category
utf8proc_charwidth
utf8proc_codepoint_valid
utf8proc_iterate
vsnprintf
yaml_event_delete
yaml_parser_delete
yaml_parser_initialize
yaml_parser_parse
yaml_parser_set_encoding
yaml_parser_set_input_string
LIST

# What one object may beside that, and why.
#   invariant.o  says its last words on standard error, and the process ends
#   kind_read.o  a kind that we ship does not parse: the program says which, and ends
#   part*.o      a part of the rack is read from the store and the repository, by name: what comes
#                of it is handed in through struct env (part_make), as everything else
#   when.o       when_now(): for commands, which read the clock for a person; test 3
cat >"$work/excepted" <<'LIST'
invariant.o __fprintf_chk
invariant.o fprintf
invariant.o program_invocation_short_name
invariant.o stderr
invariant.o write
kind_read.o __fprintf_chk
kind_read.o fprintf
kind_read.o stderr
part.o store_has_object
part.o store_nics_at
part.o store_objects_named
part.o store_objects_renamed
part_gather.o manifest_add
part_gather.o store_mentions
part_source.o source_changes
part_source.o source_manifest
part_source.o source_manifest_blob
part_source.o source_mentions_are_of
when.o time
LIST

# The compilers' own: sanitizers, coverage.
own='^(__asan_|__ubsan_|__tsan_|__msan_|__gcov_|__sanitizer_|__lsan_|__start_|__stop_|__profc_|__llvm_)'

nm --defined-only $core "$build/gen/kinds.o" 2>/dev/null | awk 'NF == 3 { print $3 }' |
    sort -u >"$work/defined"
for object in $core; do
    nm -u "$object" | awk -v o="$(basename "$object")" 'NF == 2 { print o, $2 }'
done | grep -vE " $own" | sed 's/@.*//' |
    awk -v pure="$work/pure" -v defined="$work/defined" -v excepted="$work/excepted" '
        BEGIN {
            while ((getline line <pure) > 0) allowed[line] = 1
            while ((getline line <defined) > 0) allowed[line] = 1
            while ((getline line <excepted) > 0) excused[line] = 1
        }
        !($2 in allowed) && !(($1 " " $2) in excused)' >"$work/found"

echo 1..5
[ -s "$work/found" ] && printf 'not '
echo 'ok 1 - core, plan and model call what is pure, and nothing else'
sed 's/^/# /' "$work/found"

files=$(echo "$core" | wc -l)
[ "$files" -ge 50 ] || printf 'not '
echo "ok 2 - $files objects were looked at"

callers=$(nm -u "$build"/obj/reconciler/engine/core*.o "$build"/obj/reconciler/engine/part*.o "$build"/obj/reconciler/plan/*.o | grep -cw when_now)
[ "$callers" -eq 0 ] || printf 'not '
echo 'ok 3 - the core and the plan never ask when_now() for the time'

# uthash keeps the order of insertion, and every table is keyed by text. A key that is an
# address would be in another order in every run.
pointers=$(grep -nE 'HASH_(ADD|FIND)_PTR|HASH_SORT|qsort\(.*pointer' \
    reconciler/engine/core*.c reconciler/engine/part*.c reconciler/engine/lines.c reconciler/plan/*.c model/*.c)
[ -z "$pointers" ] || printf 'not '
echo 'ok 4 - nothing in them is keyed or ordered by an address'
[ -z "$pointers" ] || echo "$pointers" | sed 's/^/# /'

locales=$(grep -rnE '(set|use)locale *\(' --include='*.[ch]' reconciler drivers model | grep -v 'reconciler/cli/top_view.c.*setlocale(LC_CTYPE, "")')
[ -z "$locales" ] || printf 'not '
echo 'ok 5 - no program has a locale, but for the characters on the screen of `top`'
[ -z "$locales" ] || echo "$locales" | sed 's/^/# /'
