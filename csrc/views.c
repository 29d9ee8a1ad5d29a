/* views.c: descriptors of elements that another has, in another shape, order or number. */
#include "tape.h"

/* Finishes a view whose shape or strides were changed. */
static ad_tensor *viewed(ad_tensor *y) {
    if (!ad_refresh(y)) return y;
    ad_free(y);
    return NULL;
}

/* Moves a view in the making along one of x's dimensions. Of no elements, it may come to lie anywhere. */
static void move(ad_tensor *y, int64_t steps, int64_t stride) {
    y->data = (char *)((uintptr_t)y->data +
                       (uintptr_t)steps * (uintptr_t)stride * (uintptr_t)ad_itemsize[y->dtype]);
}

static bool bad_dim(const ad_tensor *x, int dim) {
    if (dim >= 0 && dim < x->ndim) return false;
    ad_fail(AD_BAD_DIM, dim, x->ndim, 0);
    return true;
}

ad_tensor *ad_as_strided(const ad_tensor *x, int ndim, const int64_t *shape, const int64_t *strides,
                         int64_t offset) {
    int64_t bytes;
    bool empty = false; /* no element is anywhere, so the offset may be: that of a slice of nothing is */
    if (ad_check_shape(ndim, shape)) return NULL;
    for (int d = 0; d < ndim; d++) empty |= shape[d] == 0;
    if (offset < 0 || __builtin_mul_overflow(offset, ad_itemsize[x->dtype], &bytes) ||
        (bytes > x->storage->nbytes && !empty))
        return ad_fail_null(AD_BAD_SHAPE, offset, x->storage->nbytes / ad_itemsize[x->dtype], 0);
    for (int d = 0; d < ndim; d++)
        if (strides[d] < 0) return ad_fail_null(AD_BAD_SHAPE, strides[d], d, 0);
    ad_tensor *y = ad_alias(x);
    if (!y) return NULL;
    y->ndim = (uint8_t)ndim;
    y->data = x->storage->data + (bytes > x->storage->nbytes ? 0 : bytes);
    for (int d = 0; d < ndim; d++) {
        y->shape[d] = shape[d];
        y->strides[d] = strides[d];
    }
    if (!viewed(y)) return NULL;
    if (ad_inside_storage(y)) return y;
    ad_fail(AD_BAD_SHAPE, offset, x->storage->nbytes / ad_itemsize[x->dtype], 0);
    ad_free(y);
    return NULL;
}

ad_tensor *ad_view_dtype(const ad_tensor *x, int dtype) {
    if (!ad_valid_dtype(dtype)) return ad_fail_null(AD_BAD_DTYPE, dtype, 0, 0);
    const int64_t from = ad_itemsize[x->dtype], to = ad_itemsize[dtype], last = x->ndim - 1;
    const int64_t more = from > to ? from / to : 1, fewer = to > from ? to / from : 1;
    if (from != to && last < 0) return ad_fail_null(AD_BAD_ARG, 1, 0, 0);
    if (from != to && x->strides[last] != 1) return ad_fail_null(AD_BAD_ARG, 2, x->strides[last], 0);
    if (fewer > 1 && x->shape[last] % fewer) return ad_fail_null(AD_BAD_ARG, 3, x->shape[last], 0);
    if (ad_offset(x) % fewer) return ad_fail_null(AD_BAD_ARG, 4, ad_offset(x), 0);
    for (int d = 0; d < last; d++)
        if (x->strides[d] % fewer) return ad_fail_null(AD_BAD_ARG, 5, x->strides[d], d);
    if ((uintptr_t)x->data % (uintptr_t)to) return ad_fail_null(AD_BAD_ARG, 6, 0, 0);
    ad_tensor *y = ad_alias(x);
    if (!y) return NULL;
    y->dtype = (uint8_t)dtype;
    for (int d = 0; d < last; d++) y->strides[d] = x->strides[d] / fewer * more;
    if (last >= 0) y->shape[last] = x->shape[last] / fewer * more;
    return viewed(y);
}

