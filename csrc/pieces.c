/* pieces.c: tensors put together from pieces of another. A result is written in the order of its memory, a
 * row of the last dimension at a time. */
#include "pieces.h"
#include "move.h"

enum {
    LONG_ROW = 1 << 16, /* elements from which threads have to share a row, */
    ITEM = 1 << 15,     /* and that one takes at a time of shorter ones */
    SHORT = 4,          /* elements of what is put in one by one */
    AT_ONCE = 1 << 14   /* bytes, that stay near while pieces are put in */
};

/* A dimension: what it is made of, its size in the result, and the stride of the source. */
typedef struct {
    const ad_piece *pieces;
    int64_t n, size, stride;
} side;

/* `rows` rows, as far apart as the steps tell, from others, or without those of nothing; a piece at a time,
 * so that what is to be told of it is told once. */
typedef struct {
    int64_t rows, to_step, from_step; /* in elements */
    char *to;
    const char *from, *value;
} band;

typedef struct {
    int ndim;
    side sides[AD_MAX_DIMS + 2]; /* of rows the last, of which one is a panel the one before */
    char *to;
    const char *from, *value; /* where there is nothing */
    int64_t itemsize, row_bytes, rows, per_item;
    ad_piece merged[AD_MAX_DIMS];
    void (*put)(const side *s, const band *b);
} placing;

/* ---- rows ---- */

static bool is_framed(const side *s) {
    const ad_piece *p = s->pieces;
    return s->n == 3 && p[1].step == 1 && p[1].from != AD_NOTHING && p[0].length <= SHORT &&
           p[2].length <= SHORT;
}

/* Bytes, eight at a time: no vector of every CPU turns them. */
static void put_backwards(int64_t n, char *to, const char *from) {
    for (uint64_t eight; n >= 8; n -= 8, to += 8, from -= 8) {
        memcpy(&eight, from - 7, 8);
        eight = __builtin_bswap64(eight);
        memcpy(to, &eight, 8);
    }
    for (int64_t i = 0; i < n; i++) to[i] = from[-i];
}

#define PUT_ROWS(T)                                                                                          \
    static void fill_##T(const band *b, T *to, int64_t n) {                                                  \
        const T value = *(const T *)(const void *)b->value;                                                  \
        for (int64_t r = 0; r < b->rows; r++, to += b->to_step)                                              \
            for (int64_t i = 0; i < n; i++) to[i] = value;                                                   \
    }                                                                                                        \
    static void put_piece_##T(const band *b, const ad_piece *p, T *to) {                                     \
        const T *from = (const T *)(const void *)b->from + p->from;                                          \
        const int64_t n = p->length, size = sizeof(T), bytes = n * size;                                     \
        const int64_t to_step = b->to_step * size, from_step = b->from_step * size;                          \
        if (n > 1 && p->step > 0) {                                                                          \
            ad_move_rows(b->rows, bytes, (char *)to, to_step, (const char *)from, from_step);                \
            return;                                                                                          \
        }                                                                                                    \
        for (int64_t r = 0; r < b->rows; r++, to += b->to_step, from += b->from_step)                        \
            if (n == 1)                                                                                      \
                *to = *from;                                                                                 \
            else if (p->step == -1 && size == 1)                                                             \
                put_backwards(n, (char *)to, (const char *)from);                                            \
            else if (p->step == -1)                                                                          \
                for (int64_t i = 0; i < n; i++) to[i] = from[-i];                                            \
            else                                                                                             \
                for (int64_t i = 0; i < n; i++) to[i] = from[i * p->step];                                   \
    }                                                                                                        \
    /* A row between short ends, which are of the other rows or of nothing: at once. */                      \
    static void put_framed_##T(const band *b, const ad_piece *p, T *to) {                                    \
        const T *from = (const T *)(const void *)b->from, *value = (const T *)(const void *)b->value;        \
        const ad_piece low = p[0], high = p[2];                                                              \
        const bool fill0 = low.from == AD_NOTHING, fill1 = high.from == AD_NOTHING;                          \
        const T *before = fill0 ? value : from + low.from, *after = fill1 ? value : from + high.from;        \
        const int64_t apart = b->from_step, apart0 = fill0 ? 0 : apart, apart1 = fill1 ? 0 : apart;          \
        const int64_t step0 = fill0 ? 0 : low.step, step1 = fill1 ? 0 : high.step;                           \
        from += p[1].from;                                                                                   \
        for (int64_t r = 0; r < b->rows; r++, from += apart, before += apart0, after += apart1) {            \
            T *at = to + r * b->to_step, *end = at + low.length + p[1].length;                               \
            for (int64_t i = 0; i < low.length; i++) at[i] = before[i * step0];                              \
            ad_move_run((char *)(at + low.length), (const char *)from, p[1].length *(int64_t)sizeof(T));     \
            for (int64_t i = 0; i < high.length; i++) end[i] = after[i * step1];                             \
        }                                                                                                    \
    }                                                                                                        \
    static void put_##T(const side *s, const band *b) {                                                      \
        T *to = (T *)(void *)b->to;                                                                          \
        if (b->from && is_framed(s)) {                                                                       \
            put_framed_##T(b, s->pieces, to);                                                                \
            return;                                                                                          \
        }                                                                                                    \
        if (!b->from) fill_##T(b, to, s->size);                                                              \
        for (const ad_piece *p = s->pieces, *end = p + s->n; b->from && p < end; to += p++->length) {        \
            if (!p->length) continue;                                                                        \
            if (p->from == AD_NOTHING)                                                                       \
                fill_##T(b, to, p->length);                                                                  \
            else                                                                                             \
                put_piece_##T(b, p, to);                                                                     \
        }                                                                                                    \
    }
