/* conv_tiles.c: results of convolutions, a tile at a time. Where a group has many channels, a tile's columns
 * are channels and its rows are neighbouring positions, which read the source in place at the offsets of
 * channels and taps; what comes out is turned a block at a time. Where there are few, rows are channels and
 * columns positions. Both add up the same chains. */
#include "conv.h"

#define DEPTH 256             /* channels and taps at a time, at most: a panel of weights stays in L1; */
#define DEPTH_NARROW 1152     /* where that is narrow, none does: fewer sums are put away */
#define BLOCK_BYTES (1 << 17) /* of a block of the result before it is turned */
#define STACK_BYTES 4096
#define PACKED_CHANNELS 16 /* whose weights are packed by turns: they stay in L1 */
#define LEAST_TASKS 4      /* that a batch is cut into where it can be */

/* Of one combination of residues: k channels and taps, from `begin` on of all. */
typedef struct {
    const ad_residue *r[3];
    int64_t k, begin;
} combination;

/* Calls fn for each combination in order. */
static void for_combinations(const ad_conv_plan *v, void (*fn)(void *context, const combination *c),
                             void *context) {
    combination c = {.begin = 0};
    for (int64_t i = 0; i < v->axis[0].residues; i++) {
        for (int64_t j = 0; j < v->axis[1].residues; j++) {
            for (int64_t l = 0; l < v->axis[2].residues; l++) {
                c.r[0] = &v->axis[0].residue[i], c.r[1] = &v->axis[1].residue[j],
                c.r[2] = &v->axis[2].residue[l];
                c.k = v->c;
                for (int d = 0; d < 3; d++) c.k *= c.r[d]->end - c.r[d]->begin;
                fn(context, &c);
                c.begin += c.k;
            }
        }
    }
}

/* ---- weights and offsets ---- */

/* Where each channel and tap reads, and its weights: of `lanes` results side by side from m on. */
typedef struct {
    ad_conv_plan *v;
    int64_t group, j, cols; /* results [j, j + cols) of a group, */
    int64_t i, end;         /* channels [i, end) */
} packing;

static void fill_offsets(const ad_conv_plan *v, const combination *c) {
    const ad_source *s = &v->source;
    int64_t *to = v->offsets + c->begin;
    for (int64_t i = 0; i < v->c; i++) {
        for (int64_t d = c->r[0]->begin; d < c->r[0]->end; d++) {
            for (int64_t h = c->r[1]->begin; h < c->r[1]->end; h++) {
                const int64_t row =
                    i * s->c + v->axis[0].tap[d].at * s->at[0] + v->axis[1].tap[h].at * s->at[1];
                for (int64_t w = c->r[2]->begin; w < c->r[2]->end; w++)
                    *to++ = row + ad_conv_column(s, v->axis[2].tap[w].at);
            }
        }
    }
}

/* Whether those of a channel lie one after the other. */
static bool taps_follow(const ad_conv_plan *v) {
    int64_t step = 1;
    bool follow = true;
    for (int d = 2; d >= 0; step *= v->axis[d--].kernel)
        follow &= v->axis[d].kernel == 1 || v->w_at[d] == step;
    return follow;
}

/* dst[k * lanes + l], each lane `w_m` further, of `n` channels. */
static void pack_taps(const ad_conv_plan *v, const combination *c, const char *w, int64_t n, int64_t lanes,
                      char *dst) {
    const int64_t size = v->size;
    if (c->k == v->c * v->taps && taps_follow(v)) {
        const bool at_once = v->w_c == v->taps;
        for (int64_t i = 0; i < (at_once ? 1 : n); i++)
            v->kernels->pack(at_once ? n * v->taps : v->taps, (int)lanes, w + i * v->w_c * size, v->w_m, 1,
                             dst + i * v->taps * lanes * size);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t d = c->r[0]->begin; d < c->r[0]->end; d++) {
            for (int64_t h = c->r[1]->begin; h < c->r[1]->end; h++) {
                const int64_t row =
                    i * v->w_c + v->axis[0].tap[d].tap * v->w_at[0] + v->axis[1].tap[h].tap * v->w_at[1];
                for (int64_t x = c->r[2]->begin; x < c->r[2]->end; x++, dst += lanes * size)
                    v->kernels->pack(1, (int)lanes, w + (row + v->axis[2].tap[x].tap * v->w_at[2]) * size,
                                     v->w_m, 1, dst);
            }
        }
    }
}

