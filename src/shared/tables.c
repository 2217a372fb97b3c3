/* The leaf loops, compiled for every instruction set and both real types. */
#include "shared/table.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#include <immintrin.h>
#define X86 1
#endif

#define PASTE_(a, b, c) a##_##b##_##c
#define PASTE(a, b, c) PASTE_(a, b, c)
#define FN(name) PASTE(name, REAL_NAME, ISA_NAME)

/* -- baseline: what the compiler targets by default (SSE2 on x86-64, NEON on arm64) -- */
#define ISA_NAME baseline
#define VBYTES 16
#include "shared/isa.h"
#undef ISA_NAME
#undef VBYTES

#ifdef X86
/* -- AVX2 + FMA + F16C, which the same CPUs have -- */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif
#define ISA_NAME avx2
#define VBYTES 32
#define ISA_AVX2 1
#include "shared/isa.h"
#undef ISA_NAME
#undef VBYTES
#undef ISA_AVX2
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

/* -- AVX-512: F, BW, DQ, VL (every server part since 2017) -- */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,prefer-vector-width=512")
#endif
#define ISA_NAME avx512
#define VBYTES 64
#define ISA_AVX512 1
#include "shared/isa.h"
#undef ISA_NAME
#undef VBYTES
#undef ISA_AVX512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif /* X86 */

#ifdef X86
#define ALL_TABLES &table_baseline, &table_avx2, &table_avx512
#else
#define ALL_TABLES &table_baseline
#endif
const LeafTable *const leaf_tables[] = {ALL_TABLES, NULL};

int leaf_table_supported(const LeafTable *table)
{
#ifdef X86
    unsigned a, b, c, d;
    const int has_f16c = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C); /* not a name that every compiler knows */
    __builtin_cpu_init();
    if (!strcmp(table->name, "avx2"))
        return has_f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!strcmp(table->name, "avx512"))
        return has_f16c && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return !strcmp(table->name, "baseline");
}