PUT_ROWS(u8)
PUT_ROWS(u16)
PUT_ROWS(u32)
PUT_ROWS(u64)

static bool is_whole(const side *s) {
    return s->n == 1 && s->pieces->from == 0 && s->pieces->step == 1 && s->pieces->length == s->size;
}

/* Where element i of a dimension is, in bytes. False where there is nothing. */
static bool find(const side *s, int64_t i, int64_t itemsize, int64_t *offset) {
    const ad_piece *p = s->pieces;
    for (; i >= p->length; p++) i -= p->length;
    *offset += (p->from + i * p->step) * s->stride * itemsize;
    return p->from != AD_NOTHING;
}

/* Rows of one panel, from `row` on; `from` is where the panel lies, or NULL. */
static void put_panel(const placing *k, int64_t row, int64_t rows, char *to, const char *from) {
    const side *along = &k->sides[k->ndim - 1], *across = along - 1;
    const int64_t at_once = AT_ONCE / k->row_bytes + 1;
    const bool joined = is_whole(along) && across->stride == along->size;
    for (const ad_piece *p = across->pieces; rows; row = 0, p++) {
        for (; row >= p->length; p++) row -= p->length;
        const bool there = from && p->from != AD_NOTHING;
        for (int64_t n; rows && row < p->length; row += n, rows -= n, to += n * k->row_bytes) {
            const char *at = there ? from + (p->from + row * p->step) * across->stride * k->itemsize : NULL;
            n = ad_least(p->length - row, rows);
            if (there && joined && p->step == 1) {
                ad_move_bytes(to, at, n * k->row_bytes);
                continue;
            }
            n = ad_least(n, at_once);
            k->put(along, &(band){n, along->size, p->step * across->stride, to, at, k->value});
        }
    }
}

static void put_item(void *context, int64_t item) {
    const placing *k = context;
    const int64_t panel = k->sides[k->ndim - 2].size, end = ad_least((item + 1) * k->per_item, k->rows);
    for (int64_t row = item * k->per_item; row < end;) {
        const int64_t first = row % panel, n = ad_least(panel - first, end - row);
        int64_t outer = row / panel, offset = 0;
        bool there = true;
        for (int d = k->ndim - 3; d >= 0 && there; outer /= k->sides[d--].size)
            there = find(&k->sides[d], outer % k->sides[d].size, k->itemsize, &offset);
        put_panel(k, first, n, k->to + row * k->row_bytes, there ? k->from + offset : NULL);
        row += n;
    }
}

/* ---- pieces of any layout ---- */

static int64_t pieces_of(const int64_t *plan, const ad_piece **pieces) {
    *pieces = (const ad_piece *)(plan + 1);
    return plan[0];
}

/* The pieces of dimensions from d on, to their places in a part of the result. */
static void place(const int64_t *plan, int d, const ad_tensor *to, const ad_tensor *from,
                  const ad_tensor *rest) {
    if (d == to->ndim) {
        ad_copy_into(to, from);
        return;
    }
    const ad_piece *p;
    const int64_t n = pieces_of(plan, &p), size = ad_itemsize[to->dtype];
    int64_t at = 0;
    for (int64_t i = 0; i < n; at += p[i++].length) {
        ad_tensor part = *to, source = p[i].from == AD_NOTHING ? *rest : *from;
        part.shape[d] = p[i].length;
        part.data += at * to->strides[d] * size;
        if (p[i].from == AD_NOTHING) {
            memcpy(source.shape, part.shape, sizeof part.shape);
            source.ndim = part.ndim;
        } else {
            source.shape[d] = p[i].length;
            source.data += p[i].from * from->strides[d] * size;
            source.strides[d] *= p[i].step;
        }
        ad_refresh(&part);
        ad_refresh(&source);
        if (!part.numel) continue;
        if (p[i].from == AD_NOTHING)
            ad_copy_into(&part, &source);
        else
            place(plan + 1 + 3 * n, d + 1, &part, &source, rest);
    }
}

