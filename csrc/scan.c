/* scan.c: running sums along a dimension.
 *
 * An element is the sum of those before it in its line, and of itself, added in order (from the end where
 * the sum is reversed): floats in double and rounded once each, so that a long line stays accurate. What a
 * line gives therefore depends on its own elements alone. Several lines are summed at a time, since one is
 * as slow as its chain of additions. */
#include "tape.h"

enum {
    TOGETHER = 8,  /* lines that are rows, */
    PART = 80,     /* elements of a row that pass through the buffer */
    STRIP = 512,   /* and lines that are columns */
    ITEM = 1 << 14 /* elements a thread takes at a time */
};

typedef struct {
    const char *x;
    char *y;
    int type;
    int64_t size, length, inner; /* of the dimensions after the summed one */
    int64_t strips, per_item, lines;
    bool reverse;
} scan;

/* Rows of n elements that are xs and ys apart; goes on from `sum`. Long rows pass through a buffer, as lines
 * of memory that are a power of two apart would push each other out of the cache. */
#define ROWS(T, A)                                                                                           \
    static inline __attribute__((always_inline)) void run_##T(const T *x, int64_t xs, T *y, int64_t ys,      \
                                                              int64_t n, bool reverse, int rows, A *sum) {   \
        const int64_t first = reverse ? n - 1 : 0, step = reverse ? -1 : 1;                                  \
        for (int64_t i = 0, at = first; i < n; i++, at += step)                                              \
            AD_UNROLL for (int r = 0; r < rows; r++) y[r * ys + at] = (T)(sum[r] += (A)x[r * xs + at]);      \
    }                                                                                                        \
    static inline __attribute__((always_inline)) void rows_of_##T(const T *x, T *y, int64_t n, bool reverse, \
                                                                  int rows) {                                \
        A sum[TOGETHER] = {0};                                                                               \
        T part[TOGETHER * PART];                                                                             \
        if (n <= PART || rows == 1) {                                                                        \
            run_##T(x, n, y, n, n, reverse, rows, sum);                                                      \
            return;                                                                                          \
        }                                                                                                    \
        for (int64_t done = 0; done < n; done += PART) {                                                     \
            const int64_t len = ad_least(PART, n - done), at = reverse ? n - done - len : done;              \
            for (int r = 0; r < rows; r++) memcpy(part + r * PART, x + r * n + at, (size_t)len * sizeof(T)); \
            run_##T(part, PART, part, PART, len, reverse, rows, sum);                                        \
            for (int r = 0; r < rows; r++) memcpy(y + r * n + at, part + r * PART, (size_t)len * sizeof(T)); \
        }                                                                                                    \
    }                                                                                                        \
    static void rows_##T(const void *x, void *y, int64_t rows, int64_t n, bool reverse) {                    \
        const T *from = x;                                                                                   \
        T *to = y;                                                                                           \
        int64_t r = 0;                                                                                       \
        for (; rows - r >= TOGETHER; r += TOGETHER)                                                          \
            if (reverse)                                                                                     \
                rows_of_##T(from + r * n, to + r * n, n, true, TOGETHER);                                    \
            else                                                                                             \
                rows_of_##T(from + r * n, to + r * n, n, false, TOGETHER);                                   \
        for (; r < rows; r++) rows_of_##T(from + r * n, to + r * n, n, reverse, 1);                          \
    }
ROWS(float, double)
ROWS(double, double)
ROWS(int64_t, int64_t)

/* n columns of rows that are `step` elements apart. */
#define COLUMNS(T, A)                                                                                        \
    static void columns_##T(const void *x, void *y, int64_t rows, int64_t n, int64_t step) {                 \
        A sums[STRIP] = {0};                                                                                 \
        for (int64_t r = 0; r < rows; r++) {                                                                 \
            const T *from = (const T *)x + r * step;                                                         \
            T *to = (T *)y + r * step;                                                                       \
            for (int64_t c = 0; c < n; c++) to[c] = (T)(sums[c] += (A)from[c]);                              \
        }                                                                                                    \
    }
