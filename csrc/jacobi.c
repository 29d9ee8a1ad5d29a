/* jacobi.c: singular values by one-sided rotations (Hestenes), in a fixed order, small values as exact as
 * large ones. Where that takes too long, the columns are first turned by the eigenvectors of their products:
 * as exact as the largest value allows. */
#include <math.h>
#include "spectral.h"

enum { SWEEPS = 60, JACOBI_MOST = 8 };
static const double EPSILON = 0x1p-53;

/* The columns of a matrix as rows; those of V; products of the columns; and sizes. */
typedef struct {
    int64_t n, m, cols, length; /* columns and their elements; doubles of a row of V, of one of W */
    double *w, *v, *products, *values;
    double least; /* cosine of columns that are rotated */
} columns;

/* The smaller angle of the two whose rotation makes the product of two columns zero; its tangent. */
static double angle(double first, double second, double product, double *c, double *s) {
    const double zeta = (second - first) / (2 * product);
    /* no hypot, whose last bit is each library's own; where the square overflows, the angle is as good as 0
     */
    const double t = (zeta >= 0 ? 1 : -1) / (fabs(zeta) + sqrt(1 + zeta * zeta));
    *c = 1 / sqrt(1 + t * t);
    *s = *c * t;
    return t;
}

/* Of a column and those after it, at least. */
static int multiply_columns(const columns *f) {
    enum { ROWS = 32 };
    int status = AD_OK;
    for (int64_t p = 0; p < f->n && !status; p += ROWS) {
        const char *w = (const char *)(f->w + p * f->length);
        status = ad_multiply_doubles(ad_least(ROWS, f->n - p), f->n - p, f->m, (ad_matrix){w, f->length, 1},
                                     (ad_matrix){w, 1, f->length}, f->products + p * (f->cols + 1), f->cols);
    }
    return status;
}

/* Of columns p and q that are not orthogonal. */
static void rotate(const columns *f, int64_t p, int64_t q, double product) {
    double *x = f->w + p * f->length, *y = f->w + q * f->length, *squares = f->products, c, s;
    const int64_t step = f->cols + 1;
    const double t = angle(squares[p * step], squares[q * step], product, &c, &s);
    ad_cpu->spectral->turn(f->length, x, y, c, s);
    ad_cpu->spectral->turn(f->cols, f->v + p * f->cols, f->v + q * f->cols, c, s);
    squares[p * step] -= t * product;
    squares[q * step] += t * product;
    if (!(squares[p * step] > 0)) squares[p * step] = ad_cpu->spectral->dot(f->length, x, x);
}

/* Rotates columns until each is orthogonal to all others, and those of V along. */
static int orthogonalize(const columns *f) {
    bool turned = true;
    for (int sweep = 0; turned && sweep < SWEEPS; sweep++) {
        const int status = multiply_columns(f);
        if (status) return status;
        turned = false;
        for (int64_t p = 0; p < f->n; p++)
            for (int64_t q = p + 1; q < f->n; q++) {
                const double *squares = f->products;
                const double a = squares[p * (f->cols + 1)], b = squares[q * (f->cols + 1)];
                const double bound = f->least * sqrt(a) * sqrt(b);
                if (fabs(squares[p * f->cols + q]) <= bound) continue;
                const double product =
                    ad_cpu->spectral->dot(f->length, f->w + p * f->length, f->w + q * f->length);
                if (product == 0 || fabs(product) <= bound) continue;
                turned = true;
                rotate(f, p, q, product);
            }
    }
    return AD_OK;
}

