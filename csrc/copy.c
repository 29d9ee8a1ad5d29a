/* copy.c: moving elements between layouts and dtypes. Every copy is a set of nested loops, ordered so that
 * the destination is written in the order of its memory, and merged where both sides allow it; the last two
 * loops make a panel of rows and columns, the unit that has a fast path per layout. */
#include "move.h"
#include "tape.h"

enum {
    ITEM = 1 << 16,       /* elements a thread takes at a time */
    SHORT = 8,            /* columns of a panel of one element each */
    FEW_LINES = 16,       /* fewer of one value are filled an element at a time */
    MEMCPY_MAX = 1 << 14, /* up to this many bytes are copied at once, without more ado */
};

/* ---- elements, by size ---- */

typedef struct {
    int64_t rows, cols;
    int64_t dst_row, dst_col, src_row, src_col; /* strides in elements */
} panel;

typedef struct {
    void (*fill)(int64_t n, void *dst, int64_t ds, const void *src);
    void (*move)(int64_t n, void *dst, int64_t ds, const void *src, int64_t ss);
} element_copies;

#define ELEMENT_COPIES(T)                                                                                    \
    static void fill_##T(int64_t n, void *dst, int64_t ds, const void *src) {                                \
        T *d = dst, value = *(const T *)src;                                                                 \
        if (ds == 1)                                                                                         \
            for (int64_t i = 0; i < n; i++) d[i] = value;                                                    \
        else                                                                                                 \
            for (int64_t i = 0; i < n; i++) d[i * ds] = value;                                               \
    }                                                                                                        \
    static void move_##T(int64_t n, void *dst, int64_t ds, const void *src, int64_t ss) {                    \
        T *d = dst;                                                                                          \
        const T *s = src;                                                                                    \
        if (ds == 1 && ss == -1)                                                                             \
            for (int64_t i = 0; i < n; i++) d[i] = s[-i];                                                    \
        else                                                                                                 \
            for (int64_t i = 0; i < n; i++) d[i * ds] = s[i * ss];                                           \
    }
ELEMENT_COPIES(u8)
ELEMENT_COPIES(u16)
ELEMENT_COPIES(u32)
ELEMENT_COPIES(u64)

static const element_copies copies[] = {
    [1] = {fill_u8, move_u8},
    [2] = {fill_u16, move_u16},
    [4] = {fill_u32, move_u32},
    [8] = {fill_u64, move_u64},
};

/* ---- runs and panels ---- */

/* Straight to what a register would hold, or through registers of the source's type, which holds it exactly:
 * one rounding either way. */
static void convert_run(int64_t n, char *dst, int dst_dtype, int64_t ds, const char *src, int src_dtype,
                        int64_t ss) {
    _Alignas(64) char reg[AD_BLOCK * 8];
    int type = ad_dtype_type[src_dtype];
    const float zero = 0;
    if (src_dtype == AD_float32 && dst_dtype == AD_bool && ss == 1 && ds == 1) {
        ad_cpu->pw->compare_number[AD_OP_ne - AD_OP_lt][1](n, (uint8_t *)dst, src, &zero);
        return;
    }
    if (ds == 1 && ad_is_native_dtype(dst_dtype) && (!ad_is_half(src_dtype) || dst_dtype == AD_float32)) {
        ad_cpu->pw->load[src_dtype][ad_dtype_type[dst_dtype]](n, dst, src, ss);
        return;
    }
    ad_load_fn *load = ad_cpu->pw->load[src_dtype][type];
    ad_store_fn *store = ad_cpu->pw->store[type][dst_dtype];
    for (int64_t i = 0; i < n; i += AD_BLOCK) {
        int64_t len = ad_least(n - i, AD_BLOCK);
        load(len, reg, src + i * ss * ad_itemsize[src_dtype], ss);
        store(len, dst + i * ds * ad_itemsize[dst_dtype], ds, reg);
    }
}

