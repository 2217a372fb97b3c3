/* The leaf loops of one instruction set, for double and float, and their table. isa_NAME.c names the set and its target. */

#define REAL double
#define REAL_NAME f64
#define REAL_INT int64_t
#define REAL_IS_DOUBLE 1
#include "shared/loops.h"
#undef REAL
#undef REAL_NAME
#undef REAL_INT
#undef REAL_IS_DOUBLE

#define REAL float
#define REAL_NAME f32
#define REAL_INT int32_t
#include "shared/loops.h"
#undef REAL
#undef REAL_NAME
#undef REAL_INT

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)
#define TABLE_NAME_(isa) table_##isa
#define TABLE_NAME(isa) TABLE_NAME_(isa)
#define LEAF_F32(name) .name = PASTE(name, f32, ISA_NAME),
#define LEAF_F64(name) .name = PASTE(name, f64, ISA_NAME),
HIDDEN const LeafTable TABLE_NAME(ISA_NAME) = {
    .name = STRINGIFY(ISA_NAME),
    .lse_log_masses = PASTE(lse_log_masses, f64, ISA_NAME),
    .f32 = {LEAVES(LEAF_F32)},
    .f64 = {LEAVES(LEAF_F64)},
};
