/* range.c: tensors of numbers that are evenly spaced, or given. */
#include <math.h>
#include "tape.h"

enum { BLOCK = 1 << 20 };

/* The tensor in another dtype, the first one being given up. */
static ad_tensor *converted(ad_tensor *x, int dtype) {
    if (!x || x->dtype == dtype) return x;
    ad_tensor *y = ad_contiguous(x, dtype);
    ad_free(x);
    return y;
}

static bool bad(int dtype, int64_t n) {
    if (ad_valid_dtype(dtype) && n >= 0) return false;
    ad_fail(ad_valid_dtype(dtype) ? AD_BAD_SHAPE : AD_BAD_DTYPE, ad_valid_dtype(dtype) ? n : dtype, 0, 0);
    return true;
}

/* n numbers start + step i, for i from `first` on, by 1 or -1: rounded once to double (or twice), once to T.
 * To count in int is what lets them be made several at a time. */
#define LINE(T)                                                                                              \
    static void line_##T(T *out, int64_t n, double start, double step, int64_t first, int by) {              \
        for (int64_t i = 0; i < n; i += BLOCK) {                                                             \
            const double at = (double)(first + by * i), sign = by;                                           \
            const int len = (int)ad_least(BLOCK, n - i);                                                     \
            for (int j = 0; j < len; j++) out[i + j] = (T)(start + step * (at + sign * j));                  \
        }                                                                                                    \
    }
/* gcc's -O2 leaves loops as they are whose counts it cannot know to be multiples of a vector's. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("vect-cost-model=dynamic")
#endif
LINE(float)
LINE(double)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

ad_tensor *ad_arange_f64(int dtype, int64_t n, double start, double step) {
    ad_tensor *x = bad(dtype, n) ? NULL : ad_make(dtype == AD_float32 ? AD_float32 : AD_float64, 1, &n);
    if (!x) return NULL;
    if (x->dtype == AD_float32)
        line_float((float *)x->data, n, start, step, 0, 1);
    else
        line_double((double *)x->data, n, start, step, 0, 1);
    return converted(ad_constant(x), dtype);
}

ad_tensor *ad_arange_i64(int dtype, int64_t n, int64_t start, int64_t step) {
    ad_tensor *x = bad(dtype, n) ? NULL : ad_make(AD_int64, 1, &n);
    if (!x) return NULL;
    int64_t *out = (int64_t *)x->data;
    for (int64_t i = 0; i < n; i++) out[i] = start + i * step;
    return converted(ad_constant(x), dtype);
}

/* A number is rounded once (of floats all but surely), as PyTorch's is. The second half counts from the end,
 * so that both ends are met exactly. */
static void fill_float(float *out, int64_t n, float start, float end) {
    const float step = n > 1 ? (end - start) / (float)(n - 1) : 0;
    const int64_t half = n == 1 ? 1 : n / 2;
    line_float(out, half, start, step, 0, 1);
    line_float(out + half, n - half, end, -step, n - half - 1, -1);
}

static void fill_double(double *out, int64_t n, double start, double end) {
    const double step = n > 1 ? (end - start) / (double)(n - 1) : 0;
    const int64_t half = n == 1 ? 1 : n / 2;
    for (int64_t i = 0; i < half; i++) out[i] = fma(step, (double)i, start);
    for (int64_t i = half; i < n; i++) out[i] = fma(-step, (double)(n - 1 - i), end);
}

ad_tensor *ad_linspace(int dtype, int64_t n, double start, double end) {
    ad_tensor *x = bad(dtype, n) ? NULL : ad_make(dtype == AD_float32 ? AD_float32 : AD_float64, 1, &n);
    if (!x) return NULL;
    if (x->dtype == AD_float32)
        fill_float((float *)x->data, n, (float)start, (float)end);
    else
        fill_double((double *)x->data, n, start, end);
    return converted(ad_constant(x), dtype);
}

static ad_tensor *given(int wide, int dtype, int ndim, const int64_t *shape, int64_t n, const void *values) {
    if (!ad_valid_dtype(dtype)) return ad_fail_null(AD_BAD_DTYPE, dtype, 0, 0);
    ad_tensor *x = ad_empty(wide, ndim, shape);
    if (!x) return NULL;
    if (x->numel != n) {
        ad_fail(AD_BAD_SHAPE, n, x->numel, 0);
        ad_free(x);
        return NULL;
    }
    if (n) memcpy(x->data, values, (size_t)n * 8);
    return converted(ad_constant(x), dtype);
}

ad_tensor *ad_values_f64(int dtype, int ndim, const int64_t *shape, int64_t n, const double *values) {
    return given(AD_float64, dtype, ndim, shape, n, values);
}

ad_tensor *ad_values_i64(int dtype, int ndim, const int64_t *shape, int64_t n, const int64_t *values) {
    return given(AD_int64, dtype, ndim, shape, n, values);
}
