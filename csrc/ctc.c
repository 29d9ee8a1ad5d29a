/* ctc.c: the states that the alignments of sequences to their labels go through. */
#include <math.h>
#include "tape.h"

#if defined(__GNUC__) && !defined(__clang__) /* as in grid_sample.c */
#pragma GCC optimize("vect-cost-model=dynamic", "no-trapping-math")
#endif

enum { NEGATIVE_TIME, NEGATIVE_SIZE, LATE, OTHER_TOTAL, LONG, NO_LABEL, N_REASONS };

typedef struct {
    int64_t classes, blank, reasons[N_REASONS];
} ctc_numbers;

static const int64_t *integers_of(const ad_tensor *x) { return (const int64_t *)(const void *)x->data; }

/* Whether one of n numbers is below, or above, a limit: it is refused. */
static int check_each(int64_t n, const int64_t *x, int64_t low, int64_t high, int64_t reason) {
    for (int64_t i = 0; i < n; i++)
        if (x[i] < low || x[i] > high) return ad_fail(AD_REFUSED, reason, i, x[i]);
    return AD_OK;
}

static int check_lengths(const ctc_numbers *m, const ad_tensor *targets, int64_t n, const int64_t *times,
                         const int64_t *sizes, int64_t steps) {
    int64_t total = 0, most = 0;
    if (check_each(n, times, 0, INT64_MAX, m->reasons[NEGATIVE_TIME]) ||
        check_each(n, sizes, 0, INT64_MAX, m->reasons[NEGATIVE_SIZE]) ||
        check_each(n, times, 0, steps, m->reasons[LATE]))
        return AD_REFUSED;
    for (int64_t i = 0; i < n; i++) {
        if (sizes[i] > most) most = sizes[i];
        if (__builtin_add_overflow(total, sizes[i], &total)) total = INT64_MAX;
    }
    if (targets->ndim == 1 && total != targets->numel)
        return ad_fail(AD_REFUSED, m->reasons[OTHER_TOTAL], 0, total);
    if (targets->ndim == 2 && most > targets->shape[1]) return ad_fail(AD_REFUSED, m->reasons[LONG], 0, most);
    return AD_OK;
}

static int run_states(const ad_call *c) {
    const ctc_numbers *m = c->numbers;
    const ad_tensor *targets = ad_in(c, 0), *shaped = ad_out(c, 2);
    const int64_t *times = integers_of(ad_in(c, 1)), *sizes = integers_of(ad_in(c, 2)),
                  *mine = integers_of(targets);
    int64_t *row = (int64_t *)ad_out(c, 0)->data, *ends = (int64_t *)ad_out(c, 3)->data;
    char *skips = ad_out(c, 1)->data, *there = shaped->data;
    const int64_t steps = shaped->shape[0], width = shaped->shape[1], n = shaped->shape[2],
                  longest = width / 2;
    int64_t left = targets->numel;
    int status = check_lengths(m, targets, n, times, sizes, steps);
    for (int64_t i = 0; !status && i < n; i++) {
        /* what another thread wrote to since it was checked leads nowhere else */
        const int64_t read = ad_once(&sizes[i]), said = read < 0 ? 0 : read, size = ad_least(said, left);
        for (int64_t w = 0; w < width; w++) {
            const int64_t at = w % 2 && w / 2 < size ? ad_once(&mine[w / 2]) : m->blank;
            if ((uint64_t)at >= (uint64_t)m->classes) return ad_fail(AD_REFUSED, m->reasons[NO_LABEL], i, at);
            row[w * n + i] = at;
            skips[w * n + i] = at != m->blank && (w < 2 || row[(w - 2) * n + i] != at);
        }
        ends[i] = said > longest ? 0 : 2 * said + 1; /* of what is too long, a state that is never reached */
        ends[n + i] = ends[i] + 1;
        mine += targets->ndim == 2 ? targets->shape[1] : size;
        left -= targets->ndim == 2 ? targets->shape[1] : size;
    }
    for (int64_t t = 0; !status && t < steps; t++)
        for (int64_t w = 0; w < width; w++)
            for (int64_t i = 0; i < n; i++) *there++ = t < times[i];
    return status;
}

