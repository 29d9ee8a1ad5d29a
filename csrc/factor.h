/* factor.h: one call of a factorization or solve. */
#ifndef AD_FACTOR_H
#define AD_FACTOR_H
#include "gemm.h"
#include "solve.h"
#include "tape.h"

enum {
    AD_FACTOR_lu,
    AD_FACTOR_root,
    AD_FACTOR_qr,
    AD_FACTOR_svd,
    AD_FACTOR_eigh,
    AD_FACTOR_triangle,
    AD_FACTOR_root_solve,
    AD_FACTOR_lu_solve,
    AD_FACTOR_inverse,
    AD_FACTOR_cofactors,
    AD_FACTOR_exp,
    AD_FACTOR_least_squares
};

enum { AD_OUT, AD_SOURCE, AD_A, AD_ORDER, AD_INFO, AD_DET, AD_FACTOR_SLOTS };

typedef struct {
    int kind;
    bool upper, unit, transposed, sign, values;
    double least;                   /* of the largest singular value, so much counts as nothing */
    uint8_t slots[AD_FACTOR_SLOTS]; /* of ad_factor's, that of each operand */
} ad_factor_kind;

/* Made of a call for the time it runs; what a kind does not use is NULL. */
typedef struct {
    ad_factor_kind how;
    int64_t count;   /* matrices in the batch */
    int64_t n, cols; /* rows, and columns of what is solved for or factored */
    union {
        struct {
            const ad_tensor *out;    /* row-major without gaps; worked on in place */
            const ad_tensor *source; /* copied to `out` first, of its shape; the LU of an inverse */
            const ad_tensor
                *a; /* what is solved with; the Q of a QR, the V of an SVD, the X of least squares */
            const ad_tensor *order; /* int64 (count, n): the row of the operand that each row came from; B of
                                       least squares */
            const ad_tensor *info;  /* int64 numbers; singular values or eigenvalues; ranks */
            const ad_tensor *det;   /* (count): determinants, or their signs */
        };
        const ad_tensor *slots[AD_FACTOR_SLOTS];
    };
} ad_factor;

/* What all of them use, of a dtype. */
typedef struct {
    const ad_solve_type *kernels;
    const ad_gemm_type *gemm;
    int64_t size;
} ad_tools;
static inline ad_tools ad_tools_of(int dtype) {
    const int type = ad_dtype_type[dtype];
    return (ad_tools){ad_cpu->solve->type[type], ad_cpu->gemm->type[type], ad_itemsize[dtype]};
}
static inline ad_matrix ad_moved(const ad_tools *t, ad_matrix x, int64_t row, int64_t col) {
    x.data += (row * x.row + col * x.col) * t->size;
    return x;
}
/* An element of 4 or 8 bytes. */
static inline double ad_element(const char *data, int64_t size, int64_t i) {
    return size == sizeof(float) ? (double)((const float *)(const void *)data)[i]
                                 : ((const double *)(const void *)data)[i];
}
static inline void ad_set_element(char *data, int64_t size, int64_t i, double value) {
    if (size == sizeof(float))
        ((float *)(void *)data)[i] = (float)value;
    else
        ((double *)(void *)data)[i] = value;
}
static inline void ad_set_identity(char *data, int64_t size, int64_t rows, int64_t cols) {
    memset(data, 0, (size_t)(rows * cols * size));
    for (int64_t i = 0; i < ad_least(rows, cols); i++) ad_set_element(data, size, i * cols + i, 1);
}
/* C (m x n) -= A (m x k) B (k x n), C's elements of a row one after the other. */
int ad_subtract_product(const ad_tools *t, int64_t m, int64_t n, int64_t k, ad_matrix a, ad_matrix b, char *c,
                        int64_t c_row);

/* Matrix i of a tensor of any strides. */
ad_matrix ad_matrix_of(const ad_tensor *x, int64_t i);
/* T^-1 B of either triangle, over B (n x cols, without gaps). */
int ad_solve_triangle(const ad_tools *t, int64_t n, ad_matrix l, bool upper, bool unit, int64_t cols,
                      char *b);

int ad_factor_run(const ad_call *c);
int ad_qr_one(const ad_factor *x, int64_t i); /* qr.c */
int ad_least_squares_one(const ad_factor *x, int64_t i);
int ad_exp_one(const ad_factor *x, int64_t i); /* exponential.c */
int ad_svd_one(const ad_factor *x, int64_t i); /* jacobi.c */
int ad_svd_solve(const ad_factor *x, int64_t i, int64_t k, ad_matrix b, char *to, int64_t *rank);
int ad_eigh_one(const ad_factor *x, int64_t i); /* spectral.c */
/* q (m x cols) is multiplied by the product of k <= m reflections 1 - tau v v^T of m rows: v is a column of
 * V, from the diagonal, where it has a 1 under zeros, on. */
int ad_reflections(const ad_tools *t, int64_t m, int64_t k, ad_matrix v, const char *tau, int64_t cols,
                   char *q);

#endif
