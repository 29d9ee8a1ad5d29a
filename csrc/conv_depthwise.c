/* conv_depthwise.c: convolutions of one channel a group, where groups are many: vectors lie across them, so
 * that none is read across cache lines and none is in part empty, however narrow the image. Each task lays a
 * vector's channels of an image side by side, and turns what comes out. */
#include "conv.h"

#define AT_ONCE 128          /* positions that are turned at a time, */
#define WIDE 24              /* but for rows of no fewer, which are turned to where they belong */
#define LEAST_TAPS 9         /* that outweigh the turning where vectors of positions would be read in part; */
#define MANY_LANES 384       /* of all taps that do so in any case */
#define MOST_STEP 8          /* of the stride, as the last tile reads so much more */
#define MOST_BYTES (1 << 20) /* of what a task lays out: it stays in L2 */

static int64_t lanes_of(const ad_conv_plan *v) { return (int64_t)1 << v->kernels->log2_width; }
static int64_t blocks_of(const ad_conv_plan *v) { return ((v->groups - 1) >> v->kernels->log2_width) + 1; }

/* Whether positions lie one after the other. */
static bool is_flat(const ad_tensor *x) {
    const int64_t *n = x->shape, *step = x->strides;
    return step[4] == 1 && (n[3] == 1 || step[3] == n[4]) && (n[2] == 1 || step[2] == n[3] * n[4]);
}

/* Whether a task can lay out a vector's channels of an image. */
static bool may_lay_out(const ad_conv_plan *v, const ad_tensor *x) {
    if (!v->kernels->apart || v->m != 1 || v->c != 1 || v->groups < lanes_of(v)) return false;
    if (v->axis[2].source_step > MOST_STEP || !(is_flat(x) || x->strides[1] == 1)) return false;
    double bytes = (double)(lanes_of(v) * v->size);
    for (int d = 0; d < 3; d++) bytes *= (double)(v->axis[d].low + v->axis[d].source + v->axis[d].high);
    return bytes <= MOST_BYTES;
}

bool ad_conv_is_depthwise(const ad_conv_plan *v, const ad_tensor *x) {
    const int64_t step = v->axis[2].source_step;
    if (!may_lay_out(v, x)) return false;
    const bool parts = step > 1 || v->axis[2].size < lanes_of(v);
    if (parts ? v->taps < LEAST_TAPS : v->taps * lanes_of(v) < MANY_LANES) return false;
    return v->axis[0].step == 1 && v->axis[1].step == 1 && v->axis[2].step == 1;
}

/* ---- what all tasks read ---- */

static int64_t next_tap(const ad_conv_plan *v) {
    return v->axis[2].kernel > 1 ? v->axis[2].tap[1].at - v->axis[2].tap[0].at : 0;
}

/* The taps of a row, where they lie as far apart as positions, in their order or, of the adjoint, against it.
 */
static int64_t run_of(const ad_conv_plan *v) {
    const int64_t next = next_tap(v), step = v->axis[2].source_step;
    return next == step || next == -step ? v->axis[2].kernel : 1;
}

static void fill_offsets(ad_conv_plan *v, int64_t *starts) {
    const ad_axis *axis = v->axis;
    int64_t *to = v->offsets;
    for (int64_t d = 0; d < axis[0].kernel; d++)
        for (int64_t h = 0; h < axis[1].kernel; h++)
            for (int64_t w = 0; w < axis[2].kernel; w += run_of(v))
                *to++ = axis[0].tap[d].at * v->source.at[0] + axis[1].tap[h].at * v->source.at[1] +
                        axis[2].tap[w].at * v->source.at[2];
    to = starts;
    for (int64_t d = 0; d < axis[0].size; d++)
        for (int64_t h = 0; h < axis[1].size; h++)
            for (int64_t w = 0; w < axis[2].size; w++)
                *to++ = d * axis[0].source_step * v->source.at[0] +
                        h * axis[1].source_step * v->source.at[1] + w * axis[2].source_step * v->source.at[2];
}

