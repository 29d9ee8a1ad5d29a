/* kernels/rows.h: the blocks that row programs are made of, besides the folds of kernels/reduce.h. A block is
 * rows of numbers, or columns of them; each row, or each column, has a top, a sum, a mean. */

/* Of virtual lanes in n vectors, by halves. */
AD_SIMD double join_doubles(vd *a, int n) {
    double first;
    AD_UNROLL for (int half = n / 2; half > 0; half /= 2) AD_UNROLL for (int v = 0; v < half; v++) a[v] =
        vd_add(a[v], a[v + half]);
    AD_UNROLL for (int half = VD_W / 2; half > 0; half /= 2) a[0] = vd_add(a[0], vd_lanes_from(a[0], half));
    memcpy(&first, a, sizeof first);
    return first;
}

/* double comes first, as the means are double for both */
#define T double
#define V vd
#define VEC_W VD_W
#define VEC(x) vd_##x
#define MASK(x) md_##x
#define NAME(x) x##_f64
#define WIDEN(a, part) (a)
#define NARROW(parts) (*(parts))
#include "rows_type.h"

#define T float
#define V vf
#define VEC_W VF_W
#define VEC(x) vf_##x
#define MASK(x) mf_##x
#define NAME(x) x##_f32
#define WIDEN(a, part) vf_widen(a, part)
#define NARROW(parts) vf_narrow(parts)
#include "rows_type.h"

/* x - mean, or its square, in place; x is dense */
static void centre(const ad_block *s, double *x, const double *mean, bool square) {
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t c = 0, k = s->cols; c < s->cols; c += VD_W, k -= VD_W) {
            vd d = vd_sub(read_f64(x, r * s->cols + c, k), given_f64(mean, s, r, c, k));
            write_f64(x, r * s->cols + c, square ? vd_mul(d, d) : d, k);
        }
}

/* ---- the moments of float32, in double and one pass ----
 *
 * What is added up is distances from the row's first number. As that is one of the row, the squares about the
 * mean are at least 1/n of those about it: what cancels when one is made of the other is few of 53 bits.
 * Where the first is infinite, they are distances from 0. */

enum { MOMENT_LANES = 16, MOMENT_PARTS = VF_W / VD_W, MOMENT_SUMS = MOMENT_LANES / VD_W };

/* Adders are busy with conversions: the difference goes to the multipliers. */
AD_SIMD void add_moment(vd x, vd first, vd *sum, vd *squares) {
    const vd d = vd_fma(x, vd_set1(1), vd_neg(first));
    *sum = vd_add(*sum, d);
    *squares = vd_fma(d, d, *squares);
}

AD_SIMD void add_moments(vf x, const vd *first, vd *sum, vd *squares) {
    AD_UNROLL for (int p = 0; p < MOMENT_PARTS; p++)
        add_moment(vf_widen(x, p), first[p], sum + p, squares + p);
}

AD_SIMD void finish_moments(int64_t n, float first, double sum, double about, double *mean, double *squares) {
    const double far = sum / (double)n, left = about - sum * far;
    *mean = (double)first + far;
    *squares = left < 0 ? 0 : left;
}