/* Replaces a single -1 in shape by what makes the count of elements n. */
static int infer_size(int64_t n, int ndim, const int64_t *shape, int64_t *out) {
    int64_t known = 1;
    int unknown = -1;
    if (ndim < 0 || ndim > AD_MAX_DIMS) return ad_fail(AD_BAD_DIM, ndim, AD_MAX_DIMS, 0);
    for (int d = 0; d < ndim; d++) {
        out[d] = shape[d];
        if (shape[d] == -1 && unknown < 0)
            unknown = d;
        else if (shape[d] < 0)
            return ad_fail(AD_BAD_SHAPE, shape[d], d, 0);
        else if (__builtin_mul_overflow(known, shape[d], &known))
            return ad_fail(AD_TOO_LARGE, 0, 0, 0);
    }
    if (unknown >= 0 && known > 0 && n % known == 0) {
        out[unknown] = n / known;
        return AD_OK;
    }
    return unknown < 0 && known == n ? AD_OK : ad_fail(AD_BAD_SHAPE, n, known, 0);
}

/* The new dimensions are matched, from the last, against runs of old ones that are contiguous among
 * themselves. */
static bool view_strides(const ad_tensor *x, ad_tensor *y) {
    int v = y->ndim - 1;
    int64_t base = x->ndim ? x->strides[x->ndim - 1] : 1, run = 1, made = 1;
    for (int d = x->ndim - 1; d >= 0; d--) {
        run *= x->shape[d];
        if (d > 0 && (x->shape[d - 1] == 1 || x->strides[d - 1] == run * base)) continue;
        while (v >= 0 && (made < run || y->shape[v] == 1)) {
            y->strides[v] = made * base;
            made *= y->shape[v--];
        }
        if (made != run) return false;
        if (d > 0) {
            base = x->strides[d - 1];
            run = made = 1;
        }
    }
    for (; v >= 0; v--) y->strides[v] = 1; /* only ones are left: x has no dimensions */
    return true;
}

ad_tensor *ad_view(const ad_tensor *x, int ndim, const int64_t *shape) {
    int64_t sizes[AD_MAX_DIMS];
    if (infer_size(x->numel, ndim, shape, sizes)) return NULL;
    ad_tensor *y = ad_alias(x);
    if (!y) return NULL;
    y->ndim = (uint8_t)ndim;
    memcpy(y->shape, sizes, sizeof(int64_t) * (size_t)ndim);
    if (x->contiguous)
        ad_set_row_major(y);
    else if (!view_strides(x, y)) {
        ad_free(y);
        return ad_fail_null(AD_NO_VIEW, 0, 0, 0);
    }
    return viewed(y);
}

ad_tensor *ad_expand(const ad_tensor *x, int ndim, const int64_t *shape) {
    if (ndim < x->ndim || ndim > AD_MAX_DIMS) return ad_fail_null(AD_BAD_DIM, ndim, x->ndim, 0);
    ad_tensor *y = ad_alias(x);
    if (!y) return NULL;
    y->ndim = (uint8_t)ndim;
    for (int d = ndim - 1, from = x->ndim - 1; d >= 0; d--, from--) {
        int64_t have = from >= 0 ? x->shape[from] : 1;
        int64_t want = shape[d] == -1 && from >= 0 ? have : shape[d];
        if (want < 0 || (have != want && have != 1)) {
            ad_free(y);
            return ad_fail_null(AD_BROADCAST, want, have, d);
        }
        y->shape[d] = want;
        const uint64_t inner =
            d + 1 < ndim && x->ndim ? (uint64_t)y->shape[d + 1] * (uint64_t)y->strides[d + 1] : 0;
        y->strides[d] = have != want ? 0 : from >= 0 ? x->strides[from] : (int64_t)inner;
    }
    return viewed(y);
}

ad_tensor *ad_widened(const ad_tensor *x, int ndim, const int64_t *shape) {
    ad_tensor *y = ad_expand(x, ndim, shape);
    if (y) y->number = x->number;
    return y;
}

ad_tensor *ad_permute(const ad_tensor *x, int ndim, const int64_t *dims) {
    uint32_t seen = 0;
    if (ndim != x->ndim) return ad_fail_null(AD_BAD_DIM, ndim, x->ndim, 0);
    for (int d = 0; d < ndim; d++) {
        if (dims[d] < 0 || dims[d] >= ndim || (seen & 1u << dims[d]))
            return ad_fail_null(AD_BAD_DIM, dims[d], ndim, 0);
        seen |= 1u << dims[d];
    }
    ad_tensor *y = ad_alias(x);
    if (!y) return NULL;
    for (int d = 0; d < ndim; d++) {
        y->shape[d] = x->shape[dims[d]];
        y->strides[d] = x->strides[dims[d]];
    }
    return viewed(y);
}