/* Of each block: those of its channels side by side, tap by tap. */
static void pack_block(void *context, int64_t block) {
    const ad_conv_plan *v = context;
    const int64_t first = block * lanes_of(v), lanes = ad_least(lanes_of(v), v->groups - first);
    const int64_t *kernel = (int64_t[]){v->axis[0].kernel, v->axis[1].kernel, v->axis[2].kernel};
    char *to = v->packed + first * v->taps * v->size;
    for (int64_t t = 0; t < v->taps; t += kernel[2]) {
        const int64_t h = t / kernel[2] % kernel[1], d = t / kernel[2] / kernel[1];
        const char *w = v->w + (first * v->w_group + d * v->w_at[0] + h * v->w_at[1]) * v->size;
        v->kernels->pack(kernel[2], (int)lanes, w, v->w_group, v->w_at[2], to + t * lanes * v->size);
    }
}

/* ---- a task ---- */

/* What is around the image in `to`, and behind. */
static void clear_around(const ad_conv_plan *v, char *to) {
    const ad_axis *axis = v->axis;
    const int64_t line = v->source.at[2] * v->size, row = v->source.at[1] * v->size;
    const int64_t plane = v->source.at[0] * v->size;
    char *const end = to + v->copy_bytes;
    memset(to, 0, (size_t)(axis[0].low * plane));
    to += axis[0].low * plane;
    for (int64_t d = 0; d < axis[0].source; d++) {
        memset(to, 0, (size_t)(axis[1].low * row));
        to += axis[1].low * row;
        for (int64_t h = 0; h < axis[1].source; h++, to += row) {
            memset(to, 0, (size_t)(axis[2].low * line));
            memset(to + row - axis[2].high * line, 0, (size_t)(axis[2].high * line));
        }
        memset(to, 0, (size_t)(axis[1].high * row));
        to += axis[1].high * row;
    }
    memset(to, 0, (size_t)(end - to));
}

/* Where the image's rows lie between the zeros: this one, and the next. */
typedef struct {
    char *to;
    int64_t h;
} place;

static place first_place(const ad_conv_plan *v, char *to) {
    const ad_axis *axis = v->axis;
    const int64_t before = axis[0].low * v->source.at[0] + axis[1].low * v->source.at[1];
    return (place){to + (before + axis[2].low * v->source.at[2]) * v->size, 0};
}

static char *next_place(const ad_conv_plan *v, place *at) {
    const int64_t row = v->source.at[1] * v->size;
    char *const to = at->to;
    at->to += row;
    if (++at->h == v->axis[1].source) at->h = 0, at->to += (v->axis[1].low + v->axis[1].high) * row;
    return to;
}

/* n positions of the image, from p on, side by side. */
static void turn_in(const ad_conv_plan *v, const char *x, int64_t p, int64_t n, int64_t lanes, char *to) {
    const int64_t *shape = v->local->shape, *step = v->local->strides, line = v->source.at[2];
    if (is_flat(v->local)) {
        const ad_crossing turned = {n, lanes, line, step[1]};
        ad_copy_across(&turned, (int)v->size, to, x + p * v->size, false);
        return;
    }
    for (int64_t i = p; i < p + n; i++, to += line * v->size) {
        const int64_t w = i % shape[4], h = i / shape[4] % shape[3], d = i / shape[4] / shape[3];
        memcpy(to, x + (d * step[2] + h * step[3] + w * step[4]) * v->size, (size_t)(lanes * v->size));
    }
}

/* Once for all images that are laid out in `to`. */
static void clear(const ad_conv_plan *v, int64_t lanes, char *to) {
    if (v->axis[2].source >= WIDE && lanes == v->source.at[2])
        clear_around(v, to);
    else
        memset(to, 0, (size_t)v->copy_bytes);
}

static void lay_out(const ad_conv_plan *v, const char *x, int64_t lanes, char *rows, char *to) {
    const int64_t line = v->source.at[2] * v->size, width = v->axis[2].source;
    const int64_t all = v->axis[0].source * v->axis[1].source * width;
    place at = first_place(v, to);
    if (width >= WIDE || !is_flat(v->local)) {
        for (int64_t p = 0; p < all; p += width) turn_in(v, x, p, width, lanes, next_place(v, &at));
        return;
    }
    if (lanes < v->source.at[2]) memset(rows, 0, (size_t)(AT_ONCE * line));
    for (int64_t p = 0, count; p < all; p += count) {
        count = ad_least(all - p, AT_ONCE / width * width);
        turn_in(v, x, p, count, lanes, rows);
        for (int64_t i = 0; i < count; i += width)
            memcpy(next_place(v, &at), rows + i * line, (size_t)(width * line));
    }
}

