/* gemm.c: matrix products. Every element of a result is one chain of multiply-adds over k in order, whichever
 * path computes it (see gemm.h), so paths are chosen by speed alone. */
#include "gemm_parts.h"

#define SMALL_WORK (100 * 100 * 100) /* m n k of a product that is neither cut into blocks nor spread */
#define SHARED_WORK 500000           /* of one that threads may share */
#define ACROSS_ROWS 16               /* rows of C from which on its transpose is made if k is */
#define ACROSS_DEPTH 128             /* no less than this; of fewer, if k is */
#define ACROSS_MOST 256              /* the most of them, of a high B */
#define ACROSS_WIDE 128              /* and of one that is wide as well */
#define ACROSS_DEPTH_LOW 512         /* no less than this */
#define FLAT_DEPTH 128               /* rows of B that a vector is multiplied by at a time, */
#define FLAT_DEPTH_AMD 256           /* and on AMD, which follows a column of lines */
#define FAR_BYTES 256                /* of each, read at once where B does not stay in L2; not on AMD */
#define VECTOR_TASK 256              /* columns of a task of such a product; the last has what is over */
#define SHALLOW 4                    /* k of which it takes longer to write C than to compute it */
#define FEW_LINES 256 /* bytes that rows of C are apart, but for pages, that share few sets of L1 */
#define STACK_BYTES 4096

/* In doubles, as expanded operands may be larger than any memory. */
int64_t ad_product_cost(const ad_product *g) {
    double ns = (double)g->m * (double)g->n * (double)g->k * (double)g->size / 160;
    return ns < 1e15 ? (int64_t)ns : (int64_t)1e15;
}

/* The columns to take next of those left, so that the last part is no smaller than `min` if it is not the
 * only one: a tile needs a vector across. */
static int64_t next(int64_t left, int64_t step, int64_t min) {
    return left <= step ? left : left < step + min ? left - min : step;
}

/* The rows: the last two tiles share theirs, as in a low one chains wait for themselves. */
static int64_t next_rows(int64_t left, int64_t height) {
    return left <= height ? left : left < 2 * height ? (left + 1) / 2 : height;
}

/* What a batch's next product reads. */
static upcoming look_up(const ad_product *g) {
    upcoming u = {.steps = g->m / g->kernels->rows * (g->n / tile_width(g)) * g->k};
    if (g->b_next && is_flat(&g->b, g->k, g->n))
        expect(&u, 0, g->b.data + g->b_next * g->size, g->k * g->n * g->size);
    if (g->a_next && is_flat(&g->a, g->m, g->k))
        expect(&u, 1, g->a.data + g->a_next * g->size, g->m * g->k * g->size);
    return u;
}

/* Small products: no blocks, no threads. B is packed a panel at a time where there is room for that. */
static void run_panels(const ad_product *g, char *packed_b) {
    const int64_t size = g->size, width = tile_width(g), least = least_cols(g), height = g->kernels->rows;
    ad_tile tile; /* field by field, as clearing it all takes longer than a small tile */
    tile.k = g->k;
    tile.a_row = g->a.row, tile.a_col = g->a.col, tile.b_row = g->b.row, tile.c_row = g->c_row;
    tile.accumulate = g->accumulate;
    tile.offsets = tile.starts = NULL;
    tile.more = NULL;
    const bool looks = g->a_next || g->b_next;
    upcoming u;
    if (looks) u = look_up(g);
    for (int64_t j = 0; j < g->n; j += tile.cols) {
        tile.cols = next(g->n - j, width, least);
        const char *b = g->b.data + j * g->b.col * size;
        if (packed_b) {
            g->kernels->pack(g->k, (int)tile.cols, b, g->b.col, g->b.row, packed_b);
            b = packed_b;
            tile.b_row = tile.cols;
        }
        tile.bias = g->bias ? g->bias + j * size : NULL;
        for (int64_t i = 0, rows; i < g->m; i += rows) {
            rows = next_rows(g->m - i, height);
            const char *a = g->a.data + i * g->a.row * size;
            tile.c = g->c + (i * g->c_row + j) * size;
            const bool full = rows == height && tile.cols == width;
            (looks && full && look_on(&u, &tile, size) ? g->kernels->looking
                                                       : tile_of(g, rows, tile.cols))(&tile, a, b);
        }
    }
}

