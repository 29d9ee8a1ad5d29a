/* norm.c: what clipping gradients takes: the norm of many tensors as one vector, and changing all of them.
 *
 * For a norm, a tensor is folded in blocks of AD_BLOCK elements, in row-major order; blocks are joined in
 * double, in order, so bits depend on neither threads nor layout. A block whose squares overflow or vanish in
 * float is folded again in double. */
#include <math.h>
#include "tape.h"

enum { ITEM = 16 * AD_BLOCK }; /* elements of a task */

typedef struct {
    const char *data;
    int64_t numel, size;
    int type; /* AD_f32 or AD_f64 */
    double order;
    double *parts; /* one for each task */
} norm_task;

/* ---- one block: the sum of |x|^order, or the extreme of |x| ---- */

static double join(double order, double a, double b) {
    if (isnan(a) || isnan(b)) return a + b;
    if (isinf(order)) return order > 0 ? fmax(a, b) : fmin(a, b);
    return a + b;
}
static double identity(double order) { return isinf(order) && order < 0 ? INFINITY : 0; }

static double term(double order, double x) {
    x = fabs(x);
    if (isinf(order) || order == 1) return x;
    if (order == 2) return x * x;
    return order == 0 ? (isnan(x) || x != 0) : pow(x, order);
}

static double fold_in_double(const norm_task *t, const void *x, int64_t n) {
    double total = identity(t->order);
    for (int64_t i = 0; i < n; i++) {
        const double value = t->type == AD_f32 ? ((const float *)x)[i] : ((const double *)x)[i];
        total = join(t->order, total, term(t->order, value));
    }
    return total;
}

static double fold_block(const norm_task *t, const void *x, int64_t n) {
    _Alignas(64) char terms[AD_BLOCK * 8];
    const bool square = t->order == 2, largest = isinf(t->order) && t->order > 0;
    if (!square && !largest && t->order != 1) return fold_in_double(t, x, n);
    ad_cpu->pw->instr[square ? AD_OP_mul : AD_OP_abs][t->type](n, terms, x, x, NULL);
    union {
        float f32;
        double f64;
    } result;
    ad_cpu->reduce->fold[largest ? AD_FOLD_max : AD_FOLD_sum][t->type].rows(1, n, terms, n, &result, false);
    const double total = t->type == AD_f32 ? result.f32 : result.f64;
    const bool safe = !square || t->type == AD_f64 || (total > 1e-20 && total < INFINITY);
    if (!safe &&
        total == 0) { /* as of what no gradient came to: of nothing but zeros, or of less than squares */
        ad_cpu->pw->instr[AD_OP_abs][t->type](n, terms, x, x, NULL);
        ad_cpu->reduce->fold[AD_FOLD_max][t->type].rows(1, n, terms, n, &result, false);
        if (result.f32 == 0) return 0;
    }
    return safe ? total : fold_in_double(t, x, n);
}

static void fold_item(void *context, int64_t item) {
    const norm_task *t = context;
    const int64_t end = ad_least(t->numel, (item + 1) * ITEM);
    double total = identity(t->order);
    for (int64_t i = item * ITEM; i < end; i += AD_BLOCK)
        total = join(t->order, total, fold_block(t, t->data + i * t->size, ad_least(end - i, AD_BLOCK)));
    t->parts[item] = total;
}

/* ---- one tensor, and all ---- */

static int fold_tensor(const ad_tensor *x, double order, double *total) {
    const int64_t items = (x->numel + ITEM - 1) / ITEM;
    double one;
    const bool direct = x->contiguous && !ad_is_half(x->dtype);
    ad_tensor *copy = direct ? NULL : ad_contiguous(x, ad_work_dtype(x->dtype));
    double *many = items > 1 ? ad_alloc((size_t)items * sizeof(double)) : NULL;
    const int status = (!direct && !copy) || (items > 1 && !many) ? AD_NO_MEMORY : AD_OK;
    if (!status) {
        norm_task t = {.data = copy ? copy->data : x->data,
                       .numel = x->numel,
                       .size = ad_type_size[ad_dtype_type[x->dtype]],
                       .type = ad_dtype_type[x->dtype],
                       .order = order,
                       .parts = many ? many : &one};
        ad_parallel_for(items, x->numel / 4, fold_item, &t);
        *total = identity(order);
        for (int64_t i = 0; i < items; i++) *total = join(order, *total, t.parts[i]);
    }
    ad_dealloc(many);
    ad_free(copy);
    return status;
}

static int check_floats(int n, const ad_tensor *const *xs) {
    for (int i = 0; i < n; i++)
        if (!ad_is_floating(xs[i]->dtype)) return ad_fail(AD_BAD_DTYPE, xs[i]->dtype, 0, 0);
    return AD_OK;
}

static double number_of(const ad_tensor *x) {
    double value;
    ad_cpu->pw->load[x->dtype][AD_f64](1, &value, x->data, 1);
    return value;
}

static void store(ad_tensor *x, double value) { ad_cpu->pw->store[AD_f64][x->dtype](1, x->data, 1, &value); }

static int run_norm(const ad_call *c) {
    const double order = *(const double *)c->numbers;
    double total = identity(order), part;
    for (int i = 0; i < c->n_in; i++) {
        const int status = fold_tensor(ad_in(c, i), order, &part);
        if (status) return status;
        /* the norm of norms: of order 0, how many of them are not 0 */
        total = join(order, total, order == 0 ? part != 0 : part);
    }
    const bool plain = order == 0 || order == 1 || isinf(order);
    store(ad_out(c, 0), plain ? total : order == 2 ? sqrt(total) : pow(total, 1 / order));
    return AD_OK;
}

