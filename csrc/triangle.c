/* triangle.c: triangles of matrices. */
#include "tape.h"

typedef struct {
    const ad_tensor *y;
    int64_t diagonal;
    bool lower;
} triangle;

/* Zeros in one row of a copy of the matrices, on the other side of the diagonal. */
static void clear_row(void *context, int64_t row) {
    const triangle *t = context;
    const int64_t rows = t->y->shape[t->y->ndim - 2], cols = t->y->shape[t->y->ndim - 1];
    const int64_t size = ad_itemsize[t->y->dtype], past = row % rows + t->diagonal + t->lower;
    const int64_t edge = past < 0 ? 0 : ad_least(past, cols);
    char *at = t->y->data + row * cols * size;
    if (t->lower)
        memset(at + edge * size, 0, (size_t)((cols - edge) * size));
    else
        memset(at, 0, (size_t)(edge * size));
}

static int run_triangle(const ad_call *c) {
    triangle t = *(const triangle *)c->numbers;
    t.y = ad_out(c, 0);
    ad_copy_into(t.y, ad_in(c, 0));
    ad_parallel_for(t.y->numel / t.y->shape[t.y->ndim - 1], t.y->numel / 8, clear_row, &t);
    return AD_OK;
}

ad_tensor *ad_triangle(const ad_tensor *x, int64_t diagonal, int lower) {
    if (x->ndim < 2) return ad_fail_null(AD_BAD_DIM, 2, x->ndim, 0);
    const int64_t rows = x->shape[x->ndim - 2], cols = x->shape[x->ndim - 1];
    const triangle t = {.diagonal = diagonal < -rows - 1 ? -rows - 1 : ad_least(diagonal, cols + 1),
                        .lower = lower != 0};
    ad_tensor *y = ad_make(x->dtype, x->ndim, x->shape);
    if (!y || !y->numel) return y;
    const ad_tensor *const operands[] = {y, x};
    return ad_done(
        &(ad_call){run_triangle, "triangle", 1, 1, .x = operands, .numbers = &t, .n_bytes = sizeof t}, y);
}

/* ---- where a triangle is ---- */

typedef struct {
    int64_t rows, cols, diagonal;
    bool lower;
} corner;

static inline int64_t within(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : ad_least(x, high);
}

static int run_indices(const ad_call *c) {
    const corner *t = c->numbers;
    const ad_tensor *y = ad_out(c, 0);
    int64_t *row = (int64_t *)y->data, *col = row + y->shape[1];
    const int64_t start =
        t->lower ? within(-t->diagonal, 0, t->rows) : 0; /* rows without a place are left out */
    const int64_t stop = t->lower ? t->rows : within(t->cols - t->diagonal, 0, t->rows);
    for (int64_t i = start; i < stop; i++) {
        const int64_t edge = within(i + t->diagonal + t->lower, 0, t->cols), end = t->lower ? edge : t->cols;
        for (int64_t j = t->lower ? 0 : edge; j < end; j++) *row++ = i, *col++ = j;
    }
    return AD_OK;
}

/* How many places of a matrix lie on or below a diagonal: in row i, i + 1 + diagonal, within [0, cols]. */
static int64_t below(int64_t rows, int64_t cols, int64_t diagonal) {
    const int64_t first = within(-diagonal, 0, rows), full = within(cols - diagonal, first, rows);
    const int64_t n = full - first, twice = first + full + 1 + 2 * diagonal; /* the first of n and the last */
    return (n % 2 ? n * (twice / 2) : n / 2 * twice) + (rows - full) * cols;
}

ad_tensor *ad_triangle_indices(int64_t rows, int64_t cols, int64_t diagonal, int lower) {
    if (rows < 0 || cols < 0) return ad_fail_null(AD_BAD_SHAPE, rows, cols, 0);
    const int64_t least = -rows, k = diagonal < least ? least : ad_least(diagonal, cols);
    const corner t = {rows, cols, k, lower != 0};
    int64_t all, count = INT64_MAX / 4; /* more than there can be */
    if (!__builtin_mul_overflow(rows, cols, &all) && all < count)
        count = !all ? 0 : lower ? below(rows, cols, k) : all - below(rows, cols, k - 1);
    ad_tensor *y = ad_make(AD_int64, 2, (const int64_t[]){2, count});
    if (!y || !count) return y;
    return ad_done(&(ad_call){run_indices, "triangle_indices", 1, 0, .x = (const ad_tensor *const[]){y},
                              .numbers = &t, .n_bytes = sizeof t},
                   y);
}
