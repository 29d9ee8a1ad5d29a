/* index.c: gather, scatter and nonzero. Index tensors become one list of offsets first, all of them checked,
 * so that nothing is written where an index is wrong; then rows (what the indices leave of x) are moved. */
#include "internal.h"

enum { ITEM = 1 << 15 }; /* elements a thread takes at a time */

/* ---- positions ---- */

static int check_index(const ad_tensor *x, int n, const ad_tensor *const *index) {
    if (n < 1 || n > x->ndim) return ad_fail(AD_BAD_DIM, n, x->ndim, 0);
    for (int i = 0; i < n; i++) {
        if (index[i]->dtype != AD_int64) return ad_fail(AD_BAD_DTYPE, index[i]->dtype, 0, 0);
        if (index[i]->ndim != index[0]->ndim) return ad_fail(AD_BAD_SHAPE, index[0]->ndim, index[i]->ndim, 0);
        for (int d = 0; d < index[0]->ndim; d++)
            if (index[i]->shape[d] != index[0]->shape[d])
                return ad_fail(AD_BAD_SHAPE, index[0]->shape[d], index[i]->shape[d], d);
    }
    if (index[0]->ndim + x->ndim - n > AD_MAX_DIMS)
        return ad_fail(AD_BAD_DIM, index[0]->ndim + x->ndim - n, AD_MAX_DIMS, 0);
    return AD_OK;
}

/* Adds to each offset where indices into dimension `dim` of x lead, in bytes. */
static int add_offsets(const ad_tensor *x, int dim, const int64_t *index, int64_t n, int64_t *offsets) {
    int64_t size = x->shape[dim], step = x->strides[dim] * ad_itemsize[x->dtype];
    for (int64_t i = 0; i < n; i++) {
        int64_t at = index[i] < 0 ? index[i] + size : index[i];
        if ((uint64_t)at >= (uint64_t)size) return ad_fail(AD_BAD_INDEX, index[i], dim, size);
        offsets[i] += at * step;
    }
    return AD_OK;
}

/* The byte offset in x of each row the indices name, in row-major order of the index shape; to be freed with
 * ad_dealloc. */
static int64_t *row_offsets(const ad_tensor *x, int n, const ad_tensor *const *index) {
    int64_t count = index[0]->numel, nbytes;
    if (__builtin_mul_overflow(count, sizeof(int64_t), &nbytes)) return ad_fail_null(AD_TOO_LARGE, 0, 0, 0);
    int64_t *offsets = ad_alloc((size_t)nbytes);
    if (!offsets) return NULL;
    memset(offsets, 0, (size_t)nbytes);
    int status = AD_OK;
    for (int i = 0; i < n && !status; i++) {
        ad_tensor *made = index[i]->contiguous ? NULL : ad_contiguous(index[i], AD_int64);
        const ad_tensor *in_order = index[i]->contiguous ? index[i] : made;
        status = in_order ? add_offsets(x, i, (const int64_t *)in_order->data, count, offsets) : AD_NO_MEMORY;
        ad_free(made);
    }
    if (!status) return offsets;
    ad_dealloc(offsets);
    return NULL;
}

/* What one position holds: x without its first n dimensions. Its data pointer is moved from row to row. */
static ad_tensor row_of(const ad_tensor *x, int n) {
    ad_tensor row = *x;
    row.ndim = (uint8_t)(x->ndim - n);
    for (int d = 0; d < row.ndim; d++) {
        row.shape[d] = x->shape[n + d];
        row.strides[d] = x->strides[n + d];
    }
    ad_refresh(&row);
    return row;
}

/* The shape of index_get's result and of index_put's values; returns its number of dimensions. */
static int result_shape(const ad_tensor *index, const ad_tensor *row, int64_t *shape) {
    memcpy(shape, index->shape, sizeof(int64_t) * index->ndim);
    memcpy(shape + index->ndim, row->shape, sizeof(int64_t) * row->ndim);
    return index->ndim + row->ndim;
}

/* ---- moving rows ---- */

typedef struct {
    ad_tensor row;          /* in x, the data pointer that of x */
    const int64_t *offsets; /* of rows in x, in bytes */
    char *rows;             /* the same rows one after the other */
    int64_t count, per_item;
} row_moves;

static inline void copy_elements(char *dst, const char *src, int64_t nbytes) {
    switch (nbytes) { /* single elements, without a call */
    case 1: *dst = *src; break;
    case 4: memcpy(dst, src, 4); break;
    case 8: memcpy(dst, src, 8); break;
    default: memcpy(dst, src, (size_t)nbytes);
    }
}

/* Rows [begin, end) out of x, or into it. */
static void move_rows(const row_moves *m, int64_t begin, int64_t end, bool into) {
    int64_t nbytes = m->row.numel * ad_itemsize[m->row.dtype];
    ad_tensor in_x = m->row, packed = m->row;
    ad_set_row_major(&packed);
    packed.contiguous = true;
    for (int64_t i = begin; i < end; i++) {
        in_x.data = m->row.data + m->offsets[i];
        packed.data = m->rows + i * nbytes;
        if (!in_x.contiguous)
            ad_copy_into(into ? &in_x : &packed, into ? &packed : &in_x);
        else if (into)
            copy_elements(in_x.data, packed.data, nbytes);
        else
            copy_elements(packed.data, in_x.data, nbytes);
    }
}

static void get_item(void *context, int64_t item) {
    const row_moves *m = context;
    int64_t begin = item * m->per_item, end = begin + m->per_item;
    move_rows(m, begin, ad_least(end, m->count), false);
}

