/* One instruction set: the leaf loops for float and double, and their table. No include guard: rowops.c includes it once a set. */

#define REAL double
#define REAL_NAME f64
#define REAL_INT int64_t
#define REAL_IS_DOUBLE 1
#include "shared/vec.h"
#include "dense/logsumexp.h"
#include "dense/normalize.h"
#include "dense/softmax.h"
#include "tiles/gemm.h"
#include "tiles/panels.h"
#include "tiles/blocks.h"
#include "csr/strips.h"
#include "tiles/topk.h"
#include "tiles/rounding.h"
#include "compact/compact.h"
#include "pairs/pairs.h"
#include "shared/vec_end.h"
#undef REAL
#undef REAL_NAME
#undef REAL_INT
#undef REAL_IS_DOUBLE

#define REAL float
#define REAL_NAME f32
#define REAL_INT int32_t
#include "shared/vec.h"
#include "dense/logsumexp.h"
#include "dense/normalize.h"
#include "dense/softmax.h"
#include "tiles/gemm.h"
#include "tiles/panels.h"
#include "tiles/blocks.h"
#include "csr/strips.h"
#include "tiles/topk.h"
#include "tiles/rounding.h"
#include "compact/compact.h"
#include "pairs/pairs.h"
#include "shared/vec_end.h"
#undef REAL
#undef REAL_NAME
#undef REAL_INT

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)
#define TABLE_ENTRY(name, real_name) .name = PASTE(name, real_name, ISA_NAME)
#define TABLE_ENTRIES(real_name)                                                                                      \
    {                                                                                                                 \
        .panel_width = PASTE(PANEL_WIDTH, real_name, ISA_NAME),                                                       \
        /* dense */                                                                                                   \
        TABLE_ENTRY(lse_rows, real_name),                                                                             \
        TABLE_ENTRY(lse_columns, real_name),                                                                          \
        TABLE_ENTRY(normalize_rows, real_name),                                                                       \
        TABLE_ENTRY(normalize_columns, real_name),                                                                    \
        TABLE_ENTRY(softmax_rows, real_name),                                                                         \
        TABLE_ENTRY(softmax_columns, real_name),                                                                      \
        TABLE_ENTRY(soft_target_loss, real_name),                                                                     \
        TABLE_ENTRY(subtract_scaled, real_name),                                                                      \
        TABLE_ENTRY(exp_array, real_name),                                                                            \
        /* tiles */                                                                                                   \
        TABLE_ENTRY(multiply, real_name),                                                                             \
        TABLE_ENTRY(pack_panels, real_name),                                                                          \
        TABLE_ENTRY(unpack_panels, real_name),                                                                        \
        TABLE_ENTRY(exp_panels, real_name),                                                                           \
        TABLE_ENTRY(logistic_panels, real_name),                                                                      \
        TABLE_ENTRY(scale_panels, real_name),                                                                         \
        TABLE_ENTRY(sum_panels, real_name),                                                                           \
        TABLE_ENTRY(round_panels, real_name),                                                                         \
        TABLE_ENTRY(gather_block, real_name),                                                                         \
        TABLE_ENTRY(spmm, real_name),                                                                                 \
        TABLE_ENTRY(update_block, real_name),                                                                         \
        TABLE_ENTRY(sum_parts, real_name),                                                                            \
        TABLE_ENTRY(pack_strip, real_name),                                                                           \
        TABLE_ENTRY(csr_logits, real_name),                                                                           \
        TABLE_ENTRY(csr_step, real_name),                                                                             \
        TABLE_ENTRY(topk_panels, real_name),                                                                          \
        TABLE_ENTRY(topk_merge, real_name),                                                                           \
        /* compact */                                                                                                 \
        TABLE_ENTRY(compact_scratch, real_name),                                                                      \
        TABLE_ENTRY(compact_logits, real_name),                                                                       \
        TABLE_ENTRY(compact_spmm, real_name),                                                                         \
        TABLE_ENTRY(compact_strip, real_name),                                                                        \
        /* support */                                                                                                 \
        TABLE_ENTRY(touch, real_name),                                                                                \
        TABLE_ENTRY(add_bias, real_name),                                                                             \
        TABLE_ENTRY(add_dots, real_name),                                                                             \
        TABLE_ENTRY(write_base, real_name),                                                                           \
        TABLE_ENTRY(exp_touched, real_name),                                                                          \
        TABLE_ENTRY(scale_touched, real_name),                                                                        \
        TABLE_ENTRY(support_step, real_name),                                                                         \
        TABLE_ENTRY(exp_wide, real_name),                                                                             \
        TABLE_ENTRY(untouch_bias, real_name),                                                                         \
        TABLE_ENTRY(topk_touched, real_name),                                                                         \
    }
#define TABLE_NAME_(isa) table_##isa
#define TABLE_NAME(isa) TABLE_NAME_(isa)
static const RowOps TABLE_NAME(ISA_NAME) = {
    .name = STRINGIFY(ISA_NAME),
    .lse_log_masses = PASTE(lse_log_masses, f64, ISA_NAME),
    .f32 = TABLE_ENTRIES(f32),
    .f64 = TABLE_ENTRIES(f64),
};
#undef TABLE_NAME
#undef TABLE_NAME_
#undef TABLE_ENTRIES
#undef TABLE_ENTRY
#undef STRINGIFY
#undef STRINGIFY_
