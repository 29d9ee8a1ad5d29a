/* cross_entropy.c: softmax, its logarithm and the element of the target class in one pass over each row; and
 * that element of logarithms that are given. */
#include "rows.h"
#include "tape.h"

enum { EACH, MEAN, SUM };

typedef struct {
    int type;
    ad_rows_plan plan;
    const char *x, *weight;
    const int64_t *target;
    int64_t ignored;
    char *tops, *sums; /* of each row: its largest element, and the sum of exponentials less that */
    char *y;           /* the loss of each row, or the cotangent of x */
    const char *g;     /* of the vjp: a number for each row, or one */
    int64_t g_step;
    double total; /* what is divided by */
} task;
typedef struct {
    const task *t;
    ad_rows_item item;
    const char *tops;
    _Alignas(64) char terms[AD_ROWS_BUFFER];
} block;

#define NUMBER(t, p, i) ((t)->type == AD_f32 ? (double)((const float *)(p))[i] : ((const double *)(p))[i])

/* Where the element of this class lies, of the i-th row of a block. */
static int64_t element_of(const block *b, int64_t i, int64_t class) {
    const ad_block *s = &b->item.all;
    return b->item.each + (s->columns ? i + class * s->stride : i * s->stride + class);
}

static bool is_ignored(const task *t, int64_t i) { return t->target[i] == t->ignored; }

/* What the loss of row i counts for; times a weight of 0, an infinite loss is nan. */
static double weight_of(const task *t, int64_t i) {
    if (is_ignored(t, i)) return 0;
    return t->weight ? NUMBER(t, t->weight, t->target[i]) : 1;
}

static const void *term_x(void *context, const ad_rows_part *part, int64_t *stride) {
    const block *b = context;
    *stride = part->block.stride;
    return b->t->x + (b->item.each + part->offset) * b->t->plan.size;
}

static const void *term_exp(void *context, const ad_rows_part *part, int64_t *stride) {
    block *b = context;
    const void *x = term_x(context, part, stride);
    ad_cpu->rows->shifted_exp[b->t->type](&part->block, x, b->tops, b->terms, *stride = part->block.cols);
    return b->terms;
}

/* w (log(sum) - (x - top)) in the rows' own type */
#define LOSS(T)                                                                                              \
    do {                                                                                                     \
        T w = (T)weight, x = ((const T *)(const void *)t->x)[element_of(&b, i - first, t->target[i])];       \
        T loss = ((const T *)logs)[i - first] - (x - ((const T *)(const void *)t->tops)[i]);                 \
        ((T *)(void *)t->y)[i] = loss * w;                                                                   \
    } while (0)

static void loss_block(void *context, int64_t item) {
    const task *t = context;
    block b;
    b.t = t;
    b.item = ad_rows_item_at(&t->plan, item);
    const int64_t first = b.item.first, size = t->plan.size;
    _Alignas(64) char logs[AD_ROWS_LINES * 8];
    char *top = t->tops + first * size, *sum = t->sums + first * size;
    b.tops = top;
    ad_rows_fold(&b.item, AD_FOLD_max, t->type, term_x, &b, top);
    ad_rows_fold(&b.item, AD_FOLD_sum, t->type, term_exp, &b, sum);
    ad_cpu->pw->instr[AD_OP_log][t->type](b.item.lines, logs, sum, NULL, NULL);
    for (int64_t i = first; i < first + b.item.lines; i++) {
        double weight = weight_of(t, i);
        if (is_ignored(t, i))
            memset(t->y + i * size, 0, (size_t)size);
        else if (t->type == AD_f32)
            LOSS(float);
        else
            LOSS(double);
    }
}

/* Of g w (softmax(x) - [the target]): softmax by what was saved, and the target taken off. */
#define FACTORS(T)                                                                                           \
    for (int64_t i = 0; i < b.item.lines; i++) {                                                             \
        T g = ((const T *)(const void *)t->g)[(first + i) * t->g_step];                                      \
        T w = (T)weight_of(t, first + i);                                                                    \
        ((T *)factor)[i] = is_ignored(t, first + i) ? 0 : g / (T)t->total * w;                               \
    }
#define TARGETS(T)                                                                                           \
    for (int64_t i = 0; i < b.item.lines; i++) {                                                             \
        int64_t target = t->target[first + i];                                                               \
        if (target != t->ignored) ((T *)(void *)t->y)[element_of(&b, i, target)] -= ((const T *)factor)[i];  \
    }

