/* tensor.c: descriptors and views. A descriptor is a shape and strides over a reference-counted storage; it
 * never changes once made, and every view is a new descriptor whose elements are known to lie inside the
 * storage. */
#include "tape.h"

/* ---- making descriptors ---- */

ad_tensor *ad_tensor_new(void) { return ad_alloc(sizeof(ad_tensor)); }

/* The elements of a shape; fails where their count overflows. */
static int count_elements(int ndim, const int64_t *shape, int64_t *numel) {
    bool overflow = false, empty = false;
    *numel = 1;
    for (int d = 0; d < ndim; d++) {
        empty |= shape[d] == 0;
        overflow |= __builtin_mul_overflow(*numel, shape[d], numel);
    }
    if (empty) *numel = 0;
    return overflow && !empty ? ad_fail(AD_TOO_LARGE, 0, 0, 0) : AD_OK;
}

/* Sets numel and contiguous; fails where the element count overflows. */
int ad_refresh(ad_tensor *x) {
    int64_t expected = 1;
    bool contiguous = true;
    for (int d = x->ndim - 1; d >= 0; d--) {
        if (x->shape[d] != 1 && x->strides[d] != expected) contiguous = false;
        expected *= x->shape[d];
    }
    const int status = count_elements(x->ndim, x->shape, &x->numel);
    x->contiguous = contiguous || x->numel == 0;
    return status;
}

static int check_shape(int ndim, const int64_t *shape) {
    if (ndim < 0 || ndim > AD_MAX_DIMS) return ad_fail(AD_BAD_DIM, ndim, AD_MAX_DIMS, 0);
    for (int d = 0; d < ndim; d++)
        if (shape[d] < 0) return ad_fail(AD_BAD_SHAPE, shape[d], d, 0);
    return AD_OK;
}

/* A size of 0 counts as 1, as PyTorch has it. */
void ad_set_row_major(ad_tensor *x) {
    int64_t stride = 1;
    for (int d = x->ndim - 1; d >= 0; d--) {
        x->strides[d] = stride;
        if (__builtin_mul_overflow(stride, x->shape[d] > 1 ? x->shape[d] : 1, &stride)) stride = 1;
    }
}

ad_tensor *ad_make(int dtype, int ndim, const int64_t *shape) {
    int64_t numel, nbytes;
    if (count_elements(ndim, shape, &numel)) return NULL;
    if (__builtin_mul_overflow(numel, ad_itemsize[dtype], &nbytes))
        return ad_fail_null(AD_TOO_LARGE, 0, 0, 0);
    ad_storage *s = ad_storage_new(nbytes);
    if (!s) return NULL;
    ad_tensor *x = ad_first_descriptor(s);
    x->storage = s;
    x->data = s->data;
    x->numel = numel;
    x->ndim = (uint8_t)ndim;
    x->dtype = (uint8_t)dtype;
    x->contiguous = 1;
    x->number = 0;
    x->unlike = 0;
    x->version0 = x->version1 = 0;
    for (int d = 0; d < ndim; d++) x->shape[d] = shape[d];
    ad_set_row_major(x);
    return x;
}

ad_tensor *ad_empty(int dtype, int ndim, const int64_t *shape) {
    if (!ad_valid_dtype(dtype)) return ad_fail_null(AD_BAD_DTYPE, dtype, 0, 0);
    return check_shape(ndim, shape) ? NULL : ad_make(dtype, ndim, shape);
}

/* Numbers are kept for later calls, so they belong to no mode. */
static ad_tensor *as_number(ad_tensor *x) {
    x->number = 1;
    x->storage->version = 0;
    return x;
}

ad_tensor *ad_number_f64(double value) {
    ad_tensor *x = ad_make(AD_float64, 0, NULL);
    if (!x) return NULL;
    memcpy(x->data, &value, sizeof value);
    return ad_constant(as_number(x));
}

ad_tensor *ad_number_i64(int64_t value, int is_bool) {
    ad_tensor *x = ad_make(is_bool ? AD_bool : AD_int64, 0, NULL);
    if (!x) return NULL;
    if (is_bool)
        x->data[0] = value != 0;
    else
        memcpy(x->data, &value, sizeof value);
    return ad_constant(as_number(x));
}

void ad_free(ad_tensor *x) {
    if (!x) return;
    ad_storage *s = x->storage;
    if (x != ad_first_descriptor(s)) ad_dealloc(x); /* the first goes with the storage */
    ad_storage_release(s);
}

ad_tensor *ad_alias(const ad_tensor *x) {
    ad_tensor *y = ad_tensor_new();
    if (!y) return NULL;
    *y = *x;
    y->number = 0;
    y->unlike = 0;
    ad_storage_retain(y->storage);
    return y;
}

/* ---- bounds ---- */

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

