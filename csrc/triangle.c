/* triangle.c: triangles of matrices. */
#include "tape.h"

typedef struct {
    const ad_tensor *y;
    int64_t diagonal;
    bool lower;
} triangle;

/* Zeros in one row of a copy of the matrices, on the other side of the diagonal. */
static void clear_row(void *context, int64_t row) {
    const triangle *t = context;
    const int64_t rows = t->y->shape[t->y->ndim - 2], cols = t->y->shape[t->y->ndim - 1];
    const int64_t size = ad_itemsize[t->y->dtype], past = row % rows + t->diagonal + t->lower;
    const int64_t edge = past < 0 ? 0 : ad_least(past, cols);
    char *at = t->y->data + row * cols * size;
    if (t->lower)
        memset(at + edge * size, 0, (size_t)((cols - edge) * size));
    else
        memset(at, 0, (size_t)(edge * size));
}

static int run_triangle(const ad_call *c) {
    triangle t = *(const triangle *)c->numbers;
    t.y = ad_out(c, 0);
    ad_copy_into(t.y, ad_in(c, 0));
    ad_parallel_for(t.y->numel / t.y->shape[t.y->ndim - 1], t.y->numel / 8, clear_row, &t);
    return AD_OK;
}

ad_tensor *ad_triangle(const ad_tensor *x, int64_t diagonal, int lower) {
    if (x->ndim < 2) return ad_fail_null(AD_BAD_DIM, 2, x->ndim, 0);
    const int64_t rows = x->shape[x->ndim - 2], cols = x->shape[x->ndim - 1];
    const triangle t = {.diagonal = diagonal < -rows - 1 ? -rows - 1 : ad_least(diagonal, cols + 1),
                        .lower = lower != 0};
    ad_tensor *y = ad_make(x->dtype, x->ndim, x->shape);
    if (!y || !y->numel) return y;
    const ad_tensor *const operands[] = {y, x};
    return ad_done(
        &(ad_call){run_triangle, "triangle", 1, 1, .x = operands, .numbers = &t, .n_bytes = sizeof t}, y);
}