/* Turns the columns nearly orthogonal at once: by the eigenvectors of their products, which V becomes. */
static int approach(columns *f) {
    double *turned = ad_alloc((size_t)(f->n * f->length) * sizeof *turned);
    if (!turned) return AD_NO_MEMORY;
    memset(f->products, 0, (size_t)(f->n * f->cols) * sizeof *f->products); /* and so what ends its rows */
    int status = multiply_columns(f);
    for (int64_t p = 0; p < f->n; p++)
        for (int64_t q = 0; q < p; q++) f->products[p * f->cols + q] = f->products[q * f->cols + p];
    if (!status) status = ad_eigh_rows(f->n, f->products, f->v, f->values);
    memset(turned, 0, (size_t)(f->n * f->length) * sizeof *turned);
    if (!status)
        status = ad_multiply_doubles(f->n, f->m, f->n, (ad_matrix){(const char *)f->v, f->cols, 1},
                                     (ad_matrix){(const char *)f->w, f->length, 1}, turned, f->length);
    memcpy(f->w, turned, (size_t)(f->n * f->length) * sizeof *turned);
    ad_dealloc(turned);
    return status;
}

/* Columns of length 1; those that are next to nothing become any that are orthogonal to all the others: what
 * these leave of the axis that they reach least. */
static void normalize(const columns *f, const int64_t *order, double *axes) {
    int64_t there = 0;
    const double least = f->n ? f->values[order[0]] * (double)f->m * EPSILON * 0.01 : 0;
    for (; there < f->n && f->values[order[there]] > least; there++)
        ad_scale_by(f->length, f->w + order[there] * f->length, 1 / f->values[order[there]]);
    for (int64_t k = there; k < f->n; k++) {
        double *x = f->w + order[k] * f->length;
        int64_t axis = 0;
        memset(x, 0, (size_t)f->length * sizeof *x);
        memset(axes, 0, (size_t)f->m * sizeof *axes);
        for (int64_t j = 0; j < k; j++)
            for (int64_t r = 0; r < f->m; r++) {
                const double y = f->w[order[j] * f->length + r];
                axes[r] += y * y;
            }
        for (int64_t r = 0; r < f->m; r++) axis = axes[r] < axes[axis] ? r : axis;
        x[axis] = 1;
        for (int64_t j = 0; j < 2 * k; j++) { /* twice, as the first time leaves errors of rounding */
            const double *y = f->w + order[j % k] * f->length;
            const double by = ad_cpu->spectral->dot(f->length, x, y);
            for (int64_t r = 0; r < f->m; r++) x[r] -= by * y[r];
        }
        ad_scale_by(f->length, x, 1 / sqrt(ad_cpu->spectral->dot(f->length, x, x)));
    }
}

/* The matrix in f, scaled by what is returned; 0 where it holds what is no number. */
static double take(const columns *f, const char *a, int64_t size) {
    for (int64_t c = 0; c < f->n; c += AD_DOUBLES)
        for (int64_t r = 0; r < f->m; r++)
            for (int64_t k = c; k < ad_least(f->n, c + AD_DOUBLES); k++)
                f->w[k * f->length + r] = ad_element(a, size, r * f->n + k);
    for (int64_t c = 0; c < f->n; c++)
        memset(f->w + c * f->length + f->m, 0, (size_t)(f->length - f->m) * sizeof *f->w);
    const double scale = ad_scale_of(ad_cpu->spectral->largest(f->n * f->length, f->w));
    ad_scale_by(f->n * f->length, f->w, scale);
    return scale;
}

static int decompose(columns *f) {
    if (f->n > JACOBI_MOST) {
        const int status = approach(f);
        if (status) return status;
    } else {
        memset(f->v, 0, (size_t)(f->n * f->cols) * sizeof *f->v);
        for (int64_t k = 0; k < f->n; k++) f->v[k * (f->cols + 1)] = 1;
    }
    const int status = orthogonalize(f);
    for (int64_t c = 0; !status && c < f->n; c++) {
        const double square = f->products[c * (f->cols + 1)];
        f->values[c] = square > 0 ? sqrt(square) : 0;
    }
    return status;
}

