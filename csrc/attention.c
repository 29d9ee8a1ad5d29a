/* attention.c: softmax(scale q k^T + mask) v of whole heads, a block of queries at a time, forward and back.
 *
 * The scores of a block stay in cache between the products; operands are read where they lie. Causal blocks
 * leave out the keys past their last query. A row's bits are those of the operations one after the other,
 * whatever the blocks: what is left out would add zeros. Results lie as operands do, so that heads which are
 * parts of longer rows make such rows again.
 *
 * What drops weights is drawn as if all of it were, row after row, so a block's is a part of one stream.
 * Where the generator was at each head is marked before, so that heads are independent, and back again. */
#include <math.h>
#include <stdatomic.h>
#include "gemm.h"
#include "random.h"
#include "rows.h"

enum {
    SCORES = 1 << 15, /* of a block, where that allows */
    FEW = 16,         /* queries of a block at least, */
    MANY = 64,        /* and at most; */
    STEP = 32,        /* of few keys and causal */
};

typedef struct {
    double scale, p; /* p: the share of weights that is dropped */
    ad_rng *rng;     /* forward, what draws them */
    bool causal;
} numbers;

/* An operand as the heads of the result see it; strides are in elements. */
typedef struct {
    const char *data;
    int64_t size, strides[AD_MAX_DIMS], row, col;
} operand;

/* A call at work. q: heads of `queries` rows of `width`; k, v: `keys` rows of `width` and of `depth`. */
typedef struct {
    numbers how;
    int ndim; /* of the heads: their number is the product of `shape` */
    int64_t shape[AD_MAX_DIMS];
    operand q, k, v, mask, places, g; /* places: of the generator; g, back alone: the cotangents */
    operand out[3];                   /* y; or the cotangents of q, k and v */
    bool masked, bools, drops, back;
    int type, dtype;
    int64_t size, heads, queries, keys, width, depth;
    int64_t rows, blocks, each; /* blocks of a task */
    const ad_gemm_type *kernels;
    atomic_int status;
} work;

static operand operand_of(const work *w, const ad_tensor *x) {
    operand o = {.data = x->data, .size = ad_itemsize[x->dtype]};
    for (int d = 0; d < w->ndim; d++) o.strides[d] = ad_broadcast_stride(x, w->ndim + 2, d);
    o.row = ad_broadcast_stride(x, w->ndim + 2, w->ndim);
    o.col = ad_broadcast_stride(x, w->ndim + 2, w->ndim + 1);
    return o;
}

/* A head's matrix. */
static ad_matrix head(const work *w, const operand *x, int64_t i) {
    int64_t offset = 0;
    for (int d = w->ndim - 1; d >= 0; d--) {
        offset += i % w->shape[d] * x->strides[d];
        i /= w->shape[d];
    }
    return (ad_matrix){x->data + offset * x->size, x->row, x->col};
}

static ad_matrix turned(ad_matrix x) { return (ad_matrix){x.data, x.col, x.row}; }
static ad_matrix from_row(ad_matrix x, int64_t row, int64_t size) {
    x.data += row * x.row * size;
    return x;
}
static ad_matrix packed(const char *data, int64_t row) { return (ad_matrix){data, row, 1}; }

static void combine(const work *w, int op, int64_t n, char *to, const char *by) {
    ad_cpu->pw->instr[op][w->type](n, to, to, by, NULL);
}

/* c (m x n) = a (m x k) b (k x n), or added to c. */
static int multiply(const work *w, int64_t m, int64_t n, int64_t k, ad_matrix a, ad_matrix b, ad_matrix c,
                    bool accumulate) {
    ad_product g = {w->kernels, w->size, m, n, k, a, b, (char *)c.data, c.row, .accumulate = accumulate};
    return ad_gemm(&g);
}