/* The dimensions of a plan; those that are taken whole and follow one another in memory are one. */
static void read_sides(placing *k, const int64_t *plan, const ad_tensor *x, const ad_tensor *y) {
    static const ad_piece one = {0, 1, 1};
    k->ndim = 0;
    for (int d = 0; d < x->ndim; d++) {
        side s = {.size = y->shape[d], .stride = x->strides[d]};
        s.n = pieces_of(plan, &s.pieces);
        plan += 1 + 3 * s.n;
        if (is_whole(&s) && s.size == 1) continue;
        const side *before = k->ndim ? &k->sides[k->ndim - 1] : NULL;
        if (before && is_whole(&s) && is_whole(before) && before->stride == s.stride * s.size) {
            s.size *= before->size;
            k->ndim--;
            k->merged[k->ndim] = (ad_piece){0, 1, s.size};
            s.pieces = &k->merged[k->ndim];
        }
        k->sides[k->ndim++] = s;
    }
    const int missing = k->ndim < 2 ? 2 - k->ndim : 0;
    memmove(k->sides + missing, k->sides, sizeof *k->sides * (size_t)k->ndim);
    for (int i = 0; i < missing; i++) k->sides[i] = (side){&one, 1, 1, 1};
    k->ndim += missing;
}

static int run_pieces(const ad_call *c) {
    static void (*const puts[])(const side *,
                                const band *) = {[1] = put_u8, [2] = put_u16, [4] = put_u32, [8] = put_u64};
    static const uint64_t zero;
    const ad_tensor *y = ad_out(c, 0), *x = ad_in(c, 0), *value = ad_in(c, 1);
    placing k = {.to = y->data,
                 .from = x->data,
                 .value = value ? value->data : (const char *)&zero,
                 .itemsize = ad_itemsize[x->dtype]};
    read_sides(&k, c->numbers, x, y);
    const side *last = &k.sides[k.ndim - 1];
    if (last->size >= LONG_ROW || (last->stride != 1 && x->numel > 1)) {
        const ad_tensor rest = {.data = (char *)k.value, .dtype = x->dtype};
        place(c->numbers, 0, y, x, &rest);
        return AD_OK;
    }
    k.put = puts[k.itemsize];
    k.row_bytes = last->size * k.itemsize;
    k.rows = y->numel / last->size;
    k.per_item = ITEM / last->size + 1;
    ad_parallel_for((k.rows + k.per_item - 1) / k.per_item, y->numel / 4, put_item, &k);
    return AD_OK;
}

/* ---- calls ---- */

/* The shape that a plan makes of x. */
static int check(const ad_tensor *x, const int64_t *plan, bool value, int64_t *shape) {
    for (int d = 0; d < x->ndim; d++) {
        const ad_piece *p;
        const int64_t pieces = pieces_of(plan, &p);
        shape[d] = 0;
        for (int64_t i = 0; i < pieces; i++) {
            if (p[i].length < 0) return ad_fail(AD_BAD_SHAPE, p[i].length, d, 0);
            if (__builtin_add_overflow(shape[d], p[i].length, &shape[d]))
                return ad_fail(AD_TOO_LARGE, 0, 0, 0);
            if ((p[i].from == AD_NOTHING && value) || !p[i].length) continue;
            const int64_t room = p[i].step > 0 ? x->shape[d] - p[i].from : p[i].from + 1;
            if (p[i].from < 0 || p[i].from >= x->shape[d] || (p[i].step && p[i].length > room))
                return ad_fail(AD_BAD_INDEX, p[i].from, d, x->shape[d]);
        }
        plan += 1 + 3 * pieces;
    }
    return AD_OK;
}

ad_tensor *ad_put_together(const char *name, const ad_tensor *x, int64_t n, const int64_t *plan, bool nothing,
                           const ad_tensor *value) {
    int64_t shape[AD_MAX_DIMS];
    if (check(x, plan, nothing, shape)) return NULL;
    ad_tensor *y = ad_make(x->dtype, x->ndim, shape);
    if (!y || !y->numel) return y;
    const ad_tensor *const operands[] = {y, x, value};
    return ad_done(&(ad_call){run_pieces, name, 1, 2, .x = operands, .numbers = plan,
                              .n_bytes = sizeof *plan * (size_t)n},
                   y);
}