/* Room for it, and for `more` doubles behind the order of its values. */
static int64_t *room_for(columns *f, int64_t m, int64_t n, int64_t size, int64_t more) {
    *f = (columns){.n = n, .m = m, .cols = ad_line_up(n), .length = ad_line_up(m)};
    /* below what float32 tells apart, at which values are right to twice as many places */
    f->least = size == sizeof(float) ? 0x1p-30 : 2 * EPSILON * sqrt((double)(m > 4 ? m : 4));
    f->w = ad_alloc((size_t)(n * (f->length + 2 * f->cols) + 2 * n + more) * sizeof *f->w);
    if (!f->w) return NULL;
    f->v = f->w + n * f->length;
    f->products = f->v + n * f->cols;
    f->values = f->products + n * f->cols;
    return (int64_t *)(f->values + n);
}

/* A (m x n, m >= n) = U S V^T: U over `out`, V to `a`, S to `info`. */
int ad_svd_one(const ad_factor *x, int64_t i) {
    const int64_t m = x->n, n = x->cols, size = ad_itemsize[x->out->dtype];
    char *a = x->out->data + i * m * n * size, *values = x->info->data + i * n * size;
    columns f;
    int64_t *order = room_for(&f, m, n, size, m);
    if (!order) return AD_NO_MEMORY;
    const double scale = take(&f, a, size);
    int status = AD_OK;
    if (scale == 0) {
        ad_fill_nan((const ad_tensor *[]){x->info, x->out, x->a}, i, 3);
    } else {
        status = decompose(&f);
    }
    if (!status && scale != 0) {
        ad_sort_values(n, f.values, order, true);
        for (int64_t c = 0; c < n; c++) ad_set_element(values, size, c, f.values[order[c]] / scale);
        normalize(&f, order, (double *)(order + n));
        ad_columns_out(m, n, f.w, f.length, order, a, size);
        ad_columns_out(n, n, f.v, f.cols, order, x->a->data + i * n * n * size, size);
    }
    ad_dealloc(f.w);
    return status;
}

/* The least X of those for which A X - B is least, and the rank: V / S U^T B of `out`, or, of its transpose,
 * U / S V^T B; over the singular values above `least` times the largest. */
int ad_svd_solve(const ad_factor *x, int64_t i, int64_t k, ad_matrix b, char *to, int64_t *rank) {
    const int64_t m = x->n, n = x->cols, size = ad_itemsize[x->out->dtype];
    const bool transposed = x->how.transposed;
    const int64_t rows = transposed ? n : m, made = transposed ? m : n;
    columns f;
    int64_t *order = room_for(&f, m, n, size, (rows + n + made) * k);
    if (!order) return AD_NO_MEMORY;
    double *given = (double *)(order + n), *inner = given + rows * k, *found = inner + n * k;
    const double scale = take(&f, x->out->data + i * m * n * size, size);
    double largest = 0;
    int status = AD_OK;
    *rank = n;
    if (scale == 0) {
        for (int64_t j = 0; j < made * k; j++) ad_set_element(to, size, j, NAN);
        ad_dealloc(f.w);
        return status;
    }
    status = decompose(&f);
    for (int64_t c = 0; !status && c < n; c++) largest = fmax(largest, f.values[c]);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < k; j++) given[r * k + j] = ad_element(b.data, size, r * b.row + j * b.col);
    const ad_matrix u = {(const char *)f.w, f.length, 1}, v = {(const char *)f.v, f.cols, 1};
    if (!status)
        status = ad_multiply_doubles(n, k, rows, transposed ? v : u, (ad_matrix){(const char *)given, k, 1},
                                     inner, k);
    for (int64_t c = 0; !status && c < n; c++) { /* W = S U^T */
        const double value = f.values[c];
        const bool counts = value > x->how.least * largest;
        *rank -= !counts;
        for (int64_t j = 0; j < k; j++)
            inner[c * k + j] = counts ? inner[c * k + j] / value / value * scale : 0;
    }
    const ad_matrix across = transposed ? (ad_matrix){u.data, 1, u.row} : (ad_matrix){v.data, 1, v.row};
    if (!status)
        status = ad_multiply_doubles(made, k, n, across, (ad_matrix){(const char *)inner, k, 1}, found, k);
    for (int64_t j = 0; !status && j < made * k; j++) ad_set_element(to, size, j, found[j]);
    ad_dealloc(f.w);
    return status;
}