/* to = x scale, of rows. */
static void scaled(const work *w, int64_t rows, int64_t cols, ad_matrix x, ad_matrix y) {
    const float scale = (float)w->how.scale;
    const void *by = w->type == AD_f32 ? (const void *)&scale : &w->how.scale;
    ad_pw_fn *number = ad_cpu->pw->number[AD_OP_mul][w->type][1];
    for (int64_t i = 0; i < rows; i++, x.data += x.row * w->size, y.data += y.row * w->size) {
        char *to = (char *)y.data;
        if (x.col == 1 && number) {
            number(cols, to, x.data, by, NULL);
            continue;
        }
        for (int64_t j = 0; j < cols; j++) {
            if (w->type == AD_f32)
                ((float *)to)[j] = ((const float *)x.data)[j * x.col] * scale;
            else
                ((double *)to)[j] = ((const double *)x.data)[j * x.col] * w->how.scale;
        }
    }
}

/* ---- masks ---- */

#define OF_TYPE(T, name)                                                                                     \
    /* Scores of keys after the query. */                                                                    \
    static void leave_out_##name(int64_t first, int64_t rows, int64_t n, T *x) {                             \
        for (int64_t i = 0; i < rows; i++, x += n)                                                           \
            for (int64_t j = first + i + 1; j < n; j++) x[j] = -INFINITY;                                    \
    }                                                                                                        \
    static void keep_##name(int64_t n, const uint8_t *kept, int64_t col, T *x) {                             \
        if (col == 1)                                                                                        \
            for (int64_t j = 0; j < n; j++) x[j] = kept[j] ? x[j] : -INFINITY;                               \
        else                                                                                                 \
            for (int64_t j = 0; j < n; j++) x[j] = kept[j * col] ? x[j] : -INFINITY;                         \
    }                                                                                                        \
    static void lean_##name(int64_t n, const T *by, int64_t col, T *x) {                                     \
        for (int64_t j = 0; j < n; j++) x[j] += by[j * col];                                                 \
    }                                                                                                        \
    static bool is_dead_##name(int64_t n, const T *x) {                                                      \
        int64_t j = 0;                                                                                       \
        while (j < n && x[j] == -INFINITY) j++;                                                              \
        return j == n;                                                                                       \
    }
OF_TYPE(float, f32)
OF_TYPE(double, f64)
#define CALL(name, ...) (w->type == AD_f32 ? name##_f32(__VA_ARGS__) : name##_f64(__VA_ARGS__))

/* A block of queries: how many, and how many keys they see. */
typedef struct {
    int64_t first, rows, n;
    char *q, *weights, *d, *noise; /* scaled queries; what the rows weigh keys by; back: its cotangents */
} block;

static void add_mask(const work *w, const block *b, ad_matrix mask) {
    char *x = b->weights;
    mask = from_row(mask, b->first, w->mask.size);
    for (int64_t i = 0; i < b->rows; i++, x += b->n * w->size, mask.data += mask.row * w->mask.size) {
        if (w->bools)
            CALL(keep, b->n, (const void *)mask.data, mask.col, (void *)x);
        else if (mask.col == 1)
            combine(w, AD_OP_add, b->n, x, mask.data);
        else
            CALL(lean, b->n, (const void *)mask.data, mask.col, (void *)x);
    }
}

/* A bit for each row of -inf alone. */
static uint64_t dead_rows(const work *w, const block *b) {
    uint64_t dead = 0;
    for (int64_t i = 0; i < b->rows; i++)
        dead |= (uint64_t)CALL(is_dead, b->n, (const void *)(b->weights + i * b->n * w->size)) << i;
    return dead;
}

static int make_weights(const work *w, const block *b, int64_t i) {
    const ad_matrix q = from_row(head(w, &w->q, i), b->first, w->size);
    scaled(w, b->rows, w->width, q, packed(b->q, w->width));
    const int status = multiply(w, b->rows, b->n, w->width, packed(b->q, w->width), turned(head(w, &w->k, i)),
                                packed(b->weights, b->n), false);
    if (status) return status;
    if (w->how.causal) CALL(leave_out, b->first, b->rows, b->n, (void *)b->weights);
    if (w->masked) add_mask(w, b, head(w, &w->mask, i));
    uint64_t dead = w->masked ? dead_rows(w, b) : 0;
    ad_rows_run(AD_ROWS_softmax, w->type, b->rows, b->n, b->weights, NULL, b->weights);
    for (; dead; dead &= dead - 1)
        memset(b->weights + __builtin_ctzll(dead) * b->n * w->size, 0, (size_t)(b->n * w->size));
    return AD_OK;
}

