/* fold.c: the order in which elements are folded to one, over dimensions.
 *
 * What one result element is depends on the sequence of its inputs alone, taken in row-major order of the
 * reduced dimensions, and never on layout, instruction set, threads or neighbours:
 *   - the sequence is cut into chunks of 1024 elements (the last may be shorter);
 *   - in a chunk, lane l of L (16 for float, 8 for double and int64) starts from the identity and takes
 *     elements l, l + L, l + 2L, ... by fours, in turn: the elements of a four are folded in turn, and
 *     then joined to what the lane holds;
 *   - the lanes are joined by halves: lane l with lane l + L/2, then l with l + L/4, ... down to one;
 *   - the chunks are joined two by two, as a binary counter carries: chunk k joins the pairs that it
 *     completes, and what is left over at the end is joined from the latest (and smallest) to the earliest.
 * So rounding errors grow with the logarithm of the length. The earlier operand always comes first. */
#include "reduction.h"

enum {
    CHUNK = AD_REDUCE_CHUNK,
    TILE = 128,               /* result elements worked on together, */
    WIDE = 1024,              /* and across rows, long pieces of which follow one another in memory */
    LOADED = 256,             /* columns whose rows are loaded */
    FAR = 256,                /* elements of a row that is read alone, where that is faster, */
    FAR_BYTES = 1 << 20,      /* and bytes that no core has beside it */
    LOADED_BYTES = 1 << 14,   /* of rows that are loaded together: half of the least L1 */
    LEVELS = 54,              /* of the tree over chunks: enough for 2^63 elements */
    ROW_BLOCK = 64 * CHUNK,   /* elements of a long sequence a thread takes at a time, */
    LEAST = 256,              /* of the latter where threads share them */
    COLUMN_BLOCK = 4 * CHUNK, /* and rows of a tile of them: powers of two, to be whole subtrees, */
    BLOCK_LEVELS = 3 * WIDE   /* elements of the levels of a block: 3 of wide tiles, 7 of others */
};

/* ---- the tree over chunks, for n results at once ---- */

typedef struct {
    int64_t count;
    char *levels; /* n elements each, one after the other */
} cascade;

static void cascade_push(const reduction *r, cascade *c, int64_t n, char *part) {
    char *level = c->levels;
    for (int64_t carry = c->count++; carry & 1; carry >>= 1, level += n * r->size)
        r->kernels->combine(n, part, level, part);
    memcpy(level, part, (size_t)(n * r->size));
}

static void cascade_finish(const reduction *r, cascade *c, int64_t n, char *out) {
    int level = __builtin_ctzll((uint64_t)c->count);
    memcpy(out, c->levels + level * n * r->size, (size_t)(n * r->size));
    for (level++; c->count >> level; level++)
        if (c->count >> level & 1) r->kernels->combine(n, out, c->levels + level * n * r->size, out);
}

/* ---- reading x ---- */

static void load_step(const reduction *r, int64_t n, char *dst, const char *src, int64_t stride) {
    const bool there =
        stride == 1 && ad_dtype_type[r->x->dtype] == r->type && ad_itemsize[r->x->dtype] == r->size;
    if (!there) r->load(n, dst, src, stride);
    r->step(n, dst, there ? src : dst, there ? src : dst, NULL);
}

static inline void load(const reduction *r, int64_t n, char *dst, const char *src, int64_t stride) {
    if (r->step)
        load_step(r, n, dst, src, stride);
    else
        r->load(n, dst, src, stride);
}

void ad_fold_rows(const reduction *r, int64_t rows, int64_t n, const char *x, int64_t stride, char *out) {
    const bool far = n >= FAR && r->x->numel * r->size > FAR_BYTES;
    r->kernels->rows(rows, n, x, stride, out, far && ad_is_amd);
}

bool ad_is_run(const reduction *r) {
    return r->direct && r->folded.ndim == 1 && (r->folded.strides[0] == 1 || r->length == 1);
}

const char *ad_sequence(const reduction *r, const char *base, int64_t start, int64_t n, char *buffer) {
    const ad_walk *w = &r->folded;
    int64_t stride = w->strides[w->ndim - 1], run = w->shape[w->ndim - 1];
    if (ad_is_run(r)) return base + start * r->size;
    for (int64_t i = 0; i < n;) {
        const char *src = base + ad_walk_offset(w, start + i) * ad_itemsize[r->x->dtype];
        int64_t len = ad_least(n - i, run - (start + i) % run);
        if (r->direct && len == n && stride == 1) return src;
        load(r, len, buffer + i * r->size, src, stride);
        i += len;
    }
    return buffer;
}

/* ---- one chunk of a tile of results ---- */