static void vjp_block(void *context, int64_t item) {
    const task *t = context;
    block b;
    b.t = t;
    b.item = ad_rows_item_at(&t->plan, item);
    const int64_t first = b.item.first, size = t->plan.size, at = b.item.each * size;
    _Alignas(64) char factor[AD_ROWS_LINES * 8];
    char *y = t->y + at;
    ad_cpu->rows->shifted_exp[t->type](&b.item.all, t->x + at, t->tops + first * size, y, b.item.all.stride);
    if (t->type == AD_f32)
        FACTORS(float)
    else
        FACTORS(double)
    ad_cpu->rows->finish[t->type](AD_ROWS_logsumexp_vjp, &b.item.all, NULL, NULL, factor,
                                  t->sums + first * size, y);
    if (t->type == AD_f32)
        TARGETS(float)
    else
        TARGETS(double)
}

/* ---- entry points ---- */

/* x is (n, classes, ...), and has a row for each of n times so many targets as there are places after. */
static int64_t places_of(const ad_tensor *x) {
    int64_t places = 1;
    for (int d = 2; d < x->ndim; d++) places *= x->shape[d];
    return places;
}

/* Whether the places of an image are as far apart as the last two are. */
static bool are_even(const ad_tensor *x) {
    for (int d = 2; d < x->ndim - 1; d++)
        if (x->strides[d] != x->strides[d + 1] * x->shape[d + 1]) return false;
    return true;
}

static int check(const ad_tensor *x, const ad_tensor *target, const ad_tensor *weight, int reduction) {
    int64_t rows = 1;
    if (!ad_is_float(x->dtype)) return ad_fail(AD_BAD_DTYPE, x->dtype, 0, 0);
    if (x->ndim < 2) return ad_fail(AD_BAD_DIM, 1, x->ndim, 0);
    for (int d = x->ndim - 1; d >= 0; d--)
        if (d != 1 && __builtin_mul_overflow(rows, x->shape[d], &rows)) return ad_fail(AD_TOO_LARGE, 0, 0, 0);
    if (target->dtype != AD_int64) return ad_fail(AD_BAD_DTYPE, target->dtype, 0, 0);
    if (target->numel != rows) return ad_fail(AD_BAD_SHAPE, target->numel, rows, 0);
    if (weight && weight->dtype != x->dtype) return ad_fail(AD_BAD_DTYPE, weight->dtype, 0, 0);
    if (weight && weight->numel != x->shape[1]) return ad_fail(AD_BAD_SHAPE, weight->numel, x->shape[1], 0);
    if (reduction < EACH || reduction > SUM) return ad_fail(AD_BAD_ARG, reduction, 0, 0);
    return target->contiguous && (!weight || weight->contiguous) ? AD_OK : ad_fail(AD_BAD_ARG, 0, 0, 0);
}

static int check_targets(const ad_tensor *target, int64_t classes, int64_t ignored) {
    const int64_t *t = (const int64_t *)(const void *)target->data;
    bool bad = false;
    for (int64_t i = 0; i < target->numel; i++) bad |= (t[i] != ignored) & ((t[i] < 0) | (t[i] >= classes));
    for (int64_t i = 0; bad && i < target->numel; i++)
        if (t[i] != ignored && (t[i] < 0 || t[i] >= classes)) return ad_fail(AD_BAD_INDEX, t[i], 1, classes);
    return AD_OK;
}

/* The weights of all rows added up, as a sum over them is. */
static int total_weight(task *t, int64_t m, int dtype) {
    ad_tensor *weights = ad_make(dtype, 1, &m), *total = NULL;
    if (weights) {
        for (int64_t i = 0; i < m; i++)
            if (t->type == AD_f32)
                ((float *)(void *)weights->data)[i] = (float)weight_of(t, i);
            else
                ((double *)(void *)weights->data)[i] = weight_of(t, i);
        total = ad_reduce(AD_RED_sum, weights, 1, 0, dtype);
    }
    if (total) t->total = NUMBER(t, total->data, 0);
    int status = total ? AD_OK : AD_NO_MEMORY;
    ad_free(weights);
    ad_free(total);
    return status;
}