/* Positions one after the other, to all of which one combination belongs. */
static bool moves_by_one(const ad_conv_plan *v) {
    return v->axis[0].step == 1 && v->axis[1].step == 1 && v->axis[2].step == 1;
}

/* Whether the weights of single channels lie as they would be packed. */
static bool are_packed(const ad_conv_plan *v) {
    return v->m == 1 && moves_by_one(v) && taps_follow(v) && v->w_group == v->c * v->taps &&
           (v->c == 1 || v->w_c == v->taps);
}

static void note_offsets(void *context, const combination *c) { fill_offsets(context, c); }

static void pack_combination(void *context, const combination *c) {
    const packing *p = context;
    const ad_conv_plan *v = p->v;
    const char *w = v->w + (p->group * v->w_group + p->j * v->w_m + p->i * v->w_c) * v->size;
    const int64_t before = (p->group * v->c * v->taps + c->begin) * v->m + p->j * c->k;
    pack_taps(v, c, w, p->end - p->i, p->cols, v->packed + (before + p->i * c->k / v->c * p->cols) * v->size);
}

static int64_t panels_of(const ad_conv_plan *v) { return (v->m - 1) / ad_conv_width(v->kernels) + 1; }

/* A panel of a group's result, or as many channels one by one. A few channels of the image at a time:
 * combinations take turns at the taps of each. */
static void pack_panel(void *context, int64_t task) {
    packing p = {.v = context};
    const ad_conv_plan *v = p.v;
    const int64_t channels = moves_by_one(v) ? v->c : PACKED_CHANNELS, width = ad_conv_width(v->kernels);
    const int64_t panel = task % panels_of(v), first = ad_conv_panel(v->kernels, v->m, width, panel);
    const int64_t end = ad_conv_panel(v->kernels, v->m, width, panel + 1);
    p.group = task / panels_of(v);
    p.cols = v->channels ? end - first : 1;
    if (task == 0) for_combinations(v, note_offsets, context);
    for (p.j = first; p.j < end; p.j += p.cols) {
        for (p.i = 0; p.i < v->c; p.i = p.end) {
            p.end = ad_least(p.i + channels, v->c);
            for_combinations(v, pack_combination, &p);
        }
    }
}

/* ---- blocks ---- */

/* Positions [r0, r1) x [c0, c1) of an image's group: rows are those of the first two dimensions. */
typedef struct {
    const ad_conv_plan *v;
    const char *source, *weights, *bias;
    int64_t images, r0, r1, c0, c1;
    int64_t next_source; /* from one image to the next, in elements */
    int64_t *starts;     /* room for an offset of each position, and where it lies in the block */
    char *dense;         /* room for the positions of a combination, which lie apart */
    char *c; /* where the block goes: all of its images, before they are turned if that is to be */
} block;

/* Whether position `at` is one of the residue's; if so, which. */
static bool meets(const ad_axis *axis, const ad_residue *r, int64_t at, int64_t *i) {
    *i = at - r->first;
    if (axis->step == 1) return true;
    if (*i < 0 || *i % axis->step) return false;
    *i /= axis->step;
    return true;
}