static bool is_line(const reduction *r) { return r->folded.ndim == 1 && r->folded.strides[0] == 1; }

/* How many whole chunks follow one another in memory from `start` on. */
static int64_t chunks_at(const reduction *r, int64_t start) {
    const ad_walk *w = &r->folded;
    const int64_t run = w->shape[w->ndim - 1];
    if (w->strides[w->ndim - 1] != 1 || (w->ndim > 1 && run % CHUNK)) return 0;
    return (run - start % run) / CHUNK;
}

/* Rows that are not as the kernels take them; apart, as a small reduction would feel the room they take. */
__attribute__((noinline)) static void rows_of_loaded(const reduction *r, const char *base, int64_t tile,
                                                     int64_t step, int64_t start, int64_t n, char *out) {
    _Alignas(64) char buffer[LOADED_BYTES];
    const int64_t bytes = step * ad_itemsize[r->x->dtype];
    const bool whole = start == 0 && step == n && (chunks_at(r, 0) || is_line(r)); /* one after the other */
    for (int64_t i = 0, rows; i < tile; i += rows) {
        const char *src = base + i * bytes, *first = buffer;
        rows = r->direct ? 1 : ad_least(LOADED_BYTES / (n * r->size), tile - i);
        if (rows > 1 && whole)
            load(r, rows * n, buffer, src, 1);
        else
            for (int64_t k = 0; k < rows; k++)
                first = ad_sequence(r, src + k * bytes, start, n, buffer + k * n * r->size);
        r->kernels->rows(rows, n, rows > 1 ? buffer : first, n, out + i * r->size, false);
    }
}

static void chunk_by_rows(const reduction *r, const char *base, int64_t tile, int64_t start, int64_t n,
                          char *out) {
    if (ad_is_run(r))
        ad_fold_rows(r, tile, n, base + start * r->size, r->kept.strides[r->kept.ndim - 1], out);
    else
        rows_of_loaded(r, base, tile, r->kept.strides[r->kept.ndim - 1], start, n, out);
}

/* Joins the lanes of each column. */
static void join_lanes(const reduction *r, int64_t tile, char *lanes, char *out) {
    int64_t used = AD_LANE_BYTES / r->size;
    for (; used > 2; used /= 2)
        r->kernels->combine(used / 2 * tile, lanes, lanes, lanes + used / 2 * tile * r->size);
    r->kernels->combine(tile, out, lanes, lanes + tile * r->size);
}

static bool are_few(const reduction *r, int64_t rows) { return rows <= AD_LANE_BYTES / r->size; }

/* Rows that are `apart` in the sequences. */
static void load_rows(const reduction *r, const char *base, int64_t tile, int64_t start, int64_t rows,
                      int64_t apart, char *buffer) {
    const int64_t step = r->kept.strides[r->kept.ndim - 1], size = ad_itemsize[r->x->dtype];
    for (int64_t j = 0; j < rows; j++)
        load(r, tile, buffer + j * tile * r->size,
             base + ad_walk_offset(&r->folded, start + j * apart) * size, step);
}

/* Columns that are not as the kernels take them: what a lane folds is loaded and stays near. */
static void chunk_of_loaded(const reduction *r, const char *base, int64_t tile, int64_t start, int64_t n,
                            char *lanes, char *out) {
    _Alignas(64) char buffer[AD_LANE_BYTES * LOADED];
    const int64_t all = AD_LANE_BYTES / r->size;
    if (are_few(r, n)) {
        load_rows(r, base, tile, start, n, 1, buffer);
        r->kernels->few(n, tile, buffer, tile, out);
        return;
    }
    for (int64_t i = 0; i < n; i += AD_LANE_STEPS * all)
        for (int64_t l = 0; l < all; l++) {
            const int64_t left = n - i - l,
                          rows = left > 0 ? ad_least((left - 1) / all + 1, AD_LANE_STEPS) : 0;
            load_rows(r, base, tile, start + i + l, rows, all, buffer);
            r->kernels->lane(rows, tile, buffer, tile, lanes + l * tile * r->size, i == 0);
        }
    join_lanes(r, tile, lanes, out);
}

static void chunk_by_columns(const reduction *r, const char *base, int64_t tile, int64_t start, int64_t n,
                             char *out) {
    _Alignas(64) char lanes[AD_LANE_BYTES * WIDE];
    int64_t step = r->kept.strides[r->kept.ndim - 1];
    if (r->direct && step == 1 && r->folded.ndim == 1) {
        int64_t stride = r->folded.strides[0];
        const char *x = base + start * stride * r->size;
        if (are_few(r, n) || r->type >= AD_i64) {
            r->kernels->few(n, tile, x, stride, out);
            return;
        }
        r->kernels->columns(n, tile, x, stride, lanes, true);
        join_lanes(r, tile, lanes, out);
        return;
    }
    for (int64_t c = 0; c < tile; c += LOADED)
        chunk_of_loaded(r, base + c * step * ad_itemsize[r->x->dtype], ad_least(LOADED, tile - c), start, n,
                        lanes, out + c * r->size);
}

