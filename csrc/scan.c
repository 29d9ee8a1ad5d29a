/* scan.c: running sums and products along a dimension.
 *
 * An element is the sum of those before it in its line, and of itself, added in order (from the end where
 * the sum is reversed): floats in double and rounded once each, so that a long line stays accurate. What a
 * line gives therefore depends on its own elements alone. Several lines are summed at a time, since one is
 * as slow as its chain of additions. Products are made alike. */
#include "tape.h"

enum {
    TOGETHER = 4,  /* lines that are rows, */
    PART = 32,     /* elements of a row that pass through the buffer */
    STRIP = 512,   /* and lines that are columns */
    ITEM = 1 << 14 /* elements a thread takes at a time */
};

typedef struct {
    const char *x;
    char *y;
    int type;
    int64_t size, length, inner;    /* of the dimensions after the summed one */
    int64_t parts, per_item, lines; /* parts: of rows of columns */
    bool reverse, product;
} scan;

/* y of `rows` rows of n elements goes on with `len` of them from `at` on, which x has `step` apart. */
#define STEPS(T, A, OP, x, step)                                                                             \
    for (int64_t i = 0; i < len; i++) {                                                                      \
        const int64_t k = reverse ? len - 1 - i : i;                                                         \
        AD_UNROLL for (int r = 0; r < rows; r++) y[r * n + at + k] =                                         \
            (T)(sum[r] = sum[r] OP(A)(x)[r * (step) + k]);                                                   \
    }

/* Long rows pass in parts through a buffer of the type they are summed in, where that is another: to convert
 * many at once takes less than one by one, while what follows is fetched. */
#define ROWS(fold, T, A, OP, NONE)                                                                           \
    static inline __attribute__((always_inline)) void fold##_rows_of_##T(const T *x, T *y, int64_t n,        \
                                                                         bool reverse, int rows) {           \
        A sum[TOGETHER], part[TOGETHER * PART];                                                              \
        int64_t at = 0, len = n;                                                                             \
        for (int r = 0; r < rows; r++) sum[r] = NONE;                                                        \
        if (n <= PART || rows == 1 || sizeof(A) == sizeof(T)) {                                              \
            STEPS(T, A, OP, x, n)                                                                            \
            return;                                                                                          \
        }                                                                                                    \
        for (int64_t done = 0; done < n; done += PART) {                                                     \
            len = ad_least(PART, n - done), at = reverse ? n - done - len : done;                            \
            const int64_t next = at + (reverse ? -PART : PART);                                              \
            for (int r = 0; r < rows; r++) {                                                                 \
                for (int64_t i = 0; i < len; i++) part[r * PART + i] = (A)x[r * n + at + i];                 \
                for (int64_t i = 0; i < PART; i += AD_LINE / sizeof(T)) {                                    \
                    __builtin_prefetch(x + r * n + next + i);                                                \
                    __builtin_prefetch(y + r * n + next + i, 1);                                             \
                }                                                                                            \
            }                                                                                                \
            STEPS(T, A, OP, part, PART)                                                                      \
        }                                                                                                    \
    }                                                                                                        \
    static void fold##_rows_##T(const void *x, void *y, int64_t rows, int64_t n, bool reverse) {             \
        const T *from = x;                                                                                   \
        T *to = y;                                                                                           \
        int64_t r = 0;                                                                                       \
        for (; rows - r >= TOGETHER; r += TOGETHER)                                                          \
            fold##_rows_of_##T(from + r * n, to + r * n, n, reverse, TOGETHER);                              \
        for (; r < rows; r++) fold##_rows_of_##T(from + r * n, to + r * n, n, reverse, 1);                   \
    }

/* n columns of rows that are `step` elements apart. */
#define COLUMNS(fold, T, A, OP, NONE)                                                                        \
    static void fold##_columns_##T(const void *x, void *y, int64_t rows, int64_t n, int64_t step) {          \
        A sums[STRIP];                                                                                       \
        for (int64_t c = 0; c < n; c++) sums[c] = NONE;                                                      \
        for (int64_t r = 0; r < rows; r++) {                                                                 \
            const T *from = (const T *)x + r * step;                                                         \
            T *to = (T *)y + r * step;                                                                       \
            for (int64_t c = 0; c < n; c++) to[c] = (T)(sums[c] = sums[c] OP(A) from[c]);                    \
        }                                                                                                    \
    }

