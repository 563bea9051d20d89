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
bcmp
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
json_object_size
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
#   when.o       when_now() and when_read(): for commands, which read the clock for a person.
#                `unreached`: by no way may the core, the parts or the plan come to it; test 3
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
when.o time unreached
LIST

# The compilers' own: sanitizers, coverage.
own='(__asan_|__ubsan_|__tsan_|__msan_|__gcov_|__sanitizer_|__lsan_|__start_|__stop_|__profc_|__llvm_)'

nm --defined-only $core "$build/gen/kinds.o" 2>/dev/null | awk 'NF == 3 { print $3 }' |
    sort -u >"$work/defined"
for object in $core; do
    nm -u "$object" | awk -v o="$(basename "$object")" 'NF == 2 { print o, $2 }'
done | grep -vE " $own" | sed 's/@.*//' |
    awk -v pure="$work/pure" -v defined="$work/defined" -v excepted="$work/excepted" '
        BEGIN {
            while ((getline line <pure) > 0) allowed[line] = 1
            while ((getline line <defined) > 0) allowed[line] = 1
            while ((getline line <excepted) > 0) { sub(/ unreached$/, "", line); excused[line] = 1 }
        }
        !($2 in allowed) && !(($1 " " $2) in excused)' >"$work/found"

echo 1..5
[ -s "$work/found" ] && printf 'not '
echo 'ok 1 - core, plan and model call what is pure, and nothing else'
sed 's/^/# /' "$work/found"

files=$(echo "$core" | wc -l)
[ "$files" -ge 50 ] || printf 'not '
echo "ok 2 - $files objects were looked at"

# Who refers to whom, of functions: by each object's disassembly and relocations. A name is of its object
# ("when.o:when_read.cold") unless it is global. What an object's data refers to is not told apart by
# symbol, nor a reference to a section: it means all of it that there is.
for object in $core "$build/gen/kinds.o"; do
    objcopy -g "$object" "$work/object"
    echo "object $(basename "$object") $object"
    nm "$work/object" | awk 'NF == 3 { print "symbol", $2, $3 }'
    objdump -dr --no-show-raw-insn "$work/object"
    objdump -r "$work/object"
