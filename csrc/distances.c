/* distances.c: between the rows of matrices, a block of rows and a panel of columns at a time; or, where they
 * are Euclidean, by a product of the matrices. */
#include <math.h>
#include <stdatomic.h>
#include "gemm.h"
#include "tape.h"

#define ROWS 64 /* of a block, in eights, which a task takes: to transpose a panel costs as much as a few */

typedef struct {
    const char *x, *y;
    char *out;
    int64_t m, n, k, blocks, size;
    int order, type;
    bool pairs; /* of one matrix */
    atomic_bool failed;
} distances;

/* The results of a panel from column j on: those of pairs follow the ones of the rows before. */
static void keep(const distances *d, int64_t batch, int64_t first, int64_t rows, int64_t j,
                 const char *made) {
    const int64_t panel = AD_LANE_BYTES / d->size, end = ad_least(j + panel, d->n);
    for (int64_t r = 0; r < rows; r++, made += AD_LANE_BYTES) {
        const int64_t i = first + r, from = d->pairs && i + 1 > j ? i + 1 : j;
        const int64_t row = d->pairs ? i * d->n - i * (i + 1) / 2 - i - 1 : (batch * d->m + i) * d->n;
        if (from < end)
            memcpy(d->out + (row + from) * d->size, made + (from - j) * d->size,
                   (size_t)((end - from) * d->size));
    }
}

static void run_block(void *context, int64_t item) {
    distances *d = context;
    const int64_t panel = AD_LANE_BYTES / d->size, row_bytes = d->k * d->size;
    const int64_t batch = item / d->blocks, first = item % d->blocks * ROWS,
                  rows = ad_least(ROWS, d->m - first);
    _Alignas(64) char made[ROWS * AD_LANE_BYTES];
    char *columns = ad_alloc((size_t)(d->k + 1) * AD_LANE_BYTES);
    if (!columns) {
        atomic_store(&d->failed, true);
        return;
    }
    memset(columns, 0, (size_t)d->k * AD_LANE_BYTES);
    for (int64_t j = d->pairs ? first / panel * panel : 0; j < d->n; j += panel) {
        ad_cpu->pw->transpose[d->type](d->k, ad_least(panel, d->n - j), columns, panel,
                                       d->y + (batch * d->n + j) * row_bytes, d->k, false);
        ad_cpu->rows->distances[d->type](d->order, rows, d->k, d->x + (batch * d->m + first) * row_bytes,
                                         columns, made);
        keep(d, batch, first, rows, j, made);
    }
    ad_dealloc(columns);
}

/* ---- the root of |x|^2 + |y|^2 - 2 x y ---- */

typedef struct {
    const distances *d;
    const char *own, *others;
    char *out;
} products;

static void finish_row(void *context, int64_t row) {
    const products *p = context;
    const int64_t size = p->d->size;
    ad_cpu->rows->by_squares[p->d->type](p->d->n, p->own + row * size, p->others,
                                         p->out + row * p->d->n * size);
}

static void run_product(void *context, int64_t batch) {
    distances *d = context;
    const int64_t m = d->m, n = d->n, k = d->k, size = d->size;
    const char *x = d->x + batch * m * k * size, *y = d->y + batch * n * k * size;
    char *out = d->out + batch * m * n * size, *sums = ad_alloc((size_t)((m + n) * size));
    const products p = {d, sums, sums + m * size, out};
    ad_product g = {.kernels = ad_cpu->gemm->type[d->type],
                    .size = size,
                    .m = m,
                    .n = n,
                    .k = k,
                    .a = {x, k, 1},
                    .b = {y, 1, k},
                    .c = out,
                    .c_row = n};
    if (sums && !ad_gemm(&g)) {
        ad_cpu->rows->squares[d->type](m, k, x, sums);
        ad_cpu->rows->squares[d->type](n, k, y, sums + m * size);
        ad_parallel_for(m, m * n / 4, finish_row, (void *)&p);
    } else {
        atomic_store(&d->failed, true);
    }
    ad_dealloc(sums);
}

