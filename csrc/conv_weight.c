/* conv_weight.c: the adjoint of a convolution in its weight. With many channels in a group, each element is
 * one chain of multiply-adds over images and positions in order: tiles whose columns are channels of the
 * result, packed beforehand, and whose rows are channels of the image and taps, read in place; where
 * positions are fewer than these, it is a product with what they meet. With few, as in depthwise
 * convolutions, the chains of each element are as many as a sum has lanes, combined by a fixed tree. */
#include "conv.h"

#define FEW 8                 /* channels of a group's result below which sums have lanes */
#define DEPTH 256             /* positions at a time: what is packed of them stays in L1 */
#define ROWS 24               /* of the image's channels in a task */
#define LOCAL_BYTES (1 << 19) /* of a channel of all images that a task copies: it stays in L2 */

typedef struct {
    const ad_gemm_type *kernels;
    int64_t size, batch, groups, m, c, taps, positions;
    ad_axis axis[3]; /* taps: in the source, from the first position on */
    ad_source source, g;
    char *y;
    int64_t *offsets;       /* of all positions of all images, or of the taps; */
    int64_t *terms;         /* and of each channel and tap */
    char *packed;           /* of each group: panels of m, each (images, positions, columns) */
    char *sums;             /* of each group: (c, taps, m) */
    const ad_tensor *local; /* the images, where a task copies what it reads; or NULL */
    int64_t copy_bytes;
    atomic_int status;
} plan;

static int64_t panels_of(const plan *v) {
    return (v->m + ad_conv_width(v->kernels) - 1) / ad_conv_width(v->kernels);
}
static int64_t panel_start(const plan *v, int64_t i) {
    return ad_conv_panel(v->kernels, v->m, ad_conv_width(v->kernels), i);
}

/* Where a tap reads from the first position. */
static int64_t tap_at(const plan *v, int64_t t) {
    const int64_t w = t % v->axis[2].kernel, h = t / v->axis[2].kernel;
    return v->axis[0].tap[h / v->axis[1].kernel].at * v->source.at[0] +
           v->axis[1].tap[h % v->axis[1].kernel].at * v->source.at[1] +
           ad_conv_column(&v->source, v->axis[2].tap[w].at);
}

/* ---- lanes ---- */

#define COMBINE(T)                                                                                           \
    for (int n = AD_LANE_BYTES / sizeof(T) / 2; n > 0; n /= 2)                                               \
        for (int i = 0; i < n; i++) ((T *)sums)[i] += ((T *)sums)[i + n];

/* Some taps, over all images; more than there are repeat the last. */
static void sum_taps(const plan *v, const char *g, const char *x, int taps, const int64_t *offsets,
                     char *to) {
    _Alignas(64) char lanes[AD_CORRELATE_TAPS * AD_LANE_BYTES];
    memset(lanes, 0, sizeof lanes);
    for (int64_t n = 0; n < v->batch; n++) {
        for (int64_t d = 0; d < v->axis[0].size; d++)
            v->kernels->correlate(
                v->axis[1].size, v->axis[2].size, g + (n * v->g.n + d * v->g.at[0]) * v->size, v->g.at[1],
                x + (n * v->source.n + d * v->axis[0].source_step * v->source.at[0]) * v->size,
                v->axis[1].source_step * v->source.at[1], taps, offsets, lanes);
    }
    for (int j = 0; j < taps && j < v->taps; j++) {
        char *sums = lanes + j * AD_LANE_BYTES;
        if (v->size == 4)
            COMBINE(float)
        else
            COMBINE(double)
        memcpy(to + j * v->size, sums, (size_t)v->size);
    }
}

/* A channel of all images, to `to`; the plan of a task that reads it there. */
static plan copy_channel(const plan *v, int64_t channel, char *to) {
    plan own = *v;
    ad_tensor part = *v->local;
    part.data += channel * part.strides[1] * v->size;
    part.shape[1] = 1;
    ad_refresh(&part);
    own.source.data = to;
    own.source.n = own.source.c;
    ad_conv_copy(&own.source, &part, v->axis);
    return own;
}

/* A channel of the result and one of the image. */
static void sum_channels(const plan *v, int64_t task, const char *x) {
    const int64_t channel = task / v->c;
    const int most = v->kernels->correlate_taps, taps = v->taps < most ? AD_CORRELATE_FEW : most;
    const char *g = v->g.data + channel * v->g.c * v->size;
    char *to = v->y + task * v->taps * v->size;
    for (int64_t t = 0; t < v->taps; t += taps) { /* the last ones may have been summed before */
        const int64_t first = v->taps < taps ? 0 : ad_least(t, v->taps - taps);
        sum_taps(v, g, x, taps, v->offsets + first, to + first * v->size);
    }
}

