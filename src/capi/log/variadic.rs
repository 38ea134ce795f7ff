//! fuse_log() itself.
//!
//! Stable Rust cannot define a variadic function: these build the va_list that the platform's ABI prescribes out of
//! the argument registers and the stack, and pass it on.

use super::log_with_va_list;

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl fuse_log",
    ".type fuse_log,%function",
    "fuse_log:",
    ".cfi_startproc",
    "endbr64",
    "sub rsp, 216",
    ".cfi_adjust_cfa_offset 216",
    // register save area at rsp: six integer registers, then eight vector registers
    "mov [rsp+16], rdx",
    "mov [rsp+24], rcx",
    "mov [rsp+32], r8",
    "mov [rsp+40], r9",
    "test al, al",
    "je 2f",
    "movaps [rsp+48], xmm0",
    "movaps [rsp+64], xmm1",
    "movaps [rsp+80], xmm2",
    "movaps [rsp+96], xmm3",
    "movaps [rsp+112], xmm4",
    "movaps [rsp+128], xmm5",
    "movaps [rsp+144], xmm6",
    "movaps [rsp+160], xmm7",
    "2:",
    // the va_list at rsp+176: gp_offset past two named arguments, fp_offset, overflow area, save area
    "mov dword ptr [rsp+176], 16",
    "mov dword ptr [rsp+180], 48",
    "lea rax, [rsp+224]",
    "mov [rsp+184], rax",
    "mov [rsp+192], rsp",
    "lea rdx, [rsp+176]",
    "call {log}",
    "add rsp, 216",
    ".cfi_adjust_cfa_offset -216",
    "ret",
    ".cfi_endproc",
    ".size fuse_log, . - fuse_log",
    log = sym log_with_va_list,
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl fuse_log",
    ".type fuse_log,%function",
    "fuse_log:",
    ".cfi_startproc",
    "hint #34",
    "stp x29, x30, [sp, #-224]!",
    ".cfi_adjust_cfa_offset 224",
    ".cfi_offset x29, -224",
    ".cfi_offset x30, -216",
    "mov x29, sp",
    // sp+16: va_list; sp+48: x2 to x7; sp+96: q0 to q7
    "stp x2, x3, [sp, #48]",
    "stp x4, x5, [sp, #64]",
    "stp x6, x7, [sp, #80]",
    "stp q0, q1, [sp, #96]",
    "stp q2, q3, [sp, #128]",
    "stp q4, q5, [sp, #160]",
    "stp q6, q7, [sp, #192]",
    "add x9, sp, #224",
    "str x9, [sp, #16]", // stack arguments
    "add x9, sp, #96",
    "str x9, [sp, #24]", // end of the general registers
    "add x9, sp, #224",
    "str x9, [sp, #32]", // end of the vector registers
    "mov w9, #-48",
    "str w9, [sp, #40]",
    "mov w9, #-128",
    "str w9, [sp, #44]",
    "add x2, sp, #16",
    "bl {log}",
    "ldp x29, x30, [sp], #224",
    ".cfi_adjust_cfa_offset -224",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "ret",
    ".cfi_endproc",
    ".size fuse_log, . - fuse_log",
    log = sym log_with_va_list,
);
symver!(fuse_log, "FUSE_3.7");
