/* gather.c: elements along one dimension, taken at places an index of as many dimensions names, and its
 * adjoint, which adds them there, to what the caller gives up if an index turns out to be wrong: each is
 * checked where it is read.
 *
 * The innermost loop runs along the last dimension, or, where one element is taken of each line, across the
 * lines; where that is not the indexed one, the indexed one is the loop around it, so that what is added to
 * one element is added in order, by one thread. */
#include <stdatomic.h>
#include "tape.h"
#include "walk.h"

enum { STRIP = 1024, ITEM = 1 << 14 };

/* n elements along a line of x, and as many values: of element i, at index[i] along the indexed dimension.
 * Returns how many come before the first index that is out of range. */
typedef int64_t run_fn(char *x, int64_t along, char *values, const int64_t *index, int64_t step, int64_t n,
                       int64_t size);

typedef struct {
    const ad_tensor *index;
    char *x, *values; /* values: packed, of the index's shape */
    const int64_t *strides;
    int dtype, dim, outer;    /* dimensions before `outer` are none of the two loops, but the indexed one */
    int64_t size, step;       /* of the indexed dimension of x: its size, its stride */
    int64_t cols, along;      /* elements of the innermost loop, and what x steps along them */
    int64_t rows, row_step;   /* of the loop around it, and what the index steps along it */
    int64_t count;            /* of pairs of loops: what the other dimensions come to */
    int64_t strips, per_item; /* an item: a strip of columns of so many of them */
    run_fn *run;
    atomic_bool failed;
    atomic_llong bad; /* an index that is out of range */
} lines;

/* ---- runs ---- */

#define TAKE(T)                                                                                              \
    static inline __attribute__((always_inline)) int64_t take_each_##T(                                      \
        const T *from, int64_t along, T *to, const int64_t *index, int64_t step, int64_t n, int64_t size) {  \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            const int64_t at = ad_once(&index[i]);                                                           \
            if ((uint64_t)at >= (uint64_t)size) return i;                                                    \
            to[i] = from[i * along + at * step];                                                             \
        }                                                                                                    \
        return n;                                                                                            \
    }                                                                                                        \
    static int64_t take_##T(char *x, int64_t along, char *values, const int64_t *index, int64_t step,        \
                            int64_t n, int64_t size) {                                                       \
        const T *from = (const T *)x;                                                                        \
        T *to = (T *)values;                                                                                 \
        if (along == 0 && step == 1) return take_each_##T(from, 0, to, index, 1, n, size);                   \
        return take_each_##T(from, along, to, index, step, n, size);                                         \
    }
/* Each value v joins the element t it goes to, by an expression of the two. */
#define SCATTER(name, T, joined)                                                                             \
    static inline T join_##name(T t, T v) {                                                                  \
        (void)t;                                                                                             \
        return (T)(joined);                                                                                  \
    }                                                                                                        \
    static inline __attribute__((always_inline)) int64_t name##_each(                                        \
        T *to, int64_t along, const T *from, const int64_t *index, int64_t step, int64_t n, int64_t size) {  \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            const int64_t place = ad_once(&index[i]);                                                        \
            if ((uint64_t)place >= (uint64_t)size) return i;                                                 \
            T *at = &to[i * along + place * step];                                                           \
            *at = join_##name(*at, from[i]);                                                                 \
        }                                                                                                    \
        return n;                                                                                            \
    }                                                                                                        \
    static int64_t name(char *x, int64_t along, char *values, const int64_t *index, int64_t step, int64_t n, \
                        int64_t size) {                                                                      \
        T *to = (T *)x;                                                                                      \
        const T *from = (const T *)values;                                                                   \
        if (along == 0 && step == 1) return name##_each(to, 0, from, index, 1, n, size);                     \
        return name##_each(to, along, from, index, step, n, size);                                           \
    }
