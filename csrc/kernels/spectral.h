/* kernels/spectral.h: the kernels under eigenvalues and singular values, for one variant; in double. Numbers
 * of columns are multiples of AD_DOUBLES. */
#include "../spectral.h"

enum { SPECTRAL_STRIP = VD_W == 8 ? 4 : 2 };

/* What lanes, AD_DOUBLES in all, add up to. */
AD_SIMD double spectral_lanes(const vd *sums) {
    double lanes[AD_DOUBLES];
    AD_UNROLL for (int v = 0; v < AD_DOUBLES / VD_W; v++) vd_store(lanes + v * VD_W, sums[v]);
    for (int half = AD_DOUBLES / 2; half; half /= 2)
        for (int l = 0; l < half; l++) lanes[l] += lanes[l + half];
    return lanes[0];
}

static double spectral_dot(int64_t n, const double *x, const double *y) {
    vd even[AD_DOUBLES / VD_W], odd[AD_DOUBLES / VD_W];
    AD_UNROLL for (int v = 0; v < AD_DOUBLES / VD_W; v++) even[v] = odd[v] = vd_zero();
    for (int64_t i = 0; i < n; i += 2 * AD_DOUBLES) {
        AD_UNROLL for (int v = 0; v < AD_DOUBLES / VD_W; v++) even[v] =
            vd_fma(vd_load(x + i + v * VD_W), vd_load(y + i + v * VD_W), even[v]);
        if (i + AD_DOUBLES == n) break;
        AD_UNROLL for (int v = 0; v < AD_DOUBLES / VD_W; v++) {
            const int64_t at = i + AD_DOUBLES + v * VD_W;
            odd[v] = vd_fma(vd_load(x + at), vd_load(y + at), odd[v]);
        }
    }
    AD_UNROLL for (int v = 0; v < AD_DOUBLES / VD_W; v++) even[v] = vd_add(even[v], odd[v]);
    return spectral_lanes(even);
}

static void spectral_poles(int64_t n, const double *d, const double *z, double from, double x, double *away,
                           double *sums) {
    vd made[4][AD_DOUBLES / VD_W];
    const vd zero = vd_zero();
    AD_UNROLL for (int v = 0; v < AD_DOUBLES / VD_W; v++) {
        AD_UNROLL for (int k = 0; k < 4; k++) made[k][v] = zero;
    }
    for (int64_t i = 0; i < n; i += AD_DOUBLES) {
        AD_UNROLL for (int v = 0; v < AD_DOUBLES / VD_W; v++) {
            const int64_t at = i + v * VD_W;
            const vd size = vd_load(z + at), far = vd_sub(vd_sub(vd_load(d + at), vd_set1(from)), vd_set1(x));
            const vd part = vd_div(size, far), below = vd_select(vd_lt(far, zero), part, zero);
            const vd above = vd_sub(part, below);
            vd_store(away + at, far);
            made[0][v] = vd_fma(size, below, made[0][v]);
            made[1][v] = vd_fma(size, above, made[1][v]);
            made[2][v] = vd_fma(below, below, made[2][v]);
            made[3][v] = vd_fma(above, above, made[3][v]);
        }
    }
    AD_UNROLL for (int k = 0; k < 4; k++) sums[k] = spectral_lanes(made[k]);
}

static double spectral_largest(int64_t n, const double *x) {
    vd most = vd_zero(), wrong = vd_zero();
    double lanes[VD_W], nothing[VD_W], largest = 0;
    for (int64_t i = 0; i < n; i += VD_W) {
        const vd a = vd_load(x + i);
        most = vd_max(most, vd_abs(a));
        wrong = vd_add(wrong, vd_sub(a, a));
    }
    vd_store(lanes, most);
    vd_store(nothing, wrong);
    for (int l = 0; l < VD_W; l++) {
        if (nothing[l] != 0) return NAN;
        largest = lanes[l] > largest ? lanes[l] : largest;
    }
    return largest;
}

AD_SIMD void spectral_turn_vector(vd c, vd s, double *x, double *y) {
    const vd a = vd_load(x), b = vd_load(y);
    vd_store(x, vd_fma(c, a, vd_mul(vd_neg(s), b)));
    vd_store(y, vd_fma(s, a, vd_mul(c, b)));
}