/* ---- what is dropped ---- */

/* Of rows of `keys`, of which n are seen. */
static void draw(const work *w, const block *b, ad_rng *rng) {
    const bool all = b->n == w->keys;
    const int64_t rows = all ? 1 : b->rows, n = all ? b->rows * b->n : b->n;
    for (int64_t i = 0; i < rows; i++) {
        ad_dropout_noise(rng, n, w->dtype, w->how.p, b->noise + i * n * w->size);
        if (!all) ad_rng_skip(rng, 2 * (w->keys - n)); /* of 64 bits each */
    }
}

static void make_noise(const work *w, const block *b, ad_rng *rng) {
    if (w->how.p < 1)
        draw(w, b, rng);
    else
        memset(b->noise, 0, (size_t)(b->rows * b->n * w->size));
}

/* Marks where the generator is at each head of scores; it goes on behind them all. */
static void mark(const work *w, ad_tensor *places) {
    uint32_t *place = (uint32_t *)places->data;
    ad_rng_lock(w->how.rng);
    for (int64_t i = 0; i < places->numel / AD_RNG_PLACE; i++, place += AD_RNG_PLACE) {
        ad_rng_mark(w->how.rng, place);
        ad_rng_skip(w->how.rng, 2 * w->queries * w->keys);
    }
    ad_rng_unlock(w->how.rng, AD_OK);
}

/* ---- a block ---- */

static int forward(const work *w, const block *b, int64_t i, ad_rng *rng) {
    const ad_matrix y = from_row(head(w, &w->out[0], i), b->first, w->size);
    const int status = make_weights(w, b, i);
    if (status) return status;
    if (w->drops) {
        make_noise(w, b, rng);
        combine(w, AD_OP_mul, b->rows * b->n, b->weights, b->noise);
    }
    return multiply(w, b->rows, w->depth, b->n, packed(b->weights, b->n), head(w, &w->v, i), y, false);
}

static int back(const work *w, const block *b, int64_t i, ad_rng *rng) {
    const ad_matrix k = head(w, &w->k, i), v = head(w, &w->v, i);
    const ad_matrix g = from_row(head(w, &w->g, i), b->first, w->size);
    const ad_matrix p = packed(w->drops ? b->noise : b->weights, b->n), d = packed(b->d, b->n);
    const ad_matrix dq = from_row(head(w, &w->out[0], i), b->first, w->size);
    const ad_matrix dk = head(w, &w->out[1], i), dv = head(w, &w->out[2], i);
    int status = make_weights(w, b, i);
    if (!status) status = multiply(w, b->rows, b->n, w->depth, g, turned(v), d, false);
    if (!status && w->drops) {
        make_noise(w, b, rng);
        combine(w, AD_OP_mul, b->rows * b->n, b->d, b->noise);
        combine(w, AD_OP_mul, b->rows * b->n, b->noise, b->weights);
    }
    if (!status) status = multiply(w, b->n, w->depth, b->rows, turned(p), g, dv, true);
    if (status) return status;
    ad_rows_run(AD_ROWS_softmax_vjp, w->type, b->rows, b->n, b->weights, b->d, b->d);
    status = multiply(w, b->n, w->width, b->rows, turned(d), packed(b->q, w->width), dk, true);
    if (!status) status = multiply(w, b->rows, w->width, b->n, d, k, dq, false);
    if (!status) scaled(w, b->rows, w->width, dq, dq);
    return status;
}

/* ---- all blocks ---- */

