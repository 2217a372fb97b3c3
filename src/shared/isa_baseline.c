/* The leaf loops for what the compiler targets by default: SSE2 on x86-64, NEON on arm64. */
#include "shared/target.h"

#define ISA_NAME baseline
#define VBYTES 16
#include "shared/isa.h"