COLUMNS(float, double)
COLUMNS(double, double)
COLUMNS(int64_t, int64_t)

static void scan_rows(void *context, int64_t item) {
    static void (*const rows[])(const void *, void *, int64_t, int64_t, bool) = {
        [AD_f32] = rows_float, [AD_f64] = rows_double, [AD_i64] = rows_int64_t};
    const scan *s = context;
    const int64_t begin = item * s->per_item, n = ad_least(s->per_item, s->lines - begin);
    const int64_t offset = begin * s->length * s->size;
    rows[s->type](s->x + offset, s->y + offset, n, s->length, s->reverse);
}

static void scan_columns(void *context, int64_t item) {
    static void (*const columns[])(const void *, void *, int64_t, int64_t, int64_t) = {
        [AD_f32] = columns_float, [AD_f64] = columns_double, [AD_i64] = columns_int64_t};
    const scan *s = context;
    const int64_t strip = item % s->strips * STRIP, last = s->reverse ? s->length - 1 : 0;
    const int64_t offset = ((item / s->strips * s->length + last) * s->inner + strip) * s->size;
    columns[s->type](s->x + offset, s->y + offset, s->length, ad_least(STRIP, s->inner - strip),
                     s->reverse ? -s->inner : s->inner);
}

static void run(scan *s, const ad_tensor *x, ad_tensor *y, int dim) {
    s->x = x->data;
    s->y = y->data;
    s->type = ad_dtype_type[x->dtype];
    s->size = ad_type_size[s->type];
    s->length = x->ndim ? x->shape[dim] : 1;
    s->inner = 1;
    for (int d = dim + 1; d < x->ndim; d++) s->inner *= x->shape[d];
    s->lines = x->numel / s->length;
    if (s->inner == 1) {
        s->per_item = (ITEM / s->length / TOGETHER + 1) * TOGETHER;
        ad_parallel_for((s->lines + s->per_item - 1) / s->per_item, x->numel, scan_rows, s);
        return;
    }
    s->strips = (s->inner + STRIP - 1) / STRIP;
    ad_parallel_for(s->lines / s->inner * s->strips, x->numel, scan_columns, s);
}

typedef struct {
    int dim;
    bool reverse;
} scan_numbers;

static int run_cumsum(const ad_call *c) {
    const scan_numbers *n = c->numbers;
    const ad_tensor *x = ad_in(c, 0);
    ad_tensor *made = x->contiguous ? NULL : ad_contiguous(x, x->dtype);
    if (!made && !x->contiguous) return AD_NO_MEMORY;
    scan s = {.reverse = n->reverse};
    run(&s, made ? made : x, ad_out(c, 0), n->dim);
    ad_free(made);
    return AD_OK;
}

ad_tensor *ad_cumsum(const ad_tensor *x, int dim, int reverse) {
    const bool number = x->ndim == 0 && dim == 0;
    AD_IN_FLOAT32(x, NULL, ad_cumsum(in32[0], dim, reverse), x)
    if (!number && (dim < 0 || dim >= x->ndim)) return ad_fail_null(AD_BAD_DIM, dim, x->ndim, 0);
    if (ad_itemsize[x->dtype] != ad_type_size[ad_dtype_type[x->dtype]])
        return ad_fail_null(AD_BAD_DTYPE, x->dtype, 0, 0);
    ad_tensor *y = ad_make(x->dtype, x->ndim, x->shape);
    if (!y || y->numel == 0) return y;
    const scan_numbers n = {dim, reverse != 0};
    const ad_tensor *const operands[] = {y, x};
    return ad_done(&(ad_call){run_cumsum, "cumsum", 1, 1, .x = operands, .numbers = &n, .n_bytes = sizeof n},
                   y);
}
