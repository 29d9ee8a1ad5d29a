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

/* z / away of two blocks of poles, by one division for both, or of one. */
AD_SIMD void spectral_parts(const int blocks, const double *z, const vd *far, vd *parts) {
    if (blocks == 1) {
        parts[0] = vd_div(vd_load(z), far[0]);
    } else {
        const vd inverse = vd_div(vd_set1(1), vd_mul(far[0], far[1]));
        parts[0] = vd_mul(vd_load(z), vd_mul(inverse, far[1]));
        parts[1] = vd_mul(vd_load(z + AD_DOUBLES), vd_mul(inverse, far[0]));
    }
}

AD_SIMD void spectral_poles_at(const int blocks, const double *d, const double *z, double from, double x,
                               double *away, vd made[4][AD_DOUBLES / VD_W]) {
    const vd zero = vd_zero();
    AD_UNROLL for (int v = 0; v < AD_DOUBLES / VD_W; v++) {
        vd far[2], parts[2];
        AD_UNROLL for (int b = 0; b < blocks; b++) {
            const int at = b * AD_DOUBLES + v * VD_W;
            far[b] = vd_sub(vd_sub(vd_load(d + at), vd_set1(from)), vd_set1(x));
            vd_store(away + at, far[b]);
        }
        spectral_parts(blocks, z + v * VD_W, far, parts);
        AD_UNROLL for (int b = 0; b < blocks; b++) {
            const vd size = vd_load(z + b * AD_DOUBLES + v * VD_W);
            const vd below = vd_select(vd_lt(far[b], zero), parts[b], zero);
            const vd above = vd_sub(parts[b], below);
            made[0][v] = vd_fma(size, below, made[0][v]);
            made[1][v] = vd_fma(size, above, made[1][v]);
            made[2][v] = vd_fma(below, below, made[2][v]);
            made[3][v] = vd_fma(above, above, made[3][v]);
        }
    }
}

static void spectral_poles(int64_t n, const double *d, const double *z, double from, double x, double *away,
                           double *sums) {
    vd made[4][AD_DOUBLES / VD_W];
    AD_UNROLL for (int v = 0; v < AD_DOUBLES / VD_W; v++) {
        AD_UNROLL for (int k = 0; k < 4; k++) made[k][v] = vd_zero();
    }
    int64_t i = 0;
    for (; i + 2 * AD_DOUBLES <= n; i += 2 * AD_DOUBLES)
        spectral_poles_at(2, d + i, z + i, from, x, away + i, made);
    if (i < n) spectral_poles_at(1, d + i, z + i, from, x, away + i, made);
    AD_UNROLL for (int k = 0; k < 4; k++) sums[k] = spectral_lanes(made[k]);
}

static void spectral_ratios(int64_t n, const double *away, const double *d, double from, double *w) {
    for (int64_t i = 0; i < n; i += VD_W) {
        const vd gap = vd_sub(vd_load(d + i), vd_set1(from)), held = vd_load(w + i);
        const vd made = vd_mul(held, vd_div(vd_load(away + i), gap));
        vd_store(w + i, vd_select(vd_eq(gap, vd_zero()), held, made));
    }
}

