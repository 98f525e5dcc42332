// From the reset vector to run_program() of kernel.cpp, in 64-bit mode with AVX-512. The image is the
// machine's ROM: there is no BIOS. It copies itself to RAM, to where image.ld has linked it.

#define PE (1 << 0)           // CR0: protected mode
#define MP (1 << 1)           //      with a floating-point unit
#define PG (1 << 31)          //      and paging
#define PAE (1 << 5)          // CR4: page tables of 64-bit entries
#define OSFXSR (1 << 9)       //      SSE
#define OSXMMEXCPT (1 << 10)
#define FSGSBASE (1 << 16)    //      instructions that write FS
#define OSXSAVE (1 << 18)     //      and what XCR0 names:
#define XCR0_AVX512 0xe7      // x87, SSE, AVX, mask registers, upper halves of zmm0-15, zmm16-31
#define CPUID7_AVX512 (1 << 16 | 1 << 17 | 1 << 28 | 1 << 30 | 1 << 31)  // EBX: F, DQ, CD, BW, VL
#define EFER 0xc0000080
#define SCE (1 << 0)          // EFER: the instruction syscall
#define LME (1 << 8)          //       64-bit mode

#define CODE32 0x08           // selectors of the GDT below
#define CODE64 0x10
#define DATA 0x18

// --- the last 256 bytes below 4 GiB ---

    .section .reset, "ax"
    .code16
reset_page:
    .globl from_reset
from_reset:
    cli
    lgdtl %cs:0xff00 + (gdt_of_rom - reset_page)
    mov $PE, %eax
    mov %eax, %cr0
    ljmpl $CODE32, $copy_in_rom

    .code32
    .globl copy
copy:
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    cld
    mov $rom, %esi
    mov $image, %edi
    mov $rom_size, %ecx
    rep movsb
    mov $enter, %eax
    jmp *%eax

gdt_of_rom:
    .word gdt_end - gdt - 1
    .long gdt_in_rom

    .org reset_page + 0xf0
    .code16
    jmp from_reset
    .org reset_page + 0x100

// --- in RAM, which begins as zeros ---

    .text
    .code32
enter:
    mov $7, %eax
    xor %ecx, %ecx
    cpuid
    and $CPUID7_AVX512, %ebx
    cmp $CPUID7_AVX512, %ebx
    jne shutdown

    mov $PAE | OSFXSR | OSXMMEXCPT | FSGSBASE | OSXSAVE, %eax
    mov %eax, %cr4
    xor %ecx, %ecx
    xor %edx, %edx
    mov $XCR0_AVX512, %eax
    xsetbv

    mov $page_table_4, %eax
    mov %eax, %cr3
    mov $EFER, %ecx
    xor %edx, %edx
    mov $LME | SCE, %eax
    wrmsr
    mov $PG | MP | PE, %eax
    mov %eax, %cr0
    lgdtl gdt_of_ram
    ljmpl $CODE64, $in_64_bits

    .code64
in_64_bits:
    fninit
    mov $stack, %esp
    call run_program

// [[noreturn]] void shutdown(): Bochs ends when it has read the word at port 0x8900.
    .globl shutdown
shutdown:                     // the same bytes in 32-bit and in 64-bit code
    mov $shutdown_word, %esi
    mov $8, %ecx
    mov $0x8900, %dx
    rep outsb
    hlt
    jmp shutdown

// Where the program's syscall instruction leads: saves its registers in a Frame on its own stack, below the
// red zone, has system_call() answer, and goes on with the Frame that it returns.
    .globl syscall_entry, resume
syscall_entry:
    mov %rsp, program_stack
    lea -128(%rsp), %rsp
    push program_stack
    push %rcx                 // the address after the syscall
    push %rax
    push %rbx
    push %rdx
    push %rsi
    push %rdi
    push %rbp
    push %r8
    push %r9
    push %r10
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    and $-16, %rsp
    call system_call
    mov %rax, %rdi
resume:                       // [[noreturn]] void resume(Frame*)
    mov %rdi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r10
    pop %r9
    pop %r8
    pop %rbp
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rbx
    pop %rax
    pop %rcx
    pop %rsp
    jmp *%rcx

    .section .rodata
shutdown_word:
    .ascii "Shutdown"
    .balign 8
    .globl gdt
gdt:
    .quad 0
    .quad 0x00cf9a000000ffff  // code, 32 bits
    .quad 0x00af9a000000ffff  // code, 64 bits
    .quad 0x00cf92000000ffff  // data
gdt_end:
gdt_of_ram:
    .word gdt_end - gdt - 1
    .long gdt

// 256 MiB are mapped to themselves, but for the first 2 MiB: a null pointer ends the machine.
    .data
    .balign 4096
page_table_4:
    .quad page_table_3 + 3    // present, writable
    .fill 511, 8, 0
page_table_3:
    .quad page_table_2 + 3
    .fill 511, 8, 0
page_table_2:
    .quad 0
    .set page, 1
    .rept 127
    .quad page * 0x200000 + 0x83  // the same, a page of 2 MiB
    .set page, page + 1
    .endr
    .fill 384, 8, 0

    .bss
    .balign 8
program_stack:
    .quad 0

    .section .note.GNU-stack, "", @progbits
