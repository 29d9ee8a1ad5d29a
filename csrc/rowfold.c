/* rowfold.c: cutting a tensor into blocks of rows, and folding their terms in the order of fold.c. */
#include "rows.h"

bool ad_rows_layout(ad_rows_shape *s, const ad_tensor *x, uint32_t dims) {
    bool apart = false;
    s->outer = s->n = s->inner = 1;
    for (int d = 0; d < x->ndim; d++) {
        int64_t size = x->shape[d];
        if (!(dims >> d & 1)) {
            *(s->n == 1 ? &s->outer : &s->inner) *= size;
        } else {
            if (size != 1 && s->inner != 1) apart = true;
            s->n *= size;
        }
    }
    return !apart;
}

void ad_rows_cut(ad_rows_plan *p, const ad_rows_shape *shape, int64_t size) {
    p->shape = *shape;
    p->size = size;
    p->columns = shape->inner > 1;
    int64_t short_rows = ad_least(AD_ROWS_LINES, AD_ROWS_TILE / shape->n);
    p->block = p->columns ? AD_ROWS_STRIP : short_rows > 1 ? short_rows : 1;
    p->blocks = ((p->columns ? shape->inner : shape->outer) - 1) / p->block + 1;
    p->items = p->columns ? shape->outer * p->blocks : p->blocks;
}

ad_rows_item ad_rows_item_at(const ad_rows_plan *p, int64_t i) {
    const ad_rows_shape *s = &p->shape;
    int64_t start = i % p->blocks * p->block, outer = i / p->blocks;
    int64_t lines = ad_least(p->block, (p->columns ? s->inner : s->outer) - start);
    if (p->columns)
        return (ad_rows_item){
            {s->n, lines, s->inner, true}, outer * s->inner + start, outer * s->n * s->inner + start, lines};
    return (ad_rows_item){{lines, s->n, s->n, false}, start, start * s->n, lines};
}

/* ---- the tree over chunks ---- */

typedef struct {
    const ad_fold_kernels *kernels;
    int64_t count, lines, size;
    _Alignas(64) char level[54][AD_ROWS_STRIP * 8];
} tree;

static void push(tree *t, char *part) {
    int level = 0;
    for (int64_t carry = t->count++; carry & 1; carry >>= 1, level++)
        t->kernels->combine(t->lines, part, t->level[level], part);
    memcpy(t->level[level], part, (size_t)(t->lines * t->size));
}

static void finish(tree *t, char *out) {
    int level = __builtin_ctzll((uint64_t)t->count);
    memcpy(out, t->level[level], (size_t)(t->lines * t->size));
    for (level++; t->count >> level; level++)
        if (t->count >> level & 1) t->kernels->combine(t->lines, out, t->level[level], out);
}

/* ---- chunks ---- */

static void fold_columns_chunk(const ad_fold_kernels *kernels, int64_t size, int64_t n, ad_rows_part *part,
                               ad_rows_term *term, void *context, char *out) {
    _Alignas(64) char lanes[AD_LANE_BYTES * AD_ROWS_STRIP];
    const int64_t offset = part->offset, group = AD_LANE_STEPS * AD_LANE_BYTES / size,
                  cols = part->block.cols;
    int64_t used = AD_LANE_BYTES / size, stride;
    for (int64_t i = 0; i < n; i += group) {
        part->offset = offset + i * part->block.stride;
        part->block.rows = ad_least(group, n - i);
        const void *x = term(context, part, &stride);
        kernels->columns(part->block.rows, cols, x, stride, lanes, i == 0);
    }
    while (used / 2 >= n) used /= 2; /* lanes that got no row change nothing */
    for (; used > 1; used /= 2)
        kernels->combine(used / 2 * cols, lanes, lanes, lanes + used / 2 * cols * size);
    memcpy(out, lanes, (size_t)(cols * size));
}

void ad_rows_fold(const ad_rows_item *item, int fold, int type, ad_rows_term *term, void *context,
                  void *out) {
    const ad_fold_kernels *kernels = &ad_cpu->reduce->fold[fold][type];
    const int64_t size = ad_type_size[type], n = item->all.columns ? item->all.rows : item->all.cols;
    ad_rows_part part = {item->all, 0};
    int64_t stride;
    if (!item->all.columns && n <= AD_BLOCK) {
        const void *x = term(context, &part, &stride);
        kernels->rows(item->lines, n, x, stride, out, false);
        return;
    }
    tree t;
    t.kernels = kernels;
    t.count = 0;
    t.lines = item->lines;
    t.size = size;
    for (int64_t i = 0; i < n; i += AD_BLOCK) {
        int64_t length = ad_least(AD_BLOCK, n - i);
        part.offset = i * (item->all.columns ? item->all.stride : 1);
        if (item->all.columns) {
            fold_columns_chunk(kernels, size, length, &part, term, context, out);
        } else {
            part.block.cols = length;
            const void *x = term(context, &part, &stride);
            kernels->rows(1, length, x, 0, out, false);
        }
        if (n > AD_BLOCK) push(&t, out);
    }
    if (n > AD_BLOCK) finish(&t, out);
}

/* ---- results ---- */

enum { SENT = 128 }; /* numbers of a part of a row: to make more meanwhile waits for those that are sent */

void ad_rows_send(const ad_rows_item *item, int64_t size, char *y, int n_of, const char *const *of,
                  ad_rows_term *make, void *context) {
    const int64_t n = item->all.rows * item->all.cols, step[2] = {AD_LINE, AD_LINE};
    ad_rows_part part = {item->all, 0};
    for (int64_t m = n, stride; part.offset < n; part.offset += m) {
        char *to = y + part.offset * size;
        const char *ahead[2];
        if (item->all.rows == 1) { /* whole lines, as parts of one go through the caches */
            m = ad_least(n - part.offset, SENT - ((intptr_t)to & (AD_LINE - 1)) / size);
            part.block.cols = m;
        }
        for (int k = 0; k < n_of; k++) ahead[k] = of[k] + (part.offset + n) * size;
        ad_move_past(to, make(context, &part, &stride), m * size, n_of, ahead, step);
    }
}