static int64_t query_bytes(const work *w) { return (w->rows * w->size * w->width + 63) / 64 * 64; }
static int64_t score_bytes(const work *w) { return (w->rows * w->size * w->keys + 63) / 64 * 64; }
static int64_t task_bytes(const work *w) {
    return query_bytes(w) + (1 + w->back + w->drops) * score_bytes(w);
}

static void clear(const work *w, ad_matrix x, int64_t rows, int64_t cols) {
    for (int64_t i = 0; i < rows; i++)
        memset((char *)from_row(x, i, w->size).data, 0, (size_t)(cols * w->size));
}

static void run_task(void *context, int64_t task) {
    const work *w = context;
    const int64_t each = w->each, scores = score_bytes(w);
    char *room = ad_alloc((size_t)task_bytes(w)), *weights = room ? room + query_bytes(w) : NULL;
    ad_rng rng;
    int status = room ? AD_OK : AD_NO_MEMORY;
    if (w->drops && w->how.p < 1) ad_rng_return(&rng, (const uint32_t *)head(w, &w->places, task).data);
    if (w->back) {
        clear(w, head(w, &w->out[1], task), w->keys, w->width);
        clear(w, head(w, &w->out[2], task), w->keys, w->depth);
    }
    for (int64_t j = task * each; j < (task + 1) * each && !status; j++) {
        const int64_t first = j % w->blocks * w->rows, rows = ad_least(w->rows, w->queries - first);
        const int64_t n = w->how.causal ? ad_least(first + rows, w->keys) : w->keys;
        const block b = {first, rows, n, room, weights, weights + scores, weights + (1 + w->back) * scores};
        status = (w->back ? back : forward)(w, &b, j / w->blocks, &rng);
    }
    ad_dealloc(room);
    if (status) atomic_store(&((work *)context)->status, status);
}

/* The heads of scores, which v may have more of: their number of dimensions. */
static int scored(const ad_tensor *const *x, int64_t *shape) {
    const ad_tensor *const given[] = {x[0], x[1], x[3]};
    return ad_broadcast_shapes(x[3] ? 3 : 2, given, 2, shape);
}

/* One for each of those. */
static void find_places(work *w, const ad_tensor *places, const ad_tensor *const *x) {
    int64_t shape[AD_MAX_DIMS], step = 1;
    const int ndim = scored(x, shape);
    w->places = (operand){.data = places->data, .size = AD_RNG_PLACE * 4};
    for (int d = ndim - 1; d >= 0; step *= shape[d--])
        w->places.strides[w->ndim - ndim + d] = shape[d] == 1 ? 0 : step;
}

static int run(const ad_call *c) {
    const bool goes_back = c->n_out == 3;
    const ad_tensor *const *x = c->x + c->n_out, *q = x[0], *k = x[1], *v = x[2], *mask = x[3];
    const ad_tensor *places = goes_back ? x[4] : ad_out(c, 1), *y = goes_back ? x[5] : ad_out(c, 0);
    work w = {.how = *(const numbers *)c->numbers, .back = goes_back, .ndim = y->ndim - 2};
    memcpy(w.shape, y->shape, sizeof w.shape);
    w.heads = 1;
    for (int d = 0; d < w.ndim; d++) w.heads *= w.shape[d];
    w.type = ad_dtype_type[q->dtype], w.dtype = q->dtype, w.size = ad_itemsize[q->dtype];
    w.queries = q->shape[q->ndim - 2], w.keys = k->shape[k->ndim - 2];
    w.width = q->shape[q->ndim - 1], w.depth = v->shape[v->ndim - 1];
    w.q = operand_of(&w, q), w.k = operand_of(&w, k), w.v = operand_of(&w, v);
    w.masked = mask, w.bools = mask && mask->dtype == AD_bool, w.drops = w.how.p > 0;
    if (mask) w.mask = operand_of(&w, mask);
    if (goes_back) w.g = operand_of(&w, y);
    if (places) find_places(&w, places, x);
    w.kernels = ad_cpu->gemm->type[w.type];
    w.rows = SCORES / w.keys < FEW ? FEW : SCORES / w.keys > MANY ? MANY : SCORES / w.keys;
    if (w.how.causal && w.keys <= 4 * STEP) w.rows = STEP;
    w.blocks = (w.queries + w.rows - 1) / w.rows;
    /* a task is a block; or a head, where blocks add to what others made, or go on drawing */
    const bool whole = goes_back || w.drops;
    w.each = whole ? w.blocks : 1;
    if (places && !goes_back) mark(&w, ad_out(c, 1));
    for (int o = 0; o < (goes_back ? 3 : 1); o++) w.out[o] = operand_of(&w, ad_out(c, o));
    const ad_product all = {
        .m = w.heads * w.queries, .n = w.keys, .k = 10 + w.width + w.depth, .size = w.size};
    atomic_init(&w.status, AD_OK);
    ad_parallel_for(whole ? w.heads : w.heads * w.blocks, ad_product_cost(&all) * (goes_back ? 3 : 1),
                    run_task, &w);
    const int status = atomic_load(&w.status);
    return status ? ad_fail(status, task_bytes(&w), 0, 0) : AD_OK;
}

