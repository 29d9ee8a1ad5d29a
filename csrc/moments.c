/* moments.c: means and squared deviations of rows in double, and what is made of them: variance and
 * deviations.
 *
 * A chunk of 1,024 numbers has a mean, and squares about that mean, by sums as fold.c tells. The mean of
 * doubles is rounded as they are, so it has a rest: the mean of what is left when it is taken off. Chunks are
 * joined by the tree of fold.c; the difference of their means is where cancellation would be, and is exact
 * enough as the sum of the differences of means and of rests. */
#include "rows.h"
#include "tape.h"
#include <math.h>

enum { PIECE = 64 * AD_BLOCK }; /* a power of two of chunks: a whole subtree */

/* ---- one chunk ---- */

typedef struct {
    const ad_moments_source *s;
    const char *x; /* what the item counts from */
    ad_rows_item item;
    const double *mean, *rest; /* taken off, where they are not NULL; what is left is squared */
    bool square;
    _Alignas(64) char wide[AD_ROWS_BUFFER];
} chunk;

static const void *term(void *context, const ad_rows_part *part, int64_t *stride) {
    chunk *c = context;
    const int64_t rows = part->block.rows, cols = part->block.cols;
    const double *x = (const double *)(const void *)c->x + c->item.each + part->offset;
    double *wide = (double *)(void *)c->wide;
    *stride = part->block.stride;
    if (!c->mean) return x;
    for (int64_t r = 0; r < rows; r++)
        memcpy(wide + r * cols, x + r * part->block.stride, sizeof(double) * (size_t)cols);
    *stride = cols;
    ad_cpu->rows->centre(&part->block, wide, c->mean, c->square && !c->rest);
    if (c->rest) ad_cpu->rows->centre(&part->block, wide, c->rest, c->square);
    return wide;
}

static void of_doubles(chunk *c, int64_t n, ad_moments *m) {
    const int64_t lines = c->item.lines;
    c->mean = c->rest = NULL;
    c->square = false;
    ad_rows_fold(&c->item, AD_FOLD_sum, AD_f64, term, c, m->mean);
    for (int64_t i = 0; i < lines; i++) m->mean[i] /= (double)n;
    c->mean = m->mean;
    ad_rows_fold(&c->item, AD_FOLD_sum, AD_f64, term, c, m->rest);
    for (int64_t i = 0; i < lines; i++) {
        double rest = m->rest[i] / (double)n;
        m->rest[i] = isfinite(rest) ? rest : 0;
    }
    c->rest = m->rest;
    c->square = true;
    ad_rows_fold(&c->item, AD_FOLD_sum, AD_f64, term, c, m->squares);
}

static void of_chunk(chunk *c, int64_t n, ad_moments *m) {
    if (c->s->type == AD_f64) {
        of_doubles(c, n, m);
        return;
    }
    const float *x = (const float *)(const void *)c->x + c->item.each;
    ad_cpu->rows->moments(&c->item.all, x, m->mean, m->squares);
    memset(m->rest, 0, sizeof(double) * (size_t)c->item.lines);
}

/* ---- the tree over chunks ---- */

/* a, of na numbers, and the later b, of nb, become one in b. */
static void join(int64_t lines, int64_t na, const double *a, int64_t nb, double *b, int64_t step) {
    const double n = (double)na + (double)nb, share = (double)nb / n, weight = (double)na * share;
    for (int64_t i = 0; i < lines; i++) {
        double far = (b[i] - a[i]) + (b[step + i] - a[step + i]);
        b[2 * step + i] = (a[2 * step + i] + b[2 * step + i]) + far * far * weight;
        b[i] = a[i];
        b[step + i] = a[step + i] + far * share;
    }
}

typedef struct {
    int64_t count, lines, each; /* pushed so far, each of so many numbers but for the last */
    double level[48][3 * AD_ROWS_STRIP];
} tree;

/* The last of those pushed has n numbers. Rows of several chunks come one at a time, or a strip of columns.
 */
