/* rows.c: softmax, its logarithm, logsumexp and their vjps: one call each, one pass over rows in cache.
 *
 * The dimensions of a row follow one another in memory; operands of other layouts are copied first. */
#include "rows.h"
#include "tape.h"
#include <math.h>

enum { AD_ONE = 1, AD_EACH };
#define AD_ROWS(name, b, y) [AD_ROWS_##name] = b,
static const uint8_t operand_of[AD_N_ROWS] = {
#include "rows.def"
};
#undef AD_ROWS
#define AD_ROWS(name, b, y) [AD_ROWS_##name] = y,
static const uint8_t result_of[AD_N_ROWS] = {
#include "rows.def"
};
#undef AD_ROWS

/* ---- one block ---- */

typedef struct {
    int program, type;
    ad_rows_plan plan;
    const char *a, *b;
    char *y;
    bool past; /* y is stored past the caches */
} task;
typedef struct {
    const task *t;
    ad_rows_item item;
    _Alignas(64) char top[AD_ROWS_LINES * 8], sum[AD_ROWS_LINES * 8];
    _Alignas(64) char terms[AD_ROWS_BUFFER], wide[AD_ROWS_BUFFER];
} block;

static const char *number(const block *b, const char *of, const ad_rows_part *part) {
    return of + (b->item.each + part->offset) * b->t->plan.size;
}

static const void *term_a(void *context, const ad_rows_part *part, int64_t *stride) {
    const block *b = context;
    *stride = part->block.stride;
    return number(b, b->t->a, part);
}

static const void *term_b(void *context, const ad_rows_part *part, int64_t *stride) {
    const block *b = context;
    *stride = part->block.stride;
    return number(b, b->t->b, part);
}

static const void *term_product(void *context, const ad_rows_part *part, int64_t *stride) {
    block *b = context;
    ad_pw_fn *multiply = ad_cpu->pw->instr[AD_OP_mul][b->t->type];
    bool dense = part->block.stride == part->block.cols || part->block.rows == 1;
    int64_t runs = dense ? 1 : part->block.rows, n = part->block.rows * part->block.cols / runs;
    const char *x = number(b, b->t->b, part), *y = number(b, b->t->a, part);
    int64_t step = part->block.stride * b->t->plan.size;
    for (int64_t r = 0; r < runs; r++)
        multiply(n, b->terms + r * n * b->t->plan.size, x + r * step, y + r * step, NULL);
    *stride = part->block.cols;
    return b->terms;
}

/* Exponentials that the last step divides stay in y. */
static const void *term_exp(void *context, const ad_rows_part *part, int64_t *stride) {
    block *b = context;
    bool kept = b->t->program == AD_ROWS_softmax || b->t->program == AD_ROWS_logsumexp_vjp;
    char *y = kept ? b->t->y + (number(b, b->t->a, part) - b->t->a) : b->terms;
    *stride = kept ? part->block.stride : part->block.cols;
    ad_cpu->rows->shifted_exp[b->t->type](&part->block, number(b, b->t->a, part), b->top, y, *stride);
    return y;
}

static const void *term_wide_exp(void *context, const ad_rows_part *part, int64_t *stride) {
    block *b = context;
    const void *x = term_exp(context, part, stride);
    if (b->t->type == AD_f64) return x;
    ad_cpu->pw->load[AD_float32][AD_f64](part->block.rows * part->block.cols, b->wide, x, 1);
    return b->wide;
}

/* Replaces the tops that are infinite, or what belongs to them. */
static void where_infinite(const block *b, char *x, double value) {
    for (int64_t i = 0; i < b->item.lines; i++)
        if (b->t->type == AD_f32) {
            if (isinf(((const float *)b->top)[i])) ((float *)x)[i] = (float)value;
        } else {
            if (isinf(((const double *)b->top)[i])) ((double *)x)[i] = value;
        }
}

/* log(sum) + top: sums of float32 are in double, so that the logarithm may cancel with top. */
static void logsumexp(block *b) {
    char *y = b->t->y + b->item.first * b->t->plan.size;
    double *sum = (double *)b->sum;
    where_infinite(b, b->top, 0);
    ad_rows_fold(&b->item, AD_FOLD_sum, AD_f64, term_wide_exp, b, b->sum);
    ad_cpu->pw->instr[AD_OP_log][AD_f64](b->item.lines, sum, sum, NULL, NULL);
    for (int64_t i = 0; i < b->item.lines; i++)
        if (b->t->type == AD_f32)
            ((float *)y)[i] = (float)(sum[i] + (double)((float *)b->top)[i]);
        else
            ((double *)y)[i] = sum[i] + ((double *)b->top)[i];
}

static const void *term_result(void *context, const ad_rows_part *part, int64_t *stride) {
    block *b = context;
    const task *t = b->t;
    *stride = part->block.stride;
    ad_cpu->rows->finish[t->type](t->program, &part->block, number(b, t->a, part), number(b, t->b, part),
                                  b->top, b->sum, b->terms);
    return b->terms;
}