AD_SIMD void moments_of_row(int64_t n, const float *x, double *mean, double *squares) {
    static const float lane[MOMENT_LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vd first[MOMENT_PARTS], sum[MOMENT_SUMS], about[MOMENT_SUMS];
    const float from = isfinite(*x) ? *x : 0;
    AD_UNROLL for (int p = 0; p < MOMENT_PARTS; p++) first[p] = vd_set1(from);
    AD_UNROLL for (int v = 0; v < MOMENT_SUMS; v++) sum[v] = about[v] = vd_zero();
    int64_t i = 0;
    for (; n - i >= MOMENT_LANES; i += MOMENT_LANES)
        AD_UNROLL for (int v = 0; v < MOMENT_SUMS; v++)
            add_moment(vd_load_f32(x + i + v * VD_W), first[0], sum + v, about + v);
    AD_UNROLL for (int v = 0; v < MOMENT_LANES / VF_W; v++) {
        const int64_t at = i + v * VF_W, k = n - at;
        if (k <= 0) break;
        vf a = read_f32(x, at, k); /* lanes past the end are at no distance */
        a = vf_select(vf_lt(vf_load(lane), vf_set1((float)k)), a, vf_set1(from));
        add_moments(a, first, sum + v * MOMENT_PARTS, about + v * MOMENT_PARTS);
    }
    finish_moments(n, from, join_doubles(sum, MOMENT_SUMS), join_doubles(about, MOMENT_SUMS), mean, squares);
}

/* Four rows of columns at a time into the lane that takes them, of all columns of the strip. */
AD_SIMD void moments_of_lane(const ad_block *s, int64_t row, const float *x, double *sum, double *about) {
    for (int64_t c = 0, k = s->cols; c < s->cols; c += VF_W, k -= VF_W) {
        const vf top = read_f32(x, c, k),
                 from = vf_select(vf_lt(vf_abs(top), vf_set1(INFINITY)), top, vf_zero());
        vd first[MOMENT_PARTS], a[MOMENT_PARTS], b[MOMENT_PARTS];
        AD_UNROLL for (int p = 0; p < MOMENT_PARTS; p++) {
            first[p] = vf_widen(from, p);
            a[p] = row < MOMENT_LANES ? vd_zero() : vd_load(sum + c + p * VD_W);
            b[p] = row < MOMENT_LANES ? vd_zero() : vd_load(about + c + p * VD_W);
        }
        for (int64_t r = row; r < ad_least(row + AD_LANE_STEPS * MOMENT_LANES, s->rows); r += MOMENT_LANES)
            add_moments(read_f32(x, r * s->stride + c, k), first, a, b);
        AD_UNROLL for (int p = 0; p < MOMENT_PARTS; p++) {
            vd_store(sum + c + p * VD_W, a[p]);
            vd_store(about + c + p * VD_W, b[p]);
        }
    }
}

static void moments_of_columns(const ad_block *s, const float *x, double *mean, double *squares) {
    _Alignas(64) double sum[MOMENT_LANES][AD_STRIP], about[MOMENT_LANES][AD_STRIP];
    for (int64_t group = 0; group < s->rows; group += AD_LANE_STEPS * MOMENT_LANES)
        for (int l = 0; l < MOMENT_LANES; l++)
            if (group == 0 || group + l < s->rows) moments_of_lane(s, group + l, x, sum[l], about[l]);
    for (int half = MOMENT_LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            for (int64_t c = 0; c < s->cols; c += VD_W) {
                vd_store(sum[l] + c, vd_add(vd_load(sum[l] + c), vd_load(sum[l + half] + c)));
                vd_store(about[l] + c, vd_add(vd_load(about[l] + c), vd_load(about[l + half] + c)));
            }
    for (int64_t c = 0; c < s->cols; c++)
        finish_moments(s->rows, isfinite(x[c]) ? x[c] : 0, sum[0][c], about[0][c], mean + c, squares + c);
}

static void moments(const ad_block *s, const float *x, double *mean, double *squares) {
    if (s->columns)
        moments_of_columns(s, x, mean, squares);
    else
        for (int64_t r = 0; r < s->rows; r++)
            moments_of_row(s->cols, x + r * s->stride, mean + r, squares + r);
}

static const ad_row_kernels row_kernels = {
    .shifted_exp = {shifted_exp_f32, shifted_exp_f64},
    .finish = {finish_f32, finish_f64},
    .normalize = {normalize_f32, normalize_f64},
    .norm_sums = {norm_sums_f32, norm_sums_f64},
    .norm_vjp = {norm_vjp_f32, norm_vjp_f64},
    .deviations = {deviations_f32, deviations_f64},
    .centre = centre,
    .moments = moments,
    .distances = {distances_f32, distances_f64},
    .squares = {squares_f32, squares_f64},
    .by_squares = {by_squares_f32, by_squares_f64},
};
