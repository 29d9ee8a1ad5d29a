/* dlpack.c: memory shared with other libraries by DLPack's structs (github.com/dmlc/dlpack, version 1). The
 * deleters take no lock of Python's: they may be called by any thread. */
#include "internal.h"

enum { CPU = 1, READ_ONLY = 1, IS_COPIED = 2, INT = 0, UNSIGNED = 1, FLOAT = 2, BFLOAT = 4, BOOL = 6 };

typedef struct {
    void *data;
    struct {
        int32_t type, id;
    } device;
    int32_t ndim;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape, *strides; /* strides may be NULL: row-major */
    uint64_t byte_offset;
} dl_tensor;

typedef struct managed {
    dl_tensor tensor;
    void *context;
    void (*deleter)(struct managed *);
} managed;

typedef struct versioned {
    struct {
        uint32_t major, minor;
    } version;
    void *context;
    void (*deleter)(struct versioned *);
    uint64_t flags;
    dl_tensor tensor;
} versioned;

static const struct {
    uint8_t code, bits;
} dl_types[] = {
    [AD_bool] = {BOOL, 8},      [AD_uint8] = {UNSIGNED, 8},   [AD_int8] = {INT, 8},
    [AD_int16] = {INT, 16},     [AD_int32] = {INT, 32},       [AD_int64] = {INT, 64},
    [AD_float16] = {FLOAT, 16}, [AD_bfloat16] = {BFLOAT, 16}, [AD_float32] = {FLOAT, 32},
    [AD_float64] = {FLOAT, 64},
};
enum { N_TYPES = sizeof dl_types / sizeof *dl_types };

/* ---- export: the context is a descriptor of our own, which holds shape and strides ---- */

static void delete_managed(managed *m) {
    ad_free(m->context);
    ad_dealloc(m);
}
static void delete_versioned(versioned *m) {
    ad_free(m->context);
    ad_dealloc(m);
}

static dl_tensor described(ad_tensor *x) {
    dl_tensor t = {.data = x->data, .ndim = x->ndim, .shape = x->shape, .strides = x->strides};
    t.device.type = CPU;
    t.dtype.code = dl_types[x->dtype].code;
    t.dtype.bits = dl_types[x->dtype].bits;
    t.dtype.lanes = 1;
    return t;
}

void *ad_dlpack_export(const ad_tensor *x, int with_version, int copied) {
    ad_tensor *own = ad_alias(x);
    void *made = own ? ad_alloc(with_version ? sizeof(versioned) : sizeof(managed)) : NULL;
    if (!made) {
        ad_free(own);
        return NULL;
    }
    if (with_version) {
        versioned *m = made;
        *m = (versioned){.context = own, .deleter = delete_versioned, .tensor = described(own)};
        m->version.major = 1;
        m->flags = (x->storage->readonly ? READ_ONLY : 0) | (copied ? IS_COPIED : 0);
    } else {
        *(managed *)made = (managed){.tensor = described(own), .context = own, .deleter = delete_managed};
    }
    return made;
}

/* ---- import ---- */

static void release_managed(void *m) { ad_dlpack_delete(m, 0); }
static void release_versioned(void *m) { ad_dlpack_delete(m, 1); }

void ad_dlpack_delete(void *made, int with_version) {
    if (with_version) {
        versioned *m = made;
        if (m->deleter) m->deleter(m);
    } else {
        managed *m = made;
        if (m->deleter) m->deleter(m);
    }
}

static int dtype_of(const dl_tensor *t) {
    for (int d = 0; d < N_TYPES; d++)
        if (t->dtype.code == dl_types[d].code && t->dtype.bits == dl_types[d].bits && t->dtype.lanes == 1)
            return d;
    return -1;
}

/* The last byte of the elements, counted from the first; -1 where that is no number of 63 bits. */
static int64_t span(const dl_tensor *t, const int64_t *strides, int64_t size) {
    int64_t last = 0, step;
    for (int d = 0; d < t->ndim; d++) {
        if (t->shape[d] == 0) return 0;
        if (__builtin_mul_overflow(t->shape[d] - 1, strides[d], &step)) return -1;
        if (__builtin_add_overflow(last, step, &last)) return -1;
    }
    return __builtin_mul_overflow(last, size, &last) || last > INT64_MAX - size ? -1 : last + size;
}

ad_tensor *ad_dlpack_import(void *made, int with_version) {
    if (!made) return ad_fail_null(AD_BAD_ARG, 9, 0, 0);
    const versioned *v = made;
    if (with_version && v->version.major != 1) return ad_fail_null(AD_BAD_ARG, 1, v->version.major, 0);
    const dl_tensor *t = with_version ? &v->tensor : &((managed *)made)->tensor;
    if (t->device.type != CPU) return ad_fail_null(AD_BAD_ARG, 2, t->device.type, 0);
    const int dtype = dtype_of(t);
    if (dtype < 0) return ad_fail_null(AD_BAD_ARG, 3, t->dtype.code, t->dtype.bits);
    if (t->ndim < 0 || t->ndim > AD_MAX_DIMS) return ad_fail_null(AD_BAD_ARG, 4, t->ndim, AD_MAX_DIMS);
    if (t->ndim && !t->shape) return ad_fail_null(AD_BAD_ARG, 8, t->ndim, 0);
    if (t->byte_offset > INT64_MAX) return ad_fail_null(AD_TOO_LARGE, 0, 0, 0);
    int64_t strides[AD_MAX_DIMS] = {0}, step = 1;
    for (int d = t->ndim - 1; d >= 0; d--) {
        if (t->shape[d] < 0) return ad_fail_null(AD_BAD_ARG, 5, t->shape[d], d);
        strides[d] = t->strides ? t->strides[d] : step;
        if (strides[d] < 0) return ad_fail_null(AD_BAD_ARG, 6, strides[d], d);
        if (__builtin_mul_overflow(step, t->shape[d], &step)) return ad_fail_null(AD_TOO_LARGE, 0, 0, 0);
    }
    const int64_t nbytes = span(t, strides, ad_itemsize[dtype]);
    if (nbytes < 0) return ad_fail_null(AD_TOO_LARGE, 0, 0, 0);
    /* as numbers: no pointer may leave its memory */
    const uintptr_t begin = (uintptr_t)t->data + (uintptr_t)t->byte_offset, end = begin + (uintptr_t)nbytes;
    if (nbytes && (!t->data || begin % (uintptr_t)ad_itemsize[dtype]))
        return ad_fail_null(AD_BAD_ARG, 7, 0, 0);
    if (begin < (uintptr_t)t->data) return ad_fail_null(AD_TOO_LARGE, 0, 0, 0);
    char *data = (char *)begin;
    return ad_wrap(dtype, t->ndim, t->shape, strides, data, data, (char *)end,
                   with_version && (v->flags & READ_ONLY), made,
                   with_version ? release_versioned : release_managed);
}
