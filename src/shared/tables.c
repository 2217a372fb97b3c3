/* The tables of leaf loops of all instruction sets, each compiled in a file of its own. */
#include "shared/table.h"

#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define X86 1
#endif

extern HIDDEN const LeafTable table_baseline;
#ifdef X86
extern HIDDEN const LeafTable table_avx2, table_avx512;
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