static void fold_chunk(const reduction *r, const char *base, int64_t tile, int64_t start, int64_t n,
                       char *out) {
    (r->by_columns ? chunk_by_columns : chunk_by_rows)(r, base, tile, start, n, out);
}

/* ---- one item of parallel work: one block of the sequences of one tile ---- */

/* Turns what of two dimensions lies across memory, from `start` to `end`: a sequence in memory that begins at
 * `x`, and what is to be freed. */
static char *turned(const reduction *r, const char *base, int64_t start, int64_t end, const char **x) {
    const ad_walk *w = &r->folded;
    const bool across = w->ndim == 2 && w->strides[0] > 0 && w->strides[0] < w->strides[1];
    if (!r->direct || !across || w->shape[1] > ROW_BLOCK) return NULL;
    const int64_t inner = w->shape[1], first = start / inner, rows = (end - 1) / inner + 1 - first;
    char *room = ad_alloc((size_t)(rows * inner * r->size));
    ad_tensor from = *r->x;
    from.ndim = 2;
    from.shape[0] = rows, from.shape[1] = inner;
    memcpy(from.strides, w->strides, 2 * sizeof *w->strides);
    from.data = (char *)base + first * w->strides[0] * r->size;
    ad_refresh(&from);
    ad_tensor to = from;
    ad_set_row_major(&to);
    to.contiguous = true;
    to.data = room;
    if (!room) return NULL;
    ad_copy_into(&to, &from);
    *x = room + (start - first * inner) * r->size;
    return room;
}

/* A block of one sequence: its chunks as the rows of a matrix, where they are one. */
static void fold_run(const reduction *r, const char *base, int64_t start, int64_t end, char *out) {
    _Alignas(64) char parts[ROW_BLOCK / CHUNK * 8];
    const char *x = NULL;
    char *part = parts, *room = turned(r, base, start, end, &x);
    for (int64_t rows; start < end; start += rows * CHUNK, part += rows * r->size) {
        const int64_t left = (end - start) / CHUNK, whole = room ? left : ad_least(chunks_at(r, start), left);
        rows = whole ? whole : 1;
        if (!room) x = base + ad_walk_offset(&r->folded, start) * ad_itemsize[r->x->dtype];
        if (whole && r->direct)
            ad_fold_rows(r, rows, CHUNK, x, CHUNK, part);
        else if (whole)
            rows_of_loaded(r, x, rows, CHUNK, 0, CHUNK, part);
        else if (room)
            r->kernels->rows(1, end - start, x, 0, part, false);
        else
            chunk_by_rows(r, base, 1, start, ad_least(CHUNK, end - start), part);
        if (room) x += rows * CHUNK * r->size;
    }
    ad_dealloc(room);
    r->kernels->neighbours((part - parts) / r->size, parts, out);
}

/* A block of the sequences of n results, from `start`. */
static void fold_block(const reduction *r, const char *base, int64_t n, int64_t start, char *out) {
    int64_t end = ad_least(start + r->block, r->length);
    _Alignas(64) char part[WIDE * 8], levels[BLOCK_LEVELS * 8];
    if (n == 1 && !r->by_columns) {
        fold_run(r, base, start, end, out);
        return;
    }
    cascade c = {0, levels};
    for (; start < end; start += CHUNK) {
        int64_t len = ad_least(CHUNK, end - start);
        fold_chunk(r, base, n, start, len, part);
        cascade_push(r, &c, n, part);
    }
    cascade_finish(r, &c, n, out);
}

static void fold_item(void *context, int64_t item) {
    const reduction *r = context;
    int64_t block = item % r->blocks, tile = item / r->blocks;
    int64_t inner = r->kept.shape[r->kept.ndim - 1];
    int64_t first = tile / r->tiles * inner + tile % r->tiles * r->tile;
    int64_t n = ad_least(r->tile, inner - tile % r->tiles * r->tile);
    const char *base = r->x->data + ad_walk_offset(&r->kept, first) * ad_itemsize[r->x->dtype];
    char *out = r->results + (block * r->outputs + first) * r->size;
    if (r->length <= CHUNK)
        fold_chunk(r, base, n, 0, r->length, out);
    else
        fold_block(r, base, n, block * r->block, out);
}

