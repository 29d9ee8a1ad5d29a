/* rows.h: what row programs share: how a tensor is cut into blocks, and sums over them.
 *
 * Sums add in the order that fold.c tells, so a row has the bits of the reductions it stands for. */
#ifndef AD_ROWS_H
#define AD_ROWS_H
#include "internal.h"

enum {
    AD_ROWS_TILE = 2048,                                           /* numbers in a block of short rows, */
    AD_ROWS_LINES = 256,                                           /* of so many rows at most, */
    AD_ROWS_STRIP = AD_STRIP,                                      /* and columns in a block of those */
    AD_ROWS_BUFFER = AD_LANE_STEPS * AD_LANE_BYTES * AD_ROWS_STRIP /* bytes of a part of either, as terms */
};

/* A contiguous tensor as outer x n x inner numbers, n the length of a row. */
typedef struct {
    int64_t outer, n, inner;
} ad_rows_shape;

/* Splits x's shape; false where the dimensions of rows do not follow one another. */
bool ad_rows_layout(ad_rows_shape *s, const ad_tensor *x, uint32_t dims);

/* Blocks of whole rows: several short ones, or one, or a strip of columns. */
typedef struct {
    ad_rows_shape shape;
    bool columns;
    int64_t size;          /* of a number */
    int64_t block, blocks; /* rows or columns in a block; blocks, for each outer where they are columns */
    int64_t items;
} ad_rows_plan;
typedef struct {
    ad_block all;        /* the whole rows of the block */
    int64_t first, each; /* where its first row, and its first number, are */
    int64_t lines;       /* how many rows there are */
} ad_rows_item;

void ad_rows_cut(ad_rows_plan *p, const ad_rows_shape *shape, int64_t size);
ad_rows_item ad_rows_item_at(const ad_rows_plan *p, int64_t i);

/* A part of a block that is folded at once: whole rows of up to a chunk, a chunk of one row, or rows of
 * columns of which the lanes take all alike. */
typedef struct {
    ad_block block;
    int64_t offset; /* of its first number from the item's */
} ad_rows_part;
/* Makes the numbers of a part that are to be folded, or finds them: where they are, and their stride. */
typedef const void *ad_rows_term(void *context, const ad_rows_part *part, int64_t *stride);

/* Folds the terms of each row of the item into out: `type` is that of the terms. */
void ad_rows_fold(const ad_rows_item *item, int fold, int type, ad_rows_term *term, void *context, void *out);

/* Sends what `make` puts together of an item's rows to y, past the caches, in parts that follow one another,
 * while operands of the next item are fetched; `of`: those of this one. */
void ad_rows_send(const ad_rows_item *item, int64_t size, char *y, int n_of, const char *const *of,
                  ad_rows_term *make, void *context);

/* The sum of the losses of rows over a total, to y: a number of their dtype, float32 or float64. */
int ad_reduce_losses(const ad_tensor *each, double total, ad_tensor *y); /* cross_entropy.c */

/* Numbers of a type, one by one. */
static inline void ad_rows_put(int type, void *to, int64_t i, double value) {
    if (type == AD_f32)
        ((float *)to)[i] = (float)value;
    else
        ((double *)to)[i] = value;
}
static inline double ad_rows_number(int type, const void *from, int64_t i) {
    return type == AD_f32 ? (double)((const float *)from)[i] : ((const double *)from)[i];
}

/* Fetches where a run of numbers begins that is read soon, and that does not follow what is read now. */
static inline void ad_rows_fetch(const char *p) {
    for (int line = 0; line < 4; line++) __builtin_prefetch(p + 64 * line);
}

/* ---- rows.c ---- */

/* A row program of contiguous rows of n, on the calling thread; y may be a or b. */
void ad_rows_run(int program, int type, int64_t rows, int64_t n, const char *a, const char *b, char *y);

/* ---- moments.c ---- */

typedef struct {
    double mean[AD_ROWS_LINES], rest[AD_ROWS_LINES], squares[AD_ROWS_LINES];
} ad_moments;
typedef struct {
    int type;
    ad_rows_plan plan;
    int64_t run,
        hop;        /* of rows that are cut: the numbers that follow one another, and how far the next are */
    int64_t pieces; /* that long rows are cut into, so that threads can share them */
    const char *x;
    double *parts; /* mean, rest and squares of each piece of each row, where there are several */
} ad_moments_source;

/* Makes a source of a contiguous x, whose `parts` the caller frees; or a status. run: 0, or x has rows of so
 * many numbers, `hop` from one another, and those at the same place in each hop are one. */
int ad_moments_begin(ad_moments_source *s, const ad_tensor *x, const ad_rows_shape *shape, int64_t run,
                     int64_t hop);
void ad_moments_of(const ad_moments_source *s, const ad_rows_item *item, ad_moments *m);

#endif