/* Small matrices are spread over the threads; large ones, one after the other, use them themselves. */
static void run_products(distances *d, int64_t batches) {
    enum { LARGE = 1000000 };
    const double each = (double)d->m * (double)d->n * (double)(d->k + 16) / 20;
    if (each < LARGE)
        ad_parallel_for(batches, (int64_t)fmin(each * (double)batches, 1e15), run_product, d);
    else
        for (int64_t i = 0; i < batches; i++) run_product(d, i);
}

static int run_distances(const ad_call *c) {
    const ad_tensor *x = ad_in(c, 0), *y = c->n_in > 1 ? ad_in(c, 1) : x;
    ad_tensor *rows = x->contiguous ? NULL : ad_contiguous(x, x->dtype);
    ad_tensor *columns = y->contiguous || y == x ? NULL : ad_contiguous(y, y->dtype);
    int status = (rows || x->contiguous) && (columns || y->contiguous || y == x) ? AD_OK : ad_error(NULL);
    if (!status) {
        if (rows) x = y == x ? (y = rows) : rows;
        if (columns) y = columns;
        distances d = {.x = x->data, .y = y->data, .out = ad_out(c, 0)->data, .pairs = c->n_in == 1};
        d.m = x->shape[x->ndim - 2], d.n = y->shape[y->ndim - 2], d.k = x->shape[x->ndim - 1];
        d.blocks = (d.m + ROWS - 1) / ROWS;
        d.size = ad_itemsize[x->dtype], d.type = ad_dtype_type[x->dtype];
        d.order = *(const int *)c->numbers;
        int64_t batches = 1;
        for (int i = 0; i < x->ndim - 2; i++) batches *= x->shape[i];
        atomic_init(&d.failed, false);
        if (d.order == AD_DISTANCE_product)
            run_products(&d, batches);
        else
            ad_parallel_for(batches * d.blocks, ad_out(c, 0)->numel * (d.k + 1) / 8, run_block, &d);
        if (atomic_load(&d.failed)) status = ad_fail(AD_NO_MEMORY, d.k * AD_LANE_BYTES, 0, 0);
    }
    ad_free(rows);
    ad_free(columns);
    return status;
}

static ad_tensor *between(const ad_tensor *x, const ad_tensor *y, int which) {
    int64_t shape[AD_MAX_DIMS];
    const int n = x->ndim;
    if (n < 2 || (y ? y->ndim != n : n != 2)) return ad_fail_null(AD_BAD_DIM, 2, n, 0);
    if (!ad_is_float(x->dtype) || (y && y->dtype != x->dtype))
        return ad_fail_null(AD_BAD_DTYPE, x->dtype, 0, 0);
    memcpy(shape, x->shape, sizeof(int64_t) * (size_t)n);
    for (int i = 0; y && i < n; i++)
        if (i != n - 2 && x->shape[i] != y->shape[i])
            return ad_fail_null(AD_BAD_SHAPE, x->shape[i], y->shape[i], 0);
    if (!y && x->shape[0] > INT32_MAX) return ad_fail_null(AD_TOO_LARGE, 0, 0, 0);
    shape[n - 1] = y ? y->shape[n - 2] : 0;
    if (!y) shape[0] = x->shape[0] * (x->shape[0] - 1) / 2;
    ad_tensor *out = ad_make(x->dtype, y ? n : 1, shape);
    const ad_tensor *const operands[] = {out, x, y};
    return out && out->numel ? ad_done(&(ad_call){run_distances, "distances", 1, y ? 2 : 1, .x = operands,
                                                  .numbers = &which, .n_bytes = sizeof which},
                                       out)
                             : out;
}

ad_tensor *ad_distances(const ad_tensor *x, const ad_tensor *y, double order) {
    AD_IN_FLOAT32(x, NULL, ad_distances(in32[0], y ? in32[1] : NULL, order), x, y ? y : x)
    if (order != INFINITY && order != 1 && order != 2) return ad_fail_null(AD_BAD_SHAPE, 0, 0, 0);
    return between(x, y, order == INFINITY ? AD_DISTANCE_inf : order == 1 ? AD_DISTANCE_1 : AD_DISTANCE_2);
}

ad_tensor *ad_distances_by_product(const ad_tensor *x, const ad_tensor *y) {
    AD_IN_FLOAT32(x, NULL, ad_distances_by_product(in32[0], in32[1]), x, y)
    return between(x, y, AD_DISTANCE_product);
}