done | awk -v pure="$work/pure" -v excepted="$work/excepted" -v own="$own" '
    function node(name) {
        sub(/[-+]0x[0-9a-f]+$/, "", name)
        sub(/@.*/, "", name)
        if (name ~ /^\./) return object (name ~ /^\.text/ ? ":functions" : ":data")
        return (object ":" name) in is_local ? object ":" name : name
    }
    function refer(from, to) { if (!((from, to) in known)) { known[from, to] = 1; refers[from] = refers[from] " " to } }
    function pending_take() { if (from != "" && pending != "") refer(from, pending); pending = "" }
    BEGIN {
        while ((getline line <pure) > 0) allowed[line] = 1
        while ((getline line <excepted) > 0) if (line !~ / unreached$/) excused[line] = 1
    }
    $1 == "object" { pending_take(); object = $2; is_root = $3 ~ /\/reconciler\//; from = ""; next }
    $1 == "symbol" {
        if ($2 ~ /[a-u]/) is_local[object ":" $3] = 1; else home[$3] = object
        if ($2 == "t") refer(object ":functions", object ":" $3)
        if ($2 !~ /[tTW]/) refer(node($3), object ":data")
        next
    }
    /^[0-9a-f]+ <.*>:$/ {
        pending_take()
        from = node(substr($2, 2, length($2) - 3))
        if (is_root) { queue[++last] = from; seen[from] = 1 }
        next
    }
    /^RELOCATION RECORDS FOR/ { pending_take(); from = $4 ~ /^\[\.(text|eh_frame)/ ? "" : object ":data"; next }
    from == "" { next }
    $2 ~ /^R_/ { pending = ""; refer(from, node($3)); next } # and what the line before shows is not final
    { pending_take(); if (match($0, /<[^<>]+>$/)) pending = node(substr($0, RSTART + 1, RLENGTH - 2)) }
    END {
        pending_take()
        for (i = 1; i <= last; i++) {
            count = split(refers[queue[i]], to, " ")
            for (n = 1; n <= count; n++) {
                if (to[n] in seen) continue
                if (to[n] in home || to[n] ~ /:/) { seen[to[n]] = 1; by[to[n]] = queue[i]; queue[++last] = to[n]; continue }
                where = queue[i] in home ? home[queue[i]] : substr(queue[i], 1, index(queue[i], ":") - 1)
                if (to[n] in allowed || to[n] ~ "^" own || (where " " to[n]) in excused || (where, to[n]) in said) continue
                said[where, to[n]] = 1
                way = to[n]
                for (step = queue[i]; step != ""; step = by[step]) way = step " > " way
                print where " " to[n] ": " way
            }
        }
        print last >counted
    }' counted="$work/counted" >"$work/reached"
if [ -s "$work/reached" ] || [ "$(cat "$work/counted")" -lt 500 ]; then printf 'not '; fi
echo "ok 3 - by no way do the core, the parts or the plan reach the clock, or what is not named ($(cat "$work/counted") functions)"
sed 's/^/# /' "$work/reached"

# uthash keeps the order of insertion, and every table is keyed by text. What is ordered or keyed by an
# address would be in another order in every run. Of clang's syntax tree: pointers that are compared by <
# and >, those that a comparator subtracts, and those made integers (but to lose a const). Not seen:
# memcmp() and memcpy() of a pointer.
addresses() {
    clang -std=c17 -D_GNU_SOURCE -I. -fsyntax-only -Xclang -ast-dump -fno-color-diagnostics "$@" |
        awk '
            function type(line) { return match(line, /'\''[^'\'']*'\''/) ? substr(line, RSTART + 1, RLENGTH - 2) : "" }
            /^[|`]-FunctionDecl / {
                is_comparator = /'\''int \(const void \*, const void \*\)'\''/
                name = $0
                sub(/ '\''.*/, "", name)
                sub(/.* /, "", name)
            }
            is_operator && type($0) ~ /\*$/ { print name }
            / <PointerToIntegral>/ && !is_back { print name }
            {
                is_operator = /BinaryOperator 0x.* '\''[<>]=?'\''$/ || (is_comparator && /BinaryOperator 0x.* '\''-'\''$/)
                is_back = / <IntegralToPointer>/ || (is_back && /ParenExpr /)
            }' | sort -u
}

# Where they are, and why they decide nothing that is seen:
#   claims_have, compare_claims, compare_keys, match_declared, name_next, pair_compare, settle_subjects,
#     step_of: of elements of one array (or none, which comes first), which have its order in every run
#   compare_pins: a table that is only searched
#   content_slot: the place in a cache; what lies there is compared by its value or is written anew
#   digest_sum_new: alignment
#   json_plain.c, yaml_plain.c, write_integer: how far a reader or writer is in its text
cat >"$work/harmless" <<'LIST'
model/digest.c digest_sum_new
model/json.c write_integer
model/json_plain.c
model/yaml_plain.c
model/yaml_read.c pair_compare
reconciler/plan/choose.c compare_claims
reconciler/plan/claims.c compare_keys
reconciler/plan/match.c match_declared
reconciler/plan/match.c name_next
reconciler/plan/order.c claims_have
reconciler/plan/order.c step_of
reconciler/plan/plan.c settle_subjects
reconciler/plan/quiet.c compare_pins
reconciler/plan/world.c content_slot
LIST
sources='reconciler/engine/core*.c reconciler/engine/part*.c reconciler/engine/lines.c reconciler/plan/*.c model/*.c'
test4='nothing in them is keyed or ordered by an address'
if command -v clang >/dev/null; then
    for file in $sources; do
        addresses "$file" | sed "s|^|$file |"
    done | awk -v harmless="$work/harmless" '
        BEGIN { while ((getline line <harmless) > 0) is_harmless[line] = 1 }
        !($0 in is_harmless) && !($1 in is_harmless)' >"$work/ordered"
    # shellcheck disable=SC2086
    grep -nE 'HASH_(ADD|FIND)_PTR|HASH_SORT' $sources >>"$work/ordered"
    # That the search finds anything.
    seen=$(addresses -x c - <<'CODE' | tr '\n' ' '
int compared(const int *a, const int *b) { return a < b; }
int subtracted(const void *a, const void *b) { return (int)((const char *)a - (const char *)b); }
unsigned long made_integer(const int *a) { return (unsigned long)a; }
int *without_const(const int *a) { return (int *)(unsigned long)a; }
int of_integers(int a, int b) { return a < b; }
CODE
    )
    if [ -s "$work/ordered" ] || [ "$seen" != 'compared made_integer subtracted ' ]; then printf 'not '; fi
    echo "ok 4 - $test4"
    sed 's/^/# /' "$work/ordered"
else
    echo "ok 4 - $test4 # SKIP clang is not installed"
fi

locales=$(grep -rnE '(set|use)locale *\(' --include='*.[ch]' reconciler drivers model | grep -v 'reconciler/cli/top_view.c.*setlocale(LC_CTYPE, "")')
[ -z "$locales" ] || printf 'not '
echo 'ok 5 - no program has a locale, but for the characters on the screen of `top`'
[ -z "$locales" ] || echo "$locales" | sed 's/^/# /'