/* What rows count for, of this dtype. */
static int plan_counts(task *t, int dtype, const ad_tensor *target, const ad_tensor *weight, int64_t ignored,
                       int reduction) {
    const int64_t m = target->numel;
    t->type = ad_dtype_type[dtype];
    t->target = (const int64_t *)(const void *)target->data;
    t->weight = weight ? weight->data : NULL;
    t->ignored = ignored;
    t->total = 1;
    if (reduction != MEAN) return AD_OK;
    if (weight) return total_weight(t, m, dtype);
    int64_t kept = 0;
    for (int64_t i = 0; i < m; i++) kept += t->target[i] != ignored;
    t->total = (double)kept;
    return AD_OK;
}

static int plan(task *t, const ad_tensor *x, const ad_tensor *target, const ad_tensor *weight,
                int64_t ignored, int reduction, const ad_tensor *saved) {
    const int64_t size = ad_itemsize[x->dtype];
    t->x = x->data;
    t->tops = saved->data;
    t->sums = saved->data + target->numel * size;
    if (x->numel) ad_rows_cut(&t->plan, &(ad_rows_shape){x->shape[0], x->shape[1], places_of(x)}, size);
    return plan_counts(t, x->dtype, target, weight, ignored, reduction);
}

int ad_reduce_losses(const ad_tensor *each, double total, ad_tensor *y) {
    ad_tensor *sum = ad_reduce(AD_RED_sum, each, 1, 0, each->dtype);
    if (!sum) return AD_NO_MEMORY;
    if (each->dtype == AD_float32)
        *(float *)(void *)y->data = *(float *)(void *)sum->data / (float)total;
    else
        *(double *)(void *)y->data = *(double *)(void *)sum->data / total;
    ad_free(sum);
    return AD_OK;
}

typedef struct {
    int64_t ignored;
    int reduction;
} loss_numbers;

/* For the losses of the targets, or for one number. */
static ad_tensor *make_loss(const ad_tensor *x, const ad_tensor *target, int reduction) {
    return ad_make(x->dtype, reduction == EACH ? target->ndim : 0, target->shape);
}

static int loss_of(const ad_call *c) {
    const loss_numbers *n = c->numbers;
    ad_tensor *y = ad_out(c, 0);
    const ad_tensor *x = ad_in(c, 0), *target = ad_in(c, 1);
    const int bad = check_targets(target, x->shape[1], n->ignored);
    if (bad) return bad;
    ad_tensor *copy = x->contiguous ? NULL : ad_contiguous(x, x->dtype);
    ad_tensor *each = n->reduction == EACH ? NULL : ad_make(x->dtype, 1, &target->numel);
    task t;
    int status = (copy || x->contiguous) && (each || n->reduction == EACH) ? AD_OK : AD_NO_MEMORY;
    if (!status)
        status = plan(&t, copy ? copy : x, target, ad_in(c, 2), n->ignored, n->reduction, ad_out(c, 1));
    if (!status) {
        t.y = each ? each->data : y->data;
        if (x->numel)
            ad_parallel_for(t.plan.items, x->numel / 2, loss_block, &t);
        else /* all rows are ignored */
            memset(t.y, 0, (size_t)(target->numel * ad_itemsize[x->dtype]));
        if (each) status = ad_reduce_losses(each, t.total, y);
    }
    ad_free(copy);
    ad_free(each);
    return status;
}

static int run_loss(const ad_call *c) { return ad_run_apart(c, 1, loss_of); }

static ad_tensor *cross_entropy(const ad_tensor *x, const ad_tensor *target, const ad_tensor *weight,
                                int64_t ignored, int reduction, ad_tensor **saved) {
    *saved = NULL;
    AD_IN_FLOAT32(x, saved, cross_entropy(in32[0], target, in32[1], ignored, reduction, saved), x, weight)
    if (check(x, target, weight, reduction)) return NULL;
    const int64_t m = target->numel, both[2] = {2, m};
    ad_tensor *y = make_loss(x, target, reduction), *kept = y ? ad_make(x->dtype, 2, both) : NULL;
    const loss_numbers n = {ignored, reduction};
    const ad_tensor *const operands[] = {y, kept, x, target, weight};
    const ad_call c = {run_loss,     "cross_entropy", 2, 3, .x = operands, .numbers = &n, .n_bytes = sizeof n,
                       .picks = true};
    if (kept && !ad_do(&c)) {
        *saved = kept;
        return y;
    }
    ad_free(y);
    ad_free(kept);
    return NULL;
}