/* `result`, or NULL, then the tensors; to be freed with ad_dealloc. */
static const ad_tensor **operands(const ad_tensor *result, int n, const ad_tensor *const *xs) {
    const ad_tensor **x = ad_alloc(sizeof *x * ((size_t)n + 1));
    if (!x) return NULL;
    x[0] = result;
    memcpy(x + (result != NULL), xs, sizeof *x * (size_t)n);
    return x;
}

ad_tensor *ad_norm(int n, const ad_tensor *const *xs, double order, int dtype) {
    if (!ad_valid_dtype(dtype) || !ad_is_floating(dtype)) return ad_fail_null(AD_BAD_DTYPE, dtype, 0, 0);
    if (check_floats(n, xs)) return NULL;
    ad_tensor *y = ad_make(dtype, 0, NULL);
    const ad_tensor **x = y ? operands(y, n, xs) : NULL;
    if (!x) {
        ad_free(y);
        return NULL;
    }
    y = ad_done(&(ad_call){run_norm, "norm", 1, n, .x = x, .numbers = &order, .n_bytes = sizeof order}, y);
    ad_dealloc(x);
    return y;
}

/* ---- each element and a number ---- */

enum { MAX_STEPS = 2 };

typedef struct {
    char *data;
    int64_t numel, size;
    int type, steps, op[MAX_STEPS];
    const char *number[MAX_STEPS]; /* AD_BLOCK of it */
} each_task;

static void each_item(void *context, int64_t item) {
    const each_task *t = context;
    const int64_t end = ad_least(t->numel, (item + 1) * ITEM);
    for (int64_t i = item * ITEM; i < end; i += AD_BLOCK) {
        char *x = t->data + i * t->size;
        for (int s = 0; s < t->steps; s++)
            ad_cpu->pw->instr[t->op[s]][t->type](ad_least(end - i, AD_BLOCK), x, x, t->number[s], NULL);
    }
}

static int change(each_task *t, ad_tensor *x) {
    const bool flat = ad_is_dense(x) && !ad_is_half(x->dtype);
    ad_tensor *copy = flat ? NULL : ad_contiguous(x, ad_work_dtype(x->dtype));
    if (!flat && !copy) return AD_NO_MEMORY;
    t->data = copy ? copy->data : x->data;
    t->numel = x->numel;
    ad_parallel_for((x->numel + ITEM - 1) / ITEM, x->numel / 8, each_item, t);
    if (copy) ad_copy_into(x, copy);
    ad_free(copy);
    ad_wrote(x, AD_BY_CLIPPING);
    return AD_OK;
}

/* x = op(x, number), for each of the steps in turn. */
typedef struct {
    int steps, op[MAX_STEPS];
    double number[MAX_STEPS];
} changes;

static int change_all(int n, ad_tensor *const *xs, const changes *how) {
    _Alignas(64) float f32[MAX_STEPS][AD_BLOCK];
    _Alignas(64) double f64[MAX_STEPS][AD_BLOCK];
    for (int s = 0; s < how->steps; s++)
        for (int i = 0; i < AD_BLOCK; i++) {
            f32[s][i] = (float)how->number[s];
            f64[s][i] = how->number[s];
        }
    for (int i = 0; i < n; i++) {
        const int type = ad_dtype_type[xs[i]->dtype];
        each_task t = {.type = type, .size = ad_type_size[type], .steps = how->steps};
        for (int s = 0; s < how->steps; s++) {
            t.op[s] = how->op[s];
            t.number[s] = type == AD_f32 ? (const char *)f32[s] : (const char *)f64[s];
        }
        const int status = change(&t, xs[i]);
        if (status) return status;
    }
    return AD_OK;
}

static int check_all(int n, ad_tensor *const *xs) {
    int status = check_floats(n, (const ad_tensor *const *)xs);
    for (int i = 0; i < n && !status; i++) status = ad_check_writable(xs[i]);
    return status;
}

static int run_changes(const ad_call *c) {
    changes how = *(const changes *)c->numbers;
    if (c->n_in) how.number[0] = number_of(ad_in(c, 0));
    return c->n_in && how.number[0] == 1 ? AD_OK : change_all(c->n_out, (ad_tensor *const *)c->x, &how);
}

int ad_scale(int n, ad_tensor *const *xs, const ad_tensor *factor) {
    const changes how = {1, {AD_OP_mul}, {1}};
    if (!ad_is_floating(factor->dtype)) return ad_fail(AD_BAD_DTYPE, factor->dtype, 0, 0);
    if (factor->numel != 1) return ad_fail(AD_BAD_SHAPE, factor->numel, 1, 0);
    int status = check_all(n, xs);
    const ad_tensor **x = status ? NULL : operands(NULL, n, (const ad_tensor *const *)xs);
    if (!x) return status ? status : AD_NO_MEMORY;
    x[n] = factor;
    status = ad_do(&(ad_call){run_changes, "scale_", n, 1, .x = x, .numbers = &how, .n_bytes = sizeof how});
    ad_dealloc(x);
    return status;
}

int ad_clip(int n, ad_tensor *const *xs, double low, double high) {
    const changes how = {2, {AD_OP_maximum, AD_OP_minimum}, {low, high}};
    const int status = check_all(n, xs);
    const ad_call c = {
        run_changes,          "clip_", n, 0, .x = (const ad_tensor *const *)xs, .numbers = &how,
        .n_bytes = sizeof how};
    return status ? status : ad_do(&c);
}
