/* reduce.c: sums, products, extremes and truths over dimensions, folded in the order of fold.c. */
#include <math.h>
#include "reduction.h"
#include "tape.h"

static void divide(int type, void *x, int64_t n, int64_t count) {
    if (type == AD_f32)
        for (int64_t i = 0; i < n; i++) ((float *)x)[i] /= (float)count;
    else
        for (int64_t i = 0; i < n; i++) ((double *)x)[i] /= (double)count;
}

/* ---- entry points ---- */

#define AD_NO_IDENTITY NAN
#define AD_REDUCTION(name, identity) identity,
static const double identities[AD_N_REDUCTIONS] = {
#include "reductions.def"
};
#undef AD_REDUCTION

static uint32_t all_dims(const ad_tensor *x) { return (1u << x->ndim) - 1; }

static int check(int kind, const ad_tensor *x, uint32_t dims, int dtype) {
    if (kind < 0 || kind >= AD_N_REDUCTIONS) return ad_fail(AD_BAD_ARG, kind, 0, 0);
    if (dims & ~all_dims(x)) return ad_fail(AD_BAD_DIM, __builtin_ctz(dims & ~all_dims(x)), x->ndim, 0);
    bool fits = ad_valid_dtype(dtype);
    switch (kind) {
    case AD_RED_mean: fits = fits && ad_is_floating(dtype); break;
    case AD_RED_nansum:
    case AD_RED_sum_abs:
    case AD_RED_norm: fits = fits && ad_is_floating(dtype) && ad_is_floating(x->dtype); break;
    case AD_RED_max_abs:
    case AD_RED_min_abs: fits = dtype == x->dtype && ad_is_floating(dtype); break;
    case AD_RED_max:
    case AD_RED_min: fits = dtype == x->dtype; break;
    case AD_RED_any:
    case AD_RED_all: fits = dtype == AD_bool; break;
    case AD_RED_argmax:
    case AD_RED_argmin:
        fits = dtype == AD_int64;
        if (__builtin_popcount(dims) != 1 && dims != all_dims(x)) return ad_fail(AD_BAD_ARG, dims, 0, 0);
    }
    return fits ? AD_OK : ad_fail(AD_BAD_DTYPE, dtype, 0, 0);
}

static ad_tensor *make_result(const ad_tensor *x, uint32_t dims, bool keepdim, int dtype) {
    int64_t shape[AD_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < x->ndim; d++)
        if (!(dims >> d & 1) || keepdim) shape[ndim++] = dims >> d & 1 ? 1 : x->shape[d];
    return ad_make(dtype, ndim, shape);
}

/* Replaces the result of a reduction over no elements. */
static ad_tensor *reduce_nothing(int kind, ad_tensor *y) {
    double value = kind == AD_RED_mean ? NAN : identities[kind];
    bool defined = kind == AD_RED_mean || !isnan(value);
    ad_tensor *full = defined ? ad_full_f64(y->dtype, y->ndim, y->shape, value) : NULL;
    if (!defined) ad_fail(AD_EMPTY, 0, 0, 0);
    ad_free(y);
    return full;
}

static const uint8_t folds[AD_N_REDUCTIONS] = {
    [AD_RED_sum] = AD_FOLD_sum,     [AD_RED_mean] = AD_FOLD_sum,    [AD_RED_prod] = AD_FOLD_prod,
    [AD_RED_max] = AD_FOLD_max,     [AD_RED_min] = AD_FOLD_min,     [AD_RED_argmax] = AD_FOLD_max,
    [AD_RED_argmin] = AD_FOLD_min,  [AD_RED_any] = AD_FOLD_max,     [AD_RED_all] = AD_FOLD_min,
    [AD_RED_sum_abs] = AD_FOLD_sum, [AD_RED_max_abs] = AD_FOLD_max, [AD_RED_min_abs] = AD_FOLD_min,
    [AD_RED_norm] = AD_FOLD_sum,    [AD_RED_nansum] = AD_FOLD_sum,
};

/* What is made of each element first, or -1. */
static int step_of(int kind) {
    switch (kind) {
    case AD_RED_any:
    case AD_RED_all: return AD_OP_to_truth;
    case AD_RED_sum_abs:
    case AD_RED_max_abs:
    case AD_RED_min_abs: return AD_OP_abs;
    case AD_RED_norm: return AD_OP_mul;
    case AD_RED_nansum: return AD_OP_present;
    default: return -1;
    }
}