/* Row `at`: which of the combination's it is, as an offset in the source; false where it is none. */
static bool source_row(const ad_conv_plan *v, const combination *c, int64_t at, int64_t *offset) {
    const int64_t height = v->axis[1].size;
    int64_t d, h;
    if (!meets(&v->axis[0], c->r[0], at / height, &d) || !meets(&v->axis[1], c->r[1], at % height, &h))
        return false;
    *offset = d * v->axis[0].source_step * v->source.at[0] + h * v->axis[1].source_step * v->source.at[1];
    return true;
}

/* The positions of a residue that are in [from, to). */
static void within(const ad_axis *axis, const ad_residue *r, int64_t from, int64_t to, int64_t *begin,
                   int64_t *end) {
    *begin = from <= r->first ? 0 : (from - r->first - 1) / axis->step + 1;
    *end = to <= r->first ? 0 : (to - r->first - 1) / axis->step + 1;
}

/* ---- vectors of channels ---- */

/* Row i of the block's, over all its images. */
static bool row_of(const block *b, const combination *c, int64_t i, int64_t *offset) {
    const int64_t rows = b->r1 - b->r0, image = i / rows;
    if (!source_row(b->v, c, b->r0 + i % rows, offset)) return false;
    *offset += image * b->next_source;
    return true;
}

static int64_t even_depth(int64_t k) {
    const int64_t most = ad_l1_is_narrow() ? DEPTH_NARROW : DEPTH;
    const int64_t parts = (k + most - 1) / most;
    return parts ? (k + parts - 1) / parts : 1;
}

/* The positions of a combination: where they begin in the source, and behind that which of the block's they
 * are. Returns how many. */
static int64_t gather_positions(const block *b, const combination *c) {
    const ad_axis *axis = &b->v->axis[2];
    const int64_t width = b->c1 - b->c0, all = b->images * (b->r1 - b->r0);
    int64_t q0, q1, from, n = 0, *starts = b->starts, *places = starts + all * width;
    within(axis, c->r[2], b->c0, b->c1, &q0, &q1);
    for (int64_t i = 0; i < all; i++) {
        if (!row_of(b, c, i, &from)) continue;
        for (int64_t q = q0; q < q1; q++, n++) {
            starts[n] = from + q * axis->source_step * b->v->source.at[2];
            places[n] = i * width + c->r[2]->first - b->c0 + q * axis->step;
        }
    }
    return n;
}

static void channel_tiles(void *context, const combination *c) {
    const block *b = context;
    const ad_conv_plan *v = b->v;
    const int64_t size = v->size, row = v->m * size, n = gather_positions(b, c), depth = even_depth(c->k);
    const int64_t *places = b->starts + b->images * (b->r1 - b->r0) * (b->c1 - b->c0);
    const char *weights = b->weights + c->begin * row;
    char *const to = moves_by_one(v) ? b->c : b->dense;
    ad_tile tile = {.c_row = v->m};
    for (int64_t j = 0; j < v->m; j += tile.cols) {
        tile.cols = tile.b_row = ad_conv_next(v->kernels, v->m - j, ad_conv_width(v->kernels));
        for (int64_t p = 0; p == 0 || p < c->k; p += depth) {
            tile.k = ad_least(depth, c->k - p);
            const char *panel = weights + (j * c->k + p * tile.cols) * size;
            tile.bias = b->bias && p + tile.k == c->k ? b->bias + j * size : NULL;
            tile.accumulate = p > 0;
            tile.offsets = v->offsets + c->begin + p;
            for (int64_t q = 0, rows; q < n; q += rows) {
                rows = ad_conv_rows(v->kernels, n - q);
                tile.starts = b->starts + q;
                tile.c = to + q * row + j * size;
                v->kernels->a_at[rows - 1][ad_conv_vectors(v->kernels, tile.cols)](&tile, b->source, panel);
            }
        }
    }
    for (int64_t q = 0; to != b->c && q < n; q++) memcpy(b->c + places[q] * row, to + q * row, (size_t)row);
}

/* ---- vectors of positions ---- */