static void sum_pair(void *context, int64_t task) {
    plan *v = context;
    const int64_t channel = task / v->c / v->m * v->c + task % v->c;
    if (!v->local) {
        sum_channels(v, task, v->source.data + channel * v->source.c * v->size);
        return;
    }
    char *copy = ad_alloc((size_t)v->copy_bytes);
    if (copy) {
        const plan own = copy_channel(v, channel, copy);
        sum_channels(&own, task, copy);
    } else {
        atomic_store(&v->status, AD_NO_MEMORY);
    }
    ad_dealloc(copy);
}

/* ---- tiles ---- */

/* An image of a group, to panels. */
static void pack_image(void *context, int64_t task) {
    const plan *v = context;
    const int64_t n = task / v->groups, group = task % v->groups, size = v->size, width = v->axis[2].size;
    char *to = v->packed + group * v->m * v->batch * v->positions * size;
    const ad_source *g = &v->g;
    const bool flat = (v->axis[1].size == 1 || g->at[1] == width * g->at[2]) &&
                      (v->axis[0].size == 1 || g->at[0] == v->axis[1].size * g->at[1]);
    const int64_t run = flat ? v->positions : width;
    for (int64_t i = 0; i < panels_of(v); i++) {
        const int64_t j = panel_start(v, i), cols = panel_start(v, i + 1) - j;
        for (int64_t p = 0; p < v->positions; p += run) {
            const int64_t d = p / width / v->axis[1].size, h = p / width % v->axis[1].size;
            const int64_t at = n * g->n + (group * v->m + j) * g->c + d * g->at[0] + h * g->at[1];
            v->kernels->pack(run, (int)cols, g->data + at * size, g->c, g->at[2],
                             to + (j * v->batch * v->positions + (n * v->positions + p) * cols) * size);
        }
    }
}

/* Some channels of the image, a panel of the result's. */
static void run_task(void *context, int64_t task) {
    const plan *v = context;
    const int64_t size = v->size, all = v->batch * v->positions;
    const int64_t parts = (v->c + ROWS - 1) / ROWS, panels = panels_of(v), panel = task / parts % panels;
    const int64_t group = task / (parts * panels), j = panel_start(v, panel);
    const int64_t first = task % parts * ROWS * v->taps;
    const int64_t end = ad_least(first + ROWS * v->taps, v->c * v->taps);
    const char *x = v->source.data + group * v->c * v->source.c * size;
    const char *g = v->packed + (group * v->m + j) * all * size;
    char *sums = v->sums + (group * v->c * v->taps * v->m + j) * size;
    int64_t starts[AD_TILE_ROWS];
    ad_tile tile = {.cols = panel_start(v, panel + 1) - j, .starts = starts, .c_row = v->m};
    tile.b_row = tile.cols;
    const int64_t vectors = ad_conv_vectors(v->kernels, tile.cols);
    for (int64_t p = 0; p < all; p += tile.k) {
        tile.k = ad_least(DEPTH, all - p);
        tile.offsets = v->offsets + p;
        tile.accumulate = p > 0;
        for (int64_t t = first, rows; t < end; t += rows) {
            rows = ad_conv_rows(v->kernels, end - t);
            for (int64_t i = 0; i < rows; i++) starts[i] = v->terms[t + i] - v->terms[t];
            tile.c = sums + t * v->m * size;
            v->kernels->a_at[rows - 1][vectors](&tile, x + v->terms[t] * size, g + p * tile.cols * size);
        }
    }
}

static void turn_group(void *context, int64_t group) {
    const plan *v = context;
    const int64_t terms = v->c * v->taps, at = group * terms * v->m * v->size;
    const ad_crossing turned = {.rows = v->m, .cols = terms, .dst_row = terms, .src_col = v->m};
    ad_copy_across(&turned, (int)v->size, v->y + at, v->sums + at, false);
}

static void fill_positions(const plan *v) {
    int64_t *to = v->offsets;
    for (int64_t n = 0; n < v->batch; n++) {
        for (int64_t r = 0; r < v->axis[0].size * v->axis[1].size; r++) {
            const int64_t d = r / v->axis[1].size * v->axis[0].source_step,
                          h = r % v->axis[1].size * v->axis[1].source_step;
            const int64_t row = n * v->source.n + d * v->source.at[0] + h * v->source.at[1];
            for (int64_t w = 0; w < v->axis[2].size; w++)
                *to++ = row + w * v->axis[2].source_step * v->source.at[2];
        }
    }
}

/* ---- all of it ---- */

static int run_lanes(plan *v, const ad_tensor *g) {
    ad_axis g_axis[3];
    for (int d = 0; d < 3; d++) g_axis[d] = (ad_axis){.source_step = 1, .source = g->shape[d + 2]};
    const int status = ad_conv_source(&v->g, g, g_axis, true);
    if (status) return status;
    v->offsets = ad_alloc((size_t)(v->taps + AD_CORRELATE_FEW) * sizeof(int64_t));
    if (!v->offsets) return AD_NO_MEMORY;
    for (int64_t t = 0; t < v->taps + AD_CORRELATE_FEW; t++)
        v->offsets[t] = tap_at(v, ad_least(t, v->taps - 1));
    const int64_t pairs = v->groups * v->m * v->c;
    ad_parallel_for(pairs, 2 * ad_conv_cost(pairs * v->taps * v->batch * v->positions, v->size), sum_pair, v);
    return atomic_load(&v->status);
}