static bool is_truth(int kind) { return kind == AD_RED_any || kind == AD_RED_all; }

/* The type that elements are folded in. Extremes of narrow integers need no wider one, nor do truths of
 * bytes, of which the greatest or least tells. */
static int type_of(int kind, const ad_tensor *y, const ad_tensor *x) {
    static const uint8_t narrow[] = {AD_u8, AD_u8, AD_i8, AD_i16, AD_i32};
    if (is_truth(kind) && ad_itemsize[x->dtype] == 1) return AD_u8;
    if ((kind == AD_RED_max || kind == AD_RED_min) && x->dtype <= AD_int32) return narrow[x->dtype];
    return ad_dtype_type[is_truth(kind) ? x->dtype : y->dtype];
}

/* Whether the results can be folded in y itself: those of one block, of y's type. */
static bool plan_values(reduction *r, int kind, const ad_tensor *y, const ad_tensor *x, uint32_t dims) {
    const int step = step_of(kind), type = type_of(kind, y, x);
    const bool steps = step >= 0 && type < AD_N_TYPES;
    ad_plan_reduction(r, x, dims, folds[kind], type, steps ? ad_cpu->pw->instr[step][type] : NULL);
    if (type >= AD_i64) ad_fold_as_it_lies(r);
    ad_choose_blocks(r);
    r->results = y->data;
    return r->blocks == 1 && ad_itemsize[y->dtype] == r->size;
}

static void fold_values(reduction *r, int kind) {
    ad_fold(r);
    if (kind == AD_RED_mean) divide(r->type, r->results, r->outputs, r->length);
    if (kind == AD_RED_norm)
        ad_cpu->pw->instr[AD_OP_sqrt][r->type](r->outputs, r->results, r->results, NULL, NULL);
    if (is_truth(kind) && r->type == AD_u8)
        for (int64_t i = 0; i < r->outputs; i++) r->results[i] = r->results[i] != 0;
}

static int reduce_values(int kind, ad_tensor *y, const ad_tensor *x, uint32_t dims) {
    reduction r;
    int64_t nbytes;
    if (plan_values(&r, kind, y, x, dims)) {
        fold_values(&r, kind);
        return AD_OK;
    }
    if (__builtin_mul_overflow(r.blocks * r.size, r.outputs, &nbytes)) return ad_fail(AD_TOO_LARGE, 0, 0, 0);
    if (!(r.results = ad_alloc((size_t)nbytes))) return AD_NO_MEMORY;
    fold_values(&r, kind);
    if (r.type < AD_N_TYPES)
        ad_cpu->pw->store[r.type][y->dtype](r.outputs, y->data, 1, r.results);
    else
        memcpy(y->data, r.results, (size_t)(r.outputs * r.size));
    ad_dealloc(r.results);
    return AD_OK;
}

typedef struct {
    int kind;
    uint32_t dims;
} reduce_numbers;

static bool finds_places(int kind) { return kind == AD_RED_argmax || kind == AD_RED_argmin; }

static int run_reduce(const ad_call *c) {
    const reduce_numbers *n = c->numbers;
    const ad_tensor *x = ad_in(c, 0);
    if (!finds_places(n->kind)) return reduce_values(n->kind, ad_out(c, 0), x, n->dims);
    ad_find_extremes(x, n->dims, folds[n->kind], (int64_t *)ad_out(c, 0)->data, NULL);
    return AD_OK;
}

typedef struct {
    reduction r;
    int kind;
} laid;

static size_t laid_size(const ad_call *c) {
    (void)c;
    return sizeof(laid);
}

static bool lay(const ad_call *c, void *room) {
    const reduce_numbers *n = c->numbers;
    laid *l = room;
    l->kind = n->kind;
    return !finds_places(n->kind) && plan_values(&l->r, n->kind, ad_out(c, 0), ad_in(c, 0), n->dims);
}

static void pointers(const ad_call *c, void *room, ad_place_fn *place, void *context) {
    (void)c; /* the operand is found by r->x */
    place(context, 0, &((laid *)room)->r.results);
}

static int run_laid(const ad_call *c) {
    laid *l = (laid *)c->numbers;
    fold_values(&l->r, l->kind);
    return AD_OK;
}

static const ad_layout layout = {laid_size, lay, pointers, run_laid};

