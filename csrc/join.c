/* join.c: tensors joined along a dimension, or along a new one. */
#include "move.h"
#include "tape.h"

enum {
    FEW = 8,        /* tensors whose pointers need no memory, */
    TOGETHER = 16,  /* that rows are made of together, */
    ITEM = 1 << 17, /* bytes a thread takes at a time, */
    NEAR = 1 << 12  /* and that are written before the next rows are looked at */
};

/* A tensor of shape (0,) joins anything and adds nothing, as in PyTorch. */
static bool is_nothing(const ad_tensor *x) { return x->ndim == 1 && x->shape[0] == 0; }

/* Where it goes: along a dimension, which is new where they are stacked. */
typedef struct {
    int dim, stacked;
} joint;

/* ---- all contiguous and of one dtype: a row of the result is one of each ---- */

typedef struct {
    const ad_call *call;
    int64_t rows, row_bytes, per_item;
} row_join;

/* n rows of so many bytes, one after the other, to places `step` apart. */
static void move_rows(int64_t n, int64_t bytes, char *to, int64_t step, const char *from) {
    if (bytes == 4)
        for (int64_t row = 0; row < n; row++) memcpy(to + row * step, from + row * 4, 4);
    else if (bytes == 8)
        for (int64_t row = 0; row < n; row++) memcpy(to + row * step, from + row * 8, 8);
    else if (bytes == 12)
        for (int64_t row = 0; row < n; row++) memcpy(to + row * step, from + row * 12, 12);
    else
        ad_move_rows(n, bytes, to, step, from, bytes);
}

/* Rows of some of the tensors, a few at a time, so that the result is written nearly in the order of its
 * memory. Returns the bytes they are of one row. What is asked of tensors is asked before: between rows it
 * takes a tenth of the time. */
static int64_t join_some(const row_join *j, int64_t first, int64_t rows, int begin, char *to) {
    struct {
        const char *from;
        int64_t bytes;
    } parts[TOGETHER];
    const int64_t step = j->row_bytes, at_once = NEAR / step + 1;
    const int n = (int)ad_least(TOGETHER, j->call->n_in - begin);
    int64_t all = 0;
    for (int i = 0; i < n; all += parts[i++].bytes) {
        const ad_tensor *x = ad_in(j->call, begin + i);
        parts[i].bytes = x->numel / j->rows * ad_itemsize[x->dtype];
        parts[i].from = x->data + first * parts[i].bytes;
    }
    for (int64_t row = 0, some; row < rows; row += some) {
        some = ad_least(at_once, rows - row);
        char *at = to + row * step;
        for (int i = 0; i < n; at += parts[i++].bytes)
            move_rows(some, parts[i].bytes, at, step, parts[i].from + row * parts[i].bytes);
    }
    return all;
}

static void join_rows(void *context, int64_t item) {
    const row_join *j = context;
    const int64_t first = item * j->per_item, rows = ad_least(j->per_item, j->rows - first);
    char *to = ad_out(j->call, 0)->data + first * j->row_bytes;
    for (int i = 0; i < j->call->n_in; i += TOGETHER) to += join_some(j, first, rows, i, to);
}

static bool joins_rows(const ad_call *c, row_join *j) {
    const ad_tensor *y = ad_out(c, 0);
    const int dim = ((const joint *)c->numbers)->dim;
    *j = (row_join){.call = c, .rows = 1};
    for (int d = 0; d < dim; d++) j->rows *= y->shape[d];
    j->row_bytes = y->numel / j->rows * ad_itemsize[y->dtype];
    j->per_item = ITEM / j->row_bytes + 1;
    bool plain = j->rows > 1 || y->numel * ad_itemsize[y->dtype] <= ITEM;
    for (int i = 0; i < c->n_in && plain; i++)
        plain = ad_in(c, i)->contiguous && ad_in(c, i)->dtype == y->dtype;
    return plain;
}

/* ---- any ---- */

/* The part of y that x is, from `start` on. */
static ad_tensor part_of(const ad_tensor *y, const joint *at, int64_t start, const ad_tensor *x) {
    ad_tensor part = *y;
    part.data += start * y->strides[at->dim] * ad_itemsize[y->dtype];
    part.ndim = x->ndim;
    for (int d = 0; d < x->ndim; d++) {
        part.shape[d] = x->shape[d];
        part.strides[d] = y->strides[at->stacked && d >= at->dim ? d + 1 : d];
    }
    ad_refresh(&part);
    return part;
}

static int run_join(const ad_call *c) {
    const joint *at = c->numbers;
    row_join rows;
    if (joins_rows(c, &rows)) {
        ad_parallel_for((rows.rows + rows.per_item - 1) / rows.per_item, ad_out(c, 0)->numel / 4, join_rows,
                        &rows);
        return AD_OK;
    }
    int64_t start = 0;
    for (int i = 0; i < c->n_in; i++) {
        const ad_tensor *x = ad_in(c, i);
        if (x->numel == 0) continue;
        const ad_tensor part = part_of(ad_out(c, 0), at, start, x);
        ad_copy_into(&part, x);
        start += at->stacked ? 1 : x->shape[at->dim];
    }
    return AD_OK;
}

/* ---- entry points ---- */

