/* ctc.c: the states that the alignments of sequences to their labels go through. */
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