/* Joins the blocks of each result into the first block's row. */
static void join_blocks(const reduction *r) {
    _Alignas(64) char part[TILE * 8], levels[LEVELS * TILE * 8];
    for (int64_t first = 0; first < r->outputs; first += TILE) {
        int64_t n = ad_least(TILE, r->outputs - first);
        cascade c = {0, levels};
        for (int64_t b = 0; b < r->blocks; b++) {
            memcpy(part, r->results + (b * r->outputs + first) * r->size, (size_t)(n * r->size));
            cascade_push(r, &c, n, part);
        }
        cascade_finish(r, &c, n, r->results + first * r->size);
    }
}

/* ---- the plan ---- */

/* Over the dimensions in `dims`; a sequence is in row-major order. */
static void walk_over(ad_walk *w, const ad_tensor *x, uint32_t dims) {
    w->ndim = 0;
    for (int d = 0; d < x->ndim; d++)
        if (dims >> d & 1) ad_walk_add(w, x->shape[d], x->strides[d]);
    ad_walk_finish(w);
}

static int64_t product(const ad_walk *w) {
    int64_t n = 1;
    for (int d = 0; d < w->ndim; d++) n *= w->shape[d];
    return n;
}

/* Elements of narrow integers as they are. */
#define PICK(T)                                                                                              \
    static void pick_##T(int64_t n, void *dst, const char *src, int64_t stride) {                            \
        for (int64_t i = 0; i < n; i++) ((T *)dst)[i] = ((const T *)(const void *)src)[i * stride];          \
    }
PICK(int8_t)
PICK(int16_t)
PICK(int32_t)

void ad_plan_reduction(reduction *r, const ad_tensor *x, uint32_t dims, int fold, int type, ad_pw_fn *step) {
    r->x = x;
    r->kernels = &ad_cpu->reduce->fold[fold][type];
    r->type = type;
    r->step = step;
    if (type < AD_N_TYPES) {
        r->load = ad_cpu->pw->load[x->dtype][type];
        r->size = ad_type_size[type];
        r->direct = !step && ad_dtype_type[x->dtype] == type && ad_itemsize[x->dtype] == r->size;
    } else {
        r->size = ad_itemsize[x->dtype];
        r->load = r->size == 1 ? pick_int8_t : r->size == 2 ? pick_int16_t : pick_int32_t;
        r->direct = true;
    }
    walk_over(&r->kept, x, ~dims);
    walk_over(&r->folded, x, dims);
    r->outputs = product(&r->kept);
    r->length = product(&r->folded);
}

void ad_fold_as_it_lies(reduction *r) {
    ad_walk old = r->folded;
    r->folded.ndim = 0;
    for (int n = old.ndim; n > 0; n--) {
        int outer = 0; /* what repeats, or else has the longest stride */
        for (int d = 1; d < n && old.strides[outer]; d++)
            if (!old.strides[d] || old.strides[d] > old.strides[outer]) outer = d;
        ad_walk_add(&r->folded, old.shape[outer], old.strides[outer]);
        old.shape[outer] = old.shape[n - 1], old.strides[outer] = old.strides[n - 1];
    }
    ad_walk_finish(&r->folded);
}

/* Along the rows or across them, whichever follows memory; short sequences of many results also go across,
 * which spreads the cost of joining the lanes. */
void ad_choose_blocks(reduction *r) {
    int64_t inner = r->kept.shape[r->kept.ndim - 1], step = r->kept.strides[r->kept.ndim - 1];
    bool across = inner >= 4 && step < r->folded.strides[r->folded.ndim - 1];
    bool short_rows = inner >= 16 && r->length <= AD_LANE_BYTES / (r->type < AD_N_TYPES ? r->size : 8);
    r->by_columns = across || short_rows;
    r->tile = ad_least(inner, r->by_columns ? WIDE : r->length >= 4 * CHUNK ? 1 : TILE);
    if (r->by_columns && r->outputs == inner && r->length <= COLUMN_BLOCK) /* a tile for each thread */
        r->tile = ad_least(r->tile, (inner / ad_threads_here() / LEAST + 1) * LEAST);
    r->tiles = (inner + r->tile - 1) / r->tile;
    r->block = r->by_columns ? COLUMN_BLOCK : ROW_BLOCK;
    r->blocks = (r->length + r->block - 1) / r->block;
}

void ad_fold(reduction *r) {
    if (r->outputs == 1 && r->length <= CHUNK) {
        chunk_by_rows(r, r->x->data, 1, 0, r->length, r->results);
        return;
    }
    const int64_t rows = r->kept.ndim == 1 ? 1 : r->outputs / r->kept.shape[r->kept.ndim - 1];
    ad_parallel_for(rows * r->tiles * r->blocks, r->direct ? r->x->numel / 8 : r->x->numel, fold_item, r);
    if (r->blocks > 1) join_blocks(r);
}