static int run_tiles(plan *v, const ad_tensor *g) {
    const int64_t all = v->batch * v->positions, terms = v->c * v->taps,
                  macs = v->groups * v->m * terms * all;
    v->g = (ad_source){
        g->data, g->strides[0], g->strides[1], {g->strides[2], g->strides[3], g->strides[4]}, 1, 0, NULL};
    const int64_t packed = (v->groups * v->m * all * v->size + 63) / 64 * 64;
    const int64_t sums = (v->groups * v->m * terms * v->size + 63) / 64 * 64;
    char *memory = ad_alloc((size_t)(packed + sums + (all + terms) * (int64_t)sizeof(int64_t) + 64));
    if (!memory) return AD_NO_MEMORY;
    v->kernels = ad_gemm_across(v->kernels, v->m);
    v->packed = memory, v->sums = memory + packed;
    v->offsets = (int64_t *)(memory + packed + sums);
    v->terms = v->offsets + all;
    for (int64_t t = 0; t < terms; t++) v->terms[t] = t / v->taps * v->source.c + tap_at(v, t % v->taps);
    fill_positions(v);
    ad_parallel_for(v->batch * v->groups, v->groups * v->m * all, pack_image, v);
    const int64_t parts = (v->c + ROWS - 1) / ROWS;
    ad_parallel_for(v->groups * parts * panels_of(v), ad_conv_cost(macs, v->size), run_task, v);
    ad_parallel_for(v->groups, v->groups * terms * v->m, turn_group, v);
    v->offsets = NULL;
    ad_dealloc(memory);
    return AD_OK;
}

/* The convolution whose weight's adjoint this is. */
static ad_conv_plan convolution(const plan *v) {
    ad_conv_plan of = {.kernels = v->kernels,
                       .size = v->size,
                       .batch = v->batch,
                       .groups = v->groups,
                       .m = v->m,
                       .c = v->c,
                       .taps = v->taps,
                       .positions = v->positions,
                       .y = v->y};
    memcpy(of.axis, v->axis, sizeof v->axis);
    atomic_init(&of.status, AD_OK);
    return of;
}

/* Which way it goes. */
static int choose(plan *v, const ad_tensor *x, const ad_tensor *g) {
    ad_conv_plan of = convolution(v);
    if (ad_conv_is_depthwise_weight(&of, x, g)) return ad_conv_depthwise_weight(&of, x, g);
    const bool lanes = v->m < FEW, few = !lanes && v->c && v->batch * v->positions < v->m;
    v->copy_bytes = v->m == 1 ? ad_conv_lay_out(&v->source, x, v->axis, true) * v->batch + AD_LINE : 0;
    if (v->source.phases > 1 && v->copy_bytes > AD_LINE && v->copy_bytes <= LOCAL_BYTES) v->local = x;
    const int status = v->local ? AD_OK : ad_conv_source(&v->source, x, v->axis, lanes || few);
    if (status) return status;
    of.source = v->source;
    return few ? ad_conv_columns_weight(&of, g) : lanes ? run_lanes(v, g) : run_tiles(v, g);
}

int ad_conv_weight(const ad_conv_call *call) {
    const ad_tensor *x = &call->b;
    /* expanded, as that of a sum is: to pack elements one by one takes longer than to lay them out */
    ad_tensor *made = call->a.numel && !call->a.strides[4] && call->a.shape[4] > 1
                          ? ad_contiguous(&call->a, call->a.dtype)
                          : NULL;
    const ad_tensor *g = made ? made : &call->a;
    plan v = {.kernels = ad_cpu->gemm->type[ad_dtype_type[g->dtype]],
              .size = ad_itemsize[g->dtype],
              .batch = x->shape[0],
              .groups = call->groups,
              .m = g->shape[1] / call->groups,
              .c = x->shape[1] / call->groups,
              .taps = 1,
              .positions = 1,
              .y = call->y.data};
    for (int d = 0; d < 3; d++) {
        v.axis[d] =
            (ad_axis){.size = g->shape[d + 2], .source = x->shape[d + 2], .kernel = call->y.shape[d + 2]};
        v.taps *= v.axis[d].kernel;
        v.positions *= v.axis[d].size;
    }
    if (v.batch * v.positions == 0) {
        memset(v.y, 0, (size_t)(call->y.numel * v.size));
        return AD_OK;
    }
    void *axes = ad_conv_axes(v.axis);
    if (!axes) {
        ad_free(made);
        return AD_NO_MEMORY;
    }
    ad_conv_forward(v.axis, call);
    atomic_init(&v.status, AD_OK);
    const int status = choose(&v, x, g);
    if (v.m < FEW) ad_dealloc(v.offsets);
    ad_dealloc(v.source.copy);
    ad_dealloc(v.g.copy);
    ad_dealloc(axes);
    ad_free(made);
    return status;
}