/* What is packed is packed to the stack, or to memory of the pool if that will not do. */
static int run_small(const ad_product *g) {
    _Alignas(64) char stack[STACK_BYTES];
    if (!ad_gemm_packs_b(g)) {
        run_panels(g, NULL);
        return AD_OK;
    }
    const int64_t bytes = ad_least(g->n, tile_width(g)) * g->k * g->size;
    char *memory = bytes <= STACK_BYTES ? stack : ad_alloc((size_t)bytes);
    if (!memory) return AD_NO_MEMORY;
    run_panels(g, memory);
    if (memory != stack) ad_dealloc(memory);
    return AD_OK;
}

/* ---- B packed once, for many products ---- */

void ad_panels_pack(const ad_product *g, char *packed) {
    const int64_t size = g->size;
    for (int64_t j = 0, cols; j < g->n; j += cols, packed += cols * g->k * size) {
        cols = next(g->n - j, tile_width(g), least_cols(g));
        g->kernels->pack(g->k, (int)cols, g->b.data + j * g->b.col * size, g->b.col, g->b.row, packed);
    }
}

/* The rows of a panel's product: a few k at a time, so that these parts of the panel stay in L1. */
void ad_panels_run(const ad_product *g, const char *packed) {
    const int64_t size = g->size, depth = block_depth(g, g->kernels->depth);
    ad_tile tile = {.a_row = g->a.row, .a_col = g->a.col, .c_row = g->c_row, .more_row = g->more_row};
    for (int64_t j = 0; j < g->n; j += tile.cols, packed += tile.cols * g->k * size) {
        tile.cols = tile.b_row = next(g->n - j, tile_width(g), least_cols(g));
        for (int64_t p = 0; p < g->k; p += depth) {
            tile.k = ad_least(depth, g->k - p);
            const char *b = packed + p * tile.cols * size;
            const bool ends = p + depth >= g->k;
            tile.bias = g->bias && ends ? g->bias + j * size : NULL;
            tile.accumulate = p > 0 || g->accumulate;
            for (int64_t i = 0, rows; i < g->m; i += rows) {
                rows = next_rows(g->m - i, g->kernels->rows);
                const char *a = g->a.data + (i * g->a.row + p * g->a.col) * size;
                tile.more = g->more && ends ? g->more + (i * g->more_row + j) * size : NULL;
                tile.c = g->c + (i * g->c_row + j) * size;
                tile_of(g, rows, tile.cols)(&tile, a, b);
            }
        }
    }
}

/* ---- products with a vector ---- */

/* Columns [first, end) of a row times B. */
typedef void vector_fn(const ad_product *g, int64_t first, int64_t end);

/* B in place: a few of its rows at a time, along which the memory is read in order. */
static void run_in_place(const ad_product *g, int64_t first, int64_t end) {
    const int64_t vector = vector_width(g), most_cols = AD_ROW_VECTORS * vector, size = g->size;
    const bool far =
        !ad_is_amd && end - first >= VECTOR_TASK && (double)g->k * (double)g->n * (double)size > NEAR;
    const int64_t width = far ? ad_least(FAR_BYTES / size, most_cols) : most_cols;
    const int64_t depth = ad_is_amd ? FLAT_DEPTH_AMD : FLAT_DEPTH;
    ad_tile tile = {.a_col = g->a.col, .b_row = g->b.row};
    for (int64_t p = 0; p == 0 || p < g->k; p += depth) {
        tile.k = ad_least(g->k - p, depth);
        tile.accumulate = p > 0 || g->accumulate;
        const char *bias = p + tile.k == g->k ? g->bias : NULL;
        for (int64_t j = first; j < end; j += tile.cols) {
            tile.cols = next(end - j, width, vector);
            tile.bias = bias ? bias + j * size : NULL;
            tile.c = g->c + j * size;
            tile_of(g, 1, tile.cols)(&tile, g->a.data + p * g->a.col * size,
                                     g->b.data + (p * g->b.row + j * g->b.col) * size);
        }
    }
}

