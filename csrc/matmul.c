/* matmul.c: batches of products, products of integers and of transposed operands. */
#include <stdatomic.h>
#include "gemm.h"
#include "rows.h"
#include "tape.h"

/* ---- integers: wrapping, in whatever order ---- */

typedef void integer_fn(const ad_product *g);
#define INTEGER_PRODUCT(type)                                                                                \
    static void multiply_##type(const ad_product *g) {                                                       \
        const type *a = (const type *)g->a.data, *b = (const type *)g->b.data,                               \
                   *bias = (const type *)g->bias;                                                            \
        for (int64_t i = 0; i < g->m; i++) {                                                                 \
            type *c = (type *)g->c + i * g->n;                                                               \
            for (int64_t j = 0; j < g->n; j++) c[j] = bias ? bias[j] : 0;                                    \
            for (int64_t p = 0; p < g->k; p++) {                                                             \
                const type s = a[i * g->a.row + p * g->a.col], *x = b + p * g->b.row;                        \
                for (int64_t j = 0; j < g->n; j++) c[j] = (type)(c[j] + s * x[j * g->b.col]);                \
            }                                                                                                \
        }                                                                                                    \
    }
INTEGER_PRODUCT(uint8_t)
INTEGER_PRODUCT(uint16_t)
INTEGER_PRODUCT(uint32_t)
INTEGER_PRODUCT(uint64_t)

static integer_fn *const integer_products[AD_N_DTYPES] = {[AD_uint8] = multiply_uint8_t,
                                                          [AD_int8] = multiply_uint8_t,
                                                          [AD_int16] = multiply_uint16_t,
                                                          [AD_int32] = multiply_uint32_t,
                                                          [AD_int64] = multiply_uint64_t};

/* ---- ad_matmul ---- */

typedef struct {
    ad_product g; /* the first of the batch */
    integer_fn *integer;
    int ndim;
    int64_t count, shape[AD_MAX_DIMS], a[AD_MAX_DIMS], b[AD_MAX_DIMS]; /* strides of the batch */
    int64_t per_task;
    atomic_int status;
} batch;

static int run_one(ad_product *g, integer_fn *integer) {
    if (!integer) return ad_gemm(g);
    integer(g);
    return AD_OK;
}

static ad_product product(const batch *t, int64_t i) {
    ad_product g = t->g;
    int64_t a = 0, b = 0;
    g.c += i * g.m * g.n * g.size;
    g.a_next = t->a[t->ndim - 1];
    g.b_next = t->b[t->ndim - 1];
    for (int d = t->ndim - 1; d >= 0 && i; d--) {
        const int64_t index = i % t->shape[d];
        i /= t->shape[d];
        a += index * t->a[d];
        b += index * t->b[d];
    }
    g.a.data += a * g.size;
    g.b.data += b * g.size;
    return g;
}

/* Of a row and a column each: side by side, chains do not wait for themselves. */
static void run_dots(const batch *t, int64_t i, int64_t end) {
    const int64_t last = t->shape[t->ndim - 1];
    for (int64_t n; i < end; i += n) {
        n = ad_least(end - i, last - i % last);
        const ad_product g = product(t, i);
        g.kernels->dots(n, g.k, g.a.data, g.a_next, g.a.col, g.b.data, g.b_next, g.b.row, g.c);
    }
}

static void run_products(void *context, int64_t task) {
    batch *t = context;
    const int64_t first = task * t->per_task, end = ad_least(first + t->per_task, t->count);
    if (t->g.m == 1 && t->g.n == 1 && !t->integer && !t->g.bias) {
        run_dots(t, first, end);
        return;
    }
    for (int64_t i = first; i < end; i++) {
        ad_product g = product(t, i);
        const int status = run_one(&g, t->integer);
        if (status) atomic_store(&t->status, status);
    }
}

