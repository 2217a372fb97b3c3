/* Classes in 8 bits to be screened, and the rows that they are screened for: see screen.h. */
#ifndef FASTSOFTMAX_SCREEN_STRUCTS_H
#define FASTSOFTMAX_SCREEN_STRUCTS_H

#include <stddef.h>
#include <stdint.h>

/* All classes, in groups of 16; the last group is filled up with scale 0 and a bias that is below all logits. */
typedef struct {
    const uint8_t *codes;      /* (n_groups, n_quads, 16, 4): 128 + the rounded weights, four elements of a class at a time */
    const float *scale, *bias; /* (n_groups, 16): of the weights, and in bits: log2(e) times the bias */
    ptrdiff_t n_classes, n_quads;
} Screened;

/* Rows. An approximate logit is (codes . (class codes - 128) * factor) * scale + bias, in bits. */
typedef struct {
    const int8_t *codes;   /* (n_rows, n_quads, 4), at most 63 in size */
    const int32_t *offset; /* -128 times the sum of a row's codes */
    const float *factor;
    const float *margin; /* times a class's scale: what its logit may be off */
    const float *slack;  /* what rounding adds to that */
    const float *shift;  /* exponentials are of logits less this */
    ptrdiff_t n_rows;
} ScreenedRows;

/* What a thread keeps of each row: a heap of the k best lower bounds, and the classes whose upper bound reached its worst. */
typedef struct {
    float *bar;                 /* (n_rows,) what an upper bound must reach */
    float *loose_bar;           /* (n_rows,) scratch: what an approximate logit must reach for that, whatever its scale */
    ptrdiff_t *n_listed;        /* (n_rows,); -1: there were too many */
    int32_t *listed;            /* (n_rows, room) class ids */
    float *upper;               /* the same: their upper bounds */
    ptrdiff_t room, k;
} ScreenedBest;

#endif