#define SCATTERS(name, T)                                                                                    \
    SCATTER(set_##name, T, v)                                                                                \
    SCATTER(add_##name, T, t + v)                                                                            \
    SCATTER(mul_##name, T, t *v)                                                                             \
    SCATTER(max_##name, T, v != v || v > t ? v : t)                                                          \
    SCATTER(min_##name, T, v != v || v < t ? v : t)
TAKE(uint8_t)
TAKE(int16_t)
TAKE(int32_t)
TAKE(int64_t)
SCATTER(set_bool, uint8_t, v)
SCATTER(max_bool, uint8_t, t | v)
SCATTER(min_bool, uint8_t, t &v)
SCATTERS(uint8, uint8_t)
SCATTER(max_int8, int8_t, v > t ? v : t)
SCATTER(min_int8, int8_t, v < t ? v : t)
SCATTERS(int16, int16_t)
SCATTERS(int32, int32_t)
SCATTERS(int64, int64_t)
SCATTERS(float32, float)
SCATTERS(float64, double)

/* ---- items ---- */

/* Where a line begins, in elements: in x, and in the index and the values. */
static void line_start(const lines *l, int64_t line, int64_t *in_x, int64_t *in_index) {
    *in_x = *in_index = 0;
    for (int d = l->outer - 1; line; d--) {
        if (d == l->dim) continue;
        const int64_t size = l->index->shape[d], i = line < size ? line : line % size;
        line = line < size ? 0 : line / size;
        *in_x += i * l->strides[d];
        *in_index += i * l->index->strides[d];
    }
}

static void line_item(void *context, int64_t item) {
    lines *l = context;
    const int64_t bytes = ad_itemsize[l->dtype], first = item % l->strips * STRIP;
    const int64_t n = l->strips == 1 ? l->cols : ad_least(STRIP, l->cols - first);
    const int64_t begin = item / l->strips * l->per_item, end = ad_least(begin + l->per_item, l->count);
    int64_t in_x, at;
    for (int64_t line = begin; line < end; line++) {
        line_start(l, line, &in_x, &at);
        at += first;
        for (int64_t r = 0; r < l->rows; r++, at += l->row_step) {
            const int64_t *index = (const int64_t *)(const void *)l->index->data + at;
            const int64_t done = l->run(l->x + (in_x + first * l->along) * bytes, l->along,
                                        l->values + at * bytes, index, l->step, n, l->size);
            if (done == n) continue;
            if (!atomic_exchange(&l->failed, true)) atomic_store(&l->bad, index[done]);
            return;
        }
    }
}

/* x and the index have the same dimensions, at least one, and the index is contiguous and not empty. */
static void plan(lines *l, const ad_tensor *x, int dim, const ad_tensor *index, char *values) {
    const bool across = dim > 0 && dim == index->ndim - 1 && index->shape[dim] == 1;
    const int last = index->ndim - 1 - across;
    l->index = index;
    l->outer = last;
    l->x = x->data;
    l->strides = x->strides;
    l->values = values;
    l->dtype = x->dtype;
    l->dim = dim;
    l->size = x->shape[dim];
    l->step = x->strides[dim];
    l->cols = index->shape[last];
    l->along = dim == last ? 0 : x->strides[last];
    l->rows = dim >= last ? 1 : index->shape[dim];
    l->row_step = dim >= last ? 0 : index->strides[dim];
    l->count = index->numel / (l->cols * l->rows);
    l->strips = dim == last ? 1 : (l->cols + STRIP - 1) / STRIP;
    l->per_item = ITEM / (l->rows * ad_least(l->cols, STRIP)) + 1;
}

static int each_line(lines *l, run_fn *run) {
    l->run = run;
    atomic_init(&l->failed, false);
    atomic_init(&l->bad, 0);
    int64_t items = (l->count + l->per_item - 1) / l->per_item * l->strips;
    ad_parallel_for(items, l->index->numel, line_item, l);
    return atomic_load(&l->failed) ? ad_fail(AD_BAD_INDEX, atomic_load(&l->bad), l->dim, l->size) : AD_OK;
}

static int check(const ad_tensor *x, int dim, const ad_tensor *index) {
    if (index->dtype != AD_int64) return ad_fail(AD_BAD_DTYPE, index->dtype, 0, 0);
    if (dim < 0 || dim >= x->ndim || x->ndim != index->ndim) return ad_fail(AD_BAD_DIM, dim, x->ndim, 0);
    for (int d = 0; d < x->ndim; d++)
        if (d != dim && index->shape[d] > x->shape[d])
            return ad_fail(AD_BAD_SHAPE, index->shape[d], x->shape[d], d);
    return AD_OK;
}

int ad_take_along(const ad_tensor *x, int dim, const ad_tensor *index, char *values) {
    static run_fn *const take[] = {
        [1] = take_uint8_t, [2] = take_int16_t, [4] = take_int32_t, [8] = take_int64_t};
    lines l;
    plan(&l, x, dim, index, values);
    l.strips = (l.cols + STRIP - 1) / STRIP; /* also along the dimension: nothing is added */
    return each_line(&l, take[ad_itemsize[x->dtype]]);
}

static int run_gather(const ad_call *c) {
    ad_tensor *made;
    const ad_tensor *in_order = ad_packed(ad_in(c, 1), AD_int64, &made);
    if (!in_order) return AD_NO_MEMORY;
    const int status = ad_take_along(ad_in(c, 0), *(const int *)c->numbers, in_order, ad_out(c, 0)->data);
    ad_free(made);
    return status;
}

ad_tensor *ad_gather(const ad_tensor *x, int dim, const ad_tensor *index) {
    if (check(x, dim, index)) return NULL;
    ad_tensor *y = ad_make(x->dtype, index->ndim, index->shape);
    if (!y || y->numel == 0) return y;
    const ad_tensor *const operands[] = {y, x, index};
    return ad_done(&(ad_call){run_gather, "gather", 1, 2, .x = operands, .numbers = &dim,
                              .n_bytes = sizeof dim, .picks = true},
                   y);
}

typedef struct {
    int dim, how;
} scatter_numbers;

#define RUNS(name) {set_##name, add_##name, mul_##name, max_##name, min_##name}
static int run_scatter(const ad_call *c) {
    static run_fn *const runs[AD_N_DTYPES][AD_N_SCATTERS] = {
        [AD_bool] = {set_bool, max_bool, min_bool, max_bool, min_bool},
        [AD_uint8] = RUNS(uint8),
        [AD_int8] = {set_uint8, add_uint8, mul_uint8, max_int8, min_int8},
        [AD_int16] = RUNS(int16),
        [AD_int32] = RUNS(int32),
        [AD_int64] = RUNS(int64),
        [AD_float16] = {set_int16},
        [AD_bfloat16] = {set_int16},
        [AD_float32] = RUNS(float32),
        [AD_float64] = RUNS(float64),
    };
    const scatter_numbers *s = c->numbers;
    lines l;
    ad_tensor *made, *copy = NULL, *x = ad_out(c, 0);
    const ad_tensor *in_order = ad_packed(ad_in(c, 0), AD_int64, &made);
    const ad_tensor *from = in_order ? ad_packed(ad_in(c, 1), x->dtype, &copy) : NULL;
    int status = from ? AD_OK : ad_error(NULL);
    if (!status) {
        plan(&l, x, s->dim, in_order, from->data);
        status = each_line(&l, runs[x->dtype][s->how]);
    }
    if (!status) ad_wrote(x, AD_BY_INDEX_PUT);
    ad_free(copy);
    ad_free(made);
    return status;
}

int ad_scatter(ad_tensor *x, int dim, const ad_tensor *index, const ad_tensor *values, int how) {
    if (how < 0 || how >= AD_N_SCATTERS) return ad_fail(AD_BAD_ARG, how, AD_N_SCATTERS, 0);
    if (how != AD_SCATTER_SET) AD_ADD_IN_FLOAT32(x, ad_scatter(wide, dim, index, values, how))
    if (ad_check_writable(x) || check(x, dim, index)) return ad_error(NULL);
    if (!values->ndim) {
        ad_tensor *wide = ad_widened(values, index->ndim, index->shape);
        const int status = wide ? ad_scatter(x, dim, index, wide, how) : ad_error(NULL);
        ad_free(wide);
        return status;
    }
    if (!ad_same_shape(index, values)) return ad_fail(AD_BAD_SHAPE, index->numel, values->numel, 0);
    if (ad_may_overlap(x, index) || ad_may_overlap(x, values)) return ad_fail(AD_OVERLAP, 0, 0, 0);
    if (index->numel == 0) return AD_OK;
    const ad_tensor *const operands[] = {x, index, values};
    const scatter_numbers numbers = {dim, how};
    return ad_do(&(ad_call){run_scatter, "scatter_", 1, 2, .x = operands, .numbers = &numbers,
                            .n_bytes = sizeof numbers, .picks = true});
}

int ad_scatter_add(ad_tensor *x, int dim, const ad_tensor *index, const ad_tensor *values) {
    return ad_scatter(x, dim, index, values, AD_SCATTER_ADD);
}

ad_tensor *ad_one_hot(const ad_tensor *index, int64_t count) {
    int64_t shape[AD_MAX_DIMS];
    if (index->ndim == AD_MAX_DIMS) return ad_fail_null(AD_BAD_DIM, index->ndim + 1, AD_MAX_DIMS, 0);
    memcpy(shape, index->shape, sizeof shape);
    shape[index->ndim] = count;
    ad_tensor *y = ad_full_f64(AD_int64, index->ndim + 1, shape, 0);
    ad_tensor *one = y ? ad_full_f64(AD_int64, 0, NULL, 1) : NULL;
    ad_tensor *places = one ? ad_unsqueeze(index, index->ndim) : NULL;
    const bool done = places && (!index->numel || !ad_scatter(y, index->ndim, places, one, AD_SCATTER_SET));
    ad_free(places), ad_free(one);
    if (done) return y;
    ad_free(y);
    return NULL;
}

/* x with the dimensions from `first` on as one. */
static ad_tensor *flat_from(const ad_tensor *x, int first) {
    int64_t shape[AD_MAX_DIMS];
    memcpy(shape, x->shape, sizeof shape);
    for (int d = first + 1; d < x->ndim; d++) /* may be more than there are elements, of none */
        if (__builtin_mul_overflow(shape[first], x->shape[d], &shape[first]))
            return ad_fail_null(AD_TOO_LARGE, 0, 0, 0);
    ad_tensor *made;
    const ad_tensor *whole = ad_packed(x, x->dtype, &made);
    ad_tensor *y = whole ? ad_view(whole, first + 1, shape) : NULL;
    ad_free(made);
    return y;
}

ad_tensor *ad_add_at(const ad_tensor *values, const ad_tensor *places, int first, int n,
                     const int64_t *sizes) {
    if (first < 0 || values->ndim <= first || places->ndim <= first || n < 1 || n > AD_MAX_DIMS - first)
        return ad_fail_null(AD_BAD_DIM, first, values->ndim, 0);
    int64_t shape[AD_MAX_DIMS];
    memcpy(shape, values->shape, sizeof(int64_t) * (size_t)first);
    memcpy(shape + first, sizes, sizeof(int64_t) * (size_t)n);
    ad_tensor *y = ad_full_f64(values->dtype, first + n, shape, 0), *to = y ? flat_from(y, first) : NULL;
    ad_tensor *from = to ? flat_from(values, first) : NULL, *at = from ? flat_from(places, first) : NULL;
    const bool done = at && !ad_scatter_add(to, first, at, from);
    ad_free(to), ad_free(from), ad_free(at);
    if (done) return y;
    ad_free(y);
    return NULL;
}