static void push(tree *t, int64_t n, ad_moments *m) {
    const size_t nbytes = sizeof(double) * (size_t)t->lines;
    double part[3 * AD_ROWS_STRIP];
    memcpy(part, m->mean, nbytes);
    memcpy(part + t->lines, m->rest, nbytes);
    memcpy(part + 2 * t->lines, m->squares, nbytes);
    int level = 0;
    for (int64_t carry = t->count++; carry & 1; carry >>= 1, level++) {
        int64_t before = t->each << level;
        join(t->lines, before, t->level[level], n, part, t->lines);
        n += before;
    }
    memcpy(t->level[level], part, 3 * nbytes);
}

static void finish(tree *t, int64_t n, ad_moments *m) {
    const size_t nbytes = sizeof(double) * (size_t)t->lines;
    int64_t covered = 0;
    double total[3 * AD_ROWS_STRIP];
    for (int level = 0; level < 48; level++) {
        if (!(t->count >> level & 1)) continue;
        if (covered) {
            join(t->lines, t->each << level, t->level[level], covered, total, t->lines);
            covered += t->each << level;
        } else { /* the last may be short */
            memcpy(total, t->level[level], 3 * nbytes);
            covered = n - (t->count - ((int64_t)1 << level)) * t->each;
        }
    }
    memcpy(m->mean, total, nbytes);
    memcpy(m->rest, total + t->lines, nbytes);
    memcpy(m->squares, total + 2 * t->lines, nbytes);
}

/* Numbers [start, start + n) of the one row of the chunk's item, which is cut into runs: found or copied. */
static void place(chunk *c, int64_t start, int64_t n, char *copy) {
    const ad_moments_source *s = c->s;
    const int64_t size = s->plan.size;
    const char *row = s->x + c->item.first * s->run * size;
    c->item.each = 0;
    c->x = row + (start / s->run * s->hop + start % s->run) * size;
    ad_rows_fetch(row + ((start + n) / s->run * s->hop + (start + n) % s->run) * size);
    if (start % s->run + n <= s->run) return;
    c->x = copy;
    for (int64_t i = 0, length; i < n; i += length) {
        const int64_t from = (start + i) % s->run;
        length = ad_least(n - i, s->run - from);
        memcpy(copy + i * size, row + ((start + i) / s->run * s->hop + from) * size, (size_t)(length * size));
    }
}

/* Of the rows of an item, or of their piece from `start`. */
static void of_rows(const ad_moments_source *s, const ad_rows_item *item, int64_t start, int64_t n,
                    ad_moments *m) {
    _Alignas(64) char copy[AD_BLOCK * 8];
    chunk c;
    tree t;
    c.s = s;
    c.x = s->x;
    c.item = *item;
    t.count = 0;
    t.lines = item->lines;
    t.each = AD_BLOCK;
    for (int64_t i = 0; i < n; i += AD_BLOCK) {
        int64_t length = ad_least(AD_BLOCK, n - i);
        if (s->run)
            place(&c, start + i, length, copy);
        else
            c.item.each = item->each + (start + i) * (s->plan.columns ? s->plan.shape.inner : 1);
        *(s->plan.columns ? &c.item.all.rows : &c.item.all.cols) = length;
        of_chunk(&c, length, m);
        if (n > AD_BLOCK) push(&t, length, m);
    }
    if (n > AD_BLOCK) finish(&t, n, m);
}

/* ---- pieces of long rows ---- */

static void measure_piece(void *context, int64_t i) {
    const ad_moments_source *s = context;
    ad_rows_item item = ad_rows_item_at(&s->plan, i / s->pieces);
    int64_t piece = i % s->pieces, start = piece * PIECE;
    ad_moments m;
    of_rows(s, &item, start, ad_least(PIECE, s->plan.shape.n - start), &m);
    for (int64_t l = 0; l < item.lines; l++) {
        double *part = s->parts + 3 * ((item.first + l) * s->pieces + piece);
        part[0] = m.mean[l], part[1] = m.rest[l], part[2] = m.squares[l];
    }
}

