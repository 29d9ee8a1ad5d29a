/* runs.c: where the slices of a first dimension differ from the one before; and numbers several times over.
 */
#include "tape.h"

/* Of n slices of m elements, which begin a run, and how many do. */
#define DIFFER(T)                                                                                            \
    static int64_t differ_##T(const void *x, int64_t n, int64_t m, uint8_t *restrict begins) {               \
        const T *restrict a = x;                                                                             \
        int64_t count = begins[0] = 1;                                                                       \
        for (int64_t i = 1; m == 1 && i < n; i++) count += begins[i] = a[i] != a[i - 1];                     \
        for (int64_t i = 1; m != 1 && i < n; i++, a += m) {                                                  \
            bool differs = false;                                                                            \
            for (int64_t j = 0; j < m; j++) differs |= a[j] != a[m + j];                                     \
            count += begins[i] = differs;                                                                    \
        }                                                                                                    \
        return count;                                                                                        \
    }
DIFFER(uint8_t)
DIFFER(int16_t)
DIFFER(int32_t)
DIFFER(int64_t)
DIFFER(float)
DIFFER(double)

static int write_runs(const uint8_t *begins, int64_t n, const int64_t *order, ad_tensor *const *out) {
    int64_t *starts = (int64_t *)(void *)out[0]->data;
    int64_t *within = out[1] ? (int64_t *)(void *)out[1]->data : NULL;
    int64_t *counts = out[2] ? (int64_t *)(void *)out[2]->data : NULL;
    const int64_t last = out[0]->numel - 1;
    if (!order && !within) /* what does not begin a run is written over */
        for (int64_t i = 0, run = 0; run <= last; i++) starts[run] = i, run += begins[i];
    else
        for (int64_t i = n - 1, run = last; i >= 0; run -= begins[i--]) { /* from the end: the first stays */
            const int64_t at = order ? order[i] : i;
            if ((uint64_t)at >= (uint64_t)n) return ad_fail(AD_BAD_INDEX, at, 0, n);
            if (within) within[at] = run;
            starts[run] = i;
        }
    for (int64_t r = 0; counts && r <= last; r++) counts[r] = (r < last ? starts[r + 1] : n) - starts[r];
    return AD_OK;
}

int ad_runs(const ad_tensor *x, const ad_tensor *order, int inverse, int counts, ad_tensor **out) {
    static int64_t (*const differ[])(const void *, int64_t, int64_t, uint8_t *) = {
        [AD_bool] = differ_uint8_t,  [AD_uint8] = differ_uint8_t, [AD_int8] = differ_uint8_t,
        [AD_int16] = differ_int16_t, [AD_int32] = differ_int32_t, [AD_int64] = differ_int64_t,
        [AD_float32] = differ_float, [AD_float64] = differ_double};
    out[0] = out[1] = out[2] = NULL;
    if (x->ndim < 1) return ad_fail(AD_BAD_DIM, 0, 0, 0);
    const int64_t n = x->shape[0];
    if (order && (order->dtype != AD_int64 || order->numel != n || !order->contiguous))
        return ad_fail(AD_BAD_SHAPE, order->numel, n, 0);
    ad_tape_break(AD_TAPE_SIZED);
    const int work = ad_work_dtype(x->dtype);
    const bool as_it_is = x->contiguous && work == x->dtype;
    ad_tensor *made = as_it_is ? NULL : ad_contiguous(x, work);
    uint8_t *begins = ad_alloc((size_t)n + 1);
    int status = begins && (made || as_it_is) ? AD_OK : ad_fail(AD_NO_MEMORY, n, 0, 0);
    if (!status) {
        const void *data = (made ? made : x)->data;
        const int64_t count = n ? differ[work](data, n, x->numel / n, begins) : 0;
        out[0] = ad_make(AD_int64, 1, &count);
        if (inverse) out[1] = ad_make(AD_int64, 1, &n);
        if (counts) out[2] = ad_make(AD_int64, 1, &count);
        const bool whole = out[0] && (out[1] || !inverse) && (out[2] || !counts);
        const int64_t *places = order ? (const int64_t *)(const void *)order->data : NULL;
        status = whole ? write_runs(begins, n, places, out) : ad_error(NULL);
    }
    ad_dealloc(begins);
    ad_free(made);
    for (int i = 0; status && i < 3; i++) {
        ad_free(out[i]);
        out[i] = NULL;
    }
    return status;
}

/* ---- the other way ---- */

ad_tensor *ad_repeat_counts(const ad_tensor *counts) {
    ad_tape_break(AD_TAPE_SIZED);
    if (counts->ndim != 1) return ad_fail_null(AD_BAD_DIM, 1, counts->ndim, 0);
    ad_tensor *numbers = ad_contiguous(counts, AD_int64); /* which no other thread can write to meanwhile */
    if (!numbers) return NULL;
    const int64_t *n = (const int64_t *)(const void *)numbers->data;
    int status = AD_OK;
    int64_t total = 0;
    for (int64_t i = 0; i < numbers->numel && !status; i++) {
        if (n[i] < 0)
            status = ad_fail(AD_BAD_ARG, n[i], i, 0);
        else if (__builtin_add_overflow(total, n[i], &total))
            status = ad_fail(AD_TOO_LARGE, 0, 0, 0);
    }
    ad_tensor *y = status ? NULL : ad_make(AD_int64, 1, &total);
    int64_t *out = y ? (int64_t *)(void *)y->data : NULL;
    for (int64_t i = 0; y && i < numbers->numel; i++)
        for (int64_t k = 0; k < n[i]; k++) *out++ = i;
    ad_free(numbers);
    return y;
}
