/* What the file of each instruction set begins with, before it names its target: headers are compiled for the baseline. */
#ifndef FASTSOFTMAX_TARGET_H
#define FASTSOFTMAX_TARGET_H

#include "shared/table.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#define X86 1
#endif

#define PASTE_(a, b, c) a##_##b##_##c
#define PASTE(a, b, c) PASTE_(a, b, c)
#define FN(name) PASTE(name, REAL_NAME, ISA_NAME)

#endif
