/* conv_columns.c: convolutions of few positions, all images' together. What they meet is copied, a row for
 * each channel and tap, some of these at a time, which stay in L2 with the result; the weights, of which
 * there are as many or more, are read where they lie: to pack them takes longer than to multiply by them.
 * Chains are those of the other ways. */
#include "conv.h"
#include "move.h"

#define DEPTH 384         /* channels and taps at a time, at most: a panel of columns stays in L1 */
#define TASK_ROWS 96      /* channels of the result in a task of one thread, */
#define MOST_ROWS 384     /* or the most of those that threads share, */
#define L2_BYTES 0x100000 /* and what those of a block take, or a task's */

/* Positions side by side in the source and in a panel. */
typedef struct {
    int64_t from, to, bytes;
} run;

typedef struct {
    ad_conv_plan *v;
    int64_t n, k;          /* positions of all images, but no fewer than a vector has; channels and taps */
    int64_t width, panels; /* of a panel; them */
    int64_t depth, p0, p1; /* of columns at a time, the most, and now, */
    int64_t m0, m1;        /* and channels of a group's result, */
    int64_t task_rows;     /* so many in a task */
    int64_t *source_at, *weight_at; /* of each channel and tap */
    run *runs;
    int64_t *first_run; /* of each panel, and the end */
    char *columns, *sums;
} few;

static int64_t panel_start(const few *f, int64_t j) {
    return ad_conv_panel(f->v->kernels, f->n, f->width, j);
}

static void fill_offsets(const few *f) {
    const ad_conv_plan *v = f->v;
    const ad_source *s = &v->source;
    const ad_axis *axis = v->axis;
    int64_t *from = f->source_at, *weight = f->weight_at;
    for (int64_t i = 0; i < v->c; i++) {
        for (int64_t d = 0; d < axis[0].kernel; d++) {
            for (int64_t h = 0; h < axis[1].kernel; h++) {
                for (int64_t w = 0; w < axis[2].kernel; w++) {
                    *from++ = i * s->c + axis[0].tap[d].at * s->at[0] + axis[1].tap[h].at * s->at[1] +
                              ad_conv_column(s, axis[2].tap[w].at);
                    *weight++ = i * v->w_c + axis[0].tap[d].tap * v->w_at[0] +
                                axis[1].tap[h].tap * v->w_at[1] + axis[2].tap[w].tap * v->w_at[2];
                }
            }
        }
    }
}

static int64_t position(const ad_conv_plan *v, int64_t i) {
    const ad_axis *axis = v->axis;
    const int64_t n = i / v->positions, p = i % v->positions, w = p % axis[2].size, r = p / axis[2].size;
    return n * v->source.n + r / axis[1].size * axis[0].source_step * v->source.at[0] +
           r % axis[1].size * axis[1].source_step * v->source.at[1] +
           w * (v->source.phases == 1 ? axis[2].source_step : 1) * v->source.at[2];
}

static void fill_runs(few *f) {
    const int64_t size = f->v->size, count = f->v->batch * f->v->positions;
    run *r = f->runs;
    for (int64_t j = 0; j < f->panels; j++) {
        f->first_run[j] = r - f->runs;
        const int64_t first = panel_start(f, j);
        for (int64_t i = first, end = ad_least(panel_start(f, j + 1), count); i < end; i++) {
            const int64_t from = position(f->v, i) * size, to = (i - first) * size;
            if (i > first && r[-1].from + r[-1].bytes == from)
                r[-1].bytes += size;
            else
                *r++ = (run){from, to, size};
        }
    }
    f->first_run[f->panels] = r - f->runs;
}

/* Whole lines: the last one too. */
static void move_lines(char *to, const char *from, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += AD_LINE) memcpy(to + i, from + i, AD_LINE);
}