int ad_moments_begin(ad_moments_source *s, const ad_tensor *x, const ad_rows_shape *shape, int64_t run,
                     int64_t hop) {
    const int64_t lines = shape->outer * shape->inner;
    s->type = ad_dtype_type[x->dtype];
    s->x = x->data;
    s->run = run;
    s->hop = hop;
    ad_rows_cut(&s->plan, shape, ad_itemsize[x->dtype]);
    if (run) s->plan.block = 1, s->plan.blocks = s->plan.items = lines;
    s->pieces = (shape->n - 1) / PIECE + 1;
    s->parts = NULL;
    if (s->pieces == 1) return AD_OK;
    s->parts = ad_alloc((size_t)(lines * s->pieces * 3) * sizeof(double));
    if (!s->parts) return AD_NO_MEMORY;
    ad_parallel_for(s->plan.items * s->pieces, lines * shape->n / 2, measure_piece, s);
    return AD_OK;
}

void ad_moments_of(const ad_moments_source *s, const ad_rows_item *item, ad_moments *m) {
    if (s->pieces == 1) {
        of_rows(s, item, 0, s->plan.shape.n, m);
        return;
    }
    for (int64_t l = 0; l < item->lines; l++) {
        ad_moments one;
        tree t;
        t.count = 0;
        t.lines = 1;
        t.each = PIECE;
        for (int64_t piece = 0; piece < s->pieces; piece++) {
            const double *part = s->parts + 3 * ((item->first + l) * s->pieces + piece);
            one.mean[0] = part[0], one.rest[0] = part[1], one.squares[0] = part[2];
            push(&t, ad_least(PIECE, s->plan.shape.n - piece * PIECE), &one);
        }
        finish(&t, s->plan.shape.n, &one);
        m->mean[l] = one.mean[0], m->rest[l] = one.rest[0], m->squares[l] = one.squares[0];
    }
}

/* ---- entry points ---- */

static int check(const ad_tensor *x, uint32_t dims, ad_rows_shape *shape) {
    if (!ad_is_float(x->dtype)) return ad_fail(AD_BAD_DTYPE, x->dtype, 0, 0);
    if (dims >> x->ndim) return ad_fail(AD_BAD_DIM, 31 - __builtin_clz(dims), x->ndim, 0);
    return ad_rows_layout(shape, x, dims) ? AD_OK : ad_fail(AD_BAD_ARG, dims, 0, 0);
}

typedef struct {
    ad_moments_source s;
    double freedom, scale;
    bool root;
    const char *g;
    char *y;
} task;

static void spread_item(void *context, int64_t i) {
    const task *t = context;
    ad_rows_item item = ad_rows_item_at(&t->s.plan, i);
    ad_moments m;
    ad_moments_of(&t->s, &item, &m);
    for (int64_t l = 0; l < item.lines; l++) {
        double spread = m.squares[l] / t->freedom;
        ad_rows_put(t->s.type, t->y, item.first + l, t->root ? sqrt(spread) : spread);
    }
}

typedef struct {
    ad_rows_shape shape;
    double number; /* what the squares are divided by, or what the deviations are multiplied by */
    bool root;
} moments_numbers;

static int run_spread(const ad_call *c) {
    const moments_numbers *n = c->numbers;
    const ad_tensor *x = ad_in(c, 0);
    ad_tensor *copy = x->contiguous ? NULL : ad_contiguous(x, x->dtype);
    if (!copy && !x->contiguous) return AD_NO_MEMORY;
    task t = {.freedom = n->number, .root = n->root, .y = ad_out(c, 0)->data};
    const int status = ad_moments_begin(&t.s, copy ? copy : x, &n->shape, 0, 0);
    if (!status) ad_parallel_for(t.s.plan.items, x->numel / 2, spread_item, &t);
    ad_dealloc(t.s.parts);
    ad_free(copy);
    return status;
}