int ad_ctc_states(const ad_tensor *targets, const ad_tensor *times, const ad_tensor *sizes, int64_t steps,
                  int64_t longest, int64_t classes, int64_t blank, const int64_t *reasons, ad_tensor **out) {
    const ad_tensor *const given[] = {targets, times, sizes};
    for (int i = 0; i < 4; i++) out[i] = NULL;
    for (int i = 0; i < 3; i++) {
        if (given[i]->dtype != AD_int64) return ad_fail(AD_BAD_DTYPE, given[i]->dtype, 0, 0);
        if (!given[i]->contiguous || given[i]->ndim < 1 || given[i]->ndim > 2 - (i > 0))
            return ad_fail(AD_BAD_DIM, 1, given[i]->ndim, 0);
    }
    const int64_t n = times->numel, width = 2 * longest + 1;
    if (sizes->numel != n || (targets->ndim == 2 && targets->shape[0] != n))
        return ad_fail(AD_BAD_SHAPE, sizes->numel, n, 0);
    if (longest < 0 || longest > targets->numel || steps < 0 || blank < 0 || blank >= classes)
        return ad_fail(AD_BAD_ARG, longest, 0, 0);
    ctc_numbers m = {.classes = classes, .blank = blank};
    memcpy(m.reasons, reasons, sizeof m.reasons);
    out[0] = ad_make(AD_int64, 2, (const int64_t[]){width, n});
    out[1] = ad_make(AD_bool, 2, (const int64_t[]){width, n});
    out[2] = ad_make(AD_bool, 3, (const int64_t[]){steps, width, n});
    out[3] = ad_make(AD_int64, 2, (const int64_t[]){2, n});
    const ad_tensor *const operands[] = {out[0], out[1], out[2], out[3], targets, times, sizes};
    const ad_call c = {run_states,          "ctc_states",   4, 3, .x = operands, .numbers = &m,
                       .n_bytes = sizeof m, .refuses = true};
    if (out[0] && out[1] && out[2] && out[3] && !ad_do(&c)) return AD_OK;
    for (int i = 0; i < 4; i++) {
        ad_free(out[i]);
        out[i] = NULL;
    }
    return ad_error(NULL);
}

/* ---- the recursion: states (2 + width, n) of each step, of which two in front are impossible ---- */

#define NEVER (-1e30) /* the logarithm of a probability of nothing; finite, so that differences are 0 */
#define LEAST (-80)   /* below it a power of e adds nothing, and takes longer */
enum { BLOCK = 512, COST = 10 };

typedef struct {
    const ad_tensor *x;
    const int64_t *row;
    const char *skips, *there;
    char *scores, *states;
    int64_t step, n, row_size; /* row_size: of the states of a step, but those two */
    bool failed;
} chart;

#define T float
#define TYPE AD_f32
#define NAME(name) name##_f32
#include "kernels/ctc_type.h"
#undef T
#undef TYPE
#undef NAME
#define T double
#define TYPE AD_f64
#define NAME(name) name##_f64
#include "kernels/ctc_type.h"
#undef T
#undef TYPE
#undef NAME

static int run_chart(const ad_call *c) {
    const ad_tensor *x = ad_in(c, 0), *ends = ad_in(c, 4);
    const bool single = x->dtype == AD_float32;
    const int64_t steps = x->shape[0], n = x->shape[1];
    chart k = {.x = x,
               .row = integers_of(ad_in(c, 1)),
               .skips = ad_in(c, 2)->data,
               .there = ad_in(c, 3)->data,
               .scores = ad_out(c, 1)->data,
               .states = ad_out(c, 2)->data,
               .n = n,
               .row_size = ad_in(c, 1)->numel};
    (single ? begin_f32 : begin_f64)(&k, steps);
    for (; k.step < steps && !k.failed; k.step++)
        ad_parallel_for((k.row_size + BLOCK - 1) / BLOCK, k.row_size * COST,
                        single ? advance_f32 : advance_f64, &k);
    void *losses = ad_out(c, 0)->data;
    if (k.failed ||
        !(single ? end_f32(&k, integers_of(ends), losses) : end_f64(&k, integers_of(ends), losses)))
        return ad_fail(AD_BAD_INDEX, 0, 2, x->shape[2]);
    return AD_OK;
}

static bool is_of(const ad_tensor *x, int dtype, int ndim, const int64_t *shape) {
    return x->dtype == dtype && x->contiguous && x->ndim == ndim &&
           !memcmp(x->shape, shape, sizeof *shape * (size_t)ndim);
}

ad_tensor *ad_ctc_chart(const ad_tensor *x, const ad_tensor *row, const ad_tensor *skips,
                        const ad_tensor *there, const ad_tensor *ends) {
    if (x->dtype != AD_float32 && x->dtype != AD_float64) return ad_fail_null(AD_BAD_DTYPE, x->dtype, 0, 0);
    if (x->ndim != 3 || row->ndim != 2) return ad_fail_null(AD_BAD_DIM, x->ndim, 3, 0);
    const int64_t n = x->shape[1], shape[] = {x->shape[0], row->shape[0], n};
    if (!n || !shape[1] || !is_of(row, AD_int64, 2, shape + 1) || !is_of(skips, AD_bool, 2, shape + 1) ||
        !is_of(there, AD_bool, 3, shape) || !is_of(ends, AD_int64, 2, (const int64_t[]){2, n}))
        return ad_fail_null(AD_BAD_SHAPE, 0, 0, 0);
    ad_tensor *const out[] = {ad_make(x->dtype, 1, &n), ad_make(x->dtype, 3, shape),
                              ad_make(x->dtype, 3, (const int64_t[]){shape[0] + 1, shape[1] + 2, n})};
    const ad_tensor *const operands[] = {out[0], out[1], out[2], x, row, skips, there, ends};
    const ad_call c = {run_chart, "ctc_chart", 3, 5, .x = operands, .picks = true};
    if (out[0] && out[1] && out[2] && !ad_do(&c)) return ad_several(3, out);
    for (int i = 0; i < 3; i++) ad_free(out[i]);
    return NULL;
}