static void fill_panel(void *context, int64_t task) {
    const few *f = context;
    const ad_conv_plan *v = f->v;
    const int64_t group = task / f->panels, j = task % f->panels, first = panel_start(f, j);
    const int64_t row = (panel_start(f, j + 1) - first) * v->size;
    const char *source = v->source.data + group * v->c * v->source.c * v->size;
    const run *begin = f->runs + f->first_run[j], *end = f->runs + f->first_run[j + 1];
    char *to = f->columns + (group * f->n + first) * (f->p1 - f->p0) * v->size;
    for (int64_t p = f->p0; p < f->p1; p++, to += row) {
        const char *from = source + f->source_at[p] * v->size;
        /* what a line has too much, the runs after it overwrite, if need be those of the next rows */
        if (v->source.copy && (f->p1 - p - 1) * row >= AD_LINE)
            for (const run *r = begin; r < end; r++) move_lines(to + r->to, from + r->from, r->bytes);
        else
            for (const run *r = begin; r < end; r++) ad_move_run(to + r->to, from + r->from, r->bytes);
    }
}

/* Rows [m0, m1) of a product, a row of the result for each, to their images. */
static void give(const few *f, int64_t group, int64_t m0, int64_t m1, const char *sums) {
    const ad_conv_plan *v = f->v;
    const int64_t row = v->positions, channels = v->groups * v->m, size = v->size;
    const char *next = sums;
    for (int64_t m = m0 + group * v->m; m < m1 + group * v->m; m++, sums = next) {
        next += f->n * size;
        for (int64_t n = 0; n < v->batch; n++, sums += row * size) {
            char *y = v->y + (n * channels + m) * row * size;
            if (!v->bias) {
                memcpy(y, sums, (size_t)(row * size));
            } else if (size == 4) {
                const float b = ((const float *)v->bias)[m];
                for (int64_t p = 0; p < row; p++) ((float *)y)[p] = ((const float *)sums)[p] + b;
            } else {
                const double b = ((const double *)v->bias)[m];
                for (int64_t p = 0; p < row; p++) ((double *)y)[p] = ((const double *)sums)[p] + b;
            }
        }
    }
}

/* The products of a task's channels and the columns that are there. */
static void run_rows(void *context, int64_t task) {
    const few *f = context;
    const ad_conv_plan *v = f->v;
    const int64_t size = v->size, all = f->m1 - f->m0, parts = (all + f->task_rows - 1) / f->task_rows;
    const int64_t group = task / parts, m0 = f->m0 + task % parts * f->task_rows;
    const int64_t m1 = ad_least(m0 + f->task_rows, f->m1), row = f->n * size;
    char *sums = f->sums + (group * all + m0 - f->m0) * row;
    int64_t starts[AD_TILE_ROWS];
    for (int i = 0; i < AD_TILE_ROWS; i++) starts[i] = i * v->w_m;
    ad_tile tile = {.k = f->p1 - f->p0,
                    .accumulate = f->p0 > 0,
                    .starts = starts,
                    .offsets = f->weight_at + f->p0,
                    .c_row = f->n};
    for (int64_t m = m0, rows; m < m1; m += rows) {
        rows = ad_conv_rows(v->kernels, m1 - m);
        const char *a = v->w + (group * v->w_group + m * v->w_m) * size;
        for (int64_t j = 0; j < f->panels; j++) {
            const int64_t first = panel_start(f, j);
            tile.cols = tile.b_row = panel_start(f, j + 1) - first;
            const char *b = f->columns + (group * f->n + first) * tile.k * size;
            tile.c = sums + (m - m0) * row + first * size;
            v->kernels->a_at[rows - 1][ad_conv_vectors(v->kernels, tile.cols)](&tile, a, b);
        }
    }
    if (f->p1 == f->k) give(f, group, m0, m1, sums);
}