/* One value again and again: lines of it, and the elements before and after. */
static void fill_run(char *dst, int64_t n, int size, const char *value) {
    const int64_t head = (-(intptr_t)dst & (AD_LINE - 1)) / size, lines = (n - head) * size / AD_LINE;
    if (lines < FEW_LINES) {
        copies[size].fill(n, dst, 1, value);
        return;
    }
    _Alignas(AD_LINE) char line[AD_LINE];
    const int64_t end = head + lines * AD_LINE / size;
    copies[size].fill(AD_LINE / size, line, 1, value);
    copies[size].fill(head, dst, 1, value);
    ad_cpu->pw->fill(lines, dst + head * size, line);
    copies[size].fill(n - end, dst + end * size, 1, value);
}

static void copy_run(int64_t n, char *dst, int dst_dtype, int64_t ds, const char *src, int src_dtype,
                     int64_t ss) {
    int size = ad_itemsize[dst_dtype];
    if (dst_dtype != src_dtype)
        convert_run(n, dst, dst_dtype, ds, src, src_dtype, ss);
    else if (ds == 1 && ss == 1)
        ad_move_run(dst, src, n * size);
    else if (ss == 0 && ds == 1)
        fill_run(dst, n, size, src);
    else if (ss == 0)
        copies[size].fill(n, dst, ds, src);
    else
        copies[size].move(n, dst, ds, src, ss);
}

/* One value again and again, past the caches: nothing is read of what is overwritten. */
static void fill_past(char *dst, int64_t n, int size, const char *value) {
    _Alignas(AD_LINE) char page[AD_PAGE];
    copies[size].fill(AD_PAGE / size, page, 1, value);
    for (int64_t i = 0; i < n * size; i += AD_PAGE)
        ad_move_past(dst + i, page, ad_least(n * size - i, AD_PAGE), 0, NULL, NULL);
}

/* A run that is converted, past the caches. */
static void convert_past(int64_t n, char *dst, int dst_dtype, const char *src, int src_dtype) {
    enum { STAGED = AD_BLOCK / 2 }; /* elements: all that is read and made, now and next, stays in L1 */
    _Alignas(AD_LINE) char stage[STAGED * 8];
    const int64_t from = ad_itemsize[src_dtype], to = ad_itemsize[dst_dtype];
    for (int64_t i = 0, m; i < n; i += m) {
        m = ad_least(n - i, STAGED);
        convert_run(m, stage, dst_dtype, 1, src + i * from, src_dtype, 1);
        ad_move_past(dst + i * to, stage, m * to, 1, (const char *const[]){src + (i + m) * from},
                     (const int64_t[]){AD_LINE * from / to});
    }
}

static void copy_panel(const panel *p, char *dst, int dst_dtype, const char *src, int src_dtype, bool past) {
    int64_t dst_step = p->dst_row * ad_itemsize[dst_dtype], src_step = p->src_row * ad_itemsize[src_dtype];
    if (dst_dtype == src_dtype && p->src_row == 1 && p->dst_col == 1 && p->src_col != 0 && p->rows > 1 &&
        p->cols > 1) {
        const ad_crossing x = {p->rows, p->cols, p->dst_row, p->src_col};
        ad_copy_across(&x, ad_itemsize[dst_dtype], dst, src, past);
        return;
    }
    if (dst_dtype == src_dtype && p->src_col == 0 && p->cols < SHORT && p->rows > p->cols) {
        const int64_t size = ad_itemsize[dst_dtype]; /* short rows of one element each: down the columns */
        for (int64_t c = 0; c < p->cols; c++)
            copies[size].move(p->rows, dst + c * p->dst_col * size, p->dst_row, src, p->src_row);
        return;
    }
    if (dst_dtype == src_dtype && p->dst_col == 1 && p->src_col == 1) {
        const int64_t bytes = p->cols * ad_itemsize[dst_dtype];
        if (!past || bytes < AD_PAGE)
            ad_move_rows(p->rows, bytes, dst, dst_step, src, src_step);
        else
            for (int64_t r = 0; r < p->rows; r++, dst += dst_step, src += src_step)
                ad_move_past(dst, src, bytes, 1, (const char *const[]){src + AD_PAGE},
                             (const int64_t[]){AD_LINE});
        return;
    }
    if (dst_dtype == src_dtype && p->dst_col == 1 && p->src_col == 0 && past &&
        p->cols * ad_itemsize[dst_dtype] >= AD_PAGE) {
        for (int64_t r = 0; r < p->rows; r++, dst += dst_step, src += src_step)
            fill_past(dst, p->cols, ad_itemsize[dst_dtype], src);
        return;
    }
    if (dst_dtype != src_dtype && p->dst_col == 1 && p->src_col == 1 && past &&
        p->cols * ad_itemsize[dst_dtype] >= AD_PAGE) {
        for (int64_t r = 0; r < p->rows; r++, dst += dst_step, src += src_step)
            convert_past(p->cols, dst, dst_dtype, src, src_dtype);
        return;
    }
    for (int64_t r = 0; r < p->rows; r++)
        copy_run(p->cols, dst + r * dst_step, dst_dtype, p->dst_col, src + r * src_step, src_dtype,
                 p->src_col);
}