/* ---- the entry points ---- */

enum { IN = 4 }; /* q, k, v and a mask or NULL */

/* The shape of the result, of so many dimensions; or -1. */
static int check(const ad_tensor *const *x, double p, int64_t *shape) {
    const ad_tensor *q = x[0], *k = x[1], *v = x[2], *mask = x[3];
    if (q->dtype != AD_float32 && q->dtype != AD_float64) return ad_fail(AD_BAD_DTYPE, q->dtype, 0, 0), -1;
    for (int i = 0; i < IN && x[i]; i++) {
        if (x[i]->dtype != q->dtype && !(i == 3 && mask->dtype == AD_bool))
            return ad_fail(AD_BAD_DTYPE, x[i]->dtype, 0, 0), -1;
        if (x[i]->ndim < 2 && i != 3) return ad_fail(AD_BAD_DIM, -2, x[i]->ndim, 0), -1;
    }
    const int64_t queries = q->shape[q->ndim - 2], keys = k->shape[k->ndim - 2];
    const int64_t scores[2] = {queries, keys};
    if (!keys || k->shape[k->ndim - 1] != q->shape[q->ndim - 1] || v->shape[v->ndim - 2] != keys)
        return ad_fail(AD_BAD_SHAPE, k->shape[k->ndim - 1], q->shape[q->ndim - 1], 0), -1;
    for (int d = 1; mask && d <= 2 && d <= mask->ndim; d++) {
        const int64_t n = mask->shape[mask->ndim - d];
        if (n != 1 && n != scores[2 - d]) return ad_fail(AD_BAD_SHAPE, n, scores[2 - d], 0), -1;
    }
    if (!(p >= 0 && p <= 1)) return ad_fail(AD_BAD_ARG, 0, 0, 0), -1;
    const int ndim = ad_broadcast_shapes(mask ? IN : IN - 1, x, 2, shape);
    if (ndim > AD_MAX_DIMS - 2) return ad_fail(AD_BAD_DIM, ndim, AD_MAX_DIMS, 0), -1;
    if (ndim >= 0) shape[ndim] = queries, shape[ndim + 1] = v->shape[v->ndim - 1];
    return ndim < 0 ? -1 : ndim + 2;
}

/* Of such a shape, its dimensions before the last in the order that x has them in, if it has as many. */
static ad_tensor *make_like(const ad_tensor *x, int ndim, const int64_t *shape) {
    int64_t stride = shape[ndim - 1];
    int order[AD_MAX_DIMS], n = 0;
    ad_tensor *y = ad_make(x->dtype, ndim, shape);
    if (!y || !y->numel || x->ndim != ndim || x->strides[ndim - 1] != 1 || stride < 2) return y;
    for (int d = ndim - 2, at; d >= 0; d--) {
        for (at = n++; at > 0 && x->strides[order[at - 1]] > x->strides[d]; at--) order[at] = order[at - 1];
        order[at] = d;
    }
    for (int i = 0; i < n; stride *= shape[order[i++]]) y->strides[order[i]] = stride;
    ad_refresh(y);
    return y;
}

