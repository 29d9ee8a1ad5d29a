/* search.c: places in sorted rows, by halving; several values at a time, as each waits for memory. Histograms
 * guess a value's bin, as edges mostly are alike far from each other, and halve where the guess was wrong. */
#include "tape.h"

enum { TOGETHER = 8, ITEM = 1 << 12 };

typedef struct {
    const char *rows, *values;
    int64_t *places;
    int type;
    int64_t n, per_row, count; /* elements of a row; values that are sought in it, and in all */
    bool right;
} search;

/* A nan is behind all. */
#define SEARCH(T)                                                                                            \
    static inline bool is_before_##T(T element, T value, bool right) {                                       \
        return right ? !(element > value) : !(element >= value);                                             \
    }                                                                                                        \
    static inline __attribute__((always_inline)) void find_##T(const T *row, int64_t n, const T *values,     \
                                                               int64_t *places, int count, bool right) {     \
        int64_t at[TOGETHER] = {0};                                                                          \
        for (int64_t left = n; left > 1; left -= left / 2)                                                   \
            for (int i = 0; i < count; i++)                                                                  \
                at[i] += left / 2 & -(int64_t)is_before_##T(row[at[i] + left / 2 - 1], values[i], right);    \
        for (int i = 0; i < count; i++)                                                                      \
            places[i] = at[i] + (n && is_before_##T(row[at[i]], values[i], right));                          \
    }                                                                                                        \
    static void search_##T(const search *s, int64_t begin, int64_t end) {                                    \
        while (begin < end) {                                                                                \
            const int64_t r = begin / s->per_row, last = ad_least(end, (r + 1) * s->per_row);                \
            const T *row = (const T *)(const void *)s->rows + r * s->n;                                      \
            const T *values = (const T *)(const void *)s->values;                                            \
            for (; begin + TOGETHER <= last; begin += TOGETHER)                                              \
                find_##T(row, s->n, values + begin, s->places + begin, TOGETHER, s->right);                  \
            for (; begin < last; begin++)                                                                    \
                find_##T(row, s->n, values + begin, s->places + begin, 1, s->right);                         \
        }                                                                                                    \
    }
SEARCH(float)
SEARCH(double)
SEARCH(int64_t)

static void search_item(void *context, int64_t item) {
    static void (*const each[AD_N_TYPES])(const search *, int64_t, int64_t) = {
        [AD_f32] = search_float, [AD_f64] = search_double, [AD_i64] = search_int64_t};
    const search *s = context;
    each[s->type](s, item * ITEM, ad_least((item + 1) * ITEM, s->count));
}

static int run_search(const ad_call *c) {
    ad_tensor *made[2] = {NULL, NULL};
    const ad_tensor *rows = ad_packed(ad_in(c, 0), ad_in(c, 0)->dtype, &made[0]);
    const ad_tensor *values = rows ? ad_packed(ad_in(c, 1), rows->dtype, &made[1]) : NULL;
    if (values) {
        search s = {.rows = rows->data,
                    .values = values->data,
                    .places = (int64_t *)(void *)ad_out(c, 0)->data,
                    .type = ad_dtype_type[rows->dtype],
                    .n = rows->shape[rows->ndim - 1],
                    .count = values->numel,
                    .right = *(const int *)c->numbers != 0};
        s.per_row = rows->ndim == 1 ? s.count : values->shape[values->ndim - 1];
        ad_parallel_for((s.count + ITEM - 1) / ITEM, s.count * 16, search_item, &s);
    }
    ad_free(made[0]);
    ad_free(made[1]);
    return values ? AD_OK : ad_error(NULL);
}

