/* attention.c: softmax(scale q k^T) v of whole heads, a block of queries at a time, forward and back.
 *
 * The scores of a block stay in cache between the products; operands are read where they lie. Causal blocks
 * leave out the keys past their last query. A row's bits are those of the operations one after the other,
 * whatever the blocks: what is left out would add zeros. */
#include <math.h>
#include <stdatomic.h>
#include "gemm.h"
#include "rows.h"
#include "tape.h"

enum {
    SCORES = 1 << 15, /* of a block, where that allows */
    FEW = 16,         /* queries of a block at least, */
    MANY = 64,        /* and at most; */
    STEP = 32,        /* of few keys and causal */
};

typedef struct {
    double scale;
    bool causal;
} numbers;

/* A call at work. q: heads of `queries` rows of `width`; k, v: `keys` rows of `width` and of `depth`. */
typedef struct {
    const ad_call *call;
    const ad_tensor *q, *k, *v, *g; /* g, back alone: the cotangents */
    double scale;
    bool causal, back;
    int type;
    int64_t size, heads, queries, keys, width, depth;
    int64_t rows, blocks;
    const ad_gemm_type *kernels;
    atomic_int status;
} work;

/* A head's matrix. */
static ad_matrix head(const ad_tensor *x, int64_t i) {
    int64_t offset = 0;
    for (int d = x->ndim - 3; d >= 0; d--) {
        offset += i % x->shape[d] * x->strides[d];
        i /= x->shape[d];
    }
    return (ad_matrix){x->data + offset * ad_itemsize[x->dtype], x->strides[x->ndim - 2],
                       x->strides[x->ndim - 1]};
}

static ad_matrix turned(ad_matrix x) { return (ad_matrix){x.data, x.col, x.row}; }
static ad_matrix from_row(ad_matrix x, int64_t row, int64_t size) {
    x.data += row * x.row * size;
    return x;
}
static ad_matrix packed(const char *data, int64_t row) { return (ad_matrix){data, row, 1}; }

/* c (m x n) = a (m x k) b (k x n), or added to c. */
static int multiply(const work *w, int64_t m, int64_t n, int64_t k, ad_matrix a, ad_matrix b, char *c,
                    bool accumulate) {
    ad_product g = {w->kernels, w->size, m, n, k, a, b, c, n, .accumulate = accumulate};
    return ad_gemm(&g);
}

/* to = x scale, of rows. */
static void scaled(const work *w, int64_t rows, int64_t cols, ad_matrix x, char *to) {
    const float scale = (float)w->scale;
    const void *by = w->type == AD_f32 ? (const void *)&scale : &w->scale;
    ad_pw_fn *number = ad_cpu->pw->number[AD_OP_mul][w->type][1];
    for (int64_t i = 0; i < rows; i++, x.data += x.row * w->size, to += cols * w->size) {
        if (x.col == 1 && number) {
            number(cols, to, x.data, by, NULL);
            continue;
        }
        for (int64_t j = 0; j < cols; j++) {
            if (w->type == AD_f32)
                ((float *)to)[j] = ((const float *)x.data)[j * x.col] * scale;
            else
                ((double *)to)[j] = ((const double *)x.data)[j * x.col] * w->scale;
        }
    }
}

/* Scores of keys after the query. */
static void leave_out(const work *w, int64_t first, int64_t rows, int64_t n, char *scores) {
    for (int64_t i = 0; i < rows; i++, scores += n * w->size) {
        float *x = (float *)scores;
        double *wide = (double *)scores;
        if (w->type == AD_f32)
            for (int64_t j = first + i + 1; j < n; j++) x[j] = -INFINITY;
        else
            for (int64_t j = first + i + 1; j < n; j++) wide[j] = -INFINITY;
    }
}

/* A block of queries: how many, and how many keys they see. */
typedef struct {
    int64_t first, rows, n;
    char *q, *weights, *d; /* scaled queries; what the rows weigh keys by; back: its cotangents */
} block;

