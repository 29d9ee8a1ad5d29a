/* clone.c: copies as calls make them: of the elements of a tensor, in its order or another, or over
 * another's. */
#include "tape.h"

static int run_clone(const ad_call *c) {
    ad_copy_into(ad_out(c, 0), ad_in(c, 0));
    return AD_OK;
}

static ad_tensor *filled_with(ad_tensor *y, const ad_tensor *x) {
    const ad_tensor *const both[] = {y, x};
    return y ? ad_done(&(ad_call){run_clone, "copy", 1, 1, .x = both}, y) : NULL;
}

const ad_tensor *ad_packed(const ad_tensor *x, int dtype, ad_tensor **made) {
    const bool is_packed = x->contiguous && x->dtype == dtype;
    *made = is_packed ? NULL : ad_contiguous(x, dtype);
    return is_packed ? x : *made;
}

ad_tensor *ad_contiguous(const ad_tensor *x, int dtype) {
    if (!ad_valid_dtype(dtype)) return ad_fail_null(AD_BAD_DTYPE, dtype, 0, 0);
    return filled_with(ad_make(dtype, x->ndim, x->shape), x);
}

ad_tensor *ad_clone(const ad_tensor *x) {
    return filled_with(x->contiguous ? ad_make(x->dtype, x->ndim, x->shape) : ad_make_like(x, x->dtype), x);
}

static int copy_expanded(ad_tensor *dst, const ad_tensor *src) {
    if (ad_may_overlap(dst, src)) {
        if (ad_same_elements(dst, src)) return AD_OK;
        ad_tensor *before = ad_contiguous(src, dst->dtype);
        if (!before) return ad_error(NULL);
        ad_copy_into(dst, before);
        ad_free(before);
    } else {
        ad_copy_into(dst, src);
    }
    return AD_OK;
}

static int run_copy(const ad_call *c) {
    const int status = copy_expanded(ad_out(c, 0), ad_in(c, 0));
    if (!status) ad_wrote(ad_out(c, 0), AD_BY_COPY);
    return status;
}

int ad_copy(ad_tensor *dst, const ad_tensor *src) {
    int status = ad_check_writable(dst);
    if (status) return status;
    bool same_shape = ad_same_shape(dst, src);
    ad_tensor *expanded = same_shape ? NULL : ad_widened(src, dst->ndim, dst->shape);
    if (!same_shape && !expanded) return ad_error(NULL);
    const ad_tensor *const x[] = {dst, same_shape ? src : expanded};
    status = ad_do(&(ad_call){run_copy, "copy_", 1, 1, .x = x});
    ad_free(expanded);
    return status;
}

/* ---- channels last ---- */

bool ad_is_channels_last(const ad_tensor *x) {
    if (x->ndim < 4 || x->ndim > 5 || x->strides[1] == 0) return false;
    int64_t least = 0;
    for (int i = 0; i < x->ndim; i++) { /* channels, then the sizes of space from the last on, then images */
        const int d = i == 0 ? 1 : i == x->ndim - 1 ? 0 : x->ndim - i;
        if (x->shape[d] == 0 || x->strides[d] < least) return false;
        if (d == 0 && least == x->strides[1]) return false; /* N11...: any order is this one */
        least = x->shape[d] > 1 ? x->strides[d] * x->shape[d] : x->strides[d];
    }
    return true;
}

ad_tensor *ad_make_last(int dtype, int ndim, const int64_t *shape) {
    ad_tensor *y = ad_make(dtype, ndim, shape);
    int64_t step = 1;
    for (int i = 0; y && i < ndim; i++) {
        const int d = i == 0 ? 1 : i == ndim - 1 ? 0 : ndim - i;
        y->strides[d] = step;
        step *= shape[d] > 1 ? shape[d] : 1;
    }
    if (y) ad_refresh(y);
    return y;
}

ad_tensor *ad_channels_last(ad_tensor *y, bool last) {
    if (!last || !y || !y->numel) return y;
    const int n = y->ndim;
    int64_t there[AD_MAX_DIMS], back[AD_MAX_DIMS];
    for (int d = 0; d < n; d++) there[d] = d == 0 ? 0 : d == n - 1 ? 1 : d + 1;
    for (int d = 0; d < n; d++) back[there[d]] = d;
    ad_tensor *moved = ad_permute(y, n, there);
    ad_tensor *dense = moved ? ad_contiguous(moved, y->dtype) : NULL;
    ad_tensor *z = dense ? ad_permute(dense, n, back) : NULL;
    ad_free(dense);
    ad_free(moved);
    ad_free(y);
    return z;
}
