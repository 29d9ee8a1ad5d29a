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

/* A call that works on a copy of `source`. */
static ad_factor call_on(int kind, const ad_tensor *source, const ad_tensor *out) {
    ad_factor x = {.kind = kind, .source = *source, .out = *out, .count = 1};
    x.n = source->shape[source->ndim - 2];
    x.cols = source->shape[source->ndim - 1];
    for (int d = 0; d < source->ndim - 2; d++) x.count *= source->shape[d];
    return x;
}

static int finish(int n, ad_tensor **made, const ad_factor *x) {
    for (int i = 0; i < n; i++)
        if (!made[i]) goto failed;
    if (!ad_factor_run(x)) return AD_OK;
failed:
    for (int i = 0; i < n; i++) ad_free(made[i]);
    return AD_NO_MEMORY;
}

/* int64, of a's batch and n numbers each; n numbers are no dimension where n is 1. */
static ad_tensor *numbers(const ad_tensor *a, int64_t n) {
    int64_t shape[AD_MAX_DIMS];
    const int ndim = a->ndim - 2;
    for (int d = 0; d < ndim; d++) shape[d] = a->shape[d];
    shape[ndim] = n;
    return ad_make(AD_int64, ndim + (n != 1), shape);
}

int ad_lu(const ad_tensor *a, ad_tensor **out) {
    const int status = check(a, true);
    if (status) return status;
    int64_t shape[AD_MAX_DIMS];
    memcpy(shape, a->shape, sizeof shape);
    out[0] = ad_make(a->dtype, a->ndim, shape);
    out[1] = out[0] ? ad_make(AD_int64, a->ndim - 1, shape) : NULL;
    out[2] = out[1] ? numbers(a, 2) : NULL;
    ad_factor x = {.kind = AD_FACTOR_lu};
    if (out[2]) {
        x = call_on(AD_FACTOR_lu, a, out[0]);
        x.order = *out[1];
        x.info = *out[2];
    }
    return finish(3, out, &x);
}

int ad_cholesky(const ad_tensor *a, ad_tensor **out) {
    const int status = check(a, true);
    if (status) return status;
    out[0] = ad_make(a->dtype, a->ndim, a->shape);
    out[1] = out[0] ? numbers(a, 1) : NULL;
    ad_factor x = {.kind = AD_FACTOR_root};
    if (out[1]) {
        x = call_on(AD_FACTOR_root, a, out[0]);
        x.info = *out[1];
    }
    return finish(2, out, &x);
}

int ad_qr(const ad_tensor *a, int64_t cols, ad_tensor **out) {
    const int status = check(a, false);
    if (status) return status;
    int64_t shape[AD_MAX_DIMS];
    memcpy(shape, a->shape, sizeof shape);
    if (cols < 0 || cols > shape[a->ndim - 2]) return ad_fail(AD_BAD_ARG, cols, 0, 0);
    out[1] = ad_make(a->dtype, a->ndim, shape);
    shape[a->ndim - 1] = cols;
    out[0] = out[1] ? ad_make(a->dtype, a->ndim, shape) : NULL;
    ad_factor x = {.kind = AD_FACTOR_qr};
    if (out[0]) {
        x = call_on(AD_FACTOR_qr, a, out[1]);
        x.a = *out[0];
    }
    return finish(2, out, &x);
}

/* The spectrum, a number for each column; and the matrix of them, for svd. */
static int spectral(int kind, const ad_tensor *a, ad_tensor **out) {
    const bool svd = kind == AD_FACTOR_svd;
    const int status = check(a, !svd), n = svd ? 3 : 2;
    if (status) return status;
    int64_t shape[AD_MAX_DIMS];
    memcpy(shape, a->shape, sizeof shape);
    const int64_t rows = shape[a->ndim - 2], cols = shape[a->ndim - 1];
    if (rows < cols) return ad_fail(AD_BAD_SHAPE, rows, cols, 0);
    out[0] = ad_make(a->dtype, a->ndim, shape);
    shape[a->ndim - 2] = cols;
    out[1] = out[0] ? ad_make(a->dtype, a->ndim - 1, shape) : NULL;
    out[n - 1] = out[1] && svd ? ad_make(a->dtype, a->ndim, shape) : out[1];
    ad_factor x = {.kind = kind};
    if (out[n - 1]) {
        x = call_on(kind, a, out[0]);
        x.info = *out[1];
        x.a = *out[n - 1];
    }
    return finish(n, out, &x);
}
int ad_svd(const ad_tensor *a, ad_tensor **out) { return spectral(AD_FACTOR_svd, a, out); }
int ad_eigh(const ad_tensor *a, ad_tensor **out) { return spectral(AD_FACTOR_eigh, a, out); }

/* B's shape fits that of the square A; batches broadcast for triangles, and are alike else. */
static int check_pair(const ad_tensor *a, const ad_tensor *b) {
    int status = check(a, true);
    if (!status) status = check(b, false);
    if (status) return status;
    if (a->dtype != b->dtype) return ad_fail(AD_BAD_DTYPE, b->dtype, 0, 0);
    const int64_t n = a->shape[a->ndim - 1], rows = b->shape[b->ndim - 2];
    return n == rows ? AD_OK : ad_fail(AD_BAD_SHAPE, n, rows, 0);
}

ad_tensor *ad_solve_triangular(const ad_tensor *a, const ad_tensor *b, int upper, int unit) {
    if (check_pair(a, b)) return NULL;
    for (int d = 0; d < a->ndim - 2; d++) {
        const int there = b->ndim - a->ndim + d;
        const int64_t given = a->shape[d], wanted = there < 0 ? 1 : b->shape[there];
        if (there < 0 || (given != 1 && given != wanted)) return ad_fail_null(AD_BROADCAST, given, wanted, d);
    }
    ad_tensor *out = ad_make(b->dtype, b->ndim, b->shape);
    if (!out) return NULL;
    ad_factor x = call_on(AD_FACTOR_triangle, b, out);
    x.a = *a;
    x.upper = upper;
    x.unit = unit;
    return finish(1, &out, &x) ? NULL : out;
}

ad_tensor *ad_lu_solve(const ad_tensor *lu, const ad_tensor *order, const ad_tensor *b, int transposed) {
    if (check_pair(lu, b)) return NULL;
    if (lu->ndim != b->ndim || memcmp(lu->shape, b->shape, sizeof *lu->shape * (lu->ndim - 1)))
        return ad_fail_null(AD_BAD_SHAPE, lu->ndim, b->ndim, 0);
    const int64_t n = lu->shape[lu->ndim - 1];
    if (!lu->contiguous || !order->contiguous || order->dtype != AD_int64 || order->ndim != lu->ndim - 1 ||
        memcmp(order->shape, lu->shape, sizeof *lu->shape * order->ndim))
        return ad_fail_null(AD_BAD_ARG, 0, 0, 0);
    for (int64_t i = 0; i < order->numel; i++) {
        const int64_t row = ((const int64_t *)order->data)[i];
        if (row < 0 || row >= n) return ad_fail_null(AD_BAD_INDEX, row, 0, n);
    }
    ad_tensor *out = ad_make(b->dtype, b->ndim, b->shape);
    if (!out) return NULL;
    ad_factor x = call_on(AD_FACTOR_lu_solve, b, out);
    x.a = *lu;
    x.order = *order;
    x.transposed = transposed;
    return finish(1, &out, &x) ? NULL : out;
}