ad_tensor *ad_spread(const ad_tensor *x, uint32_t dims, bool keepdim, double freedom, int root) {
    moments_numbers n = {.number = freedom, .root = root};
    AD_IN_FLOAT32(x, NULL, ad_spread(in32[0], dims, keepdim, freedom, root), x)
    int64_t sizes[AD_MAX_DIMS];
    int ndim = 0;
    if (check(x, dims, &n.shape)) return NULL;
    for (int d = 0; d < x->ndim; d++)
        if (!(dims >> d & 1) || keepdim) sizes[ndim++] = dims >> d & 1 ? 1 : x->shape[d];
    if (x->numel == 0) return ad_full_f64(x->dtype, ndim, sizes, NAN);
    ad_tensor *y = ad_make(x->dtype, ndim, sizes);
    const ad_tensor *const operands[] = {y, x};
    return y ? ad_done(
                   &(ad_call){run_spread, "spread", 1, 1, .x = operands, .numbers = &n, .n_bytes = sizeof n},
                   y)
             : NULL;
}

static void deviations_item(void *context, int64_t i) {
    const task *t = context;
    const ad_moments_source *s = &t->s;
    const ad_rows_item whole = ad_rows_item_at(&s->plan, i / s->pieces);
    const int64_t start = i % s->pieces * PIECE, n = ad_least(PIECE, s->plan.shape.n - start);
    _Alignas(64) char factor[AD_ROWS_LINES * 8];
    ad_moments m;
    ad_moments_of(s, &whole, &m);
    for (int64_t l = 0; l < whole.lines; l++) {
        double g = t->g ? ad_rows_number(s->type, t->g, whole.first + l) : 1;
        ad_rows_put(s->type, factor, l, s->type == AD_f32 ? (float)g * (float)t->scale : g * t->scale);
    }
    ad_block block = whole.all;
    *(s->plan.columns ? &block.rows : &block.cols) = n;
    const int64_t at = (whole.each + start * (s->plan.columns ? s->plan.shape.inner : 1)) * s->plan.size;
    ad_cpu->rows->deviations[s->type](&block, s->x + at, m.mean, m.rest, factor, t->y + at);
}

static int run_deviations(const ad_call *c) {
    const moments_numbers *n = c->numbers;
    const ad_tensor *x = ad_in(c, 0), *g = ad_in(c, 1);
    ad_tensor *copy = x->contiguous ? NULL : ad_contiguous(x, x->dtype);
    ad_tensor *cg = !g || g->contiguous ? NULL : ad_contiguous(g, g->dtype);
    int status = (copy || x->contiguous) && (cg || !g || g->contiguous) ? AD_OK : AD_NO_MEMORY;
    if (!status) {
        task t = {.scale = n->number, .g = cg ? cg->data : g ? g->data : NULL, .y = ad_out(c, 0)->data};
        status = ad_moments_begin(&t.s, copy ? copy : x, &n->shape, 0, 0);
        if (!status) ad_parallel_for(t.s.plan.items * t.s.pieces, x->numel / 2, deviations_item, &t);
        ad_dealloc(t.s.parts);
    }
    ad_free(copy);
    ad_free(cg);
    return status;
}

ad_tensor *ad_deviations(const ad_tensor *x, const ad_tensor *g, uint32_t dims, double scale) {
    moments_numbers n = {.number = scale};
    AD_IN_FLOAT32(x, NULL, ad_deviations(in32[0], in32[1], dims, scale), x, g)
    if (check(x, dims, &n.shape)) return NULL;
    if (g && g->dtype != x->dtype) return ad_fail_null(AD_BAD_DTYPE, g->dtype, 0, 0);
    if (g && g->numel != n.shape.outer * n.shape.inner)
        return ad_fail_null(AD_BAD_SHAPE, g->numel, n.shape.outer, 0);
    ad_tensor *y = ad_make(x->dtype, x->ndim, x->shape);
    if (!y || y->numel == 0) return y;
    const ad_tensor *const operands[] = {y, x, g};
    return ad_done(
        &(ad_call){run_deviations, "deviations", 1, 2, .x = operands, .numbers = &n, .n_bytes = sizeof n}, y);
}