/* Small products go several to a task; large ones, one after the other, use the threads themselves. */
static int run_batch(batch *t) {
    enum { TASK = 10000, LARGE = 1000000 };
    if (t->count == 1) return run_one(&t->g, t->integer);
    atomic_init(&t->status, AD_OK);
    const int64_t each = ad_product_cost(&t->g) * (t->integer ? 20 : 1) + 10;
    t->per_task = each < TASK ? TASK / each + 1 : 1;
    const int64_t tasks = (t->count + t->per_task - 1) / t->per_task;
    if (each < LARGE || t->integer) {
        ad_parallel_for(tasks, t->count < INT64_MAX / 2 / each ? t->count * each : INT64_MAX / 2,
                        run_products, t);
    } else {
        for (int64_t i = 0; i < tasks; i++) run_products(t, i);
    }
    const int status = atomic_load(&t->status);
    return status ? ad_fail(status, 0, 0, 0) : AD_OK;
}

/* Where B is the same for the whole batch and A's batch steps on where its rows end, all is one product. */
static void fold(batch *t) {
    int64_t m = t->g.m, row = t->g.a.row;
    for (int d = t->ndim - 1; d >= 0; d--) {
        if (t->shape[d] == 1) continue;
        if (m == 1) row = t->a[d];
        if (t->b[d] != 0 || t->a[d] != m * row) return;
        m *= t->shape[d];
    }
    t->g.m = m;
    t->g.a.row = row;
    t->count = 1;
}

static int check(const ad_tensor *a, const ad_tensor *b, const ad_tensor *bias) {
    if (a->dtype == AD_bool) return ad_fail(AD_BAD_DTYPE, a->dtype, 0, 0);
    if (b->dtype != a->dtype) return ad_fail(AD_BAD_DTYPE, b->dtype, 0, 0);
    if (a->ndim < 2) return ad_fail(AD_BAD_DIM, -2, a->ndim, 0);
    if (b->ndim < 2) return ad_fail(AD_BAD_DIM, -2, b->ndim, 0);
    const int64_t k = a->shape[a->ndim - 1], k2 = b->shape[b->ndim - 2], n = b->shape[b->ndim - 1];
    if (k != k2) return ad_fail(AD_BAD_SHAPE, k, k2, 0);
    if (!bias) return AD_OK;
    if (bias->dtype != a->dtype) return ad_fail(AD_BAD_DTYPE, bias->dtype, 0, 0);
    if (bias->ndim != 1) return ad_fail(AD_BAD_DIM, 0, bias->ndim, 0);
    return bias->shape[0] == n ? AD_OK : ad_fail(AD_BAD_SHAPE, bias->shape[0], n, 0);
}

static void lay_out(batch *t, const ad_tensor *a, const ad_tensor *b, const char *bias, const ad_tensor *c) {
    const int64_t *as = a->strides + a->ndim - 2, *bs = b->strides + b->ndim - 2;
    const int64_t m = c->shape[c->ndim - 2], n = c->shape[c->ndim - 1];
    t->g = (ad_product){.kernels = ad_is_float(a->dtype) ? ad_cpu->gemm->type[ad_dtype_type[a->dtype]] : NULL,
                        .size = ad_itemsize[a->dtype],
                        .m = m,
                        .n = n,
                        .k = a->shape[a->ndim - 1],
                        .a = {a->data, as[0], as[1]},
                        .b = {b->data, bs[0], bs[1]},
                        .c = c->data,
                        .c_row = n,
                        .bias = bias};
    t->integer = integer_products[a->dtype];
    t->ndim = c->ndim - 2;
    t->count = 1;
    for (int d = 0; d < t->ndim; d++) t->count *= t->shape[d] = c->shape[d];
    for (int d = 0; d < t->ndim; d++) {
        t->a[d] = ad_broadcast_stride(a, c->ndim, d);
        t->b[d] = ad_broadcast_stride(b, c->ndim, d);
    }
    if (t->count > 1) fold(t);
}

/* ---- recorded calls: c, a, b, bias ---- */

static bool is_flat(const ad_tensor *bias) { return !bias || bias->strides[0] == 1; }

/* c = a b + bias, whose elements need not follow one another. */
static int run_matmul(const ad_call *call) {
    const ad_tensor *bias = ad_in(call, 2);
    ad_tensor *copy = is_flat(bias) ? NULL : ad_contiguous(bias, bias->dtype);
    if (!is_flat(bias) && !(bias = copy)) return AD_NO_MEMORY;
    batch t;
    lay_out(&t, ad_in(call, 0), ad_in(call, 1), bias ? bias->data : NULL, ad_out(call, 0));
    const int64_t each = ad_product_cost(&t.g);
    const bool let_go = ad_let_go(t.count < INT64_MAX / 2 / (each + 1) ? t.count * each : INT64_MAX);
    const int status = run_batch(&t);
    ad_take_back(let_go);
    ad_free(copy);
    return status;
}