ad_tensor *ad_cross_entropy(const ad_tensor *x, const ad_tensor *target, const ad_tensor *weight,
                            int64_t ignored, int reduction) {
    ad_tensor *found[2];
    found[0] = cross_entropy(x, target, weight, ignored, reduction, &found[1]);
    return found[0] ? ad_several(2, found) : NULL;
}

static int loss_vjp_of(const ad_call *c) {
    const loss_numbers *n = c->numbers;
    const ad_tensor *g = ad_in(c, 0), *x = ad_in(c, 1), *target = ad_in(c, 2);
    const int bad = check_targets(target, x->shape[1], n->ignored);
    if (bad) return bad;
    ad_tensor *copy = x->contiguous ? NULL : ad_contiguous(x, x->dtype);
    ad_tensor *cg = g->contiguous ? NULL : ad_contiguous(g, g->dtype);
    task t;
    int status = (copy || x->contiguous) && (cg || g->contiguous) ? AD_OK : AD_NO_MEMORY;
    if (!status)
        status = plan(&t, copy ? copy : x, target, ad_in(c, 3), n->ignored, n->reduction, ad_in(c, 4));
    if (!status) {
        t.y = ad_out(c, 0)->data;
        t.g = cg ? cg->data : g->data;
        t.g_step = n->reduction == EACH;
        ad_parallel_for(t.plan.items, x->numel / 2, vjp_block, &t);
    }
    ad_free(copy);
    ad_free(cg);
    return status;
}

static int run_loss_vjp(const ad_call *c) { return ad_run_apart(c, 2, loss_vjp_of); }

ad_tensor *ad_cross_entropy_vjp(const ad_tensor *g, const ad_tensor *x, const ad_tensor *target,
                                const ad_tensor *saved, const ad_tensor *weight, int64_t ignored,
                                int reduction) {
    AD_IN_FLOAT32(x, NULL, ad_cross_entropy_vjp(in32[0], in32[1], target, saved, in32[2], ignored, reduction),
                  g, x, weight)
    if (check(x, target, weight, reduction)) return NULL;
    int64_t wanted = reduction == EACH ? target->numel : 1;
    if (g->dtype != x->dtype || saved->dtype != x->dtype) return ad_fail_null(AD_BAD_DTYPE, g->dtype, 0, 0);
    if (g->numel != wanted) return ad_fail_null(AD_BAD_SHAPE, g->numel, wanted, 0);
    if (saved->numel != 2 * target->numel || !saved->contiguous) return ad_fail_null(AD_BAD_ARG, 0, 0, 0);
    ad_tensor *y = ad_make(x->dtype, x->ndim, x->shape);
    if (!y || !x->numel) return y;
    const loss_numbers n = {ignored, reduction};
    const ad_tensor *const operands[] = {y, g, x, target, weight, saved};
    return ad_done(&(ad_call){run_loss_vjp, "cross_entropy_vjp", 1, 5, .x = operands, .numbers = &n,
                              .n_bytes = sizeof n},
                   y);
}

/* ---- of logarithms that are given ---- */

#define AS(T, data) ((T *)(void *)(data))
/* a = b for the rows that count: `element` is that of the target, w the row's weight */
#define PICK(T, a, b, otherwise)                                                                             \
    for (int64_t k = 0, i = 0; k < x->shape[0]; k++) {                                                       \
        T *image = AS(T, x->data) + k * x->strides[0];                                                       \
        for (const int64_t end = i + places; i < end; i++, image += step) {                                  \
            const T w = (T)weight_of(&t, i);                                                                 \
            if (is_ignored(&t, i)) {                                                                         \
                otherwise;                                                                                   \
                continue;                                                                                    \
            }                                                                                                \
            T *element = image + t.target[i] * x->strides[1];                                                \
            a = b;                                                                                           \
        }                                                                                                    \
    }