static void run_block(void *context, int64_t i) {
    const task *t = context;
    block b;
    b.t = t;
    b.item = ad_rows_item_at(&t->plan, i);
    const int64_t at = b.item.each * t->plan.size;
    const char *top = b.top;
    bool vjp = t->program == AD_ROWS_softmax_vjp || t->program == AD_ROWS_log_softmax_vjp;
    if (!vjp) ad_rows_fold(&b.item, AD_FOLD_max, t->type, term_a, &b, b.top);
    if (t->program == AD_ROWS_logsumexp) {
        logsumexp(&b);
        return;
    }
    ad_rows_fold(&b.item, AD_FOLD_sum, t->type,
                 !vjp                                ? term_exp
                 : t->program == AD_ROWS_softmax_vjp ? term_product
                                                     : term_b,
                 &b, b.sum);
    if (t->program == AD_ROWS_log_softmax)
        ad_cpu->pw->instr[AD_OP_log][t->type](b.item.lines, b.sum, b.sum, NULL, NULL);
    if (t->program == AD_ROWS_logsumexp_vjp) {
        where_infinite(&b, b.sum, 1);
        top = t->b + b.item.first * t->plan.size;
    }
    if (t->past) {
        ad_rows_send(&b.item, t->plan.size, t->y + at, 1 + vjp, (const char *const[]){t->a + at, t->b + at},
                     term_result, &b);
        return;
    }
    const char *operand = vjp ? t->b + at : NULL;
    ad_cpu->rows->finish[t->type](t->program, &b.item.all, t->a + at, operand, top, b.sum, t->y + at);
}

void ad_rows_run(int program, int type, int64_t rows, int64_t n, const char *a, const char *b, char *y) {
    task t = {program, type, .a = a, .b = b ? b : a, .y = y};
    ad_rows_cut(&t.plan, &(ad_rows_shape){rows, n, 1}, ad_type_size[type]);
    for (int64_t i = 0; i < t.plan.items; i++) run_block(&t, i);
}

/* Whether y goes past the caches. To wait for that does not pay where the CPU computes meanwhile, as it does
 * for exponentials of the last step, nor where these are in y. */
static bool leaves_caches(const task *t, int64_t numel) {
    const bool pays = t->program == AD_ROWS_log_softmax || t->program == AD_ROWS_softmax_vjp;
    return pays && !t->plan.columns && 2 * numel * t->plan.size >= AD_STREAM_BYTES;
}

typedef struct {
    int program;
    ad_rows_shape shape;
} rows_numbers;

static int run_rows(const ad_call *c) {
    const rows_numbers *n = c->numbers;
    const ad_tensor *a = ad_in(c, 0), *b = ad_in(c, 1);
    ad_tensor *ca = a->contiguous ? NULL : ad_contiguous(a, a->dtype);
    ad_tensor *cb = !b || b->contiguous ? NULL : ad_contiguous(b, b->dtype);
    const int status = (ca || a->contiguous) && (cb || !b || b->contiguous) ? AD_OK : AD_NO_MEMORY;
    if (!status) {
        if (ca) a = ca;
        if (cb) b = cb;
        task t = {n->program, ad_dtype_type[a->dtype], .a = a->data, .b = b ? b->data : a->data,
                  .y = ad_out(c, 0)->data};
        ad_rows_cut(&t.plan, &n->shape, ad_itemsize[a->dtype]);
        t.past = leaves_caches(&t, a->numel);
        ad_parallel_for(t.plan.items, a->numel / 2, run_block, &t);
    }
    ad_free(ca);
    ad_free(cb);
    return status;
}

/* ---- the entry point ---- */

#define AD_ROWS(name, b, y) #name,
static const char *const names[AD_N_ROWS] = {
#include "rows.def"
};
#undef AD_ROWS

const char *ad_rows_name(int kind) { return kind >= 0 && kind < AD_N_ROWS ? names[kind] : NULL; }

static int check(int kind, const ad_tensor *a, const ad_tensor *b, uint32_t dims) {
    if (kind < 0 || kind >= AD_N_ROWS || !operand_of[kind] != !b) return ad_fail(AD_BAD_ARG, kind, 0, 0);
    if (!ad_is_float(a->dtype)) return ad_fail(AD_BAD_DTYPE, a->dtype, 0, 0);
    if (dims >> a->ndim) return ad_fail(AD_BAD_DIM, 31 - __builtin_clz(dims), a->ndim, 0);
    if (!b) return AD_OK;
    if (b->dtype != a->dtype) return ad_fail(AD_BAD_DTYPE, b->dtype, 0, 0);
    int64_t numel = 1;
    for (int d = 0; d < a->ndim; d++)
        numel *= operand_of[kind] == AD_EACH || !(dims >> d & 1) ? a->shape[d] : 1;
    return b->numel == numel ? AD_OK : ad_fail(AD_BAD_SHAPE, b->numel, numel, 0);
}

static ad_tensor *make_result(int kind, const ad_tensor *a, uint32_t dims, bool keepdim) {
    int64_t shape[AD_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < a->ndim; d++)
        if (result_of[kind] == AD_EACH || !(dims >> d & 1))
            shape[ndim++] = a->shape[d];
        else if (keepdim)
            shape[ndim++] = 1;
    return ad_make(a->dtype, ndim, shape);
}

ad_tensor *ad_rows(int kind, const ad_tensor *a, const ad_tensor *b, uint32_t dims, bool keepdim) {
    rows_numbers n = {.program = kind};
    AD_IN_FLOAT32(a, NULL, ad_rows(kind, in32[0], in32[1], dims, keepdim), a, b)
    if (check(kind, a, b, dims)) return NULL;
    if (a->numel == 0) {
        ad_tensor *y = make_result(kind, a, dims, keepdim);
        if (!y || y->numel == 0) return y;
        ad_tensor *nothing = ad_full_f64(y->dtype, y->ndim, y->shape, -INFINITY); /* the logarithm of 0 */
        ad_free(y);
        return nothing;
    }
    if (!ad_rows_layout(&n.shape, a, dims)) return ad_fail_null(AD_BAD_ARG, dims, 0, 0);
    ad_tensor *y = make_result(kind, a, dims, keepdim);
    const ad_tensor *const x[] = {y, a, b};
    return y ? ad_done(&(ad_call){run_rows, names[kind], 1, 2, .x = x, .numbers = &n, .n_bytes = sizeof n}, y)
             : NULL;
}