/* Rows of positions side by side, to every so many of the result's. */
static void scatter(const ad_conv_plan *v, int64_t rows, int64_t cols, const void *from, void *to,
                    int64_t row) {
    const int64_t step = v->axis[2].step;
    for (int64_t i = 0; i < rows; i++) {
        if (v->size == 4) {
            const float *x = (const float *)from + i * cols;
            float *y = (float *)to + i * row;
            for (int64_t q = 0; q < cols; q++) y[q * step] = x[q];
        } else {
            const double *x = (const double *)from + i * cols;
            double *y = (double *)to + i * row;
            for (int64_t q = 0; q < cols; q++) y[q * step] = x[q];
        }
    }
}

static void position_tiles(void *context, const combination *c) {
    const block *b = context;
    const ad_conv_plan *v = b->v;
    const ad_axis *axis = &v->axis[2];
    const int64_t size = v->size, vector = (int64_t)1 << v->kernels->log2_width;
    const char *weights = b->weights + c->begin * v->m * size;
    int64_t q0, q1, from;
    within(axis, c->r[2], b->c0, b->c1, &q0, &q1);
    ad_tile tile = {.k = c->k, .a_row = c->k, .a_col = 1, .offsets = v->offsets + c->begin};
    for (int64_t r = b->r0; r < b->r1; r++) {
        if (!source_row(v, c, r, &from)) continue;
        for (int64_t m = 0, rows; m < v->m; m += rows) {
            rows = ad_least(v->m - m, AD_B_AT_ROWS);
            while (!v->kernels->b_at[rows - 1][1]) rows--;
            const char *const a = weights + m * c->k * size;
            tile.bias = b->bias ? b->bias + m * size : NULL;
            for (int64_t q = q0; q < q1; q += tile.cols) {
                _Alignas(64) char line[4096];
                tile.cols = ad_conv_next(v->kernels, q1 - q,
                                         (rows == 1 && q1 - q > 3 * vector ? AD_B_AT_VECTORS : 2) * vector);
                char *to =
                    b->c + (m * v->positions + r * axis->size + c->r[2]->first + q * axis->step) * size;
                tile.c = axis->step == 1 ? to : line;
                tile.c_row = axis->step == 1 ? v->positions : tile.cols;
                v->kernels->b_at[rows - 1][ad_conv_vectors(v->kernels, tile.cols)](
                    &tile, a, b->source + (from + q) * size);
                if (axis->step > 1) scatter(v, rows, tile.cols, line, to, v->positions);
            }
        }
    }
}

/* The rows to make next of those left: no more than there are, with what was made before. */
static int64_t line_rows(const ad_gemm_type *kernels, int64_t vectors, int64_t left, int64_t all) {
    int64_t found = 1;
    for (int64_t rows = 2; rows <= AD_LINE_ROWS && rows <= all && found < left; rows *= 2)
        if (kernels->lines[rows / 2 - 1][vectors]) found = rows;
    return found;
}