/* ---- loops ---- */

typedef struct {
    const ad_tensor *to, *from;
    int ndim; /* at least 2; the last two are the panel */
    int64_t shape[AD_MAX_DIMS], dst[AD_MAX_DIMS], src[AD_MAX_DIMS];
    int64_t rows;                  /* of all panels */
    int64_t item_rows, col_blocks; /* an item of parallel work: so many rows, one block of columns */
} copy_loops;

static void swap_loops(copy_loops *k, int a, int b) {
    int64_t *fields[] = {k->shape, k->dst, k->src};
    for (int f = 0; f < 3; f++) {
        int64_t kept = fields[f][a];
        fields[f][a] = fields[f][b];
        fields[f][b] = kept;
    }
}

/* Loops without those of one step, by falling stride of dst. */
static void order_loops(copy_loops *k) {
    k->ndim = 0;
    for (int d = 0; d < k->to->ndim; d++) {
        if (k->to->shape[d] == 1) continue;
        int i = k->ndim++;
        k->shape[i] = k->to->shape[d];
        k->dst[i] = k->to->strides[d];
        k->src[i] = k->from->strides[d];
        for (; i > 0 && k->dst[i - 1] < k->dst[i]; i--) swap_loops(k, i - 1, i);
    }
}

static void merge_loops(copy_loops *k) {
    int last = 0;
    for (int d = 1; d < k->ndim; d++) {
        if (k->dst[last] == k->dst[d] * k->shape[d] && k->src[last] == k->src[d] * k->shape[d])
            k->shape[last] *= k->shape[d];
        else
            k->shape[++last] = k->shape[d];
        k->dst[last] = k->dst[d];
        k->src[last] = k->src[d];
    }
    if (k->ndim) k->ndim = last + 1;
}

/* Makes the last two loops a panel: a loop of one step where there are fewer, and where the columns do not
 * run along the source's memory, the loop that does as rows; but a short one where they share its lines. */
static void choose_panel(copy_loops *k) {
    for (; k->ndim < 2; k->ndim++) {
        for (int d = k->ndim; d > 0; d--) swap_loops(k, d - 1, d);
        k->shape[0] = 1;
        k->dst[0] = k->src[0] = 0;
    }
    if (k->src[k->ndim - 1] <= 1) return;
    const bool far = k->src[k->ndim - 1] >= AD_TILE;
    for (int d = 0; d < k->ndim - 2; d++)
        if (k->src[d] == 1 && (far || k->shape[d] >= AD_TILE / 2)) swap_loops(k, d, k->ndim - 2);
}

static void copy_item(void *context, int64_t item) {
    const copy_loops *k = context;
    const bool past = 2 * k->to->numel * ad_itemsize[k->to->dtype] >= AD_STREAM_BYTES;
    int n = k->ndim;
    int64_t col = item % k->col_blocks * ITEM, row = item / k->col_blocks * k->item_rows;
    int64_t end = ad_least(row + k->item_rows, k->rows);
    panel p = {.cols = ad_least(k->shape[n - 1] - col, ITEM),
               .dst_row = k->dst[n - 2],
               .dst_col = k->dst[n - 1],
               .src_row = k->src[n - 2],
               .src_col = k->src[n - 1]};
    while (row < end) {
        int64_t r = row % k->shape[n - 2], outer = row / k->shape[n - 2];
        int64_t to = r * p.dst_row + col * p.dst_col, from = r * p.src_row + col * p.src_col;
        for (int d = n - 3; d >= 0; outer /= k->shape[d--]) {
            to += outer % k->shape[d] * k->dst[d];
            from += outer % k->shape[d] * k->src[d];
        }
        p.rows = ad_least(k->shape[n - 2] - r, end - row);
        copy_panel(&p, k->to->data + to * ad_itemsize[k->to->dtype], k->to->dtype,
                   k->from->data + from * ad_itemsize[k->from->dtype], k->from->dtype, past);
        row += p.rows;
    }
}