/* Whether what is there can be written to: rows of such a shape. */
static bool fits(const ad_tensor *y, int dtype, int ndim, const int64_t *shape) {
    return y->dtype == dtype && y->ndim == ndim && !memcmp(y->shape, shape, sizeof *shape * (size_t)ndim) &&
           (y->contiguous || (y->strides[ndim - 1] == 1 && shape[ndim - 1] > 1));
}

ad_tensor *ad_attend(const ad_tensor *q, const ad_tensor *k, const ad_tensor *v, const ad_tensor *mask,
                     double scale, int causal, double p, ad_rng *rng, ad_tensor **places) {
    const ad_tensor *const in[IN] = {q, k, v, mask};
    int64_t shape[AD_MAX_DIMS], heads[AD_MAX_DIMS], n = 1;
    const int ndim = check(in, p, shape);
    if (ndim < 0) return NULL;
    const bool draws = p > 0 && p < 1;
    if (draws && (!rng || !places)) return ad_fail_null(AD_BAD_ARG, 1, 0, 0);
    for (int d = scored(in, heads) - 1; d >= 0; d--) n *= heads[d];
    ad_tensor *y = make_like(q, ndim, shape);
    ad_tensor *made = y && draws ? ad_make(AD_int32, 2, (const int64_t[]){n, AD_RNG_PLACE}) : NULL;
    const numbers how = {scale, p, rng, causal};
    const ad_tensor *const x[] = {y, made, q, k, v, mask};
    const ad_call c = {run, "attend", 2, IN, .x = x, .numbers = &how, .n_bytes = sizeof how, .kept = draws};
    if (y && !made == !draws && !ad_do(&c)) {
        if (draws) *places = made;
        return y;
    }
    ad_free(y);
    ad_free(made);
    return NULL;
}

int ad_attend_vjp(const ad_tensor *const *in, double scale, int causal, double p, ad_tensor **out) {
    const ad_tensor *x[3 + IN + 2], *places = in[4], *g = in[5];
    int64_t shape[AD_MAX_DIMS], heads[AD_MAX_DIMS], n = 1;
    const numbers how = {scale, p, NULL, causal};
    const int ndim = check(in, p, shape);
    if (ndim < 0) return ad_error(NULL);
    if (g->dtype != in[0]->dtype) return ad_fail(AD_BAD_DTYPE, g->dtype, 0, 0);
    if (g->ndim != ndim || memcmp(g->shape, shape, sizeof *shape * (size_t)ndim))
        return ad_fail(AD_BAD_SHAPE, g->shape[0], shape[0], 0);
    if (g->strides[ndim - 1] != 1 && shape[ndim - 1] > 1) return ad_fail(AD_BAD_ARG, 1, 0, 0);
    for (int d = scored(in, heads) - 1; d >= 0; d--) n *= heads[d];
    if (p > 0 && p < 1 && !ad_is_places(places, n)) return ad_fail(AD_BAD_ARG, 1, 0, 0);
    const bool made = !out[0];
    int status = AD_OK;
    for (int i = 0; i < 3; i++) {
        memcpy(shape + ndim - 2, in[i]->shape + in[i]->ndim - 2, 2 * sizeof *shape);
        if (!made && (!out[i] || !fits(out[i], g->dtype, ndim, shape))) return ad_fail(AD_BAD_ARG, i, 0, 0);
        if (made && (out[i] = status ? NULL : make_like(in[i], ndim, shape)) == NULL) status = ad_error(NULL);
        x[i] = out[i];
    }
    memcpy(x + 3, in, (IN + 2) * sizeof *in);
    if (!status)
        status =
            ad_do(&(ad_call){run, "attend_vjp", 3, IN + 2, .x = x, .numbers = &how, .n_bytes = sizeof how});
    for (int i = 0; i < 3 && made && status; i++) {
        ad_free(out[i]);
        out[i] = NULL;
    }
    return status;
}