static void run_task(void *context, int64_t task) {
    ad_conv_plan *v = context;
    const int64_t size = v->size, n = task / blocks_of(v), first = task % blocks_of(v) * lanes_of(v);
    const int64_t lanes = ad_least(lanes_of(v), v->groups - first), line = lanes_of(v) * size;
    char *memory = ad_alloc((size_t)(v->copy_bytes + (AT_ONCE + AD_APART_ROWS) * line));
    if (!memory) {
        atomic_store(&v->status, AD_NO_MEMORY);
        return;
    }
    char *const rows = memory + v->copy_bytes;
    char *y = v->y + (n * v->groups + first) * v->positions * size;
    const int64_t *starts = v->offsets + v->taps, width = v->axis[2].size;
    const int64_t step = v->axis[2].source_step * v->source.at[2];
    const int64_t back = next_tap(v) < 0 ? AD_APART_ROWS - 1 : 0; /* rows of a tile, from the last on */
    _Alignas(64) char bias[AD_LINE] = {0};
    if (v->bias) memcpy(bias, v->bias + first * size, (size_t)(lanes * size));
    clear(v, lanes, memory);
    lay_out(v, v->local->data + (n * v->local->strides[0] + first * v->local->strides[1]) * size, lanes, rows,
            memory);
    ad_tile tile = {.k = v->taps / run_of(v),
                    .a_row = back ? -step : step,
                    .c_row = back ? -lanes_of(v) : lanes_of(v),
                    .a_col = run_of(v),
                    .b_row = lanes,
                    .bias = v->bias ? bias : NULL,
                    .offsets = v->offsets};
    for (int64_t p = 0, count; p < v->positions; p += count) {
        count = width > AT_ONCE ? ad_least(width - p % width, AT_ONCE)
                                : ad_least(v->positions - p, AT_ONCE / width * width);
        for (int64_t i = 0, run, left = 0; i < count; i += run, left -= run) {
            if (left == 0) left = ad_least(width, count);
            run = ad_least(left, AD_APART_ROWS);
            const char *a = memory + (starts[p + i] + back * step) * size;
            tile.c = rows + (i + back) * line; /* what is made past the row, the next tile makes anew */
            v->kernels->apart(&tile, a, v->packed + first * v->taps * size);
        }
        const ad_crossing turned = {lanes, count, v->positions, lanes_of(v)};
        ad_copy_across(&turned, (int)size, y + p * size, rows, false);
    }
    ad_dealloc(memory);
}

static void plan_copy(ad_conv_plan *v, const ad_tensor *x) {
    int64_t wide[3];
    for (int d = 0; d < 3; d++) wide[d] = v->axis[d].low + v->axis[d].source + v->axis[d].high;
    v->source.at[2] = lanes_of(v);
    v->source.at[1] = v->source.at[2] * wide[2];
    v->source.at[0] = v->source.at[1] * wide[1];
    v->local = x;
    const int64_t past = AD_APART_ROWS * v->axis[2].source_step * v->source.at[2]; /* of the last tile */
    v->copy_bytes = ((v->source.at[0] * wide[0] + past) * v->size + 63) / 64 * 64;
}

int ad_conv_depthwise(ad_conv_plan *v, const ad_tensor *x) {
    plan_copy(v, x);
    const int64_t tables = (v->taps + v->positions) * (int64_t)sizeof(int64_t);
    char *memory = ad_alloc((size_t)(tables + v->groups * v->taps * v->size + AD_LINE)); /* read by lines */
    if (!memory) return AD_NO_MEMORY;
    v->offsets = (int64_t *)memory;
    v->packed = memory + tables;
    fill_offsets(v, v->offsets + v->taps);
    ad_parallel_for(blocks_of(v), v->groups * v->taps, pack_block, v);
    ad_parallel_for(v->batch * blocks_of(v),
                    ad_conv_cost(v->batch * v->groups * v->positions * (v->taps + 1), v->size), run_task, v);
    ad_dealloc(memory);
    return atomic_load(&v->status);
}

/* ---- the weight's adjoint, where rows are so short that lanes of a sum along them would be empty ---- */

typedef struct {
    ad_conv_plan *v;
    const ad_tensor *g;
    int64_t taps, sums; /* the taps made up; bytes of their sums */
} adjoint;