static int make_weights(const work *w, const block *b, ad_matrix q, ad_matrix k) {
    scaled(w, b->rows, w->width, from_row(q, b->first, w->size), b->q);
    const int status =
        multiply(w, b->rows, b->n, w->width, packed(b->q, w->width), turned(k), b->weights, false);
    if (status) return status;
    if (w->causal) leave_out(w, b->first, b->rows, b->n, b->weights);
    ad_rows_run(AD_ROWS_softmax, w->type, b->rows, b->n, b->weights, NULL, b->weights);
    return AD_OK;
}

static int forward(const work *w, const block *b, int64_t i) {
    char *y = ad_out(w->call, 0)->data + (i * w->queries + b->first) * w->depth * w->size;
    const int status = make_weights(w, b, head(w->q, i), head(w->k, i));
    return status ? status
                  : multiply(w, b->rows, w->depth, b->n, packed(b->weights, b->n), head(w->v, i), y, false);
}

static int back(const work *w, const block *b, int64_t i) {
    const ad_matrix q = head(w->q, i), k = head(w->k, i), v = head(w->v, i);
    const ad_matrix g = from_row(head(w->g, i), b->first, w->size);
    const ad_matrix p = packed(b->weights, b->n), d = packed(b->d, b->n);
    char *dq = ad_out(w->call, 0)->data + (i * w->queries + b->first) * w->width * w->size;
    char *dk = ad_out(w->call, 1)->data + i * w->keys * w->width * w->size;
    char *dv = ad_out(w->call, 2)->data + i * w->keys * w->depth * w->size;
    int status = make_weights(w, b, q, k);
    if (!status) status = multiply(w, b->n, w->depth, b->rows, turned(p), g, dv, true);
    if (!status) status = multiply(w, b->rows, b->n, w->depth, g, turned(v), b->d, false);
    if (status) return status;
    ad_rows_run(AD_ROWS_softmax_vjp, w->type, b->rows, b->n, b->weights, b->d, b->d);
    status = multiply(w, b->n, w->width, b->rows, turned(d), packed(b->q, w->width), dk, true);
    if (!status) status = multiply(w, b->rows, w->width, b->n, d, k, dq, false);
    if (!status) scaled(w, b->rows, w->width, packed(dq, w->width), dq);
    return status;
}

static int64_t query_bytes(const work *w) { return (w->rows * w->size * w->width + 63) / 64 * 64; }
static int64_t score_bytes(const work *w) { return (w->rows * w->size * w->keys + 63) / 64 * 64; }
static int64_t task_bytes(const work *w) { return query_bytes(w) + (w->back ? 2 : 1) * score_bytes(w); }

/* Forward, a task is a block; back, where blocks add to what others made, a head. */
static void run_task(void *context, int64_t task) {
    const work *w = context;
    const int64_t each = w->back ? w->blocks : 1, bytes = query_bytes(w), scores = score_bytes(w);
    char *room = ad_alloc((size_t)task_bytes(w));
    int status = room ? AD_OK : AD_NO_MEMORY;
    for (int64_t j = task * each; j < (task + 1) * each && !status; j++) {
        const int64_t first = j % w->blocks * w->rows, rows = ad_least(w->rows, w->queries - first);
        const int64_t n = w->causal ? ad_least(first + rows, w->keys) : w->keys;
        const block b = {first, rows, n, room, room + bytes, room + bytes + scores};
        status = (w->back ? back : forward)(w, &b, j / w->blocks);
    }
    ad_dealloc(room);
    if (status) atomic_store(&((work *)context)->status, status);
}