/* The same of a single channel: several rows at a time; the last of them may have been made before. */
static void line_tiles(void *context, const combination *c) {
    const block *b = context;
    const ad_conv_plan *v = b->v;
    const ad_gemm_type *kernels = v->kernels;
    const ad_axis *axis = v->axis;
    const int64_t size = v->size, width = axis[2].size, height = axis[1].size, step = axis[2].step;
    const int64_t vector = (int64_t)1 << kernels->log2_width, row = axis[1].step * width;
    ad_tile tile = {.k = c->k, .a_col = 1, .bias = b->bias};
    tile.offsets = v->offsets + c->begin, tile.b_row = axis[1].source_step * v->source.at[1];
    int64_t q0, q1, h0, h1, at;
    within(&axis[2], c->r[2], b->c0, b->c1, &q0, &q1);
    for (int64_t d = b->r0 ? b->r0 / height : 0; d * height < b->r1; d++) {
        if (!meets(&axis[0], c->r[0], d, &at)) continue;
        within(&axis[1], c->r[1], b->r0 - d * height, ad_least(b->r1 - d * height, height), &h0, &h1);
        const char *from = b->source + at * axis[0].source_step * v->source.at[0] * size;
        char *to = b->c + ((d * height + c->r[1]->first) * width + c->r[2]->first) * size;
        for (int64_t q = q0; q < q1; q += tile.cols) {
            _Alignas(64) char lines[AD_LINE_ROWS * 512];
            const int64_t left = q1 - q, wide = left > 3 * vector ? 4 : left > vector ? 2 : 1;
            tile.cols = ad_conv_next(kernels, left, wide * vector);
            tile.c_row = step == 1 ? row : tile.cols;
            const int64_t vectors = ad_conv_vectors(kernels, tile.cols);
            for (int64_t h = h0, rows; h < h1; h += rows) {
                rows = line_rows(kernels, vectors, h1 - h, h1 - h0);
                h = ad_least(h, h1 - rows);
                char *y = to + (h * row + q * step) * size;
                const char *x = from + (h * tile.b_row + q) * size;
                tile.c = step == 1 ? y : lines;
                (rows > 1 ? kernels->lines[rows / 2 - 1][vectors]
                          : kernels->b_at[0][vectors])(&tile, b->weights + c->begin * size, x);
                if (step > 1) scatter(v, rows, tile.cols, lines, y, row);
            }
        }
    }
}

/* ---- all of it ---- */

/* What meets no tap is the bias. */
static void fill(const block *b) {
    const ad_conv_plan *v = b->v;
    const int64_t count = b->images * (b->r1 - b->r0) * (b->c1 - b->c0), size = v->size;
    const int64_t outer = v->channels ? count : v->m, inner = v->channels ? v->m : count;
    char *c = v->channels ? b->c : b->c + (b->r0 * v->axis[2].size + b->c0) * size;
    for (int64_t i = 0; i < outer; i++, c += (v->channels ? v->m : v->positions) * size) {
        if (!b->bias)
            memset(c, 0, (size_t)(inner * size));
        else if (v->channels)
            memcpy(c, b->bias, (size_t)(inner * size));
        else
            for (int64_t j = 0; j < inner; j++) memcpy(c + j * size, b->bias + i * size, (size_t)size);
    }
}

/* Padded images of one group, from n on. */
static void copy_images(const ad_conv_plan *v, int64_t n, int64_t images, int64_t group, char *to) {
    ad_tensor part = *v->local;
    ad_source s = v->source;
    part.data += (n * part.strides[0] + group * v->c * part.strides[1]) * v->size;
    part.shape[0] = images, part.shape[1] = v->c;
    s.data = to;
    s.n = s.c * v->c;
    ad_refresh(&part);
    ad_conv_copy(&s, &part, v->axis);
}

static void turn(const block *b, char *y) {
    const ad_conv_plan *v = b->v;
    const int64_t count = (b->r1 - b->r0) * (b->c1 - b->c0), at = b->r0 * v->axis[2].size + b->c0;
    const ad_crossing turned = {.rows = v->m, .cols = count, .dst_row = v->positions, .src_col = v->m};
    for (int64_t i = 0; i < b->images; i++)
        ad_copy_across(&turned, (int)v->size, y + (i * v->groups * v->m * v->positions + at) * v->size,
                       b->c + i * count * v->m * v->size, false);
}