/* The shape of the result; returns its number of dimensions, or -1 and the error. */
static int cat_shape(int n, ad_tensor *const *xs, int64_t dim, bool alike, int64_t *shape, int *found) {
    const ad_tensor *first = xs[0];
    for (int i = 0; i < n && !alike && is_nothing(first); i++) first = xs[i];
    const int64_t d0 = dim < 0 ? dim + first->ndim : dim;
    if (d0 < 0 || d0 >= first->ndim) return ad_fail(AD_BAD_DIM, dim, first->ndim, 0), -1;
    memcpy(shape, first->shape, sizeof first->shape);
    shape[d0] = 0;
    for (int i = 0; i < n; i++) {
        const ad_tensor *x = xs[i];
        if (!alike && is_nothing(x)) continue;
        if (x->ndim != first->ndim) return ad_fail(AD_BAD_SHAPE, x->ndim, first->ndim, 0), -1;
        for (int d = 0; d < x->ndim; d++)
            if (d != d0 && x->shape[d] != shape[d])
                return ad_fail(AD_BAD_SHAPE, x->shape[d], shape[d], d), -1;
        if (__builtin_add_overflow(shape[d0], x->shape[d0], &shape[d0]))
            return ad_fail(AD_TOO_LARGE, 0, 0, 0), -1;
    }
    *found = (int)d0;
    return first->ndim;
}

static int stack_shape(int n, ad_tensor *const *xs, int64_t dim, int64_t *shape, int *found) {
    const ad_tensor *first = xs[0];
    const int64_t d0 = dim < 0 ? dim + first->ndim + 1 : dim;
    if (d0 < 0 || d0 > first->ndim || first->ndim == AD_MAX_DIMS)
        return ad_fail(AD_BAD_DIM, dim, first->ndim, 0), -1;
    for (int i = 0; i < n; i++)
        if (!ad_same_shape(xs[i], first)) return ad_fail(AD_BAD_SHAPE, i, 0, 0), -1;
    for (int d = 0; d <= first->ndim; d++) shape[d] = d == d0 ? n : first->shape[d > d0 ? d - 1 : d];
    *found = (int)d0;
    return first->ndim + 1;
}

/* The same of either; `dtype` becomes that of the result. */
static int shape_of(int n, ad_tensor *const *xs, int64_t dim, int *dtype, int64_t *shape, joint *at) {
    if (n < 1) return ad_fail(AD_BAD_ARG, n, 0, 0), -1;
    const bool alike = *dtype == -1;
    if (alike) *dtype = xs[0]->dtype;
    if (!ad_valid_dtype(*dtype)) return ad_fail(AD_BAD_DTYPE, *dtype, 0, 0), -1;
    for (int i = 0; i < n; i++)
        if (alike && xs[i]->dtype != *dtype) return ad_fail(AD_BAD_DTYPE, xs[i]->dtype, 0, 0), -1;
    return at->stacked ? stack_shape(n, xs, dim, shape, &at->dim)
                       : cat_shape(n, xs, dim, alike, shape, &at->dim);
}

static int join(ad_tensor *y, int n, ad_tensor *const *xs, const joint *at, ad_run_fn *run) {
    const ad_tensor *few[FEW + 1], **x = n <= FEW ? few : ad_alloc(sizeof *x * ((size_t)n + 1));
    if (!x) return ad_error(NULL);
    x[0] = y;
    memcpy(x + 1, xs, sizeof *x * (size_t)n);
    const char *name = at->stacked ? "stack" : "cat";
    const int status = ad_do(&(ad_call){run, name, 1, n, .x = x, .numbers = at, .n_bytes = sizeof *at});
    if (x != few) ad_dealloc(x);
    return status;
}

static ad_tensor *joined(int n, ad_tensor *const *xs, int64_t dim, int dtype, bool stacked) {
    int64_t shape[AD_MAX_DIMS];
    joint at = {.stacked = stacked};
    const int ndim = shape_of(n, xs, dim, &dtype, shape, &at);
    ad_tensor *y = ndim < 0 ? NULL : ad_make(dtype, ndim, shape);
    if (!y || !y->numel) return y;
    if (join(y, n, xs, &at, run_join)) {
        ad_free(y);
        return NULL;
    }
    bool last = !stacked;
    for (int i = 0; i < n && last; i++) last = ad_is_channels_last(xs[i]);
    return ad_channels_last(y, last);
}

static int run_join_to(const ad_call *c) {
    const int status = run_join(c);
    if (!status) ad_wrote(ad_out(c, 0), AD_BY_COPY);
    return status;
}

int ad_join_to(ad_tensor *y, int n, ad_tensor *const *xs, int64_t dim, int stacked) {
    int64_t shape[AD_MAX_DIMS];
    joint at = {.stacked = stacked != 0};
    int dtype = -1;
    const int ndim = shape_of(n, xs, dim, &dtype, shape, &at);
    if (ndim < 0 || ad_check_writable(y)) return ad_error(NULL);
    if (dtype != y->dtype) return ad_fail(AD_BAD_DTYPE, y->dtype, 0, 0);
    if (!y->contiguous || ndim != y->ndim || memcmp(shape, y->shape, sizeof *shape * (size_t)ndim))
        return ad_fail(AD_BAD_SHAPE, y->ndim, ndim, 0);
    for (int i = 0; i < n; i++)
        if (ad_may_overlap(xs[i], y)) return ad_fail(AD_OVERLAP, 0, 0, 0);
    return y->numel ? join(y, n, xs, &at, run_join_to) : AD_OK;
}

ad_tensor *ad_cat(int n, ad_tensor *const *xs, int64_t dim, int dtype) {
    return joined(n, xs, dim, dtype, false);
}

ad_tensor *ad_stack(int n, ad_tensor *const *xs, int64_t dim, int dtype) {
    return joined(n, xs, dim, dtype, true);
}