static bool inside_storage(const ad_tensor *x) {
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

/* ---- identity and versions ---- */

int64_t ad_shape_key(const ad_tensor *x) {
    int64_t key = 1, all = 0;
    if (x->ndim > 4) return 0;
    for (int d = 0; d < x->ndim; d++) {
        all |= x->shape[d];
        key = key << 14 | (x->shape[d] & ((1 << 14) - 1));
    }
    return all >> 14 ? 0 : key;
}

int64_t ad_storage_id(const ad_tensor *x) { return (int64_t)(intptr_t)x->storage; }
int64_t ad_offset(const ad_tensor *x) { return (x->data - x->storage->data) / ad_itemsize[x->dtype]; }
int64_t ad_version(const ad_tensor *x) { return x->storage->version; }
int64_t ad_version2(const ad_tensor *x, const ad_tensor *y) {
    return x->storage->version + y->storage->version;
}
int ad_last_writer(const ad_tensor *x) { return x->storage->writer; }
void ad_wrote(ad_tensor *x, int writer) {
    if (__builtin_expect(ad_recording != NULL, 0)) ad_tape_break(AD_TAPE_UNRECORDED); /* in no call */
    x->storage->version++;
    x->storage->writer = writer;
}

_Thread_local bool ad_inference_mode AD_NEAR;
int ad_is_inference(const ad_tensor *x) { return x->storage->version < 0; }
int ad_set_inference(int on) {
    bool before = ad_inference_mode;
    ad_inference_mode = on != 0;
    return before;
}

int ad_readonly(const ad_tensor *x) { return x->storage->readonly; }

ad_tensor *ad_wrap(int dtype, int ndim, const int64_t *shape, const int64_t *strides, void *data, void *lo,
                   void *hi, int readonly, void *owner, void (*release)(void *)) {
    if (!ad_valid_dtype(dtype)) return ad_fail_null(AD_BAD_DTYPE, dtype, 0, 0);
    if (check_shape(ndim, shape)) return NULL;
    ad_tape_break(AD_TAPE_FOREIGN);
    ad_tensor *x = ad_tensor_new();
    ad_storage *s = x ? ad_alloc(sizeof(ad_storage)) : NULL;
    if (!s) {
        ad_dealloc(x);
        return NULL;
    }
    *s = (ad_storage){.data = data, .lo = lo, .nbytes = (char *)hi - (char *)lo, .refs = 1};
    s->readonly = readonly != 0;
    if (ad_inference_mode) s->version = AD_INFERENCE_VERSION;
    *x = (ad_tensor){.storage = s, .data = data, .ndim = (uint8_t)ndim, .dtype = (uint8_t)dtype};
    for (int d = 0; d < ndim; d++) {
        x->shape[d] = shape[d];
        x->strides[d] = strides[d];
    }
    int status = ad_refresh(x);
    if (!status && !inside_storage(x)) status = ad_fail(AD_BAD_SHAPE, x->numel, s->nbytes, 0);
    if (status) {
        ad_free(x);
        return NULL;
    }
    s->owner = owner; /* only now: on failure the caller keeps it */
    s->release = release;
    return x;
}

/* ---- views ---- */

/* Finishes a view whose shape or strides were changed. */
static ad_tensor *viewed(ad_tensor *y) {
    if (!ad_refresh(y)) return y;
    ad_free(y);
    return NULL;
}

static bool bad_dim(const ad_tensor *x, int dim) {
    if (dim >= 0 && dim < x->ndim) return false;
    ad_fail(AD_BAD_DIM, dim, x->ndim, 0);
    return true;
}

ad_tensor *ad_as_strided(const ad_tensor *x, int ndim, const int64_t *shape, const int64_t *strides,
                         int64_t offset) {
    int64_t bytes;
    if (check_shape(ndim, shape)) return NULL;
    if (offset < 0 || __builtin_mul_overflow(offset, ad_itemsize[x->dtype], &bytes) ||
        bytes > x->storage->nbytes)
        return ad_fail_null(AD_BAD_SHAPE, offset, x->storage->nbytes / ad_itemsize[x->dtype], 0);
    for (int d = 0; d < ndim; d++)
        if (strides[d] < 0) return ad_fail_null(AD_BAD_SHAPE, strides[d], d, 0);
    ad_tensor *y = ad_alias(x);
    if (!y) return NULL;
    y->ndim = (uint8_t)ndim;
    y->data = x->storage->data + bytes;
    for (int d = 0; d < ndim; d++) {
        y->shape[d] = shape[d];
        y->strides[d] = strides[d];
    }
    if (!viewed(y)) return NULL;
    if (inside_storage(y)) return y;
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
        y->strides[d] = from >= 0 && have == want ? x->strides[from] : 0;
    }
    return viewed(y);
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
    if (x->numel) y->data += i * x->strides[dim] * ad_itemsize[x->dtype];
    drop_dim(y, dim);
    return viewed(y);
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
    if (x->numel && n) y->data += start * x->strides[dim] * ad_itemsize[x->dtype];
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
    if (n > 0 && x->numel)
        y->data +=
            (offset < 0 ? -offset * x->strides[dim1] : offset * x->strides[dim2]) * ad_itemsize[x->dtype];
    drop_dim(y, dim1 > dim2 ? dim1 : dim2);
    drop_dim(y, dim1 > dim2 ? dim2 : dim1);
    y->shape[y->ndim] = n > 0 ? n : 0;
    y->strides[y->ndim++] = x->strides[dim1] + x->strides[dim2];
    return viewed(y);
}

/* ---- broadcasting ---- */

int ad_broadcast_shapes(int n, const ad_tensor *const *xs, int skip, int64_t *shape) {
    int ndim = 0;
    for (int i = 0; i < n; i++)
        if (xs[i]->ndim - skip > ndim) ndim = xs[i]->ndim - skip;
    for (int d = 0; d < ndim; d++) shape[d] = 1;
    for (int i = 0; i < n; i++) {
        int lead = ndim - (xs[i]->ndim - skip);
        for (int d = 0; d < xs[i]->ndim - skip; d++) {
            int64_t have = shape[lead + d], size = xs[i]->shape[d];
            if (have == size || size == 1) continue;
            if (have != 1) {
                ad_fail(AD_BROADCAST, have, size, lead + d);
                return -1;
            }
            shape[lead + d] = size;
        }
    }
    return ndim;
}