static bool is_one_element(const ad_tensor *x) {
    for (int d = 0; d < x->ndim; d++)
        if (x->strides[d] && x->shape[d] != 1) return false;
    return true;
}

void ad_copy_into(const ad_tensor *dst, const ad_tensor *src) {
    if (dst->numel == 0) return; /* of nothing, others' memory may have no address */
    _Alignas(8) char converted[8];
    ad_tensor element;
    if (dst->dtype != src->dtype && dst->numel > 1 && is_one_element(src)) { /* is converted once */
        convert_run(1, converted, dst->dtype, 1, src->data, src->dtype, 1);
        element = *src;
        element.data = converted;
        element.dtype = dst->dtype;
        src = &element;
    }
    int64_t nbytes = dst->numel * ad_itemsize[dst->dtype];
    if (nbytes <= MEMCPY_MAX && dst->contiguous && src->contiguous && dst->dtype == src->dtype) {
        memcpy(dst->data, src->data, (size_t)nbytes);
        return;
    }
    copy_loops k = {.to = dst, .from = src};
    order_loops(&k);
    merge_loops(&k);
    choose_panel(&k);
    int64_t cols = k.shape[k.ndim - 1];
    k.rows = dst->numel / cols;
    k.col_blocks = (cols + ITEM - 1) / ITEM;
    k.item_rows = ((cols < ITEM ? ITEM / cols : 1) + AD_TILE - 1) / AD_TILE * AD_TILE;
    const bool along = k.src[k.ndim - 1] <= 1 && k.dst[k.ndim - 1] <= 1;
    const int64_t cost = along ? dst->numel / 4 : dst->numel;
    ad_parallel_for((k.rows + k.item_rows - 1) / k.item_rows * k.col_blocks, cost, copy_item, &k);
}

/* ---- one value ---- */

/* The number is an element of the result, as it lies in memory. */
static int run_full(const ad_call *c) {
    const ad_tensor *y = ad_out(c, 0);
    ad_tensor element = *y;
    element.data = (char *)c->numbers;
    element.contiguous = y->numel == 1;
    memset(element.strides, 0, sizeof element.strides);
    ad_copy_into(y, &element);
    return AD_OK;
}

static ad_tensor *full(const ad_tensor *value, int dtype, int ndim, const int64_t *shape) {
    ad_tensor *y = ad_empty(dtype, ndim, shape);
    if (!y || y->numel == 0) return y;
    _Alignas(8) char converted[8];
    copy_run(1, converted, dtype, 1, value->data, value->dtype, 1);
    const ad_tensor *const x[] = {y};
    return ad_done(
        &(ad_call){run_full, "full", 1, 0, .x = x, .numbers = converted, .n_bytes = sizeof converted}, y);
}

ad_tensor *ad_full_f64(int dtype, int ndim, const int64_t *shape, double value) {
    ad_tensor number = {.data = (char *)&value, .dtype = AD_float64};
    return full(&number, dtype, ndim, shape);
}

ad_tensor *ad_full_i64(int dtype, int ndim, const int64_t *shape, int64_t value) {
    ad_tensor number = {.data = (char *)&value, .dtype = AD_int64};
    return full(&number, dtype, ndim, shape);
}

double ad_item_f64(const ad_tensor *x) {
    double value = 0;
    ad_tape_break(AD_TAPE_READ);
    if (x->numel == 1) ad_cpu->pw->load[x->dtype][AD_f64](1, &value, x->data, 1);
    return value;
}

int64_t ad_item_i64(const ad_tensor *x) {
    int64_t value = 0;
    ad_tape_break(AD_TAPE_READ);
    if (x->numel == 1) ad_cpu->pw->load[x->dtype][AD_i64](1, &value, x->data, 1);
    return value;
}
