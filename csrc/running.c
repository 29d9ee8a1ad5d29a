/* running.c: linear recurrences and running extremes along a dimension.
 *
 * A recurrence y[i] = b[i] + a[i] y[i - 1] is summed in double and rounded once an element, in order: what a
 * line gives depends on its own elements alone. Its derivative is another, from the other end, in which a
 * belongs to the neighbour: `lags`. */
#include "tape.h"

enum {
    STRIP = 512,  /* lines that are columns, and are run along side by side, */
    TOGETHER = 4, /* and that are rows: one is as slow as its chain of operations */
    ITEM = 1 << 14
};

typedef struct {
    const char *x, *a;
    char *y;
    int64_t *places;
    int dtype;
    int64_t length, inner; /* inner: of the dimensions after the one that is run along */
    int64_t strips, per_item, count, lines;
    bool reverse, lags, largest;
} running;

#define RECUR(T, at) y[at] = (T)(held[c] = (double)b[at] + (double)factor[at] * held[c])
/* n lines, `apart` from each other, whose elements are `step` from each other. */
#define RECURRENCE(T)                                                                                        \
    static inline __attribute__((always_inline)) void recur_##T(const running *r, int64_t first,             \
                                                                int64_t step, int64_t n, int64_t apart) {    \
        const T *a = (const T *)r->a + first, *b = (const T *)r->x + first;                                  \
        T *y = (T *)r->y + first;                                                                            \
        double held[STRIP];                                                                                  \
        for (int64_t c = 0; c < n; c++) y[c * apart] = (T)(held[c] = (double)b[c * apart]);                  \
        const T *factor = r->lags ? a : a + step;                                                            \
        for (int64_t i = 1; i < r->length; i++, factor += step) {                                            \
            b += step, y += step;                                                                            \
            if (apart == 1)                                                                                  \
                for (int64_t c = 0; c < n; c++) RECUR(T, c);                                                 \
            else                                                                                             \
                AD_UNROLL for (int64_t c = 0; c < n; c++) RECUR(T, (c * apart));                             \
        }                                                                                                    \
    }                                                                                                        \
    EACH_WAY(recurrence_##T, recur_##T, recur_##T)
/* Lines that are columns, a few that are rows, or one. */
#define EACH_WAY(name, columns, along)                                                                       \
    static void name(const running *r, int64_t first, int64_t step, int64_t n) {                             \
        if (r->inner > 1)                                                                                    \
            columns(r, first, step, n, 1);                                                                   \
        else if (n == TOGETHER)                                                                              \
            along(r, first, step, TOGETHER, r->length);                                                      \
        else                                                                                                 \
            for (int64_t c = 0; c < n; c++) along(r, first + c * r->length, step, 1, 1);                     \
    }
RECURRENCE(float)
RECURRENCE(double)

/* Of equal elements the last counts, and a nan stays. */
#define EXTREME(T)                                                                                           \
    static inline __attribute__((always_inline)) bool replaces_##T(bool largest, T v, T held) {              \
        return v != v || (largest ? v >= held : v <= held);                                                  \
    }                                                                                                        \
    static void columns_##T(const running *r, int64_t first, int64_t step, int64_t n, int64_t apart) {       \
        const T *x = (const T *)(const void *)r->x + first;                                                  \
        T *y = (T *)(void *)r->y + first;                                                                    \
        int64_t *at = r->places + first;                                                                     \
        const bool largest = r->largest;                                                                     \
        (void)apart;                                                                                         \
        for (int64_t c = 0; c < n; c++) y[c] = x[c], at[c] = 0;                                              \
        for (int64_t i = 1; i < r->length; i++) {                                                            \
            x += step, y += step, at += step;                                                                \
            for (int64_t c = 0; c < n; c++) {                                                                \
                const T v = x[c], held = y[c - step];                                                        \
                const bool taken = replaces_##T(largest, v, held);                                           \
                y[c] = taken ? v : held;                                                                     \
                at[c] = taken ? i : at[c - step];                                                            \
            }                                                                                                \
        }                                                                                                    \
    }                                                                                                        \
    /* What is held stays in registers; few elements replace it, or most, which a branch foresees. */        \
    static inline __attribute__((always_inline)) void rows_##T(const running *r, int64_t first,              \
                                                               int64_t step, int64_t n, int64_t apart) {     \
        const T *x = (const T *)(const void *)r->x + first;                                                  \
        T *y = (T *)(void *)r->y + first, held[TOGETHER];                                                    \
        int64_t *at = r->places + first, place[TOGETHER] = {0};                                              \
        const bool largest = r->largest;                                                                     \
        AD_UNROLL for (int64_t c = 0; c < n; c++) held[c] = x[c * apart];                                    \
        for (int64_t i = 0; i < r->length; i++) AD_UNROLL for (int64_t c = 0; c < n; c++) {                  \
                const int64_t where = c * apart + i * step;                                                  \
                if (replaces_##T(largest, x[where], held[c])) held[c] = x[where], place[c] = i;              \
                y[where] = held[c], at[where] = place[c];                                                    \
            }                                                                                                \
    }                                                                                                        \
    EACH_WAY(extreme_##T, columns_##T, rows_##T)
EXTREME(uint8_t)
EXTREME(int8_t)
EXTREME(int16_t)
EXTREME(int32_t)
EXTREME(int64_t)
EXTREME(float)
EXTREME(double)

typedef void line_fn(const running *r, int64_t first, int64_t step, int64_t n);

static void run_item(void *context, int64_t item) {
    static line_fn *const extremes[] = {
        [AD_bool] = extreme_uint8_t,  [AD_uint8] = extreme_uint8_t, [AD_int8] = extreme_int8_t,
        [AD_int16] = extreme_int16_t, [AD_int32] = extreme_int32_t, [AD_int64] = extreme_int64_t,
        [AD_float32] = extreme_float, [AD_float64] = extreme_double};
    const running *r = context;
    line_fn *const f = r->places                ? extremes[r->dtype]
                       : r->dtype == AD_float32 ? recurrence_float
                                                : recurrence_double;
    const int64_t last = r->reverse ? r->length - 1 : 0, step = r->reverse ? -r->inner : r->inner;
    const int64_t end = ad_least((item + 1) * r->per_item, r->count);
    for (int64_t i = item * r->per_item; i < end; i++) {
        if (r->inner == 1) {
            f(r, i * TOGETHER * r->length + last, step, ad_least(TOGETHER, r->lines - i * TOGETHER));
            continue;
        }
        const int64_t strip = i % r->strips * STRIP;
        f(r, (i / r->strips * r->length + last) * r->inner + strip, step, ad_least(STRIP, r->inner - strip));
    }
}

/* x is contiguous, as y is, and not empty. */
static void run(running *r, const ad_tensor *x, ad_tensor *y, int dim) {
    r->x = x->data;
    r->y = y->data;
    r->dtype = x->dtype;
    r->length = x->ndim ? x->shape[dim] : 1;
    r->inner = 1;
    for (int d = dim + 1; d < x->ndim; d++) r->inner *= x->shape[d];
    r->strips = (r->inner + STRIP - 1) / STRIP;
    r->lines = x->numel / r->length;
    const bool rows = r->inner == 1;
    r->count = rows ? (r->lines + TOGETHER - 1) / TOGETHER : r->lines / r->inner * r->strips;
    r->per_item = ITEM / (r->length * (rows ? TOGETHER : ad_least(STRIP, r->inner))) + 1;
    ad_parallel_for((r->count + r->per_item - 1) / r->per_item, x->numel * 2, run_item, r);
}

typedef struct {
    int dim;
    bool reverse, lags;
} recurrence_numbers;

static int run_recurrence(const ad_call *c) {
    const recurrence_numbers *n = c->numbers;
    ad_tensor *made[2] = {NULL, NULL};
    const int dtype = ad_out(c, 0)->dtype;
    const ad_tensor *a = ad_packed(ad_in(c, 0), dtype, &made[0]);
    const ad_tensor *b = a ? ad_packed(ad_in(c, 1), dtype, &made[1]) : NULL;
    const int status = b ? AD_OK : ad_error(NULL);
    if (!status) {
        running r = {.a = a->data, .reverse = n->reverse, .lags = n->lags};
        run(&r, b, ad_out(c, 0), n->dim);
    }
    ad_free(made[0]);
    ad_free(made[1]);
    return status;
}

ad_tensor *ad_recurrence(const ad_tensor *a, const ad_tensor *b, int dim, int reverse, int lags) {
    if (dim < 0 || dim >= (b->ndim ? b->ndim : 1)) return ad_fail_null(AD_BAD_DIM, dim, b->ndim, 0);
    AD_IN_FLOAT32(b, NULL, ad_recurrence(in32[0], in32[1], dim, reverse, lags), a, b)
    if (!ad_is_float(b->dtype) || a->dtype != b->dtype) return ad_fail_null(AD_BAD_DTYPE, a->dtype, 0, 0);
    if (!ad_same_shape(a, b)) return ad_fail_null(AD_BAD_SHAPE, a->numel, b->numel, 0);
    ad_tensor *y = ad_make(b->dtype, b->ndim, b->shape);
    if (!y || y->numel == 0) return y;
    const recurrence_numbers n = {dim, reverse != 0, lags != 0};
    const ad_tensor *const operands[] = {y, a, b};
    return ad_done(
        &(ad_call){run_recurrence, "recurrence", 1, 2, .x = operands, .numbers = &n, .n_bytes = sizeof n}, y);
}

static int run_extremes(const ad_call *c) {
    const int *n = c->numbers;
    ad_tensor *made;
    const ad_tensor *x = ad_packed(ad_in(c, 0), ad_in(c, 0)->dtype, &made);
    if (!x) return ad_error(NULL);
    running r = {.places = (int64_t *)(void *)ad_out(c, 1)->data, .largest = n[1] != 0};
    run(&r, x, ad_out(c, 0), n[0]);
    ad_free(made);
    return AD_OK;
}

int ad_running_extremes(const ad_tensor *x, int dim, int largest, ad_tensor **out) {
    out[0] = out[1] = NULL;
    AD_ALL_IN_FLOAT32(x, 2, out, ad_running_extremes(in32[0], dim, largest, out), x)
    if (dim < 0 || dim >= (x->ndim ? x->ndim : 1)) return ad_fail(AD_BAD_DIM, dim, x->ndim, 0);
    ad_tensor *y = ad_make(x->dtype, x->ndim, x->shape);
    ad_tensor *places = y ? ad_make(AD_int64, x->ndim, x->shape) : NULL;
    const ad_tensor *const operands[] = {y, places, x};
    const int n[] = {dim, largest};
    const ad_call c = {run_extremes, "cummax", 2, 1, .x = operands, .numbers = n, .n_bytes = sizeof n};
    const int status = !places ? ad_error(NULL) : x->numel ? ad_do(&c) : AD_OK;
    if (!status) {
        out[0] = y, out[1] = places;
        return AD_OK;
    }
    ad_free(y);
    ad_free(places);
    return status;
}
