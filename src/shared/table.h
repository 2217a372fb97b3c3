/* The leaf loops, as one table of functions for each instruction set.
 *
 * A leaf loop works on contiguous memory, in C so that it vectorises. It is written once, as a function that is marked LEAF,
 * in a header of its family (loops.h has the list), and compiled for every instruction set (isa_*.c) and real type. From
 * its definition generate.py writes the field of the tables and the function that Cython calls. dispatch.pyx selects a table
 * when the package is imported, and hands its address to the other modules in a capsule.
 * A leaf loop does about a microsecond of work or more: the call through the table must not show.
 */
#ifndef FASTSOFTMAX_TABLE_H
#define FASTSOFTMAX_TABLE_H

#include "dense/structs.h"
#include "tiles/structs.h"
#include "rules/structs.h"
#include "csr/structs.h"
#include "compact/structs.h"
#include "pairs/structs.h"
#include "one_vs_all/structs.h"
#include "screen/structs.h"

#include "leaves.h"

#define HIDDEN __attribute__((visibility("hidden"))) /* within the shared object, which several files make up */

typedef struct {
    const char *name;
    void (*lse_log_masses)(const LseState *states, ptrdiff_t n, double *log_masses_out); /* there are no others than double */
    Leaves_f32 f32;
    Leaves_f64 f64;
} LeafTable;

/* The tables compiled in, worst first; NULL-terminated. */
extern HIDDEN const LeafTable *const leaf_tables[];
/* Whether this CPU (and its operating system) can run the table. */
HIDDEN int leaf_table_supported(const LeafTable *table);

/* The table in use, a copy that dispatch.pyx owns; every module sets its own pointer to it (import_leaves). */
static LeafTable *leaves __attribute__((unused));

#endif