bool ad_conv_is_depthwise_weight(const ad_conv_plan *v, const ad_tensor *x, const ad_tensor *g) {
    return may_lay_out(v, x) && v->kernels->correlate_apart && v->taps >= LEAST_TAPS &&
           v->axis[2].size * v->size < AD_LANE_BYTES && is_flat(g);
}

/* Lanes of each tap's sums, joined as a tree, to a channel's row of the result. */
static void give_sums(const adjoint *a, char *sums, int64_t first, int64_t lanes) {
    const ad_conv_plan *v = a->v;
    const int64_t row = a->taps * lanes_of(v);
    ad_pw_fn *const add = ad_cpu->pw->instr[AD_OP_add][v->size == 4 ? AD_f32 : AD_f64];
    for (int64_t n = AD_LANE_BYTES / v->size / 2 * row; n >= row; n /= 2)
        add(n, sums, sums, sums + n * v->size, NULL);
    const ad_crossing turned = {lanes, v->taps, v->taps, lanes_of(v)};
    ad_copy_across(&turned, (int)v->size, v->y + first * v->taps * v->size, sums, false);
}

/* A vector's channels of all images. */
static void run_adjoint(void *context, int64_t task) {
    const adjoint *a = context;
    ad_conv_plan *v = a->v;
    const int64_t size = v->size, first = task * lanes_of(v);
    const int64_t lanes = ad_least(lanes_of(v), v->groups - first), line = lanes_of(v) * size;
    const int64_t turned_bytes = v->positions * line;
    char *sums = ad_alloc((size_t)(a->sums + v->copy_bytes + turned_bytes + AT_ONCE * line));
    if (!sums) {
        atomic_store(&v->status, AD_NO_MEMORY);
        return;
    }
    char *const copy = sums + a->sums, *const g = copy + v->copy_bytes;
    memset(sums, 0, (size_t)a->sums);
    clear(v, lanes, copy);
    if (lanes_of(v) > lanes) memset(g, 0, (size_t)turned_bytes);
    for (int64_t n = 0; n < v->batch; n++) {
        const ad_tensor *x = v->local;
        lay_out(v, x->data + (n * x->strides[0] + first * x->strides[1]) * size, lanes, g + turned_bytes,
                copy);
        const ad_crossing turned = {v->positions, lanes, lanes_of(v), a->g->strides[1]};
        const char *from = a->g->data + (n * a->g->strides[0] + first * a->g->strides[1]) * size;
        ad_copy_across(&turned, (int)size, g, from, false);
        for (int64_t d = 0; d < v->axis[0].size; d++)
            v->kernels->correlate_apart(v->axis[1].size, v->axis[2].size,
                                        g + d * v->axis[1].size * v->axis[2].size * line,
                                        copy + d * v->axis[0].source_step * v->source.at[0] * size,
                                        v->axis[1].source_step * v->source.at[1],
                                        v->axis[2].source_step * v->source.at[2], a->taps, v->offsets, sums);
    }
    give_sums(a, sums, first, lanes);
    ad_dealloc(sums);
}

int ad_conv_depthwise_weight(ad_conv_plan *v, const ad_tensor *x, const ad_tensor *g) {
    adjoint a = {v, g, (v->taps + AD_CORRELATE_TAPS - 1) / AD_CORRELATE_TAPS * AD_CORRELATE_TAPS, 0};
    plan_copy(v, x);
    a.sums = a.taps * lanes_of(v) * AD_LANE_BYTES; /* as many as lanes, of so many elements */
    v->offsets = ad_alloc((size_t)a.taps * sizeof(int64_t));
    if (!v->offsets) return AD_NO_MEMORY;
    const ad_axis *axis = v->axis;
    for (int64_t t = 0; t < a.taps; t++) { /* those that are too many do as the last */
        const int64_t i = ad_least(t, v->taps - 1), w = i % axis[2].kernel, h = i / axis[2].kernel;
        v->offsets[t] = axis[0].tap[h / axis[1].kernel].at * v->source.at[0] +
                        axis[1].tap[h % axis[1].kernel].at * v->source.at[1] +
                        axis[2].tap[w].at * v->source.at[2];
    }
    ad_parallel_for(blocks_of(v), ad_conv_cost(v->groups * v->taps * v->batch * v->positions, v->size),
                    run_adjoint, &a);
    ad_dealloc(v->offsets);
    return atomic_load(&v->status);
}
