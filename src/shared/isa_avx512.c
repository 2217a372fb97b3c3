/* The leaf loops for AVX-512: F, BW, DQ, VL (every server part since 2017). */
#include "shared/target.h"

#ifdef X86
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,prefer-vector-width=512")
#endif

#define ISA_NAME avx512
#define VBYTES 64
#define ISA_AVX512 1
#include "shared/isa.h"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
