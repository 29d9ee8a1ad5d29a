/* jacobi.c: singular values by one-sided rotations (Hestenes), eigenvalues of symmetric matrices by two-sided
 * ones (Jacobi): in double, in a fixed order, and small values as exact as large ones. Where that takes too
 * long, by way of three diagonals (tridiagonal.c): as exact as the largest value allows. */
#include <math.h>
#include <string.h>
#include "factor.h"

enum { SWEEPS = 60, LANES = 8 };
static const double EPSILON = 0x1p-53;

double ad_dot_in_lanes(int64_t n, const double *x, const double *y) {
    double lanes[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lanes[l] += x[i + l] * y[i + l];
    for (int l = 0; l < LANES; l++) sum += lanes[l];
    for (; i < n; i++) sum += x[i] * y[i];
    return sum;
}

/* (x, y) = (c x - s y, s x + c y) */
void ad_rotate(int64_t n, double *x, double *y, int64_t step, double c, double s) {
    for (int64_t i = 0; i < n; i++) {
        const double a = x[i * step], b = y[i * step];
        x[i * step] = c * a - s * b;
        y[i * step] = s * a + c * b;
    }
}

/* The smaller angle of the two whose rotation makes the product of two columns, or an element off the
 * diagonal, zero. */
static void angle(double first, double second, double product, double *c, double *s) {
    const double zeta = (second - first) / (2 * product);
    /* no hypot, whose last bit is each library's own; where the square overflows, the angle is as good as 0
     */
    const double t = (zeta >= 0 ? 1 : -1) / (fabs(zeta) + sqrt(1 + zeta * zeta));
    *c = 1 / sqrt(1 + t * t);
    *s = *c * t;
}

/* The order of values by size, the largest first or last; equal ones as they are. */
static void sort(int64_t n, const double *values, int64_t *order, bool descending) {
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

/* What scales the elements to magnitudes about 1, a power of two; 0 where one is no number. */
static double scale_of(const char *data, int64_t size, int64_t n) {
    double most = 0;
    for (int64_t i = 0; i < n; i++) {
        const double x = fabs(ad_element(data, size, i));
        if (!isfinite(x)) return 0;
        most = x > most ? x : most;
    }
    return most > 0 ? ldexp(1, -ilogb(most)) : 1;
}

static void fill_nan(const ad_tensor *const *xs, int64_t i, int n) {
    for (int k = 0; k < n; k++) {
        const int64_t size = ad_itemsize[xs[k]->dtype];
        int64_t each = 1;
        const int dims = k == 0 ? 1 : 2; /* of a vector, then matrices */
        for (int d = xs[k]->ndim - dims; d < xs[k]->ndim; d++) each *= xs[k]->shape[d];
        for (int64_t j = 0; j < each; j++) ad_set_element(xs[k]->data + i * each * size, size, j, NAN);
    }
}

/* Rotates rows of w (n of m elements) until each is orthogonal to all others, and v's along; `squares` are
 * those of their lengths. */
static void orthogonalize(int64_t n, int64_t m, double *w, double *v, double *squares) {
    bool turned = true;
    for (int64_t p = 0; p < n; p++) squares[p] = ad_dot_in_lanes(m, w + p * m, w + p * m);
    for (int sweep = 0; turned && sweep < SWEEPS; sweep++) {
        turned = false;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++) {
                double *x = w + p * m, *y = w + q * m, c, s;
                const double a = squares[p], b = squares[q], product = ad_dot_in_lanes(m, x, y);
                if (product == 0 || fabs(product) <= 4 * EPSILON * sqrt(a) * sqrt(b)) continue;
                turned = true;
                angle(a, b, product, &c, &s);
                ad_rotate(m, x, y, 1, c, s);
                ad_rotate(n, v + p * n, v + q * n, 1, c, s);
                squares[p] = ad_dot_in_lanes(m, x, x);
                squares[q] = ad_dot_in_lanes(m, y, y);
            }
    }
}

/* Turns rows of w nearly orthogonal at once, and v, the identity, along: by the vectors of their products. */
static int approach(int64_t n, int64_t m, double *w, double *v, double *values) {
    double *products = ad_alloc((size_t)(n * (n > m ? n : m)) * sizeof *products);
    if (!products) return AD_NO_MEMORY;
    for (int64_t p = 0; p < n; p++)
        for (int64_t q = p; q < n; q++)
            products[p * n + q] = products[q * n + p] = ad_dot_in_lanes(m, w + p * m, w + q * m);
    int status = ad_eigh_tridiagonal(n, products, v, values);
    double *turned = products;
    for (int64_t p = 0; !status && p < n; p++) {
        double *row = turned + p * m;
        memset(row, 0, (size_t)m * sizeof *row);
        for (int64_t q = 0; q < n; q++) {
            const double by = v[p * n + q], *from = w + q * m;
            for (int64_t j = 0; j < m; j++) row[j] += by * from[j];
        }
    }
    if (!status) memcpy(w, turned, (size_t)(n * m) * sizeof *w);
    ad_dealloc(products);
    return status;
}

/* A (m x n, m >= n) = U S V^T: U over `out`, V to `a`, S to `info`. Columns of U whose singular value is 0
 * next to the largest are 0. */
int ad_svd_one(const ad_factor *x, int64_t i) {
    const int64_t m = x->n, n = x->cols, size = ad_itemsize[x->out->dtype];
    char *a = x->out->data + i * m * n * size, *vs = x->a->data + i * n * n * size,
         *values = x->info->data + i * n * size;
    const double scale = scale_of(a, size, m * n);
    if (scale == 0) {
        fill_nan((const ad_tensor *[]){x->info, x->out, x->a}, i, 3);
        return AD_OK;
    }
    double *memory = ad_alloc((size_t)(n * m + n * n + 2 * n) * sizeof *memory);
    if (!memory) return AD_NO_MEMORY;
    double *w = memory, *v = w + n * m, *s = v + n * n;
    int64_t *order = (int64_t *)(s + n);
    for (int64_t r = 0; r < m; r++)
        for (int64_t c = 0; c < n; c++) w[c * m + r] = ad_element(a, size, r * n + c) * scale;
    ad_set_identity((char *)v, sizeof *v, n, n);
    if (n > AD_JACOBI_MOST && approach(n, m, w, v, s)) {
        ad_dealloc(memory);
        return AD_NO_MEMORY;
    }
    orthogonalize(n, m, w, v, s);
    for (int64_t c = 0; c < n; c++) s[c] = sqrt(s[c]);
    sort(n, s, order, true);
    const double least = n ? s[order[0]] * (double)m * EPSILON * 0.01 : 0;
    for (int64_t c = 0; c < n; c++) {
        const int64_t from = order[c];
        const double by = s[from] > least ? 1 / s[from] : 0;
        ad_set_element(values, size, c, s[from] / scale);
        for (int64_t r = 0; r < m; r++) ad_set_element(a, size, r * n + c, w[from * m + r] * by);
        for (int64_t r = 0; r < n; r++) ad_set_element(vs, size, r * n + c, v[from * n + r]);
    }
    ad_dealloc(memory);
    return AD_OK;
}

/* Rotates rows and columns of the symmetric a until it is diagonal, and v's rows along. */
static void diagonalize(int64_t n, double *a, double *v) {
    bool turned = true;
    for (int sweep = 0; turned && sweep < SWEEPS; sweep++) {
        turned = false;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++) {
                const double off = a[p * n + q], first = a[p * n + p], second = a[q * n + q];
                double c, s;
                if (off == 0) continue;
                if (fabs(off) <= EPSILON * sqrt(fabs(first)) * sqrt(fabs(second)) || fabs(off) < 1e-200) {
                    a[p * n + q] = a[q * n + p] = 0;
                    continue;
                }
                turned = true;
                angle(first, second, off, &c, &s);
                ad_rotate(n, a + p * n, a + q * n, 1, c, s);
                ad_rotate(n, a + p, a + q, n, c, s);
                a[p * n + q] = a[q * n + p] = 0;
                ad_rotate(n, v + p * n, v + q * n, 1, c, s);
            }
    }
}