static int run(const ad_call *c) {
    const numbers *how = c->numbers;
    const bool goes_back = c->n_out == 3;
    const ad_tensor *const *x = c->x + c->n_out;
    const ad_tensor *q = x[0], *k = x[1], *v = x[2];
    work w = {.call = c, .q = q, .k = k, .v = v, .g = goes_back ? x[3] : NULL, .back = goes_back};
    w.scale = how->scale, w.causal = how->causal;
    w.type = ad_dtype_type[q->dtype], w.size = ad_itemsize[q->dtype];
    w.queries = q->shape[q->ndim - 2], w.keys = k->shape[k->ndim - 2];
    w.width = q->shape[q->ndim - 1], w.depth = v->shape[v->ndim - 1];
    w.heads = q->numel / (w.queries * w.width);
    w.kernels = ad_cpu->gemm->type[w.type];
    w.rows = SCORES / w.keys < FEW ? FEW : SCORES / w.keys > MANY ? MANY : SCORES / w.keys;
    if (w.causal && w.keys <= 4 * STEP) w.rows = STEP;
    w.blocks = (w.queries + w.rows - 1) / w.rows;
    for (int o = 1; o < c->n_out; o++) memset(ad_out(c, o)->data, 0, (size_t)(ad_out(c, o)->numel * w.size));
    const ad_product all = {
        .m = w.heads * w.queries, .n = w.keys, .k = 10 + w.width + w.depth, .size = w.size};
    atomic_init(&w.status, AD_OK);
    ad_parallel_for(goes_back ? w.heads : w.heads * w.blocks, ad_product_cost(&all) * (goes_back ? 3 : 1),
                    run_task, &w);
    const int status = atomic_load(&w.status);
    return status ? ad_fail(status, task_bytes(&w), 0, 0) : AD_OK;
}

/* Heads of one shape before the last two dimensions, of two of anything: products of fewer cannot add up. */
static int check(int n, const ad_tensor *const *x) {
    const ad_tensor *q = x[0];
    if (q->dtype != AD_float32 && q->dtype != AD_float64) return ad_fail(AD_BAD_DTYPE, q->dtype, 0, 0);
    for (int i = 0; i < n; i++) {
        const int ndim = x[i]->ndim;
        if (x[i]->dtype != q->dtype) return ad_fail(AD_BAD_DTYPE, x[i]->dtype, 0, 0);
        if (ndim < 2 || ndim != q->ndim) return ad_fail(AD_BAD_DIM, -2, ndim, 0);
        if (!x[i]->numel || x[i]->shape[ndim - 2] < 2 || x[i]->shape[ndim - 1] < 2 ||
            memcmp(x[i]->shape, q->shape, sizeof(int64_t) * (size_t)(ndim - 2)) != 0)
            return ad_fail(AD_BAD_SHAPE, x[i]->shape[0], q->shape[0], 0);
    }
    const int last = q->ndim - 1;
    if (x[1]->shape[last] != q->shape[last] || x[2]->shape[last - 1] != x[1]->shape[last - 1] ||
        (n > 3 && (x[3]->shape[last] != x[2]->shape[last] || x[3]->shape[last - 1] != q->shape[last - 1])))
        return ad_fail(AD_BAD_SHAPE, x[1]->shape[last], q->shape[last], 0);
    return AD_OK;
}

ad_tensor *ad_attend(const ad_tensor *q, const ad_tensor *k, const ad_tensor *v, double scale, int causal) {
    int64_t shape[AD_MAX_DIMS];
    if (check(3, (const ad_tensor *const[]){q, k, v})) return NULL;
    memcpy(shape, q->shape, sizeof shape);
    shape[q->ndim - 1] = v->shape[q->ndim - 1];
    ad_tensor *y = ad_make(q->dtype, q->ndim, shape);
    const numbers how = {scale, causal};
    const ad_tensor *const x[] = {y, q, k, v};
    return y ? ad_done(&(ad_call){run, "attend", 1, 3, .x = x, .numbers = &how, .n_bytes = sizeof how}, y)
             : NULL;
}

int ad_attend_vjp(const ad_tensor *q, const ad_tensor *k, const ad_tensor *v, const ad_tensor *g,
                  double scale, int causal, ad_tensor **out) {
    const ad_tensor *const in[] = {q, k, v, g};
    const ad_tensor *x[3 + 4];
    const numbers how = {scale, causal};
    int status = check(4, in);
    for (int i = 0; i < 3; i++)
        if ((x[i] = out[i] = status ? NULL : ad_make(q->dtype, q->ndim, in[i]->shape)) == NULL)
            status = ad_error(NULL);
    memcpy(x + 3, in, sizeof in);
    if (!status)
        status = ad_do(&(ad_call){run, "attend_vjp", 3, 4, .x = x, .numbers = &how, .n_bytes = sizeof how});
    for (int i = 0; i < 3 && status; i++) {
        ad_free(out[i]);
        out[i] = NULL;
    }
    return status;
}