ad_tensor *ad_regroup(const ad_tensor *x, int n, const int64_t *parts, const int64_t *order, int ndim,
                      const int64_t *shape) {
    ad_tensor *dense = x->contiguous ? ad_alias(x) : ad_contiguous(x, x->dtype);
    ad_tensor *apart = dense ? ad_view(dense, n, parts) : NULL;
    ad_tensor *turned = apart ? ad_permute(apart, n, order) : NULL;
    ad_tensor *copy = turned ? ad_contiguous(turned, x->dtype) : NULL;
    ad_tensor *y = copy ? ad_view(copy, ndim, shape) : NULL;
    ad_tensor *const made[] = {dense, apart, turned, copy};
    for (int i = 0; i < 4; i++) ad_free(made[i]);
    return y;
}

ad_tensor *ad_repeat_each(const ad_tensor *x, int d, int64_t times) {
    int64_t shape[AD_MAX_DIMS];
    ad_tensor *column = ad_unsqueeze(x, d + 1), *wide = NULL;
    if (column) {
        memcpy(shape, column->shape, sizeof shape);
        shape[d + 1] = times;
        wide = ad_expand(column, column->ndim, shape);
    }
    ad_tensor *y = wide ? ad_contiguous(wide, x->dtype) : NULL;
    ad_free(wide), ad_free(column);
    return y;
}

ad_tensor *ad_diag_embed(const ad_tensor *x, int n, const int64_t *shape, int64_t offset, int d1, int d2) {
    ad_tensor *y = ad_full_f64(x->dtype, n, shape, 0), *diagonal = y ? ad_diagonal(y, offset, d1, d2) : NULL;
    const bool done = diagonal && !ad_copy(diagonal, x);
    ad_free(diagonal);
    if (done) return y;
    ad_free(y);
    return NULL;
}

void ad_swap_dims(ad_tensor *x, int a, int b) {
    int64_t size = x->shape[a], stride = x->strides[a];
    x->shape[a] = x->shape[b];
    x->shape[b] = size;
    x->strides[a] = x->strides[b];
    x->strides[b] = stride;
}

ad_tensor *ad_transpose(const ad_tensor *x, int dim0, int dim1) {
    if (bad_dim(x, dim0) || bad_dim(x, dim1)) return NULL;
    ad_tensor *y = ad_alias(x);
    if (!y) return NULL;
    ad_swap_dims(y, dim0, dim1);
    return viewed(y);
}

ad_tensor *ad_transpose_matrix(const ad_tensor *x) {
    return x->ndim == 2 ? ad_transpose(x, 0, 1) : ad_fail_null(AD_BAD_SHAPE, x->ndim, 2, 0);
}

/* Drops dimension d of a view in the making. */
static void drop_dim(ad_tensor *y, int d) {
    y->ndim--;
    for (; d < y->ndim; d++) {
        y->shape[d] = y->shape[d + 1];
        y->strides[d] = y->strides[d + 1];
    }
}

ad_tensor *ad_select(const ad_tensor *x, int dim, int64_t index) {
    if (bad_dim(x, dim)) return NULL;
    int64_t size = x->shape[dim], i = index < 0 ? index + size : index;
    if (i < 0 || i >= size) return ad_fail_null(AD_BAD_INDEX, index, dim, size);
    ad_tensor *y = ad_alias(x);
    if (!y) return NULL;
    move(y, i, x->strides[dim]);
    drop_dim(y, dim);
    return viewed(y);
}

ad_tensor *ad_select_two(const ad_tensor *x, int64_t i, int64_t j) {
    ad_tensor *row = ad_select(x, 0, i), *y = row ? ad_select(row, 0, j) : NULL;
    ad_free(row);
    return y;
}

ad_tensor *ad_view_at(const ad_tensor *x, int n, const int64_t *items) {
    ad_tensor *view = ad_alias(x);
    for (; view && n-- > 0; items += 4) {
        ad_tensor *whole = view;
        const int dim = (int)items[0];
        view = items[3] > 0   ? ad_slice(whole, dim, items[1], items[2], items[3])
               : items[3] < 0 ? ad_unsqueeze(whole, dim)
                              : ad_select(whole, dim, items[1]);
        ad_free(whole);
    }
    return view;
}