ad_tensor *ad_reduce(int kind, const ad_tensor *x, uint32_t dims, bool keepdim, int dtype) {
    if (check(kind, x, dims, dtype)) return NULL;
    ad_tensor *y = make_result(x, dims, keepdim, dtype);
    if (!y || y->numel == 0) return y;
    /* A sum or product of truth values is whether any or all of them hold. */
    if (dtype == AD_bool && kind == AD_RED_sum) kind = AD_RED_any;
    if (dtype == AD_bool && kind == AD_RED_prod) kind = AD_RED_all;
    if (x->numel == 0) return reduce_nothing(kind, y);
    const reduce_numbers n = {kind, dims};
    const ad_tensor *const operands[] = {y, x};
    return ad_done(&(ad_call){run_reduce, ad_reduction_name(kind), 1, 1, .x = operands, .numbers = &n,
                              .n_bytes = sizeof n, .layout = &layout},
                   y);
}

ad_tensor *ad_reduce_all(int kind, const ad_tensor *x) {
    const bool counts = kind == AD_RED_sum && !ad_is_floating(x->dtype);
    return ad_reduce(kind, x, all_dims(x), false, counts ? AD_int64 : x->dtype);
}

ad_tensor *ad_pw2_reduced(ad_op *op, const ad_tensor *x, const ad_tensor *y, int kind) {
    const bool alike = x->ndim == y->ndim && !memcmp(x->shape, y->shape, sizeof *x->shape * x->ndim);
    if (!alike || x->dtype != y->dtype || !ad_is_floating(x->dtype))
        return ad_fail_null(AD_BAD_SHAPE, x->numel, y->numel, 0);
    ad_tensor *each = ad_pw2(op, x, y);
    ad_tensor *all = each ? ad_reduce_all(kind, each) : NULL;
    ad_free(each);
    return all;
}

static int run_extremes(const ad_call *c) {
    const reduce_numbers *n = c->numbers;
    ad_find_extremes(ad_in(c, 0), n->dims, folds[n->kind], (int64_t *)ad_out(c, 1)->data, ad_out(c, 0)->data);
    return AD_OK;
}

int ad_extremes(int kind, const ad_tensor *x, uint32_t dims, bool keepdim, ad_tensor **out) {
    out[0] = out[1] = NULL;
    if (!finds_places(kind)) return ad_fail(AD_BAD_ARG, kind, 0, 0);
    if (check(kind, x, dims, AD_int64)) return ad_error(NULL);
    ad_tensor *values = make_result(x, dims, keepdim, x->dtype);
    ad_tensor *places = values ? make_result(x, dims, keepdim, AD_int64) : NULL;
    int status = places ? AD_OK : AD_NO_MEMORY;
    if (!status && values->numel) {
        const reduce_numbers n = {kind, dims};
        const ad_tensor *const operands[] = {values, places, x};
        const ad_call c = {run_extremes,  ad_reduction_name(kind), 2, 1, .x = operands,
                           .numbers = &n, .n_bytes = sizeof n};
        status = x->numel ? ad_do(&c) : ad_fail(AD_EMPTY, 0, 0, 0);
    }
    out[0] = values, out[1] = places;
    if (!status) return AD_OK;
    ad_free(values);
    ad_free(places);
    out[0] = out[1] = NULL;
    return status;
}

ad_tensor *ad_sum_to(const ad_tensor *x, int ndim, const int64_t *shape) {
    uint32_t dims = 0;
    bool sums = false;
    int lead = x->ndim - ndim;
    if (ndim < 0 || lead < 0) return ad_fail_null(AD_BAD_DIM, ndim, x->ndim, 0);
    for (int d = 0; d < x->ndim; d++) {
        int64_t size = d < lead ? 1 : shape[d - lead];
        if (size != 1 && size != x->shape[d]) return ad_fail_null(AD_BAD_SHAPE, size, x->shape[d], d);
        if (d < lead || size != x->shape[d]) dims |= 1u << d;
        sums = sums || size != x->shape[d];
    }
    if (!sums) return dims ? ad_squeeze(x, dims) : ad_alias(x);
    if (dims == (1u << lead) - 1) return ad_reduce(AD_RED_sum, x, dims, 0, x->dtype);
    ad_tensor *summed = ad_reduce(AD_RED_sum, x, dims, 1, x->dtype);
    if (!summed || !lead) return summed;
    ad_tensor *y = ad_squeeze(summed, (1u << lead) - 1);
    ad_free(summed);
    return y;
}