/* Room for columns, `depth` at a time, and for `rows` of each group's result. */
static int open(few *f, ad_conv_plan *v, int64_t width, int64_t depth, int64_t rows) {
    const int64_t count = v->batch * v->positions, vector = (int64_t)1 << v->kernels->log2_width;
    *f = (few){.v = v, .n = count < vector ? vector : count, .k = v->c * v->taps};
    const int64_t depths = (f->k + depth - 1) / depth;
    f->depth = (f->k + depths - 1) / depths;
    f->width = width ? width : f->n;
    f->panels = (f->n + f->width - 1) / f->width;
    const int64_t row = v->groups * f->n * v->size;
    const int64_t columns = (row * f->depth + 63) / 64 * 64, sums = (row * rows + 63) / 64 * 64;
    f->columns = ad_alloc((size_t)(columns + sums + (2 * f->k + f->panels + 1) * (int64_t)sizeof(int64_t) +
                                   count * (int64_t)sizeof(run)));
    if (!f->columns) return AD_NO_MEMORY;
    f->sums = f->columns + columns;
    f->source_at = (int64_t *)(f->sums + sums);
    f->weight_at = f->source_at + f->k;
    f->first_run = f->weight_at + f->k;
    f->runs = (run *)(f->first_run + f->panels + 1);
    if (count < vector) memset(f->columns, 0, (size_t)columns);
    fill_offsets(f);
    fill_runs(f);
    return AD_OK;
}

/* The columns from p0 on. */
static void fill(few *f, int64_t p0) {
    const int64_t groups = f->v->groups;
    f->p0 = p0, f->p1 = ad_least(p0 + f->depth, f->k);
    ad_parallel_for(groups * f->panels, groups * f->n * (f->p1 - p0) / 2, fill_panel, f);
}

/* The same for each thread. */
static int64_t task_rows(const ad_conv_plan *v, int64_t all) {
    const int64_t threads = ad_threads_here(), tile = v->kernels->rows;
    if (threads == 1) return TASK_ROWS;
    const int64_t tasks = threads * ((all - 1) / (threads * MOST_ROWS) + 1);
    return ((all + tasks - 1) / tasks + tile - 1) / tile * tile;
}

int ad_conv_columns(ad_conv_plan *v) {
    const int64_t fit = L2_BYTES / (v->groups * v->batch * v->positions * v->size);
    const int64_t rows = ad_least(fit > TASK_ROWS ? fit / TASK_ROWS * TASK_ROWS : TASK_ROWS, v->m);
    few f;
    const int status = open(&f, v, ad_conv_width(v->kernels), DEPTH, rows);
    if (status) return status;
    for (int64_t m = 0; m < v->m; m = f.m1) {
        f.m0 = m, f.m1 = ad_least(m + rows, v->m);
        f.task_rows = task_rows(v, f.m1 - m);
        for (int64_t p = 0; p < f.k; p = f.p1) {
            fill(&f, p);
            ad_parallel_for(v->groups * ((f.m1 - m + f.task_rows - 1) / f.task_rows),
                            ad_conv_cost(v->groups * (f.m1 - m) * f.n * (f.p1 - p), v->size), run_rows, &f);
        }
    }
    ad_dealloc(f.columns);
    return AD_OK;
}

/* ---- the weight's adjoint: a product of the result's cotangent and the columns, turned ---- */

int ad_conv_columns_weight(ad_conv_plan *v, const ad_tensor *g) {
    few f;
    int status = open(&f, v, 0, v->c * v->taps, 0);
    if (status) return status;
    fill(&f, 0);
    ad_tensor to = *g;
    to.data = ad_alloc((size_t)(v->groups * v->m * f.n * v->size));
    if (to.data) {
        if (f.n > v->batch * v->positions) memset(to.data, 0, (size_t)(v->groups * v->m * f.n * v->size));
        to.strides[0] = v->positions, to.strides[1] = f.n;
        to.strides[4] = 1, to.strides[3] = g->shape[4], to.strides[2] = g->shape[4] * g->shape[3];
        ad_refresh(&to);
        ad_copy_into(&to, g);
    } else {
        status = AD_NO_MEMORY;
    }
    for (int64_t i = 0; i < v->groups && !status; i++) {
        ad_product p = {.kernels = v->kernels,
                        .size = v->size,
                        .m = v->m,
                        .n = f.k,
                        .k = v->batch * v->positions,
                        .a = {to.data + i * v->m * f.n * v->size, f.n, 1},
                        .b = {f.columns + i * f.n * f.k * v->size, 1, f.n},
                        .c = v->y + i * v->m * f.k * v->size,
                        .c_row = f.k};
        status = ad_gemm(&p);
    }
    ad_dealloc(to.data);
    ad_dealloc(f.columns);
    return status;
}