static void spectral_turn(int64_t n, double *x, double *y, double c, double s) {
    for (int64_t i = 0; i < n; i += VD_W) spectral_turn_vector(vd_set1(c), vd_set1(s), x + i, y + i);
}

/* The upper row of a pair is the lower one of the next, mostly: it stays in registers. */
AD_SIMD void spectral_turn_strip(const int vectors, double *x, int64_t row, int64_t n, const ad_rotation *r) {
    vd kept[4];
    double *last = x + (r->row + 1) * row;
    AD_UNROLL for (int v = 0; v < vectors; v++) kept[v] = vd_load(last + v * VD_W);
    for (int64_t k = 0; k < n; k++) {
        double *to = x + r[k].row * row;
        const vd c = vd_set1(r[k].c), s = vd_set1(r[k].s), minus = vd_neg(s);
        if (to + row != last) {
            AD_UNROLL for (int v = 0; v < vectors; v++) {
                vd_store(last + v * VD_W, kept[v]);
                kept[v] = vd_load(to + row + v * VD_W);
            }
        }
        AD_UNROLL for (int v = 0; v < vectors; v++) {
            const vd a = vd_load(to + v * VD_W), b = kept[v];
            vd_store(to + row + v * VD_W, vd_fma(s, a, vd_mul(c, b)));
            kept[v] = vd_fma(c, a, vd_mul(minus, b));
        }
        last = to;
    }
    AD_UNROLL for (int v = 0; v < vectors; v++) vd_store(last + v * VD_W, kept[v]);
}

static void spectral_turn_rows(int64_t cols, double *x, int64_t row, int64_t n, const ad_rotation *r) {
    int64_t j = n ? 0 : cols;
    for (; j + SPECTRAL_STRIP * VD_W <= cols; j += SPECTRAL_STRIP * VD_W)
        spectral_turn_strip(SPECTRAL_STRIP, x + j, row, n, r);
    for (; j < cols; j += VD_W) spectral_turn_strip(1, x + j, row, n, r);
}

/* An element of y is a chain over the rows. */
AD_SIMD void spectral_update_strip(const int vectors, int64_t rows, double *a, int64_t row, const double *u,
                                   const double *q, const double *by, const double *uj, const double *qj,
                                   double *y) {
    vd along[4], across[4], sums[4];
    AD_UNROLL for (int v = 0; v < vectors; v++) {
        along[v] = vd_load(uj + v * VD_W);
        across[v] = vd_load(qj + v * VD_W);
        sums[v] = vd_zero();
    }
    for (int64_t i = 0; i < rows; i++, a += row) {
        const vd x = vd_set1(-u[i]), z = vd_set1(-q[i]), w = vd_set1(by[i]);
        AD_UNROLL for (int v = 0; v < vectors; v++) {
            const vd made = vd_fma(x, across[v], vd_fma(z, along[v], vd_load(a + v * VD_W)));
            vd_store(a + v * VD_W, made);
            sums[v] = vd_fma(w, made, sums[v]);
        }
    }
    AD_UNROLL for (int v = 0; v < vectors; v++) vd_store(y + v * VD_W, sums[v]);
}

static void spectral_update(int64_t first, int64_t n, int64_t cols, double *a, const double *u,
                            const double *q, const double *by, double *y) {
    double *from = a + first * cols;
    int64_t j = first / AD_DOUBLES * AD_DOUBLES;
    for (; j + SPECTRAL_STRIP * VD_W <= cols; j += SPECTRAL_STRIP * VD_W)
        spectral_update_strip(SPECTRAL_STRIP, n - first, from + j, cols, u + first, q + first, by + first,
                              u + j, q + j, y + j);
    for (; j < cols; j += VD_W)
        spectral_update_strip(1, n - first, from + j, cols, u + first, q + first, by + first, u + j, q + j,
                              y + j);
}

static const ad_spectral_kernels spectral_kernels = {
    .dot = spectral_dot,
    .poles = spectral_poles,
    .largest = spectral_largest,
    .turn = spectral_turn,
    .turn_rows = spectral_turn_rows,
    .update = spectral_update,
};
