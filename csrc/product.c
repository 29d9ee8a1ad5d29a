/* product.c: matrix products of transposed operands, so that a gradient makes no views. */
#include "internal.h"

static const ad_tensor *swapped(const ad_tensor *x, ad_tensor *copy) {
    *copy = *x;
    if (x->ndim < 2) return copy;
    const int row = x->ndim - 2, column = x->ndim - 1;
    copy->shape[row] = x->shape[column];
    copy->shape[column] = x->shape[row];
    copy->strides[row] = x->strides[column];
    copy->strides[column] = x->strides[row];
    ad_refresh(copy);
    return copy;
}

ad_tensor *ad_matmul_t(const ad_tensor *a, const ad_tensor *b, const ad_tensor *bias, int transpose) {
    ad_tensor at, bt;
    return ad_matmul(transpose & 1 ? swapped(a, &at) : a, transpose & 2 ? swapped(b, &bt) : b, bias);
}