static void spectral_unit(int64_t n, const double *w, double *x) {
    for (int64_t i = 0; i < n; i += VD_W) vd_store(x + i, vd_div(vd_load(w + i), vd_load(x + i)));
    const vd by = vd_set1(1 / sqrt(spectral_dot(n, x, x)));
    for (int64_t i = 0; i < n; i += VD_W) vd_store(x + i, vd_mul(by, vd_load(x + i)));
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

/* Rows beside each other, right of their block of the diagonal: what they are to y above it, and, for the
 * rows to the left of the same elements, their own. */
AD_SIMD void spectral_update_rows(const int rows, int64_t n, double *a, int64_t row, const double *u,
                                  const double *q, const double *by, const double *uj, const double *qj,
                                  const double *byj, double *yj, double *parts) {
    vd sums[SPECTRAL_STRIP][AD_DOUBLES / VD_W], x[SPECTRAL_STRIP], z[SPECTRAL_STRIP], w[SPECTRAL_STRIP];
    AD_UNROLL for (int r = 0; r < rows; r++) {
        x[r] = vd_set1(-u[r]), z[r] = vd_set1(-q[r]), w[r] = vd_set1(by[r]);
        AD_UNROLL for (int v = 0; v < AD_DOUBLES / VD_W; v++) sums[r][v] = vd_zero();
    }
    for (int64_t j = 0; j < n; j += AD_DOUBLES) {
        AD_UNROLL for (int v = 0; v < AD_DOUBLES / VD_W; v++) {
            const int64_t at = j + v * VD_W;
            const vd along = vd_load(uj + at), across = vd_load(qj + at), other = vd_load(byj + at);
            vd sum = vd_load(yj + at);
            AD_UNROLL for (int r = 0; r < rows; r++) {
                double *to = a + r * row + at;
                const vd made = vd_fma(x[r], across, vd_fma(z[r], along, vd_load(to)));
                vd_store(to, made);
                sum = vd_fma(w[r], made, sum);
                sums[r][v] = vd_fma(other, made, sums[r][v]);
            }
            vd_store(yj + at, sum);
        }
    }
    AD_UNROLL for (int r = 0; r < rows; r++) {
        AD_UNROLL for (int v = 0; v < AD_DOUBLES / VD_W; v++)
            vd_store(parts + r * AD_DOUBLES + v * VD_W, sums[r][v]);
    }
}

/* y += what the lanes of each of as many rows as there are lanes add up to, as spectral_lanes adds. */
AD_SIMD void spectral_add_lanes(const double *parts, double *y) {
    for (int g = 0; g < AD_DOUBLES; g += VD_W) {
        vd x[VD_W];
        AD_UNROLL for (int r = 0; r < VD_W; r++) {
            vd lanes[AD_DOUBLES / VD_W];
            AD_UNROLL for (int v = 0; v < AD_DOUBLES / VD_W; v++) lanes[v] =
                vd_load(parts + (g + r) * AD_DOUBLES + v * VD_W);
            AD_UNROLL for (int half = AD_DOUBLES / VD_W / 2; half; half /= 2) {
                AD_UNROLL for (int v = 0; v < half; v++) lanes[v] = vd_add(lanes[v], lanes[v + half]);
            }
            x[r] = lanes[0];
        }
        vd_transpose(x);
        AD_UNROLL for (int half = VD_W / 2; half; half /= 2) {
            AD_UNROLL for (int l = 0; l < half; l++) x[l] = vd_add(x[l], x[l + half]);
        }
        vd_store(y + g, vd_add(vd_load(y + g), x[0]));
    }
}

/* Of A's upper triangle, and all of the blocks on the diagonal. */
static void spectral_update(int64_t first, int64_t n, int64_t cols, double *a, const double *u,
                            const double *q, const double *by, double *y) {
    const int64_t from = first / AD_DOUBLES * AD_DOUBLES;
    for (int64_t j = from; j < cols; j++) y[j] = 0;
    for (int64_t base = from; base < n; base += AD_DOUBLES) {
        const int64_t end = ad_least(base + AD_DOUBLES, n), right = base + AD_DOUBLES;
        _Alignas(64) double parts[AD_DOUBLES * AD_DOUBLES];
        int64_t i = base < first ? first : base;
        for (int64_t r = base; r < right; r++)
            if (r < i || r >= end) memset(parts + (r - base) * AD_DOUBLES, 0, AD_DOUBLES * sizeof *parts);
        for (int64_t j = base; j < right; j += VD_W) {
            const vd along = vd_load(u + j), across = vd_load(q + j);
            vd sum = vd_load(y + j);
            for (int64_t r = i; r < end; r++) {
                double *to = a + r * cols + j;
                const vd made = vd_fma(vd_set1(-u[r]), across, vd_fma(vd_set1(-q[r]), along, vd_load(to)));
                vd_store(to, made);
                sum = vd_fma(vd_set1(by[r]), made, sum);
            }
            vd_store(y + j, sum);
        }
        for (int step; i < end; i += step) {
            step = i + SPECTRAL_STRIP <= end ? SPECTRAL_STRIP : 1;
            double *to = a + i * cols + right;
            if (step == 1)
                spectral_update_rows(1, cols - right, to, cols, u + i, q + i, by + i, u + right, q + right,
                                     by + right, y + right, parts + (i - base) * AD_DOUBLES);
            else
                spectral_update_rows(SPECTRAL_STRIP, cols - right, to, cols, u + i, q + i, by + i, u + right,
                                     q + right, by + right, y + right, parts + (i - base) * AD_DOUBLES);
        }
        spectral_add_lanes(parts, y + base);
    }
}

static const ad_spectral_kernels spectral_kernels = {
    .dot = spectral_dot,
    .poles = spectral_poles,
    .ratios = spectral_ratios,
    .unit = spectral_unit,
    .largest = spectral_largest,
    .turn = spectral_turn,
    .turn_rows = spectral_turn_rows,
    .update = spectral_update,
};