/* B's columns are rows of memory, or far apart. The bias is left out. */
static void run_dots(const ad_product *g, int64_t first, int64_t end) {
    g->kernels->dots(end - first, g->k, g->a.data, 0, g->a.col, g->b.data + first * g->b.col * g->size,
                     g->b.col, g->b.row, g->c + first * g->size);
}

/* Of a few rows of A: the last one several times where there are fewer. The bias is left out. */
static void run_few(const ad_product *g, int64_t first, int64_t end) {
    const void *x[AD_FEW_ROWS];
    void *c[AD_FEW_ROWS];
    for (int r = 0; r < AD_FEW_ROWS; r++) {
        const int64_t i = ad_least(r, g->m - 1);
        x[r] = g->a.data + i * g->a.row * g->size;
        c[r] = g->c + (i * g->c_row + first) * g->size;
    }
    g->kernels->few[g->m > 4](end - first, g->k, x, g->b.data + first * g->b.col * g->size, g->b.col, c);
}

typedef struct {
    const ad_product *g;
    vector_fn *run;
} columns;

static void run_columns(void *context, int64_t i) {
    const columns *c = context;
    const int64_t first = i * VECTOR_TASK, last = c->g->n / VECTOR_TASK - 1;
    c->run(c->g, first, i < last ? first + VECTOR_TASK : c->g->n);
}

static void run_vector(const ad_product *g, vector_fn *run) {
    columns c = {g, run};
    if (g->n < 2 * VECTOR_TASK)
        run(g, 0, g->n);
    else
        ad_parallel_for(g->n / VECTOR_TASK, 4 * ad_product_cost(g), run_columns, &c);
}

/* Rows of C one after the other. */
static void run_row(void *context, int64_t i) {
    ad_product row = *(const ad_product *)context;
    row.m = 1;
    row.a.data += i * row.a.row * row.size;
    row.c += i * row.c_row * row.size;
    run_in_place(&row, 0, row.n);
}

/* ---- one product ---- */

static void add_bias(int64_t m, int64_t n, int64_t size, void *c, const void *bias) {
    for (int64_t i = 0; i < m; i++) {
        if (size == sizeof(float)) {
            for (int64_t j = 0; j < n; j++) ((float *)c)[i * n + j] += ((const float *)bias)[j];
        } else {
            for (int64_t j = 0; j < n; j++) ((double *)c)[i * n + j] += ((const double *)bias)[j];
        }
    }
}

/* For a C that is a row or a column. */
static void turn(ad_product *g) {
    const ad_matrix a = g->a;
    g->turned = true;
    g->n = g->m, g->m = 1;
    g->a = (ad_matrix){g->b.data, g->b.col, g->b.row};
    g->b = (ad_matrix){a.data, a.col, a.row};
}

/* C^T = B^T A^T, and then C: where B's columns lie along memory and are many more than C's rows, to read them
 * in place and pack the rows takes less time than to turn them as they are packed; but for rows that are to
 * be packed anyway. */
static int run_across(const ad_product *g) {
    char *turned = ad_alloc((size_t)(g->n * g->m * g->size));
    if (!turned) return AD_NO_MEMORY;
    const ad_product t = {.kernels = g->kernels,
                          .size = g->size,
                          .m = g->n,
                          .n = g->m,
                          .k = g->k,
                          .a = {g->b.data, g->b.col, g->b.row},
                          .b = {g->a.data, g->a.col, g->a.row},
                          .c = turned,
                          .c_row = g->m,
                          .way = AD_WAY_BLOCKS};
    const int status = ad_gemm_blocks(&t);
    const ad_crossing across = {g->m, g->n, g->c_row, g->m};
    if (!status) ad_copy_across(&across, (int)g->size, g->c, turned, false);
    ad_dealloc(turned);
    return status;
}