/* gcc's -O2 leaves loops as they are whose counts it cannot know to be multiples of a vector's. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("vect-cost-model=dynamic")
#endif
#define FOLD(fold, OP, NONE)                                                                                 \
    ROWS(fold, float, double, OP, NONE)                                                                      \
    ROWS(fold, double, double, OP, NONE)                                                                     \
    ROWS(fold, int64_t, int64_t, OP, NONE)                                                                   \
    COLUMNS(fold, float, double, OP, NONE)                                                                   \
    COLUMNS(fold, double, double, OP, NONE)                                                                  \
    COLUMNS(fold, int64_t, int64_t, OP, NONE)
FOLD(sum, +, 0)
FOLD(product, *, 1)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
#define TABLE(fold, way)                                                                                     \
    {[AD_f32] = fold##_##way##_float, [AD_f64] = fold##_##way##_double, [AD_i64] = fold##_##way##_int64_t}

static void scan_rows(void *context, int64_t item) {
    static void (*const rows[2][AD_N_TYPES])(const void *, void *, int64_t, int64_t,
                                             bool) = {TABLE(sum, rows), TABLE(product, rows)};
    const scan *s = context;
    const int64_t begin = item * s->per_item, n = ad_least(s->per_item, s->lines - begin);
    const int64_t offset = begin * s->length * s->size;
    rows[s->product][s->type](s->x + offset, s->y + offset, n, s->length, s->reverse);
}

static void scan_columns(void *context, int64_t item) {
    static void (*const columns[2][AD_N_TYPES])(const void *, void *, int64_t, int64_t,
                                                int64_t) = {TABLE(sum, columns), TABLE(product, columns)};
    const scan *s = context;
    const int64_t last = s->reverse ? s->length - 1 : 0,
                  row = (item / s->parts * s->length + last) * s->inner;
    const int64_t begin = item % s->parts * STRIP,
                  end = s->parts > 1 ? ad_least(begin + STRIP, s->inner) : s->inner;
    for (int64_t i = begin; i < end; i += STRIP) {
        const int64_t offset = (row + i) * s->size;
        columns[s->product][s->type](s->x + offset, s->y + offset, s->length, ad_least(STRIP, end - i),
                                     s->reverse ? -s->inner : s->inner);
    }
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
    s->parts = ad_shared_strips((s->inner + STRIP - 1) / STRIP, s->inner * s->size);
    ad_parallel_for(s->lines / s->inner * s->parts, x->numel, scan_columns, s);
}

typedef struct {
    int dim;
    bool reverse, product;
} scan_numbers;

static int run_scan(const ad_call *c) {
    const scan_numbers *n = c->numbers;
    const ad_tensor *x = ad_in(c, 0);
    ad_tensor *made = x->contiguous ? NULL : ad_contiguous(x, x->dtype);
    if (!made && !x->contiguous) return AD_NO_MEMORY;
    scan s = {.reverse = n->reverse, .product = n->product};
    run(&s, made ? made : x, ad_out(c, 0), n->dim);
    ad_free(made);
    return AD_OK;
}

static ad_tensor *scanned(const char *name, const ad_tensor *x, int dim, bool reverse, bool product) {
    const bool number = x->ndim == 0 && dim == 0;
    AD_IN_FLOAT32(x, NULL, scanned(name, in32[0], dim, reverse, product), x)
    if (!number && (dim < 0 || dim >= x->ndim)) return ad_fail_null(AD_BAD_DIM, dim, x->ndim, 0);
    if (ad_itemsize[x->dtype] != ad_type_size[ad_dtype_type[x->dtype]])
        return ad_fail_null(AD_BAD_DTYPE, x->dtype, 0, 0);
    ad_tensor *y = ad_make(x->dtype, x->ndim, x->shape);
    if (!y || y->numel == 0) return y;
    const scan_numbers n = {dim, reverse, product};
    const ad_tensor *const operands[] = {y, x};
    return ad_done(&(ad_call){run_scan, name, 1, 1, .x = operands, .numbers = &n, .n_bytes = sizeof n}, y);
}

ad_tensor *ad_cumsum(const ad_tensor *x, int dim, int reverse) {
    return scanned("cumsum", x, dim, reverse != 0, false);
}
ad_tensor *ad_cumprod(const ad_tensor *x, int dim) { return scanned("cumprod", x, dim, false, true); }

/* ---- logarithms of running sums of exponentials ---- */

