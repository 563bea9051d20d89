/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The canary: a machine of its own in a few hundred bytes, that must get as far as
 * an operating system would. Firmware alone proves nothing: there are virtual
 * machines in which it runs and a kernel never prints a line. So this one does what
 * a kernel does before its first line: it enters long mode with paging, asks CPUID
 * and MSRs, moves megabytes about as a decompressor does, maps memory from a page
 * fault, and sleeps until timer interrupts wake it. Then it says 42 to isa-debug-exit,
 * which ends QEMU with status 85.
 *
 * A flat multiboot image, loaded at 1 MiB. canary.c puts it into the driver's
 * read-only data, so every address is computed here and nothing is relocated.
 */
.set LOAD, 0x100000
.set TABLES, 0x200000           /* PML4, PDPT, PD: a page each; page directory last */
.set PAGE_DIRECTORY, TABLES + 0x2000
.set IDT, 0x210000
.set TICKS, 0x220000
.set STACK, 0x240000
.set ARENA, 0x1000000           /* 16 MiB to 48 MiB: mapped from the start */
.set ARENA_BYTES, 0x2000000
.set LAZY, 0x3000000            /* 48 MiB to 64 MiB: mapped by the page fault */
.set LAZY_BYTES, 0x1000000

canary_image:
    .long 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
    .long LOAD, LOAD, 0, 0, canary_entry - canary_image + LOAD

canary_gdt:
    .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
canary_gdt_pointer:
    .word 23
    .long canary_gdt - canary_image + LOAD
canary_idt_pointer:
    .word 0xfff
    .quad IDT

    .code32
canary_entry:
    cli
    cld
    movl $STACK, %esp
    movl $TABLES, %edi
    xorl %eax, %eax
    movl $0x10000, %ecx         /* tables, IDT and counter start as zeros */
    rep stosl
    movl $TABLES + 0x1003, TABLES
    movl $TABLES + 0x2003, TABLES + 0x1000
    movl $0x83, %eax
    movl $PAGE_DIRECTORY, %edi
1:  movl %eax, (%edi)           /* 2 MiB pages, one to one, up to LAZY */
    addl $8, %edi
    addl $0x200000, %eax
    cmpl $LAZY, %eax
    jb 1b

    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $TABLES, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000001, %eax
    movl %eax, %cr0
    lgdtl canary_gdt_pointer - canary_image + LOAD
    ljmpl $8, $canary_long - canary_image + LOAD

    .code64
canary_long:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $IDT + 14 * 16, %edi
    movl $canary_fault - canary_image + LOAD, %eax
    call canary_gate
    movl $IDT + 32 * 16, %edi
    movl $canary_tick - canary_image + LOAD, %eax
    call canary_gate
    lidt canary_idt_pointer - canary_image + LOAD

    movl $64, %esi              /* the questions that kernels ask */
1:  xorl %eax, %eax
    cpuid
    movl $1, %eax
    cpuid
    movl $0x80000001, %eax
    cpuid
    rdtsc
    decl %esi
    jnz 1b

    movl $ARENA, %edi           /* a pattern over 32 MiB */
    movl $ARENA_BYTES / 8, %ecx
    movabsq $0x9e3779b97f4a7c15, %rax
    xorl %edx, %edx
1:  addq %rax, %rdx
    movq %rdx, (%rdi)
    addq $8, %rdi
    decl %ecx
    jnz 1b

    movl $ARENA, %esi           /* short overlapping matches, as LZ77 has them */
    movl $ARENA_BYTES / 4096, %ebx
1:  movq %rsi, %rdi
    addq $13, %rdi
    pushq %rsi
    movl $1024, %ecx
    rep movsb
    popq %rsi
    addq $4096, %rsi
    decl %ebx
    jnz 1b
    movb ARENA, %al             /* so byte 0 repeats at 13 and at 1014 = 78 * 13 */
    cmpb ARENA + 13, %al
    jne canary_wrong
    cmpb ARENA + 1014, %al
    jne canary_wrong

    movl $LAZY, %edi            /* each 2 MiB here faults once, in its middle */
1:  movq %rdi, 0x100008(%rdi)
    cmpq %rdi, 0x100008(%rdi)
    jne canary_wrong
    addq $0x200000, %rdi
    cmpq $LAZY + LAZY_BYTES, %rdi
    jb 1b

    movb $0x11, %al             /* interrupt controllers: vectors 32 up, timer only */
    outb %al, $0x20
    outb %al, $0xa0
    movb $32, %al
    outb %al, $0x21
    movb $40, %al
    outb %al, $0xa1
    movb $4, %al
    outb %al, $0x21
    movb $2, %al
    outb %al, $0xa1
    movb $1, %al
    outb %al, $0x21
    outb %al, $0xa1
    movb $0xfe, %al
    outb %al, $0x21
    movb $0xff, %al
    outb %al, $0xa1
    movb $0x34, %al             /* timer: 1193182 / 4772 = 250 Hz */
    outb %al, $0x43
    movw $4772, %ax
    outb %al, $0x40
    movb %ah, %al
    outb %al, $0x40
    sti
1:  hlt
    cmpl $25, TICKS
    jb 1b
    cli
    movb $42, %al
    jmp canary_exit
canary_wrong:
    movb $1, %al
canary_exit:
    outb %al, $0xf4
    hlt
    jmp canary_exit

canary_gate:                    /* interrupt gate at %rdi for the code at %eax */
    movw %ax, (%rdi)
    movl $0x8e000008, 2(%rdi)   /* selector 8, present, interrupt gate */
    shrl $16, %eax
    movw %ax, 6(%rdi)
    ret

canary_fault:                   /* maps the 2 MiB page that was missed, and only in LAZY */
    pushq %rax
    pushq %rdi
    movq %cr2, %rax
    cmpq $LAZY, %rax
    jb canary_wrong
    cmpq $LAZY + LAZY_BYTES, %rax
    jae canary_wrong
    andq $-0x200000, %rax
    movq %rax, %rdi
    shrq $18, %rdi
    orq $0x83, %rax
    movq %rax, PAGE_DIRECTORY(%rdi)
    popq %rdi
    popq %rax
    addq $8, %rsp               /* the error code */
    iretq

canary_tick:
    pushq %rax
    incl TICKS
    movb $0x20, %al
    outb %al, $0x20
    popq %rax
    iretq
canary_image_end:
