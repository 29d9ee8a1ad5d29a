/* linalg.c: what the native API offers of factorizations and solves; it checks, makes results, and runs. */
#include "factor.h"

/* A batch of matrices of floats, square where so asked. */
static int check(const ad_tensor *a, bool square) {
    if (!ad_is_float(a->dtype) || ad_itemsize[a->dtype] != ad_type_size[ad_dtype_type[a->dtype]])
        return ad_fail(AD_BAD_DTYPE, a->dtype, 0, 0);
    if (a->ndim < 2) return ad_fail(AD_BAD_DIM, -2, a->ndim, 0);
    const int64_t rows = a->shape[a->ndim - 2], cols = a->shape[a->ndim - 1];
    return square && rows != cols ? ad_fail(AD_BAD_SHAPE, rows, cols, 0) : AD_OK;
}

/* What is made, and what it is made of, in the slots of ad_factor. */
typedef struct {
    ad_tensor *made[AD_FACTOR_SLOTS];
    const ad_tensor *given[AD_FACTOR_SLOTS];
} operands;

/* AD_OK where all that is made, of the n slots, is there and filled; else nothing is. */
static int finish(const operands *x, ad_factor_kind how, int n, const int *slots, ad_tensor **out) {
    static const char *const names[] = {
        [AD_FACTOR_lu] = "lu",          [AD_FACTOR_root] = "cholesky",
        [AD_FACTOR_qr] = "qr",          [AD_FACTOR_svd] = "svd",
        [AD_FACTOR_eigh] = "eigh",      [AD_FACTOR_triangle] = "solve_triangular",
        [AD_FACTOR_lu_solve] = "solve", [AD_FACTOR_cofactors] = "cofactors",
        [AD_FACTOR_exp] = "matrix_exp", [AD_FACTOR_least_squares] = "lstsq",
        [AD_FACTOR_inverse] = "inv",    [AD_FACTOR_root_solve] = "cholesky_solve",
    };
    const ad_tensor *all[AD_FACTOR_SLOTS];
    int status = AD_OK, count = n;
    for (int i = 0; i < n; i++) {
        all[i] = out[i] = x->made[slots[i]];
        how.slots[i] = (uint8_t)slots[i];
        if (!out[i]) status = ad_error(NULL);
    }
    for (int slot = 0; slot < AD_FACTOR_SLOTS; slot++) {
        if (!x->given[slot]) continue;
        how.slots[count] = (uint8_t)slot;
        all[count++] = x->given[slot];
    }
    if (!status)
        status = ad_do(&(ad_call){ad_factor_run, names[how.kind], n, count - n, .x = all, .numbers = &how,
                                  .n_bytes = sizeof how});
    for (int i = 0; status && i < n; i++) {
        ad_free(out[i]);
        out[i] = NULL;
    }
    return status;
}

static ad_tensor *finish_one(const operands *x, ad_factor_kind how) {
    ad_tensor *out;
    return finish(x, how, 1, (const int[]){AD_OUT}, &out) ? NULL : out;
}

int ad_lu(const ad_tensor *a, int determinant, ad_tensor **out) {
    const int status = check(a, true);
    if (status) return status;
    operands x = {.given = {[AD_SOURCE] = a}};
    x.made[AD_OUT] = ad_make(a->dtype, a->ndim, a->shape);
    x.made[AD_ORDER] = ad_make(AD_int64, a->ndim - 1, a->shape);
    x.made[AD_INFO] = ad_make(AD_int64, a->ndim - 2, a->shape);
    if (determinant) x.made[AD_DET] = ad_make(a->dtype, a->ndim - 2, a->shape);
    const ad_factor_kind how = {.kind = AD_FACTOR_lu, .sign = determinant == AD_LU_SIGN};
    return finish(&x, how, determinant ? 4 : 3, (const int[]){AD_OUT, AD_ORDER, AD_INFO, AD_DET}, out);
}

int ad_cholesky(const ad_tensor *a, ad_tensor **out) {
    const int status = check(a, true);
    if (status) return status;
    operands x = {.given = {[AD_SOURCE] = a}};
    x.made[AD_OUT] = ad_make(a->dtype, a->ndim, a->shape);
    x.made[AD_INFO] = ad_make(AD_int64, a->ndim - 2, a->shape);
    return finish(&x, (ad_factor_kind){.kind = AD_FACTOR_root}, 2, (const int[]){AD_OUT, AD_INFO}, out);
}

ad_tensor *ad_matrix_exp(const ad_tensor *a) {
    if (check(a, true)) return NULL;
    const operands x = {{ad_make(a->dtype, a->ndim, a->shape)}, {NULL, a}};
    return finish_one(&x, (ad_factor_kind){.kind = AD_FACTOR_exp});
}

int ad_qr(const ad_tensor *a, int64_t cols, ad_tensor **out) {
    const int status = check(a, false);
    if (status) return status;
    int64_t shape[AD_MAX_DIMS];
    memcpy(shape, a->shape, sizeof shape);
    if (cols < 0 || cols > shape[a->ndim - 2]) return ad_fail(AD_BAD_ARG, cols, 0, 0);
    operands x = {.given = {[AD_SOURCE] = a}};
    x.made[AD_OUT] = ad_make(a->dtype, a->ndim, shape);
    shape[a->ndim - 1] = cols;
    x.made[AD_A] = ad_make(a->dtype, a->ndim, shape);
    return finish(&x, (ad_factor_kind){.kind = AD_FACTOR_qr}, 2, (const int[]){AD_A, AD_OUT}, out);
}

/* The spectrum, a number for each column; and the matrix of them, for svd. */
static int spectral(int kind, const ad_tensor *a, bool values, ad_tensor **out) {
    const bool svd = kind == AD_FACTOR_svd;
    const int status = check(a, !svd);
    if (status) return status;
    int64_t shape[AD_MAX_DIMS];
    memcpy(shape, a->shape, sizeof shape);
    const int64_t rows = shape[a->ndim - 2], cols = shape[a->ndim - 1];
    if (rows < cols) return ad_fail(AD_BAD_SHAPE, rows, cols, 0);
    operands x = {.given = {[AD_SOURCE] = a}};
    x.made[AD_OUT] = ad_make(a->dtype, a->ndim, shape);
    shape[a->ndim - 2] = cols;
    x.made[AD_INFO] = ad_make(a->dtype, a->ndim - 1, shape);
    if (svd) x.made[AD_A] = ad_make(a->dtype, a->ndim, shape);
    return finish(&x, (ad_factor_kind){.kind = kind, .values = values}, svd ? 3 : 2,
                  (const int[]){AD_OUT, AD_INFO, AD_A}, out);
}
int ad_svd(const ad_tensor *a, ad_tensor **out) { return spectral(AD_FACTOR_svd, a, false, out); }
int ad_eigh(const ad_tensor *a, int values, ad_tensor **out) {
    return spectral(AD_FACTOR_eigh, a, values, out);
}

int ad_least_squares(const ad_tensor *a, const ad_tensor *b, int transposed, double least, ad_tensor **out) {
    int status = check(a, false);
    if (!status) status = check(b, false);
    if (status) return status;
    const int n = a->ndim;
    const int64_t high = a->shape[n - 2], wide = a->shape[n - 1], rows = transposed ? wide : high;
    if (a->dtype != b->dtype) return ad_fail(AD_BAD_DTYPE, b->dtype, 0, 0);
    if (high < wide) return ad_fail(AD_BAD_SHAPE, high, wide, 0);
    if (b->ndim != n || memcmp(a->shape, b->shape, sizeof *a->shape * (n - 2)) || b->shape[n - 2] != rows)
        return ad_fail(AD_BAD_SHAPE, rows, b->shape[b->ndim - 2], 0);
    int64_t shape[AD_MAX_DIMS];
    memcpy(shape, b->shape, sizeof shape);
    shape[n - 2] = transposed ? high : wide;
    operands x = {.given = {[AD_SOURCE] = a, [AD_ORDER] = b}};
    x.made[AD_OUT] = ad_make(a->dtype, n, a->shape);
    x.made[AD_A] = ad_make(a->dtype, n, shape);
    x.made[AD_INFO] = ad_make(AD_int64, n - 2, shape);
    const ad_factor_kind how = {.kind = AD_FACTOR_least_squares, .transposed = transposed, .least = least};
    return finish(&x, how, 3, (const int[]){AD_A, AD_INFO, AD_OUT}, out);
}

/* B's shape fits that of the square A; batches broadcast for triangles, and are alike else. */
static int check_pair(const ad_tensor *a, const ad_tensor *b) {
    int status = check(a, true);
    if (!status) status = check(b, false);
    if (status) return status;
    if (a->dtype != b->dtype) return ad_fail(AD_BAD_DTYPE, b->dtype, 0, 0);
    const int64_t n = a->shape[a->ndim - 1], rows = b->shape[b->ndim - 2];
    return n == rows ? AD_OK : ad_fail(AD_BAD_SHAPE, n, rows, 0);
}

static ad_tensor *by_triangles(const ad_tensor *a, const ad_tensor *b, ad_factor_kind how) {
    if (check_pair(a, b)) return NULL;
    for (int d = 0; d < a->ndim - 2; d++) {
        const int there = b->ndim - a->ndim + d;
        const int64_t given = a->shape[d], wanted = there < 0 ? 1 : b->shape[there];
        if (there < 0 || (given != 1 && given != wanted)) return ad_fail_null(AD_BROADCAST, given, wanted, d);
    }
    const operands x = {{ad_make(b->dtype, b->ndim, b->shape)}, {NULL, b, a}};
    return finish_one(&x, how);
}
ad_tensor *ad_solve_triangular(const ad_tensor *a, const ad_tensor *b, int upper, int unit) {
    return by_triangles(a, b, (ad_factor_kind){.kind = AD_FACTOR_triangle, .upper = upper, .unit = unit});
}
ad_tensor *ad_cholesky_solve(const ad_tensor *a, const ad_tensor *b, int upper) {
    return by_triangles(a, b, (ad_factor_kind){.kind = AD_FACTOR_root_solve, .upper = upper});
}

/* Of the shape that ad_lu makes, each a row there is. */
static int check_order(const ad_tensor *lu, const ad_tensor *order) {
    const int64_t n = lu->shape[lu->ndim - 1];
    if (!lu->contiguous || !order->contiguous || order->dtype != AD_int64 || order->ndim != lu->ndim - 1 ||
        memcmp(order->shape, lu->shape, sizeof *lu->shape * order->ndim))
        return ad_fail(AD_BAD_ARG, 0, 0, 0);
    for (int64_t i = 0; i < order->numel; i++) {
        const int64_t row = ((const int64_t *)order->data)[i];
        if (row < 0 || row >= n) return ad_fail(AD_BAD_INDEX, row, 0, n);
    }
    return AD_OK;
}

ad_tensor *ad_lu_solve(const ad_tensor *lu, const ad_tensor *order, const ad_tensor *b, int transposed) {
    if (check_pair(lu, b)) return NULL;
    if (lu->ndim != b->ndim || memcmp(lu->shape, b->shape, sizeof *lu->shape * (lu->ndim - 1)))
        return ad_fail_null(AD_BAD_SHAPE, lu->ndim, b->ndim, 0);
    if (check_order(lu, order)) return NULL;
    const operands x = {{ad_make(b->dtype, b->ndim, b->shape)}, {NULL, b, lu, order}};
    return finish_one(&x, (ad_factor_kind){.kind = AD_FACTOR_lu_solve, .transposed = transposed});
}

ad_tensor *ad_lu_inverse(const ad_tensor *lu, const ad_tensor *order) {
    if (check(lu, true) || check_order(lu, order)) return NULL;
    const operands x = {{ad_make(lu->dtype, lu->ndim, lu->shape)}, {NULL, lu, NULL, order}};
    return finish_one(&x, (ad_factor_kind){.kind = AD_FACTOR_inverse});
}

static bool is_batch_of(const ad_tensor *x, const ad_tensor *lu, int dtype) {
    return x->contiguous && x->dtype == dtype && x->ndim == lu->ndim - 2 &&
           !memcmp(x->shape, lu->shape, sizeof *x->shape * x->ndim);
}

ad_tensor *ad_cofactors(const ad_tensor *a, const ad_tensor *lu, const ad_tensor *order,
                        const ad_tensor *info, const ad_tensor *det) {
    if (check_pair(lu, a) || check_order(lu, order)) return NULL;
    if (lu->ndim != a->ndim || memcmp(lu->shape, a->shape, sizeof *lu->shape * lu->ndim))
        return ad_fail_null(AD_BAD_SHAPE, lu->ndim, a->ndim, 0);
    if (!is_batch_of(info, lu, AD_int64) || !is_batch_of(det, lu, a->dtype))
        return ad_fail_null(AD_BAD_ARG, 0, 0, 0);
    const operands x = {{ad_make(a->dtype, a->ndim, a->shape)}, {NULL, a, lu, order, info, det}};
    return finish_one(&x, (ad_factor_kind){.kind = AD_FACTOR_cofactors, .transposed = true});
}

/* ---- rows as LU exchanges them ---- */

/* From the order of m rows to the first k exchanges: with which row, counted from 1, each changed places. */
static int run_exchanges(const ad_call *c) {
    const ad_tensor *order = ad_in(c, 0), *pivots = ad_out(c, 0);
    const int64_t m = order->shape[order->ndim - 1], k = pivots->shape[pivots->ndim - 1];
    for (int64_t i = 0; i < order->numel; i++) {
        const int64_t row = ((const int64_t *)order->data)[i];
        if (row < 0 || row >= m) return ad_fail(AD_BAD_INDEX, row, 0, m);
    }
    int64_t *at = ad_alloc((size_t)(2 * m) * sizeof *at); /* the row in a place */
    if (!at) return ad_fail(AD_NO_MEMORY, m, 0, 0);
    int64_t *where = at + m; /* the place of a row */
    for (int64_t row = 0; k && row < pivots->numel / k; row++) {
        const int64_t *rows = (const int64_t *)order->data + row * m;
        int32_t *found = (int32_t *)pivots->data + row * k;
        for (int64_t i = 0; i < m; i++) at[i] = where[i] = i;
        for (int64_t i = 0; i < k; i++) {
            const int64_t j = where[rows[i]];
            found[i] = (int32_t)(j + 1);
            at[j] = at[i];
            where[at[j]] = j;
        }
    }
    ad_dealloc(at);
    return AD_OK;
}

/* And back. */
static int run_exchanged(const ad_call *c) {
    const ad_tensor *order = ad_out(c, 0), *pivots = ad_in(c, 0);
    const int64_t m = order->shape[order->ndim - 1], k = pivots->shape[pivots->ndim - 1];
    for (int64_t row = 0; m && row < order->numel / m; row++) {
        int64_t *rows = (int64_t *)order->data + row * m;
        for (int64_t i = 0; i < m; i++) rows[i] = i;
        for (int64_t i = 0; i < k; i++) {
            const int64_t j = ((const int32_t *)pivots->data)[row * k + i] - 1, kept = rows[i];
            if (j < 0 || j >= m) return ad_fail(AD_BAD_INDEX, j, 0, m);
            rows[i] = rows[j];
            rows[j] = kept;
        }
    }
    return AD_OK;
}

static ad_tensor *of_rows(const char *name, ad_run_fn *run, const ad_tensor *x, int dtype, int made,
                          int64_t n, bool fewer) {
    if (x->dtype != dtype || x->ndim < 1 || !x->contiguous) return ad_fail_null(AD_BAD_ARG, 0, 0, 0);
    int64_t shape[AD_MAX_DIMS];
    memcpy(shape, x->shape, sizeof shape);
    shape[x->ndim - 1] = n;
    if (n < 0 || (fewer ? n > x->shape[x->ndim - 1] : n < x->shape[x->ndim - 1]))
        return ad_fail_null(AD_BAD_ARG, n, 0, 0);
    ad_tensor *y = ad_make(made, x->ndim, shape);
    if (!y) return NULL;
    const ad_tensor *const operands[] = {y, x};
    return ad_done(&(ad_call){run, name, 1, 1, .x = operands, .picks = true}, y);
}

ad_tensor *ad_lu_exchanges(const ad_tensor *order, int64_t k) {
    return of_rows("lu_exchanges", run_exchanges, order, AD_int64, AD_int32, k, true);
}

ad_tensor *ad_lu_exchanged(const ad_tensor *pivots, int64_t m) {
    return of_rows("lu_exchanged", run_exchanged, pivots, AD_int32, AD_int64, m, false);
}