ad_tensor *ad_searchsorted(const ad_tensor *rows, const ad_tensor *values, int right) {
    if (rows->dtype != values->dtype || ad_itemsize[rows->dtype] != ad_type_size[ad_dtype_type[rows->dtype]])
        return ad_fail_null(AD_BAD_DTYPE, values->dtype, 0, 0);
    if (rows->ndim < 1) return ad_fail_null(AD_BAD_DIM, 0, rows->ndim, 0);
    for (int d = 0; rows->ndim > 1 && d < rows->ndim - 1; d++)
        if (rows->ndim != values->ndim || rows->shape[d] != values->shape[d])
            return ad_fail_null(AD_BAD_SHAPE, rows->shape[d], rows->ndim, d);
    ad_tensor *y = ad_make(AD_int64, values->ndim, values->shape);
    if (!y || y->numel == 0) return y;
    const ad_tensor *const operands[] = {y, rows, values};
    return ad_done(&(ad_call){run_search, "searchsorted", 1, 2, .x = operands, .numbers = &right,
                              .n_bytes = sizeof right},
                   y);
}

/* The weights of the values from each of bins + 1 edges to the next, the last included. Where these are
 * `even`, the value's share of all decides, as in PyTorch, not the edges, which were rounded. */
#define HISTOGRAM(T)                                                                                         \
    static void histogram_##T(const T *x, int64_t n, const T *edges, int64_t bins, bool even,                \
                              const T *weight, T *y) {                                                       \
        const T low = edges[0], high = edges[bins], most = (T)(bins - 1);                                    \
        memset(y, 0, (size_t)bins * sizeof *y);                                                              \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            if (!(x[i] >= low && x[i] <= high)) continue;                                                    \
            const T guess =                                                                                  \
                (x[i] - low) * (T)bins / (high - low); /* a nan, where they are infinitely far */            \
            int64_t at = !(guess > 0) ? 0 : guess < most ? (int64_t)guess : bins - 1;                        \
            const bool known = even && guess <= (T)bins;                                                     \
            if (!known && (x[i] < edges[at] || (at < bins - 1 && x[i] >= edges[at + 1]))) {                  \
                find_##T(edges, bins + 1, x + i, &at, 1, true);                                              \
                at = ad_least(at - (at > 0), bins - 1);                                                      \
            }                                                                                                \
            y[at] += weight ? weight[i] : 1;                                                                 \
        }                                                                                                    \
    }
HISTOGRAM(float)
HISTOGRAM(double)

static int run_histogram(const ad_call *c) {
    const ad_tensor *x = ad_in(c, 0), *edges = ad_in(c, 1), *weight = ad_in(c, 2);
    const int64_t bins = edges->numel - 1;
    const void *each = weight ? weight->data : NULL, *values = x->data, *at = edges->data;
    const bool even = *(const bool *)c->numbers;
    if (x->dtype == AD_float32)
        histogram_float(values, x->numel, at, bins, even, each, (void *)ad_out(c, 0)->data);
    else
        histogram_double(values, x->numel, at, bins, even, each, (void *)ad_out(c, 0)->data);
    return AD_OK;
}

ad_tensor *ad_histogram(const ad_tensor *x, const ad_tensor *edges, bool even, const ad_tensor *weight) {
    AD_IN_FLOAT32(x, NULL, ad_histogram(in32[0], in32[1], even, in32[2]), x, edges, weight)
    if (!ad_is_float(x->dtype) || edges->dtype != x->dtype) return ad_fail_null(AD_BAD_DTYPE, x->dtype, 0, 0);
    if (weight && weight->dtype != x->dtype) return ad_fail_null(AD_BAD_DTYPE, weight->dtype, 0, 0);
    if (edges->ndim != 1 || edges->numel < 2) return ad_fail_null(AD_BAD_SHAPE, edges->numel, 2, 0);
    if (weight && weight->numel != x->numel) return ad_fail_null(AD_BAD_SHAPE, weight->numel, x->numel, 0);
    if (!x->contiguous || !edges->contiguous || (weight && !weight->contiguous))
        return ad_fail_null(AD_BAD_ARG, 0, 0, 0);
    const int64_t bins = edges->numel - 1;
    ad_tensor *y = ad_make(x->dtype, 1, &bins);
    if (!y) return NULL;
    const ad_tensor *const operands[] = {y, x, edges, weight};
    return ad_done(
        &(ad_call){run_histogram, "histogram", 1, 3, .x = operands, .numbers = &even, .n_bytes = sizeof even},
        y);
}