static int nll_of(const ad_call *c) {
    const loss_numbers *n = c->numbers;
    ad_tensor *y = ad_out(c, 0);
    const ad_tensor *x = ad_in(c, 0), *target = ad_in(c, 1);
    const int bad = check_targets(target, x->shape[1], n->ignored);
    if (bad) return bad;
    const bool let_go = ad_let_go(4 * target->numel), even = are_even(x);
    task t;
    int status = plan_counts(&t, x->dtype, target, ad_in(c, 2), n->ignored, n->reduction);
    ad_tensor *each = n->reduction == EACH ? NULL : ad_make(x->dtype, 1, &target->numel);
    ad_tensor *copy = even ? NULL : ad_contiguous(x, x->dtype);
    if ((!each && n->reduction != EACH) || (!copy && !even)) status = AD_NO_MEMORY;
    if (copy) x = copy;
    if (!status) {
        char *to = each ? each->data : y->data;
        const int64_t places = places_of(x), step = x->ndim > 2 ? x->strides[x->ndim - 1] : 0;
        if (t.type == AD_f32)
            PICK(float, AS(float, to)[i], w * -element[0], AS(float, to)[i] = 0)
        else
            PICK(double, AS(double, to)[i], w * -element[0], AS(double, to)[i] = 0)
        if (each) status = ad_reduce_losses(each, t.total, y);
    }
    ad_free(each);
    ad_free(copy);
    ad_take_back(let_go);
    return status;
}

static int run_nll(const ad_call *c) { return ad_run_apart(c, 1, nll_of); }

ad_tensor *ad_nll(const ad_tensor *x, const ad_tensor *target, const ad_tensor *weight, int64_t ignored,
                  int reduction) {
    AD_IN_FLOAT32(x, NULL, ad_nll(in32[0], target, in32[1], ignored, reduction), x, weight)
    if (check(x, target, weight, reduction)) return NULL;
    ad_tensor *y = make_loss(x, target, reduction);
    const loss_numbers n = {ignored, reduction};
    const ad_tensor *const operands[] = {y, x, target, weight};
    const ad_call c = {run_nll,      "nll_loss", 1, 3, .x = operands, .numbers = &n, .n_bytes = sizeof n,
                       .picks = true};
    return y ? ad_done(&c, y) : NULL;
}

static int nll_spread_of(const ad_call *c) {
    const loss_numbers *n = c->numbers;
    ad_tensor *x = ad_out(c, 0);
    const ad_tensor *g = ad_in(c, 0), *target = ad_in(c, 1);
    const int bad = check_targets(target, x->shape[1], n->ignored);
    if (bad) return bad;
    const bool let_go = ad_let_go(4 * target->numel + x->numel / 4), one = g->ndim < 2;
    task t;
    int status = plan_counts(&t, x->dtype, target, ad_in(c, 2), n->ignored, n->reduction);
    ad_tensor *copy = one || g->contiguous ? NULL : ad_contiguous(g, g->dtype);
    if (copy) g = copy;
    if (!one && !g->contiguous) status = AD_NO_MEMORY;
    const int64_t g_step = n->reduction == EACH && g->ndim ? one ? g->strides[0] : 1 : 0;
    const int64_t places = places_of(x), step = x->ndim > 2 ? x->strides[x->ndim - 1] : 0;
    if (!status) memset(x->data, 0, (size_t)(x->numel * ad_itemsize[x->dtype]));
    if (status)
        ; /* there was no memory */
    else if (t.type == AD_f32)
        PICK(float, element[0], w * -(AS(float, g->data)[i * g_step] / (float)t.total), )
    else
        PICK(double, element[0], w * -(AS(double, g->data)[i * g_step] / t.total), )
    ad_free(copy);
    ad_take_back(let_go);
    return status;
}

static int run_nll_spread(const ad_call *c) { return ad_run_apart(c, 1, nll_spread_of); }

ad_tensor *ad_nll_spread(const ad_tensor *g, const ad_tensor *target, const ad_tensor *weight,
                         int64_t ignored, int reduction, int ndim, const int64_t *shape) {
    AD_IN_FLOAT32(g, NULL, ad_nll_spread(in32[0], target, in32[1], ignored, reduction, ndim, shape), g,
                  weight)
    const int64_t wanted = reduction == EACH ? target->numel : 1;
    if (ndim < 2) return ad_fail_null(AD_BAD_DIM, 0, ndim, 0);
    if (g->numel != wanted) return ad_fail_null(AD_BAD_SHAPE, g->numel, wanted, 0);
    ad_tensor *x = ad_empty(g->dtype, ndim, shape);
    if (!x) return NULL;
    if (check(x, target, weight, reduction)) {
        ad_free(x);
        return NULL;
    }
    const loss_numbers n = {ignored, reduction};
    const ad_tensor *const operands[] = {x, g, target, weight};
    const ad_call c = {run_nll_spread, "nll_loss", 1, 3, .x = operands, .numbers = &n, .n_bytes = sizeof n};
    return ad_done(&c, x);
}
