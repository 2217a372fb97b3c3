/* What the leaf loops over CSR rows share with their callers. */
#ifndef FASTSOFTMAX_CSR_STRUCTS_H
#define FASTSOFTMAX_CSR_STRUCTS_H

enum { STRIP_BYTES = 128 }; /* of adjacent classes that strips.h takes at a time: a strip */

#endif
