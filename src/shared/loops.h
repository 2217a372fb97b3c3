/* The leaf loops of all families, for one real type REAL and one instruction set. It has no include guard: isa.h includes it
 * for each real type. generate.py finds the leaf loops in these headers. */
#include "shared/vec.h"

#include "dense/logsumexp.h"
#include "dense/normalize.h"
#include "dense/softmax.h"
#include "dense/cross_entropy.h"
#include "tiles/gemm.h"
#include "tiles/panels.h"
#include "tiles/blocks.h"
#include "tiles/topk.h"
#include "tiles/rounding.h"
#include "rules/update.h"
#include "csr/spmm.h"
#include "csr/strips.h"
#include "compact/compact.h"
#include "one_vs_all/binary.h"
#include "pairs/pairs_bias.h"
#include "pairs/pairs.h"
#include "one_vs_all/hard_negatives.h"
#include "screen/screen.h"

#include "shared/vec_end.h"