ad_tensor *ad_index_get(const ad_tensor *x, int n, const ad_tensor *const *index) {
    int64_t shape[AD_MAX_DIMS];
    if (check_index(x, n, index)) return NULL;
    row_moves m = {.row = row_of(x, n), .count = index[0]->numel};
    int64_t *offsets = row_offsets(x, n, index);
    ad_tensor *y = offsets ? ad_make(x->dtype, result_shape(index[0], &m.row, shape), shape) : NULL;
    if (y && y->numel) {
        m.offsets = offsets;
        m.rows = y->data;
        m.per_item = m.row.numel < ITEM ? ITEM / m.row.numel : 1;
        const int64_t cost = m.row.contiguous ? y->numel / 4 : y->numel;
        ad_parallel_for((m.count + m.per_item - 1) / m.per_item, cost, get_item, &m);
    }
    ad_dealloc(offsets);
    return y;
}

/* ---- adding rows ---- */

/* dst += src, elementwise; truth values stay 0 or 1. */
static void add_run(int64_t n, int dtype, char *dst, int64_t ds, const char *src) {
#define ADD(T)                                                                                               \
    for (int64_t i = 0; i < n; i++) ((T *)dst)[i * ds] += ((const T *)src)[i]
    switch (dtype) {
    case AD_bool:
        for (int64_t i = 0; i < n; i++) dst[i * ds] |= src[i];
        break;
    case AD_uint8: ADD(uint8_t); break;
    case AD_int32: ADD(int32_t); break;
    case AD_int64: ADD(int64_t); break;
    case AD_float32: ADD(float); break;
    default: ADD(double); break;
    }
#undef ADD
}

static void add_row(const ad_tensor *row, int d, char *dst, const char **src) {
    int size = ad_itemsize[row->dtype];
    int64_t n = row->contiguous ? row->numel : row->shape[d];
    if (row->contiguous || d == row->ndim - 1) {
        add_run(n, row->dtype, dst, row->contiguous ? 1 : row->strides[d], *src);
        *src += n * size;
        return;
    }
    for (int64_t i = 0; i < n; i++) add_row(row, d + 1, dst + i * row->strides[d] * size, src);
}

/* One row after the other: where an index repeats, the order of the additions is that of the list. */
static void add_rows(const row_moves *m) {
    const char *src = m->rows;
    for (int64_t i = 0; i < m->count; i++) add_row(&m->row, 0, m->row.data + m->offsets[i], &src);
}

/* A tensor of exactly this shape, x's dtype and packed rows, that shares no memory with x. */
static ad_tensor *prepare_values(const ad_tensor *x, const ad_tensor *values, int ndim,
                                 const int64_t *shape) {
    ad_tensor *wide = ad_expand(values, ndim, shape);
    if (!wide || (wide->dtype == x->dtype && wide->contiguous && !ad_may_overlap(x, wide))) return wide;
    ad_tensor *made = ad_contiguous(wide, x->dtype);
    ad_free(wide);
    return made;
}

int ad_index_put(ad_tensor *x, int n, const ad_tensor *const *index, const ad_tensor *values,
                 int accumulate) {
    int64_t shape[AD_MAX_DIMS];
    if (ad_check_writable(x) || check_index(x, n, index)) return ad_error(NULL);
    row_moves m = {.row = row_of(x, n), .count = index[0]->numel};
    int64_t *offsets = row_offsets(x, n, index);
    ad_tensor *from =
        offsets ? prepare_values(x, values, result_shape(index[0], &m.row, shape), shape) : NULL;
    if (from) {
        m.offsets = offsets;
        m.rows = from->data;
        if (from->numel && accumulate)
            add_rows(&m);
        else if (from->numel)
            move_rows(&m, 0, m.count, true);
        ad_wrote(x, AD_BY_INDEX_PUT);
    }
    int status = from ? AD_OK : ad_error(NULL);
    ad_free(from);
    ad_dealloc(offsets);
    return status;
}

/* ---- nonzero ---- */

static int64_t count_true(const uint8_t *truth, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += truth[i] != 0;
    return count;
}

/* Writes the coordinates of each true element; `outer` is those of the current innermost row. */
static void write_coordinates(const uint8_t *truth, const ad_tensor *x, int64_t *out) {
    int64_t outer[AD_MAX_DIMS] = {0};
    int last = x->ndim - 1;
    int64_t cols = x->shape[last];
    for (int64_t start = 0; start < x->numel; start += cols) {
        for (int64_t i = 0; i < cols; i++) {
            if (!truth[start + i]) continue;
            for (int d = 0; d < last; d++) *out++ = outer[d];
            *out++ = i;
        }
        for (int d = last - 1; d >= 0 && ++outer[d] == x->shape[d]; d--) outer[d] = 0;
    }
}

ad_tensor *ad_nonzero(const ad_tensor *x) {
    bool direct = x->dtype == AD_bool && x->contiguous;
    ad_tensor *made = direct ? NULL : ad_contiguous(x, AD_bool);
    if (!direct && !made) return NULL;
    const uint8_t *truth = (const uint8_t *)(direct ? x : made)->data;
    int64_t shape[2] = {count_true(truth, x->numel), x->ndim};
    ad_tensor *y = ad_make(AD_int64, 2, shape);
    if (y && y->numel) write_coordinates(truth, x, (int64_t *)y->data);
    ad_free(made);
    return y;
}