static size_t laid_size(const ad_call *call) {
    (void)call;
    return sizeof(batch);
}

static bool lay(const ad_call *call, void *room) {
    const ad_tensor *bias = ad_in(call, 2);
    batch *t = room;
    if (!is_flat(bias)) return false;
    lay_out(t, ad_in(call, 0), ad_in(call, 1), bias ? bias->data : NULL, ad_out(call, 0));
    if (t->count == 1 && !t->integer) ad_gemm_ready(&t->g);
    return true;
}

static void pointers(const ad_call *call, void *room, ad_place_fn *place, void *context) {
    ad_product *g = &((batch *)room)->g;
    place(context, 0, &g->c);
    place(context, g->turned ? 2 : 1, (char **)&g->a.data);
    place(context, g->turned ? 1 : 2, (char **)&g->b.data);
    if (ad_in(call, 2)) place(context, 3, (char **)(g->bias_later ? &g->bias_later : &g->bias));
}

static int run_laid(const ad_call *call) {
    batch *t = (batch *)call->numbers;
    return t->count == 1 && !t->integer ? ad_gemm_run(&t->g) : run_batch(t);
}

static const ad_layout layout = {laid_size, lay, pointers, run_laid};

ad_tensor *ad_matmul(const ad_tensor *a, const ad_tensor *b, const ad_tensor *bias) {
    int64_t shape[AD_MAX_DIMS];
    AD_IN_FLOAT32(a, NULL, ad_matmul(in32[0], in32[1], in32[2]), a, b, bias)
    if (check(a, b, bias)) return NULL;
    const int ndim = ad_broadcast_shapes(2, (const ad_tensor *const[]){a, b}, 2, shape) + 2;
    if (ndim < 2) return NULL;
    shape[ndim - 2] = a->shape[a->ndim - 2];
    shape[ndim - 1] = b->shape[b->ndim - 1];
    ad_tensor *c = ad_make(a->dtype, ndim, shape);
    if (!c || !c->numel) return c;
    const ad_tensor *const x[] = {c, a, b, bias};
    return ad_done(&(ad_call){run_matmul, "matmul", 1, 3, .x = x, .layout = &layout}, c);
}

/* ---- transposed operands, without making views ---- */

static const ad_tensor *swapped(const ad_tensor *x, ad_tensor *copy) {
    *copy = *x;
    if (x->ndim < 2) return copy;
    ad_swap_dims(copy, x->ndim - 2, x->ndim - 1);
    ad_refresh(copy);
    return copy;
}

ad_tensor *ad_matmul_t(const ad_tensor *a, const ad_tensor *b, const ad_tensor *bias, int transpose) {
    ad_tensor at, bt;
    return ad_matmul(transpose & 1 ? swapped(a, &at) : a, transpose & 2 ? swapped(b, &bt) : b, bias);
}

ad_tensor *ad_mm(const ad_tensor *a, const ad_tensor *b, int transpose) {
    if (a->ndim != 2 || b->ndim != 2) return ad_fail_null(AD_BAD_DIM, -2, a->ndim, 0);
    return ad_matmul_t(a, b, NULL, transpose);
}

ad_tensor *ad_bmm(const ad_tensor *a, const ad_tensor *b, int transpose) {
    if (a->ndim < 3 || b->ndim != a->ndim) return ad_fail_null(AD_BAD_DIM, -2, a->ndim, 0);
    for (int d = 0; d < a->ndim - 2; d++)
        if (a->shape[d] != b->shape[d]) return ad_fail_null(AD_BAD_SHAPE, a->shape[d], b->shape[d], 0);
    return ad_matmul_t(a, b, NULL, transpose);
}

