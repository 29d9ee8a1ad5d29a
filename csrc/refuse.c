/* refuse.c: questions about values: a check that a recording makes again at each run; whether tensors are
 * equal and how often values are, which ends one. */
#include "tape.h"

int ad_run_apart(const ad_call *c, int input, ad_run_fn *run) {
    enum { MOST = 8 };
    const ad_tensor *x[MOST];
    if (!ad_in(c, input)) return run(c);
    if (c->n_out + c->n_in > MOST) return ad_fail(AD_BAD_ARG, c->n_in, MOST, 0);
    memcpy(x, c->x, sizeof *x * (size_t)(c->n_out + c->n_in));
    ad_tensor *own = ad_contiguous(ad_in(c, input), ad_in(c, input)->dtype);
    if (!own) return AD_NO_MEMORY;
    x[c->n_out + input] = own;
    ad_call call = *c;
    call.x = x;
    const int status = run(&call);
    ad_free(own);
    return status;
}

#if defined(__GNUC__) && !defined(__clang__) /* as in grid_sample.c */
#pragma GCC optimize("vect-cost-model=dynamic", "no-trapping-math")
#endif

static int run_refuse(const ad_call *c) {
    const ad_tensor *x = ad_in(c, 0);
    const int64_t reason = *(const int64_t *)c->numbers, *values = (const int64_t *)x->data;
    if (x->dtype == AD_int64) {
        for (int64_t i = 0; i < x->numel; i++)
            if (values[i]) return ad_fail(AD_REFUSED, reason, i, values[i]);
        return AD_OK;
    }
    ad_tensor *any = ad_reduce(AD_RED_any, x, (1u << x->ndim) - 1, 0, AD_bool);
    if (!any) return ad_error(NULL);
    const bool holds = *any->data;
    ad_free(any);
    return holds ? ad_fail(AD_REFUSED, reason, 0, 0) : AD_OK;
}

int ad_refuse_any(const ad_tensor *x, int64_t reason) {
    const bool numbers = x->dtype == AD_int64 && x->contiguous;
    if (x->dtype != AD_bool && !numbers) return ad_fail(AD_BAD_DTYPE, x->dtype, 0, 0);
    if (!x->numel) return AD_OK;
    const ad_tensor *const operands[] = {x};
    return ad_do(&(ad_call){run_refuse, "refuse", 0, 1, .x = operands, .numbers = &reason,
                            .n_bytes = sizeof reason, .refuses = true});
}

#define DIFFER(T, I)                                                                                         \
    I differ = 0;                                                                                            \
    for (int64_t i = 0; i < n; i++) differ |= ((const T *)x)[i] != ((const T *)y)[i];                        \
    return differ != 0;

/* Of n elements as they lie. */
static bool differ_in(int dtype, int64_t n, const void *x, const void *y) {
    if (dtype == AD_float32) {
        DIFFER(float, int32_t)
    }
    if (dtype == AD_float64) {
        DIFFER(double, int64_t)
    }
    return memcmp(x, y, (size_t)(n * ad_itemsize[dtype])) != 0;
}

int ad_equal(const ad_tensor *a, const ad_tensor *b) {
    ad_tape_break(AD_TAPE_READ);
    if (a->ndim != b->ndim) return 0;
    for (int d = 0; d < a->ndim; d++)
        if (a->shape[d] != b->shape[d]) return 0;
    if (a->dtype != b->dtype || ad_is_half(a->dtype) || !a->contiguous || !b->contiguous) return -1;
    const bool let_go = ad_let_go(a->numel);
    bool differ = false;
    for (int64_t i = 0; i < a->numel && !differ; i += AD_BLOCK) {
        const int64_t at = i * ad_itemsize[a->dtype];
        differ = differ_in(a->dtype, ad_least(AD_BLOCK, a->numel - i), a->data + at, b->data + at);
    }
    ad_take_back(let_go);
    return !differ;
}

enum { FEW = 512 }; /* values that are counted in several tables */

/* Counts equal neighbours in turn: one count waits for the other's store. */
static void count_few(const int64_t *x, int64_t step, int64_t n, int64_t *counts, int64_t size) {
    int64_t parts[4][FEW], i = 0; /* whatever another thread writes meanwhile is a place in them */
    for (int p = 0; p < 4; p++) memset(parts[p], 0, (size_t)size * 8);
    for (; i + 4 <= n; i += 4)
        for (int p = 0; p < 4; p++) parts[p][x[(i + p) * step] & (FEW - 1)]++;
    for (; i < n; i++) parts[0][x[i * step] & (FEW - 1)]++;
    for (int p = 0; p < 4; p++)
        for (int64_t v = 0; v < size; v++) counts[v] += parts[p][v];
}

ad_tensor *ad_bincount(const ad_tensor *x, int64_t least) {
    if (x->dtype != AD_int64) return ad_fail_null(AD_BAD_DTYPE, x->dtype, 0, 0);
    if (x->ndim != 1) return ad_fail_null(AD_BAD_DIM, 0, x->ndim, 0);
    ad_tape_break(AD_TAPE_READ);
    const int64_t *values = (const int64_t *)(const void *)x->data, step = x->strides[0];
    int64_t lowest = 0, most = -1;
    if (step == 1 && x->numel) {
        ad_cpu->reduce->fold[AD_FOLD_min][AD_i64].rows(1, x->numel, values, 0, &lowest, false);
        ad_cpu->reduce->fold[AD_FOLD_max][AD_i64].rows(1, x->numel, values, 0, &most, false);
    }
    for (int64_t i = 0; step != 1 && i < x->numel; i++) {
        const int64_t value = values[i * step];
        lowest = ad_least(lowest, value);
        most = most < value ? value : most;
    }
    most = most < least ? least - 1 : most;
    const int64_t size = most + (most < INT64_MAX); /* which no memory holds */
    if (lowest < 0) return ad_fail_null(AD_BAD_ARG, lowest, 0, 0);
    ad_tensor *y = ad_make(AD_int64, 1, &size);
    if (!y) return NULL;
    int64_t *counts = (int64_t *)(void *)y->data;
    memset(counts, 0, (size_t)size * 8);
    if (size <= FEW && x->numel > size)
        count_few(values, step, x->numel, counts, size);
    else
        for (int64_t i = 0; i < x->numel; i++) { /* looked at again: another thread may write meanwhile */
            const int64_t value = ad_once(&values[i * step]);
            if ((uint64_t)value < (uint64_t)size) counts[value]++;
        }
    return y;
}