static void run_block(void *context, int64_t task) {
    ad_conv_plan *v = context;
    const int64_t size = v->size, height = v->axis[0].size * v->axis[1].size, width = v->axis[2].size;
    const int64_t blocks = v->down * v->across, place = blocks == 1 ? 0 : task % blocks;
    const int64_t image = blocks == 1 ? task : task / blocks, group = image % v->groups;
    const int64_t r = place ? place / v->across : 0, col = place ? place % v->across : 0;
    const int64_t n = image / v->groups * v->images;
    char *y = v->y + (n * v->groups + group) * v->m * v->positions * size;
    block b = {.v = v,
               .source = v->source.data + (n * v->source.n + group * v->c * v->source.c) * size,
               .next_source = v->source.n,
               .weights = v->weights + group * v->c * v->taps * v->m * size,
               .bias = v->bias ? v->bias + group * v->m * size : NULL,
               .images = ad_least(v->images, v->batch - n),
               .r0 = r * v->rows,
               .r1 = ad_least((r + 1) * v->rows, height),
               .c0 = col * v->cols,
               .c1 = ad_least((col + 1) * v->cols, width),
               .c = y};
    const int64_t positions = v->channels ? b.images * (b.r1 - b.r0) * (b.c1 - b.c0) : 0;
    const int64_t starts = (positions * 2 * (int64_t)sizeof(int64_t) + 63) / 64 * 64;
    const int64_t one = (positions * v->m * size + 63) / 64 * 64;
    const int64_t result = starts + (moves_by_one(v) ? one : 2 * one);
    const int64_t bytes = result + (v->local ? b.images * v->copy_bytes : 0);
    _Alignas(64) char stack[STACK_BYTES];
    char *memory = bytes <= STACK_BYTES ? stack : ad_alloc((size_t)bytes);
    if (!memory) {
        atomic_store(&v->status, AD_NO_MEMORY);
        return;
    }
    if (v->channels) b.starts = (int64_t *)memory, b.c = memory + starts, b.dense = b.c + one;
    if (v->local) {
        char *copy = memory + result;
        copy_images(v, n, b.images, group, copy);
        b.source = copy;
        b.next_source = v->source.c * v->c;
    }
    if (v->holes) fill(&b);
    for_combinations(v, v->channels ? channel_tiles : v->m == 1 ? line_tiles : position_tiles, &b);
    if (v->channels) turn(&b, y);
    if (memory != stack) ad_dealloc(memory);
}

/* How much of the result is a block: one row, some rows, or some images, where these are small. */
static void cut(ad_conv_plan *v) {
    const int64_t height = v->axis[0].size * v->axis[1].size, width = v->axis[2].size;
    const int64_t fits = BLOCK_BYTES / (v->m * v->size) + 1;
    v->cols = v->local ? width : ad_least(width, fits);
    v->rows = v->local ? height : v->cols < width ? 1 : ad_least(fits / width + 1, height);
    v->images =
        v->channels ? ad_least(fits / (height * width) + 1, (v->batch + LEAST_TASKS - 1) / LEAST_TASKS) : 1;
    if (v->rows < height) v->images = 1;
    v->down = (height + v->rows - 1) / v->rows;
    v->across = (width + v->cols - 1) / v->cols;
}

int ad_conv_tiles(ad_conv_plan *v) {
    const int64_t terms = v->c * v->taps;
    const bool ready = are_packed(v);
    const int64_t packed = ready ? 0 : (v->groups * terms * v->m * v->size + 63) / 64 * 64;
    v->packed = ad_alloc((size_t)(packed + terms * (int64_t)sizeof(int64_t) + 64));
    if (!v->packed) return AD_NO_MEMORY;
    v->offsets = (int64_t *)(v->packed + packed);
    v->weights = ready ? v->w : v->packed;
    if (ready)
        for_combinations(v, note_offsets, v);
    else
        ad_parallel_for(v->groups * panels_of(v), v->groups * terms * v->m, pack_panel, v);
    cut(v);
    ad_parallel_for((v->batch + v->images - 1) / v->images * v->groups * v->down * v->across,
                    ad_conv_cost(v->batch * v->groups * v->m * v->positions * (terms + 1), v->size),
                    run_block, v);
    ad_dealloc(v->packed);
    return atomic_load(&v->status);
}