ad_tensor *ad_mm_vjp(const ad_tensor *g, const ad_tensor *a, const ad_tensor *b, int transpose) {
    const int ta = transpose & 1, tb = transpose >> 1 & 1;
    ad_tensor *(*const multiply)(const ad_tensor *, const ad_tensor *, int) =
        transpose & 8 && g->ndim > 2 ? ad_bmm : ad_mm;
    ad_tensor *found[3] = {NULL};
    int n = 0;
    if (b) {
        found[n] = ta ? multiply(b, g, tb | 2) : multiply(g, b, 2 * !tb);
        if (!found[n++]) return NULL;
    }
    if (a) {
        found[n] = tb ? multiply(g, a, 1 | 2 * ta) : multiply(a, g, !ta);
        if (!found[n++]) goto failed;
    }
    if (transpose & 4) {
        found[n] = g->ndim == 2 ? ad_sum_to(g, 1, g->shape + 1) : ad_fail_null(AD_BAD_DIM, -2, g->ndim, 0);
        if (!found[n++]) goto failed;
    }
    return n ? ad_several(n, found) : ad_fail_null(AD_EMPTY, 0, 0, 0);
failed:
    for (int i = 0; i < n; i++) ad_free(found[i]);
    return NULL;
}

/* ---- vectors ---- */

/* A matrix of a row (or else a column) of the elements of x, if that is a vector. */
static const ad_tensor *as_matrix(const ad_tensor *x, bool row, ad_tensor *copy) {
    if (x->ndim != 1) return x;
    *copy = *x;
    copy->ndim = 2;
    copy->shape[row] = x->shape[0], copy->strides[row] = x->strides[0];
    copy->shape[!row] = copy->strides[!row] = 1;
    ad_refresh(copy);
    return copy;
}

typedef struct {
    const char *a, *b;
    int type;
    _Alignas(64) char terms[AD_BLOCK * 8];
} dot_task;

static const void *dot_terms(void *context, const ad_rows_part *part, int64_t *stride) {
    dot_task *t = context;
    const int64_t at = part->offset * ad_type_size[t->type];
    ad_cpu->pw->instr[AD_OP_mul][t->type](*stride = part->block.cols, t->terms, t->a + at, t->b + at, NULL);
    return t->terms;
}

static int run_dot(const ad_call *c) {
    const int dtype = ad_out(c, 0)->dtype;
    ad_tensor *made[2] = {NULL, NULL};
    const ad_tensor *a = ad_packed(ad_in(c, 0), dtype, &made[0]);
    const ad_tensor *b = a ? ad_packed(ad_in(c, 1), dtype, &made[1]) : NULL;
    if (b) {
        const bool let_go = ad_let_go(2 * a->numel);
        dot_task t = {.a = a->data, .b = b->data, .type = ad_dtype_type[dtype]};
        const ad_rows_item row = {{1, a->numel, a->numel, false}, 0, 0, 1};
        ad_rows_fold(&row, AD_FOLD_sum, t.type, dot_terms, &t, ad_out(c, 0)->data);
        ad_take_back(let_go);
    }
    ad_free(made[0]);
    ad_free(made[1]);
    return b ? AD_OK : AD_NO_MEMORY;
}

/* The products of elements, added as a sum of them is: in lanes, as one chain over k would take 30 times as
 * long. */
static ad_tensor *dot(const ad_tensor *a, const ad_tensor *b) {
    AD_IN_FLOAT32(a, NULL, dot(in32[0], in32[1]), a, b)
    ad_tensor *y = ad_make(a->dtype, 0, NULL);
    const ad_tensor *const operands[] = {y, a, b};
    return y ? ad_done(&(ad_call){run_dot, "dot", 1, 2, .x = operands}, y) : NULL;
}

ad_tensor *ad_vector_product(const ad_tensor *a, const ad_tensor *b) {
    const bool vectors = a->ndim == 1 && b->ndim == 1 && a->dtype == b->dtype && a->numel == b->numel;
    if (vectors && a->numel && ad_is_floating(a->dtype)) return dot(a, b);
    ad_tensor row, column;
    ad_tensor *c = ad_matmul(as_matrix(a, true, &row), as_matrix(b, false, &column), NULL);
    if (!c) return NULL;
    ad_tensor *y =
        ad_squeeze(c, (uint32_t)(a->ndim == 1) << (c->ndim - 2) | (uint32_t)(b->ndim == 1) << (c->ndim - 1));
    ad_free(c);
    return y;
}