typedef struct {
    const char *x;
    char *y;
    int type;
    int64_t n, per_item, lines;
} exponentials;

/* Exponentials are those of differences to the largest element so far, so none overflows, and are added in
 * double: where there is a new largest element, the sum becomes one of differences to that. */
#define LINE(T)                                                                                              \
    static void exponentials_##T(int type, const T *x, T *y, int64_t n) {                                    \
        _Alignas(64) T apart[AD_BLOCK], top[AD_BLOCK];                                                       \
        bool less[AD_BLOCK];                                                                                 \
        T most = x[0];                                                                                       \
        double sum = 0;                                                                                      \
        for (int64_t i = 0; i < n; i += AD_BLOCK) {                                                          \
            const int64_t len = ad_least(AD_BLOCK, n - i);                                                   \
            for (int64_t k = 0; k < len; k++) {                                                              \
                const T v = x[i + k];                                                                        \
                less[k] = v <= most;                                                                         \
                apart[k] = v == most ? 0 : less[k] ? v - most : most - v;                                    \
                top[k] = most = less[k] ? most : v;                                                          \
            }                                                                                                \
            ad_cpu->pw->instr[AD_OP_exp][type](len, apart, apart, NULL, NULL);                               \
            for (int64_t k = 0; k < len; k++)                                                                \
                apart[k] = (T)(sum = less[k] ? sum + (double)apart[k] : sum * (double)apart[k] + 1);         \
            ad_cpu->pw->instr[AD_OP_log][type](len, apart, apart, NULL, NULL);                               \
            ad_cpu->pw->instr[AD_OP_add][type](len, y + i, top, apart, NULL);                                \
        }                                                                                                    \
    }
LINE(float)
LINE(double)

static void exponentials_item(void *context, int64_t item) {
    const exponentials *s = context;
    const int64_t end = ad_least((item + 1) * s->per_item, s->lines);
    for (int64_t i = item * s->per_item; i < end; i++) {
        const int64_t at = i * s->n * ad_type_size[s->type];
        if (s->type == AD_f32)
            exponentials_float(s->type, (const void *)(s->x + at), (void *)(s->y + at), s->n);
        else
            exponentials_double(s->type, (const void *)(s->x + at), (void *)(s->y + at), s->n);
    }
}

/* Lines are brought to be rows. */
static int run_exponentials(const ad_call *c) {
    const int dim = *(const int *)c->numbers, last = ad_in(c, 0)->ndim - 1;
    ad_tensor x = *ad_in(c, 0), y = *ad_out(c, 0);
    ad_swap_dims(&x, dim, last);
    ad_swap_dims(&y, dim, last);
    int status = ad_refresh(&x) || ad_refresh(&y);
    ad_tensor *from = x.contiguous ? NULL : ad_contiguous(&x, x.dtype);
    ad_tensor *to = y.contiguous ? NULL : ad_make(y.dtype, y.ndim, y.shape);
    if (status || (!from && !x.contiguous) || (!to && !y.contiguous)) status = AD_NO_MEMORY;
    if (!status) {
        exponentials s = {
            (from ? from : &x)->data, (to ? to : &y)->data, ad_dtype_type[x.dtype], x.shape[last], 0, 0};
        s.lines = x.numel / s.n;
        s.per_item = ITEM / s.n + 1;
        ad_parallel_for((s.lines + s.per_item - 1) / s.per_item, x.numel * 4, exponentials_item, &s);
        if (to) ad_copy_into(&y, to);
    }
    ad_free(from);
    ad_free(to);
    return status;
}

ad_tensor *ad_logcumsumexp(const ad_tensor *x, int dim) {
    if (dim < 0 || dim >= x->ndim) return ad_fail_null(AD_BAD_DIM, dim, x->ndim, 0);
    if (!ad_is_float(x->dtype)) return ad_fail_null(AD_BAD_DTYPE, x->dtype, 0, 0);
    ad_tensor *y = ad_make(x->dtype, x->ndim, x->shape);
    if (!y || y->numel == 0) return y;
    const ad_tensor *const operands[] = {y, x};
    return ad_done(&(ad_call){run_exponentials, "logcumsumexp", 1, 1, .x = operands, .numbers = &dim,
                              .n_bytes = sizeof dim},
                   y);
}
