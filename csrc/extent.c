/* extent.c: where a descriptor's elements lie, and whether they share bytes with others, or each other. */
#include "internal.h"

/* The bytes [lo, hi) that x's elements span, relative to its first element; false where that overflows. */
static bool span(const ad_tensor *x, int64_t *lo, int64_t *hi) {
    int64_t size = ad_itemsize[x->dtype], first = 0, last = 0, step;
    for (int d = 0; d < x->ndim; d++) {
        if (__builtin_mul_overflow(x->shape[d] - 1, x->strides[d], &step)) return false;
        if (__builtin_add_overflow(step < 0 ? first : last, step, step < 0 ? &first : &last)) return false;
    }
    if (__builtin_mul_overflow(first, size, lo) || __builtin_mul_overflow(last, size, hi)) return false;
    return !__builtin_add_overflow(*hi, size, hi);
}

bool ad_inside_storage(const ad_tensor *x) {
    int64_t lo, hi, start = x->data - x->storage->lo;
    if (x->numel == 0) return true;
    return span(x, &lo, &hi) && start + lo >= 0 && hi <= x->storage->nbytes - start;
}

/* Where x is rows that are `step` bytes apart, how many bytes each spans; 0 where it is not. A step of 0 is
 * still to be found. */
static int64_t row_bytes(const ad_tensor *x, int64_t *step) {
    const int64_t size = ad_itemsize[x->dtype];
    int64_t reach = size;
    int widest = -1;
    for (int d = 0; d < x->ndim; d++) {
        if (x->shape[d] < 2) continue;
        if (x->strides[d] < 0) return 0;
        if (widest < 0 || x->strides[d] > x->strides[widest]) widest = d;
    }
    for (int d = 0; d < x->ndim; d++)
        if (d != widest && x->shape[d] > 1) reach += (x->shape[d] - 1) * x->strides[d] * size;
    if (widest < 0) return size;
    const int64_t own = x->strides[widest] * size;
    if (*step == 0) *step = own;
    return *step == own ? reach : reach + (x->shape[widest] - 1) * own; /* as if all were one row */
}

/* Whether both are columns of one matrix that have no column in common. */
static bool are_columns_apart(const ad_tensor *a, const ad_tensor *b) {
    int64_t step = 0;
    const ad_tensor *first = a->numel < b->numel ? b : a, *second = first == a ? b : a;
    const int64_t rows = row_bytes(first, &step), others = row_bytes(second, &step);
    if (!rows || !others || step == 0) return false;
    const int64_t apart = ((second->data - first->data) % step + step) % step;
    return rows <= apart && apart + others <= step;
}

bool ad_may_overlap(const ad_tensor *a, const ad_tensor *b) {
    int64_t alo, ahi, blo, bhi;
    if (a->storage != b->storage && !a->storage->owner && !b->storage->owner) return false;
    if (!a->numel || !b->numel || !span(a, &alo, &ahi) || !span(b, &blo, &bhi)) return false;
    if (a->data + alo >= b->data + bhi || b->data + blo >= a->data + ahi) return false;
    return !are_columns_apart(a, b);
}

/* Elements are distinct where, dimensions taken by growing stride, each stride steps over all that is below
 * it. */
static bool overlaps_itself(const ad_tensor *x) {
    int64_t sizes[AD_MAX_DIMS], strides[AD_MAX_DIMS], reach = 0;
    int n = 0;
    for (int d = 0; d < x->ndim; d++) {
        if (x->shape[d] < 2) continue;
        int64_t stride = x->strides[d] < 0 ? -x->strides[d] : x->strides[d];
        int i = n++;
        for (; i > 0 && strides[i - 1] > stride; i--) {
            strides[i] = strides[i - 1];
            sizes[i] = sizes[i - 1];
        }
        strides[i] = stride;
        sizes[i] = x->shape[d];
    }
    for (int i = 0; i < n; i++) {
        if (strides[i] <= reach) return true;
        reach += (sizes[i] - 1) * strides[i];
    }
    return false;
}

int ad_check_writable(const ad_tensor *x) {
    if (x->storage->readonly) return ad_fail(AD_READ_ONLY, 0, 0, 0);
    if (x->storage->version < 0 && !ad_inference_mode) return ad_fail(AD_INFERENCE, 0, 0, 0);
    if (!x->contiguous && x->numel && overlaps_itself(x)) return ad_fail(AD_OVERLAP, 1, 0, 0);
    return AD_OK;
}

bool ad_is_dense(const ad_tensor *x) {
    int64_t expected = 1;
    uint32_t seen = 0;
    for (int step = 0; step < x->ndim; step++) {
        int next = -1;
        for (int d = 0; d < x->ndim; d++)
            if (!(seen >> d & 1) && (x->strides[d] == expected || x->shape[d] == 1)) next = d;
        if (next < 0) return false;
        seen |= 1u << next;
        expected *= x->shape[next];
    }
    return true;
}

bool ad_same_elements(const ad_tensor *a, const ad_tensor *b) {
    if (a->data != b->data || a->dtype != b->dtype || !ad_same_shape(a, b)) return false;
    for (int d = 0; d < a->ndim; d++)
        if (a->shape[d] != 1 && a->strides[d] != b->strides[d]) return false;
    return true;
}