/* A = V W V^T of a symmetric matrix, its lower triangle read: V over `out`, W, ascending, to `info`. */
int ad_eigh_one(const ad_factor *x, int64_t i) {
    const int64_t n = x->n, size = ad_itemsize[x->out->dtype];
    char *a = x->out->data + i * n * n * size, *values = x->info->data + i * n * size;
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = 0; c < r; c++) ad_set_element(a, size, c * n + r, ad_element(a, size, r * n + c));
    const double scale = scale_of(a, size, n * n);
    if (scale == 0) {
        fill_nan((const ad_tensor *[]){x->info, x->out}, i, 2);
        return AD_OK;
    }
    double *memory = ad_alloc((size_t)(2 * n * n + 2 * n) * sizeof *memory);
    if (!memory) return AD_NO_MEMORY;
    double *w = memory, *v = w + n * n, *s = v + n * n;
    int64_t *order = (int64_t *)(s + n);
    for (int64_t k = 0; k < n * n; k++) w[k] = ad_element(a, size, k) * scale;
    ad_set_identity((char *)v, sizeof *v, n, n);
    if (n > AD_JACOBI_MOST) {
        const int status = ad_eigh_tridiagonal(n, w, v, s);
        if (status) {
            ad_dealloc(memory);
            return status;
        }
    } else {
        diagonalize(n, w, v);
        for (int64_t k = 0; k < n; k++) s[k] = w[k * n + k];
    }
    sort(n, s, order, false);
    for (int64_t k = 0; k < n; k++) {
        ad_set_element(values, size, k, s[order[k]] / scale);
        for (int64_t r = 0; r < n; r++) ad_set_element(a, size, r * n + k, v[order[k] * n + r]);
    }
    ad_dealloc(memory);
    return AD_OK;
}
