/* reduction.h: what fold.c, reduce.c and extremes.c share. */
#ifndef AD_REDUCTION_H
#define AD_REDUCTION_H
#include "walk.h"

enum { AD_REDUCE_CHUNK = AD_BLOCK };

typedef struct {
    const ad_tensor *x;
    const ad_fold_kernels *kernels;
    ad_load_fn *load;
    int type;             /* the type the fold is done in */
    int64_t size;         /* of its elements */
    bool direct;          /* x holds what is folded: no conversion, no step */
    ad_pw_fn *step;       /* what is made of each element first, of the element twice, or NULL */
    bool by_columns;      /* walk across the results rather than along the sequences */
    ad_walk kept, folded; /* never without a dimension */
    int64_t outputs, length;
    int64_t tile, tiles; /* along the innermost kept dimension */
    int64_t block, blocks;
    char *results; /* blocks x outputs elements of the register type */
} reduction;

/* Fills what is known before the way to walk is chosen; field by field, as clearing it all would take longer
 * than a small reduction. */
void ad_plan_reduction(reduction *r, const ad_tensor *x, uint32_t dims, int fold, int type, ad_pw_fn *step);
/* Any order: for folds that are exact. */
void ad_fold_as_it_lies(reduction *r);
/* Whether each sequence is in memory as the kernels take it. */
bool ad_is_run(const reduction *r);
/* Folds each of `rows` such sequences, or chunks, `stride` apart: n elements to one of out. */
void ad_fold_rows(const reduction *r, int64_t rows, int64_t n, const char *x, int64_t stride, char *out);
/* Elements [start, start + n) of the sequence at `base`: where they are, or loaded into `buffer`. */
const char *ad_sequence(const reduction *r, const char *base, int64_t start, int64_t n, char *buffer);

void ad_choose_blocks(reduction *r);
/* Fills the results, the blocks of each joined in the first block's row. */
void ad_fold(reduction *r);

/* ---- extremes.c ---- */
/* Where the extreme (fold max or min) of each sequence of a nonempty x first is, and, unless `values` is
 * NULL, what it is, in x's dtype. */
void ad_find_extremes(const ad_tensor *x, uint32_t dims, int fold, int64_t *places, char *values);

#endif