int ad_copy_at(const ad_tensor *x, int n, const int64_t *items, const ad_tensor *src) {
    ad_tensor *view = ad_view_at(x, n, items);
    int status = view ? ad_copy(view, src) : ad_error(NULL);
    ad_free(view);
    return status;
}

static int64_t clamp_index(int64_t i, int64_t size) {
    if (i < 0) i += size;
    return i < 0 ? 0 : i > size ? size : i;
}

ad_tensor *ad_slice(const ad_tensor *x, int dim, int64_t start, int64_t stop, int64_t step) {
    if (bad_dim(x, dim)) return NULL;
    if (step <= 0) return ad_fail_null(AD_BAD_ARG, step, 0, 0);
    int64_t size = x->shape[dim], n;
    start = clamp_index(start, size);
    stop = clamp_index(stop, size);
    n = stop > start ? (stop - start - 1) / step + 1 : 0;
    ad_tensor *y = ad_alias(x);
    if (!y) return NULL;
    move(y, start, x->strides[dim]);
    y->shape[dim] = n;
    if (__builtin_mul_overflow(y->strides[dim], step, &y->strides[dim])) y->strides[dim] = 0; /* n is 1 */
    return viewed(y);
}

ad_tensor *ad_squeeze(const ad_tensor *x, uint32_t dims) {
    ad_tensor *y = ad_alias(x);
    if (!y) return NULL;
    for (int d = x->ndim - 1; d >= 0; d--)
        if (dims >> d & 1 && x->shape[d] == 1) drop_dim(y, d);
    return viewed(y);
}

ad_tensor *ad_unsqueeze(const ad_tensor *x, int dim) {
    if (dim < 0 || dim > x->ndim || x->ndim == AD_MAX_DIMS) return ad_fail_null(AD_BAD_DIM, dim, x->ndim, 0);
    ad_tensor *y = ad_alias(x);
    if (!y) return NULL;
    for (int d = x->ndim; d > dim; d--) {
        y->shape[d] = x->shape[d - 1];
        y->strides[d] = x->strides[d - 1];
    }
    y->shape[dim] = 1;
    y->strides[dim] = dim < x->ndim ? x->shape[dim] * x->strides[dim] : 1;
    y->ndim++;
    return viewed(y);
}

ad_tensor *ad_unfold(const ad_tensor *x, int dim, int64_t size, int64_t step) {
    if (dim < 0 || dim >= x->ndim + !x->ndim || x->ndim == AD_MAX_DIMS)
        return ad_fail_null(AD_BAD_DIM, dim, x->ndim, 0);
    const int64_t limit = x->ndim ? x->shape[dim] : 1, along = x->ndim ? x->strides[dim] : 1;
    if (size < 0 || size > limit || step < 1 || step > (int64_t)1 << 40)
        return ad_fail_null(AD_BAD_ARG, size, step, 0);
    ad_tensor *y = ad_alias(x);
    if (!y) return NULL;
    if (x->ndim) {
        y->shape[dim] = (limit - size) / step + 1;
        if (__builtin_mul_overflow(along, step, &y->strides[dim])) y->strides[dim] = 0; /* of one window */
    }
    y->shape[y->ndim] = size;
    y->strides[y->ndim++] = along;
    return viewed(y);
}

ad_tensor *ad_diagonal(const ad_tensor *x, int64_t offset, int dim1, int dim2) {
    if (bad_dim(x, dim1) || bad_dim(x, dim2)) return NULL;
    if (dim1 == dim2) return ad_fail_null(AD_BAD_DIM, dim1, x->ndim, 0);
    const int64_t rows = x->shape[dim1], cols = x->shape[dim2];
    const int64_t n = offset < 0 ? ad_least(rows + offset, cols) : ad_least(rows, cols - offset);
    ad_tensor *y = ad_alias(x);
    if (!y) return NULL;
    if (n > 0) move(y, offset < 0 ? -offset : offset, x->strides[offset < 0 ? dim1 : dim2]);
    drop_dim(y, dim1 > dim2 ? dim1 : dim2);
    drop_dim(y, dim1 > dim2 ? dim2 : dim1);
    y->shape[y->ndim] = n > 0 ? n : 0;
    y->strides[y->ndim++] = x->strides[dim1] + x->strides[dim2];
    return viewed(y);
}
