/* solve.h: what triangular solves and factorizations ask of a variant; kernels/solve.h fills it. */
#ifndef AD_SOLVE_H
#define AD_SOLVE_H
#include "internal.h"

#define AD_TRIANGLE 8 /* rows of a triangle that is solved in registers */
#define AD_PANEL 16   /* columns factored without blocks */

/* Strides count elements. */
typedef struct {
    /* dst (rows x cols, without gaps) = -src */
    void (*negate)(int64_t rows, int64_t cols, void *dst, const void *src, int64_t row, int64_t col);
    /* y[i * step] -= x[i] */
    void (*subtract)(int64_t n, void *y, int64_t step, const void *x);
    /* B (n x cols) = T^-1 B, T lower triangular of n <= AD_TRIANGLE rows, its diagonal 1 where `unit` */
    void (*substitute)(int n, const void *t, int64_t t_row, int64_t t_col, bool unit, int64_t cols, void *b,
                       int64_t b_row);
    /* PA = LU of m rows and n <= AD_PANEL columns, with room for m n elements in `work`. pivots[j] is the row
     * that row j changed places with; returns the first column whose pivot is 0, or n. */
    int (*panel)(int64_t m, int n, void *a, int64_t row, int64_t *pivots, void *work);
    /* A = U^T U of n <= AD_PANEL rows, over A's upper triangle; the first row that cannot be, or n. */
    int (*root)(int n, void *a, int64_t row);
    /* n <= AD_PANEL reflections 1 - tau[j] v v^T, which make A upper triangular, of m >= n rows of AD_PANEL
     * elements, zeros from n on. v lies over column j from row j on, but for its first element, which is 1;
     * the triangle has its diagonal there. */
    void (*reflect)(int64_t m, int n, void *a, void *tau);
    /* The upper triangular n x n matrix for which their product is 1 - V T V^T, from V^T V. */
    void (*compact)(int n, const void *gram, const void *tau, void *t);
} ad_solve_type;

struct ad_solve_kernels {
    const ad_solve_type *type[2]; /* AD_f32, AD_f64 */
};

#endif
