/* products.c: cross products, of vectors of three, and Kronecker's, of any tensors. */
#include "tape.h"

#define TASK 4096 /* vectors that a task takes */

typedef struct {
    const char *a, *b;
    char *y;
    int64_t count, inner; /* vectors; how far their elements are apart */
    int dtype;
} crossing;

/* Of integers the lowest bits, whatever their sign. */
#define CROSS(T, W)                                                                                          \
    static void cross_##T(const crossing *t, int64_t from, int64_t end) {                                    \
        const int64_t n = t->inner;                                                                          \
        for (int64_t v = from; v < end; v++) {                                                               \
            const int64_t at = v / n * 3 * n + v % n;                                                        \
            const T *a = (const T *)(const void *)t->a + at, *b = (const T *)(const void *)t->b + at;        \
            T *y = (T *)(void *)t->y + at;                                                                   \
            y[0] = (T)((W)a[n] * (W)b[2 * n] - (W)a[2 * n] * (W)b[n]);                                       \
            y[n] = (T)((W)a[2 * n] * (W)b[0] - (W)a[0] * (W)b[2 * n]);                                       \
            y[2 * n] = (T)((W)a[0] * (W)b[n] - (W)a[n] * (W)b[0]);                                           \
        }                                                                                                    \
    }
CROSS(float, float)
CROSS(double, double)
CROSS(uint8_t, uint32_t)
CROSS(uint16_t, uint32_t)
CROSS(uint32_t, uint32_t)
CROSS(uint64_t, uint64_t)

static void run_task(void *context, int64_t task) {
    const crossing *t = context;
    const int64_t from = task * TASK, end = ad_least(from + TASK, t->count);
    if (ad_is_float(t->dtype)) {
        (ad_itemsize[t->dtype] == sizeof(float) ? cross_float : cross_double)(t, from, end);
        return;
    }
    switch (ad_itemsize[t->dtype]) {
    case 1: cross_uint8_t(t, from, end); break;
    case 2: cross_uint16_t(t, from, end); break;
    case 4: cross_uint32_t(t, from, end); break;
    default: cross_uint64_t(t, from, end);
    }
}

static int run_cross(const ad_call *c) {
    const int dim = *(const int *)c->numbers;
    const ad_tensor *y = ad_out(c, 0);
    ad_tensor *made[2] = {NULL, NULL};
    const ad_tensor *a = ad_packed(ad_in(c, 0), y->dtype, &made[0]);
    const ad_tensor *b = a ? ad_packed(ad_in(c, 1), y->dtype, &made[1]) : NULL;
    const int status = b ? AD_OK : ad_error(NULL);
    if (!status) {
        crossing t = {a->data, b->data, y->data, .count = y->numel / 3, .inner = 1, .dtype = y->dtype};
        for (int d = dim + 1; d < y->ndim; d++) t.inner *= y->shape[d];
        ad_parallel_for((t.count + TASK - 1) / TASK, t.count * 2, run_task, &t);
    }
    ad_free(made[0]);
    ad_free(made[1]);
    return status;
}

ad_tensor *ad_cross(const ad_tensor *a, const ad_tensor *b, int dim) {
    AD_IN_FLOAT32(a, NULL, ad_cross(in32[0], in32[1], dim), a, b)
    if (a->dtype != b->dtype || a->dtype == AD_bool) return ad_fail_null(AD_BAD_DTYPE, b->dtype, 0, 0);
    if (a->ndim != b->ndim) return ad_fail_null(AD_BAD_DIM, a->ndim, b->ndim, 0);
    bool alike = true;
    for (int d = 0; d < a->ndim; d++) {
        const int64_t m = a->shape[d], n = b->shape[d];
        if (m != n && m != 1 && n != 1) return ad_fail_null(AD_BROADCAST, m, n, d);
        alike = alike && m == n;
    }
    if (!alike) return ad_fail_null(AD_BAD_SHAPE, a->ndim, b->ndim, 0);
    if (dim < 0 || dim >= a->ndim) return ad_fail_null(AD_BAD_DIM, dim, a->ndim, 0);
    if (a->shape[dim] != 3) return ad_fail_null(AD_BAD_SHAPE, 3, a->shape[dim], 0);
    ad_tensor *y = ad_make(a->dtype, a->ndim, a->shape);
    const ad_tensor *const operands[] = {y, a, b};
    return y && y->numel ? ad_done(&(ad_call){run_cross, "linalg_cross", 1, 2, .x = operands, .numbers = &dim,
                                              .n_bytes = sizeof dim},
                                   y)
                         : y;
}

/* Their elements along dimensions in turn: shapes are filled up by 1 in front. */
ad_tensor *ad_kron(ad_op *mul, const ad_tensor *a, const ad_tensor *b) {
    const int n = a->ndim > b->ndim ? a->ndim : b->ndim;
    int64_t apart[AD_MAX_DIMS], beside[AD_MAX_DIMS], shape[AD_MAX_DIMS];
    if (2 * n > AD_MAX_DIMS) return ad_fail_null(AD_BAD_DIM, 2 * n, AD_MAX_DIMS, 0);
    for (int d = 0; d < n; d++) {
        const int i = d - n + a->ndim, j = d - n + b->ndim;
        apart[2 * d] = i < 0 ? 1 : a->shape[i];
        beside[2 * d + 1] = j < 0 ? 1 : b->shape[j];
        apart[2 * d + 1] = beside[2 * d] = 1;
        shape[d] = apart[2 * d] * beside[2 * d + 1];
    }
    ad_tensor *x = ad_view(a, 2 * n, apart), *y = x ? ad_view(b, 2 * n, beside) : NULL;
    ad_tensor *made = y ? ad_pw2(mul, x, y) : NULL, *z = made ? ad_view(made, n, shape) : NULL;
    ad_free(x);
    ad_free(y);
    ad_free(made);
    return z;
}
