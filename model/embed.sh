#!/bin/sh
# Prints an assembler file that puts the named kind files into the binary, as
# the table that model/kind.c walks: struct { const char *name, *text; size_t len; }.
set -eu
echo '.section .rodata'
n=0
for file in "$@"; do
    printf '.Ltext%d:\n.incbin "%s"\n.byte 0\n.Lend%d:\n' "$n" "$file" "$n"
    printf '.Lname%d:\n.asciz "%s"\n' "$n" "$(basename "$file")"
    n=$((n + 1))
done
echo '.section .data.rel.ro,"aw"'
echo '.balign 8'
echo '.globl kind_files'
echo 'kind_files:'
i=0
while [ "$i" -lt "$n" ]; do
    printf '.quad .Lname%d, .Ltext%d, .Lend%d - .Ltext%d - 1\n' "$i" "$i" "$i" "$i"
    i=$((i + 1))
done
printf '.globl kind_files_count\nkind_files_count: .quad %d\n' "$n"
echo '.section .note.GNU-stack,"",@progbits'
