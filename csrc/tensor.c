/* tensor.c: descriptors. A descriptor is a shape and strides over a reference-counted storage; it never
 * changes once made, and its elements are known to lie inside the storage (extent.c). views.c makes others of
 * it. */
#include <math.h>
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

int ad_check_shape(int ndim, const int64_t *shape) {
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
    x->number = x->aside = 0;
    x->unlike = 0;
    x->version0 = x->version1 = 0;
    for (int d = 0; d < ndim; d++) x->shape[d] = shape[d];
    ad_set_row_major(x);
    return x;
}

ad_tensor *ad_empty(int dtype, int ndim, const int64_t *shape) {
    if (!ad_valid_dtype(dtype)) return ad_fail_null(AD_BAD_DTYPE, dtype, 0, 0);
    return ad_check_shape(ndim, shape) ? NULL : ad_make(dtype, ndim, shape);
}

/* The reach of a number: the first of int8, uint8, int16, float16, int32, int64, bfloat16, float32 and
 * float64 to hold it, each of which holds what those before it do. It is 0 of the floats that float16 holds.
 */
static int reach_of(double value) {
    const double size = fabs(value);
    if (!(size > 65504) || isinf(value)) return 0;
    return size <= 0x1.fep127 ? 6 : size <= 0x1.fffffep127 ? 7 : 8;
}

static int reach_of_int(int64_t value) {
    if (value >= -128 && value <= 127) return 0;
    if (value >= -255 && value <= 255) return 1;
    if (value >= INT16_MIN && value <= INT16_MAX) return 2;
    if (value >= -65504 && value <= 65504) return 3;
    return value >= INT32_MIN && value <= INT32_MAX ? 4 : 5;
}

/* Numbers are kept for later calls, so they belong to no mode. */
static ad_tensor *as_number(ad_tensor *x, int reach) {
    x->number = (uint8_t)(1 + reach);
    x->storage->version = 0;
    return x;
}

ad_tensor *ad_number_f64(double value) {
    ad_tensor *x = ad_make(AD_float64, 0, NULL);
    if (!x) return NULL;
    memcpy(x->data, &value, sizeof value);
    return ad_constant(as_number(x, reach_of(value)));
}

ad_tensor *ad_number_i64(int64_t value, int is_bool) {
    ad_tensor *x = ad_make(is_bool ? AD_bool : AD_int64, 0, NULL);
    if (!x) return NULL;
    if (is_bool)
        x->data[0] = value != 0;
    else
        memcpy(x->data, &value, sizeof value);
    return ad_constant(as_number(x, is_bool ? 0 : reach_of_int(value)));
}

void ad_free(ad_tensor *x) {
    if (!x) return;
    ad_storage *s = x->storage;
    if (x != ad_first_descriptor(s)) ad_dealloc(x); /* the first goes with the storage */
    ad_storage_release(s);
}

void ad_table(int n, ad_tensor *const *xs, ad_tensor **table) {
    for (int i = 0; i < n; i++) table[i] = xs[i];
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

ad_tensor *ad_aside(const ad_tensor *x) {
    ad_tensor *y = ad_alias(x);
    if (y) y->aside = 1;
    return y;
}

/* ---- identity and versions ---- */

static int64_t key_of(const int64_t *sizes, int n) {
    int64_t key = 1, all = 0;
    if (n > 4) return 0;
    for (int d = 0; d < n; d++) {
        all |= sizes[d];
        key = key << 14 | (sizes[d] & ((1 << 14) - 1));
    }
    return all >> 14 ? 0 : key;
}

int64_t ad_shape_key(const ad_tensor *x) { return key_of(x->shape, x->ndim); }
int64_t ad_stride_key(const ad_tensor *x) { return key_of(x->strides, x->ndim); }

int64_t ad_storage_id(const ad_tensor *x) { return (int64_t)(intptr_t)x->storage; }
int64_t ad_storage_bytes(const ad_tensor *x) { return x->storage->nbytes; }
int64_t ad_offset(const ad_tensor *x) { return (x->data - x->storage->data) / ad_itemsize[x->dtype]; }
int64_t ad_version(const ad_tensor *x) { return x->storage->version + (x->aside ? x->storage->aside : 0); }
int64_t ad_writes(const ad_tensor *x) { return x->storage->version + x->storage->aside; }
int ad_last_writer(const ad_tensor *x) { return x->storage->writer; }
void ad_wrote(ad_tensor *x, int writer) {
    if (__builtin_expect(ad_recording != NULL, 0)) ad_tape_break(AD_TAPE_UNRECORDED); /* in no call */
    (*(x->aside ? &x->storage->aside : &x->storage->version))++;
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
    if (ad_check_shape(ndim, shape)) return NULL;
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
    for (int d = 0; d < ndim; d++) x->shape[d] = shape[d];
    if (!strides) ad_set_row_major(x);
    for (int d = 0; strides && d < ndim; d++) x->strides[d] = strides[d];
    int status = ad_refresh(x);
    if (!status && x->numel && (!data || (uintptr_t)data % (uintptr_t)ad_itemsize[dtype]))
        status = ad_fail(AD_BAD_ARG, 0, 0, 0);
    if (!status && ((uintptr_t)hi < (uintptr_t)lo || !ad_inside_storage(x)))
        status = ad_fail(AD_BAD_SHAPE, x->numel, s->nbytes, 0);
    if (status) {
        ad_free(x);
        return NULL;
    }
    s->owner = owner; /* only now: on failure the caller keeps it */
    s->release = release;
    return x;
}

/* ---- broadcasting ---- */

int ad_broadcast_shapes(int n, const ad_tensor *const *xs, int skip, int64_t *shape) {
    int ndim = 0;
    for (int i = 0; i < n; i++)
        if (xs[i]->ndim - skip > ndim) ndim = xs[i]->ndim - skip;
    for (int d = 0; d < ndim; d++) shape[d] = 1;
    for (int i = 0; i < n; i++) {
        int lead = ndim - (xs[i]->ndim - skip);
        for (int d = xs[i]->ndim - skip - 1; d >= 0; d--) { /* of several that differ, the last is told */
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
