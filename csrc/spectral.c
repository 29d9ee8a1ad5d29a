/* spectral.c: what is around eigenvalues and singular values: doubles about 1 from a caller's matrix and
 * back, in order; and eigenvalues of symmetric matrices, once they are there. */
#include "spectral.h"
#include <math.h>

void ad_columns_out(int64_t n, int64_t cols, const double *rows, int64_t row, const int64_t *order, char *to,
                    int64_t size) {
    for (int64_t r = 0; r < n; r += AD_DOUBLES)
        for (int64_t c = 0; c < cols; c++) {
            const double *from = rows + order[c] * row + r;
            for (int64_t k = 0; k < ad_least(n - r, AD_DOUBLES); k++)
                ad_set_element(to, size, (r + k) * cols + c, from[k]);
        }
}

double ad_scale_of(double largest) {
    return !(largest < INFINITY) ? 0 : largest > 0 ? ldexp(1, -ilogb(largest)) : 1;
}

int ad_multiply_doubles(int64_t m, int64_t n, int64_t k, ad_matrix a, ad_matrix b, double *c, int64_t c_row) {
    const ad_tools t = ad_tools_of(AD_float64);
    ad_product g = {.kernels = t.gemm,
                    .size = t.size,
                    .m = m,
                    .n = n,
                    .k = k,
                    .a = a,
                    .b = b,
                    .c = (char *)c,
                    .c_row = c_row};
    return ad_gemm(&g);
}

void ad_scale_by(int64_t n, double *x, double by) {
    for (int64_t i = 0; by != 1 && i < n; i++) x[i] *= by;
}

void ad_sort_values(int64_t n, const double *values, int64_t *order, bool descending) {
    for (int64_t i = 0; i < n; i++) {
        int64_t at = i;
        for (; at > 0; at--) {
            const double before = values[order[at - 1]];
            if (descending ? !(before < values[i]) : !(before > values[i])) break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
}

void ad_fill_nan(const ad_tensor *const *xs, int64_t i, int n) {
    for (int k = 0; k < n; k++) {
        const int64_t size = ad_itemsize[xs[k]->dtype];
        int64_t each = 1;
        const int dims = k == 0 ? 1 : 2; /* of a vector, then matrices */
        for (int d = xs[k]->ndim - dims; d < xs[k]->ndim; d++) each *= xs[k]->shape[d];
        for (int64_t j = 0; j < each; j++) ad_set_element(xs[k]->data + i * each * size, size, j, NAN);
    }
}

/* The symmetric matrix of a lower triangle. */
static void whole(int64_t n, const char *a, int64_t size, double *w, int64_t cols) {
    for (int64_t r = 0; r < n; r++) {
        double *row = w + r * cols;
        for (int64_t c = 0; c <= r; c++) row[c] = ad_element(a, size, r * n + c);
        for (int64_t c = 0; c < r; c++) w[c * cols + r] = row[c];
        memset(row + n, 0, (size_t)(cols - n) * sizeof *row);
    }
}

/* A = V W V^T of a symmetric matrix, its lower triangle read: V over `out`, unless values alone are wanted;
 * W, ascending, to `info`. */
int ad_eigh_one(const ad_factor *x, int64_t i) {
    const int64_t n = x->n, size = ad_itemsize[x->out->dtype], cols = ad_line_up(n);
    char *a = x->out->data + i * n * n * size, *values = x->info->data + i * n * size;
    double *w = ad_alloc((size_t)(2 * n * cols + 2 * n) * sizeof *w);
    if (!w) return AD_NO_MEMORY;
    double *v = w + n * cols, *s = v + n * cols;
    int64_t *order = (int64_t *)(s + n);
    whole(n, a, size, w, cols);
    const double scale = ad_scale_of(ad_cpu->spectral->largest(n * cols, w));
    int status = AD_OK;
    if (scale == 0) {
        ad_fill_nan((const ad_tensor *[]){x->info, x->out}, i, 2);
    } else {
        ad_scale_by(n * cols, w, scale);
        status = ad_eigh_rows(n, w, x->how.values ? NULL : v, s);
    }
    if (!status && scale != 0) {
        ad_sort_values(n, s, order, false);
        for (int64_t k = 0; k < n; k++) ad_set_element(values, size, k, s[order[k]] / scale);
        if (!x->how.values) ad_columns_out(n, n, v, cols, order, a, size);
    }
    ad_dealloc(w);
    return status;
}