/* Whether B's columns lie along memory, and C is made at once. */
static bool b_is_turned(const ad_product *g) {
    return g->b.row == 1 && g->b.col != 1 && g->c_row == g->n && !g->accumulate;
}

/* More than 4 rows are few where B does not stay in L2. */
static bool is_few(const ad_product *g) {
    const int64_t vector = vector_width(g);
    const bool far = (double)g->k * (double)g->n * (double)g->size > NEAR;
    return b_is_turned(g) && g->m <= (far ? AD_FEW_ROWS : 4) && g->a.col == 1 && vector > 1 &&
           g->n >= vector && g->k >= vector;
}

/* Whether C is little more than written, in rows that lie in few sets of L1, where a tile's push each other
 * out. */
static bool is_shallow(const ad_product *g) {
    const int64_t row = g->c_row * g->size + FEW_LINES;
    return g->k <= SHALLOW && g->b.col == 1 && row > AD_PAGE && row % AD_PAGE < 2 * FEW_LINES;
}

static bool is_across(const ad_product *g) {
    const int64_t m = g->m, k = g->k, n = g->n;
    const bool high = m <= ACROSS_MOST && n >= 2 * m && k >= 4 * m;
    const bool wide = m <= ACROSS_WIDE && n >= 3 * m && k >= 2 * m;
    return b_is_turned(g) && !ad_gemm_a_is_crowded(g) && m >= most(vector_width(g), 8) && (high || wide) &&
           k >= (m < ACROSS_ROWS ? ACROSS_DEPTH_LOW : ACROSS_DEPTH);
}

/* The choices here are about speed: the bits are the same whichever way it goes. */
void ad_gemm_ready(ad_product *g) {
    const double work = (double)g->m * (double)g->n * (double)g->k;
    if (g->n == 1) turn(g);
    if (g->m == 1) g->a.row = 1;
    if (g->n == 1) g->b.col = 1;
    if (g->k == 1) g->a.col = g->b.row = 1;
    if (g->m > 1 && is_few(g))
        g->way = AD_WAY_FEW;
    else if (g->m > 1 && is_across(g))
        g->way = AD_WAY_ACROSS;
    else if (g->m > 1 && is_shallow(g))
        g->way = AD_WAY_ROWS;
    else if (g->m > 1)
        g->way = work <= SMALL_WORK && g->k <= g->kernels->depth ? AD_WAY_SMALL : AD_WAY_BLOCKS;
    else
        g->way = g->b.col != 1 ? AD_WAY_DOTS : AD_WAY_ROW;
    const bool later = g->way == AD_WAY_DOTS || g->way == AD_WAY_FEW || g->way == AD_WAY_ACROSS;
    g->bias_later = g->turned || later ? g->bias : NULL;
    if (g->bias_later) g->bias = NULL;
}

int ad_gemm_whole(const ad_product *g) {
    if (g->way == AD_WAY_SMALL) return run_small(g);
    return g->way == AD_WAY_ACROSS ? run_across(g) : ad_gemm_blocks(g);
}

int ad_gemm_run(const ad_product *g) {
    int status = AD_OK;
    if (g->way == AD_WAY_SMALL && g->m * g->n * g->k < SHARED_WORK) return run_small(g);
    if (g->way == AD_WAY_SMALL || g->way == AD_WAY_BLOCKS || g->way == AD_WAY_ACROSS) {
        if (!ad_gemm_strips(g, &status)) status = ad_gemm_whole(g);
        if (status) return status;
    } else if (g->way == AD_WAY_ROWS) {
        ad_parallel_for(g->m, ad_least(g->m * g->n / 4, (int64_t)1 << 60), run_row, (void *)g);
    } else {
        run_vector(g, g->way == AD_WAY_DOTS ? run_dots : g->way == AD_WAY_FEW ? run_few : run_in_place);
    }
    if (g->bias_later) add_bias(g->turned ? g->n : g->m, g->turned ? 1 : g->n, g->size, g->c, g->bias_later);
    return AD_OK;
}

int ad_gemm(ad_product *g) {
    ad_gemm_ready(g);
    return ad_gemm_run(g);
}
