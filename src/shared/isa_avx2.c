/* The leaf loops for AVX2 + FMA + F16C, which the same CPUs have. */
#include "shared/target.h"

#ifdef X86
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif

#define ISA_NAME avx2
#define VBYTES 32
#define ISA_AVX2 1
#include "shared/isa.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
