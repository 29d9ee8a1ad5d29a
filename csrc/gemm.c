/* gemm.c: matrix products. Every element of a result is one chain of multiply-adds over k in order, whichever
 * path computes it (see gemm.h), so paths are chosen by speed alone. */
#include "gemm.h"

#define SMALL_WORK (100 * 100 * 100) /* m n k of a product that is neither cut into blocks nor spread */
#define NC 2048                      /* columns of a block of B */
#define MC 960                       /* rows of a block of A, where it is packed: */
#define WIDE 512                     /* if C has more columns, and A's rows lie along memory or pages apart */
#define HIGH 256                     /* rows of C above which B is packed, */
#define HIGH_FAR 24                  /* and where it is far, that is, from row to row a multiple of */
#define FEW_PLACES 2048      /* bytes: what a tile reads is in few sets of the caches; or altogether */
#define NEAR 0x180000        /* more bytes than this: it does not stay in L2 */
#define ACROSS_ROWS 16       /* rows of C from which on its transpose is made if k is */
#define ACROSS_DEPTH 128     /* no less than this; of fewer, if k is */
#define ACROSS_MOST 128      /* the most of them */
#define ACROSS_DEPTH_LOW 512 /* no less than this */
#define MIN_ROWS 4           /* of a tile, where there are as many */
#define TASK_ROWS 192        /* rows of a task, */
#define TASK_COLS 256        /* and its columns: its part of B stays in L2 */
#define LOW 256              /* but where C has no more rows than this, a task has them all */
#define LOW_COLS 64          /* and fewer columns, which it packs itself */
#define LOW_DEPTH 128        /* and k of a block, where B is far; those of its rows */
#define LOW_PAGES 64         /* read in place are in as many pages, which the CPU knows by heart */
#define PACK_DEPTH 8         /* k that are packed at a time, of several panels */
#define FLAT_DEPTH 128       /* rows of B that a vector is multiplied by at a time */
#define VECTOR_TASK 256      /* columns of a task of such a product; the last has what is over */
#define PAGE 4096
#define STACK_BYTES 4096

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* In doubles, as expanded operands may be larger than any memory. */
int64_t ad_product_cost(const ad_product *g) {
    double ns = (double)g->m * (double)g->n * (double)g->k * (double)g->size / 160;
    return ns < 1e15 ? (int64_t)ns : (int64_t)1e15;
}

/* k of a block: a tile's part of A stays in L1. */
static int64_t block_depth(const ad_product *g, int64_t deepest) {
    const int64_t depths = most((g->k + deepest - 1) / deepest, 1);
    return most((g->k + depths - 1) / depths, 1);
}

static int64_t vector_width(const ad_product *g) { return (int64_t)1 << g->kernels->log2_width; }
static int64_t tile_width(const ad_product *g) { return AD_TILE_VECTORS * vector_width(g); }

/* The columns to take next of those left, so that the last part is no smaller than `min` if it is not the
 * only one: a tile needs a vector across. */
static int64_t next(int64_t left, int64_t step, int64_t min) {
    return left <= step ? left : left < step + min ? left - min : step;
}

/* The rows: the last two tiles share theirs, as in a low one chains wait for themselves. */
static int64_t next_rows(int64_t left, int64_t height) {
    return left <= height ? left : left < 2 * height ? (left + 1) / 2 : height;
}

static ad_tile_fn *tile_of(const ad_product *g, int64_t rows, int64_t cols) {
    const ad_gemm_type *kernels = g->kernels;
    const int64_t vectors = cols < vector_width(g) ? 0 : ((cols - 1) >> kernels->log2_width) + 1;
    return rows == 1 ? kernels->row[vectors] : kernels->tile[rows - 1][vectors];
}

/* Small products: no blocks, no threads. B is packed a panel at a time where there is room for that. */
static void run_small(const ad_product *g, char *packed_b) {
    const int64_t size = g->size, width = tile_width(g), vector = vector_width(g), height = g->kernels->rows;
    ad_tile tile; /* field by field, as clearing it all takes longer than a small tile */
    tile.k = g->k;
    tile.a_row = g->a.row, tile.a_col = g->a.col, tile.b_row = g->b.row, tile.c_row = g->c_row;
    tile.accumulate = g->accumulate;
    tile.offsets = tile.starts = NULL;
    tile.more = NULL;
    for (int64_t j = 0; j < g->n; j += tile.cols) {
        tile.cols = next(g->n - j, width, vector);
        tile.b = g->b.data + j * g->b.col * size;
        if (packed_b) {
            g->kernels->pack(g->k, (int)tile.cols, tile.b, g->b.col, g->b.row, packed_b);
            tile.b = packed_b;
            tile.b_row = tile.cols;
        }
        tile.bias = g->bias ? g->bias + j * size : NULL;
        for (int64_t i = 0, rows; i < g->m; i += rows) {
            rows = next_rows(g->m - i, height);
            tile.a = g->a.data + i * g->a.row * size;
            tile.c = g->c + (i * g->c_row + j) * size;
            tile_of(g, rows, tile.cols)(&tile);
        }
    }
}

/* ---- B packed once, for many products ---- */

void ad_panels_pack(const ad_product *g, char *packed) {
    const int64_t size = g->size;
    for (int64_t j = 0, cols; j < g->n; j += cols, packed += cols * g->k * size) {
        cols = next(g->n - j, tile_width(g), vector_width(g));
        g->kernels->pack(g->k, (int)cols, g->b.data + j * g->b.col * size, g->b.col, g->b.row, packed);
    }
}

/* The rows of a panel's product: a few k at a time, so that these parts of the panel stay in L1. */
void ad_panels_run(const ad_product *g, const char *packed) {
    const int64_t size = g->size, depth = block_depth(g, g->kernels->depth);
    ad_tile tile = {.a_row = g->a.row, .a_col = g->a.col, .c_row = g->c_row, .more_row = g->more_row};
    for (int64_t j = 0; j < g->n; j += tile.cols, packed += tile.cols * g->k * size) {
        tile.cols = tile.b_row = next(g->n - j, tile_width(g), vector_width(g));
        for (int64_t p = 0; p < g->k; p += depth) {
            tile.k = ad_least(depth, g->k - p);
            tile.b = packed + p * tile.cols * size;
            const bool ends = p + depth >= g->k;
            tile.bias = g->bias && ends ? g->bias + j * size : NULL;
            tile.accumulate = p > 0 || g->accumulate;
            for (int64_t i = 0, rows; i < g->m; i += rows) {
                rows = next_rows(g->m - i, g->kernels->rows);
                tile.a = g->a.data + (i * g->a.row + p * g->a.col) * size;
                tile.more = g->more && ends ? g->more + (i * g->more_row + j) * size : NULL;
                tile.c = g->c + (i * g->c_row + j) * size;
                tile_of(g, rows, tile.cols)(&tile);
            }
        }
    }
}

/* ---- products with a vector ---- */

/* Columns [first, end) of a row times B. */
typedef void vector_fn(const ad_product *g, int64_t first, int64_t end);

/* The part of those that is k elements from p on, cols columns from j on. */
static ad_tile row_tile(const ad_product *g, int64_t p, int64_t k, int64_t j, int64_t cols) {
    const int64_t size = g->size;
    return (ad_tile){.k = k,
                     .a = g->a.data + p * g->a.col * size,
                     .b = g->b.data + (p * g->b.row + j * g->b.col) * size,
                     .bias = g->bias && p + k == g->k ? g->bias + j * size : NULL,
                     .c = g->c + j * size,
                     .a_col = g->a.col,
                     .b_row = g->b.row,
                     .cols = cols,
                     .accumulate = p > 0 || g->accumulate};
}

/* B in place: a few of its rows at a time, along which the memory is read in order. */
static void run_in_place(const ad_product *g, int64_t first, int64_t end) {
    const int64_t vector = vector_width(g), width = AD_ROW_VECTORS * vector;
    for (int64_t p = 0; p == 0 || p < g->k; p += FLAT_DEPTH) {
        for (int64_t j = first, cols; j < end; j += cols) {
            cols = next(end - j, width, vector);
            ad_tile tile = row_tile(g, p, ad_least(g->k - p, FLAT_DEPTH), j, cols);
            tile_of(g, 1, cols)(&tile);
        }
    }
}

/* B's columns are rows of memory, or far apart. The bias is left out. */
static void run_dots(const ad_product *g, int64_t first, int64_t end) {
    g->kernels->dots(end - first, g->k, g->a.data, g->a.col, g->b.data + first * g->b.col * g->size, g->b.col,
                     g->b.row, g->c + first * g->size);
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

/* ---- large products ---- */

/* A range cut into parts of `step`, the last one no smaller than `min` if the range allows. */
typedef struct {
    int64_t n, step, count, last; /* last: where the last part starts */
} cuts;

static cuts cut(int64_t n, int64_t step, int64_t min) {
    int64_t rest = n % step, width = rest ? most(rest, min) : step;
    return (cuts){n, step, (n + step - 1) / step, most(n - width, 0)};
}
static int64_t start(const cuts *c, int64_t i) {
    return i < c->count - 1 ? i * c->step : i == c->count - 1 ? c->last : c->n;
}
static int64_t extent(const cuts *c, int64_t i) { return start(c, i + 1) - start(c, i); }

/* One block of the product: k, rows and columns cut to what the caches hold. A is read where it is, but a
 * panel whose rows lie along memory is copied by a task's first tile of it. It is packed where many tasks
 * would copy it, or its rows push each other out of L1. B is read where it is, or from panels packed as tiles
 * want them, one after the other. */
typedef struct {
    const ad_product *g;
    ad_tile tile; /* what all tiles share */
    const char *a, *b;
    char *c;
    char *packed_a, *packed_b; /* NULL where the operand is read in place */
    bool copies;               /* panels of A */
    bool late;                 /* tasks pack their columns of B themselves */
    const char *bias;
    cuts rows, cols;                    /* the panels */
    int64_t rows_of_task, cols_of_task; /* in panels */
} block;

/* While a task's first rows of panels are computed with, what the next task packs comes to L2: a cache line
 * of each k with each panel. Whether there is such. */
static bool look_ahead(const block *b, int64_t i, int64_t j, ad_tile *tile) {
    const int64_t line = 64 / b->g->size, next = j + b->cols_of_task;
    if (!b->late || next >= b->cols.count || i * line >= extent(&b->cols, next)) return false;
    tile->ahead = b->b + (start(&b->cols, next) + i * line) * b->g->size;
    tile->ahead_row = b->g->b.row;
    return true;
}

/* Whether the first tile of a task's panel of B packs it. */
static bool packs(const block *b, int64_t i, int64_t j) {
    const ad_product *g = b->g;
    return b->late && g->b.col == 1 && !b->copies && extent(&b->rows, i) == g->kernels->rows &&
           extent(&b->cols, j) == tile_width(g);
}

/* `copy`: where A's panel is copied to by the first tile of a task's row of them, and read from by others. */
static void run_panel(const block *b, int64_t i, int64_t j, char *copy, bool first) {
    const ad_product *g = b->g;
    const int64_t at = start(&b->rows, i), rows = extent(&b->rows, i), across = start(&b->cols, j);
    ad_tile tile = b->tile;
    tile.cols = extent(&b->cols, j);
    tile.bias = b->bias ? b->bias + across * g->size : NULL;
    tile.c = b->c + (at * g->c_row + across) * g->size;
    tile.a = b->a + at * tile.a_row * g->size;
    if (b->packed_a || (copy && !first)) {
        tile.a = b->packed_a ? b->packed_a + at * tile.k * g->size : copy;
        tile.a_row = 1;
        tile.a_col = rows;
    }
    tile.copy = copy;
    if (b->packed_b) {
        tile.b = b->packed_b + across * tile.k * g->size;
        tile.b_row = tile.cols;
    } else {
        tile.b = b->b + across * g->size;
    }
    if (i == 0 && packs(b, i, j)) {
        tile.copy = b->packed_b + across * tile.k * g->size;
        tile.b = b->b + across * g->size;
        tile.b_row = g->b.row;
        if (!look_ahead(b, i, j, &tile)) tile.ahead = tile.b, tile.ahead_row = tile.b_row;
        g->kernels->packing(&tile);
        return;
    }
    const bool full = rows == g->kernels->rows && tile.cols == tile_width(g);
    (copy && first                        ? g->kernels->copying
     : full && look_ahead(b, i, j, &tile) ? g->kernels->looking
                                          : tile_of(g, rows, tile.cols))(&tile);
}

/* The panels [first, end) of an operand: a few k at a time, so that memory is read in order, or, where those
 * of a lane lie along it, all. */
static void pack_panels(const block *b, const cuts *panels, int64_t first, int64_t end, const char *from,
                        int64_t lane, int64_t step, char *packed) {
    const int64_t size = b->g->size, k = b->tile.k, depth = step == 1 ? most(k, 1) : PACK_DEPTH;
    for (int64_t p = 0; p < k; p += depth) {
        for (int64_t j = first; j < end; j++) {
            const int64_t at = start(panels, j), lanes = extent(panels, j);
            b->g->kernels->pack(ad_least(depth, k - p), (int)lanes, from + (p * step + at * lane) * size,
                                lane, step, packed + (at * k + p * lanes) * size);
        }
    }
}

static void pack_b(const block *b, int64_t j, int64_t end) {
    pack_panels(b, &b->cols, j, end, b->b, b->g->b.col, b->g->b.row, b->packed_b);
}

static void run_task(void *context, int64_t task) {
    const block *b = context;
    const int64_t across = (b->cols.count + b->cols_of_task - 1) / b->cols_of_task;
    const int64_t i0 = task / across * b->rows_of_task, i1 = ad_least(i0 + b->rows_of_task, b->rows.count);
    const int64_t j0 = task % across * b->cols_of_task, j1 = ad_least(j0 + b->cols_of_task, b->cols.count);
    const bool wide = b->copies && j1 - j0 > 1 && extent(&b->cols, j0) == tile_width(b->g);
    _Alignas(64) char copy[AD_PANEL_BYTES];
    for (int64_t j = j0; b->late && j < j1; j++) {
        if (!packs(b, i0, j)) pack_b(b, j, j + 1);
    }
    for (int64_t i = i0; i < i1; i++) { /* along C's rows, in the order of memory */
        const bool copies = wide && extent(&b->rows, i) == b->g->kernels->rows;
        for (int64_t j = j0; j < j1; j++) run_panel(b, i, j, copies ? copy : NULL, j == j0);
    }
}

static void run_block(block *b, int64_t m, int64_t n) {
    const ad_product *g = b->g;
    const int64_t down = (b->rows.count + b->rows_of_task - 1) / b->rows_of_task;
    const int64_t across = (b->cols.count + b->cols_of_task - 1) / b->cols_of_task;
    const ad_product part = {.m = m, .n = n, .k = b->tile.k, .size = g->size};
    ad_parallel_for(down * across, ad_product_cost(&part), run_task, b);
}

static void pack_cols(void *context, int64_t task) {
    const block *b = context;
    const int64_t j = task * b->cols_of_task;
    pack_b(b, j, ad_least(j + b->cols_of_task, b->cols.count));
}

static void pack_rows(void *context, int64_t task) {
    const block *b = context;
    const int64_t each = TASK_ROWS / b->g->kernels->rows, i = task * each;
    const int64_t end = ad_least(i + each, b->rows.count);
    pack_panels(b, &b->rows, i, end, b->a, b->g->a.row, b->g->a.col, b->packed_a);
}

/* The block that begins at column j and element p of k, all rows. */
static void run_rows(block *b, int64_t j, int64_t n, int64_t p) {
    const ad_product *g = b->g;
    const cuts blocks = cut(g->m, b->packed_a ? MC : g->m, MIN_ROWS);
    for (int64_t i = 0; i < blocks.count; i++) {
        const int64_t at = start(&blocks, i), m = extent(&blocks, i);
        b->rows = cut(m, g->kernels->rows, MIN_ROWS);
        b->a = g->a.data + (at * g->a.row + p * g->a.col) * g->size;
        b->c = g->c + (at * g->c_row + j) * g->size;
        if (b->packed_a) ad_parallel_for((m + TASK_ROWS - 1) / TASK_ROWS, m * b->tile.k / 2, pack_rows, b);
        run_block(b, m, n);
    }
}

/* Whether rows of B, which lie along memory, push each other out of the caches. If expanded, they are one. */
static bool is_far(const ad_product *g) {
    const int64_t row = g->b.row * g->size;
    if (g->b.col != 1 || row == 0) return false;
    return row % FEW_PLACES == 0 || (double)row * (double)g->k > NEAR;
}

/* The most k of a block. */
static int64_t deepest(const ad_product *g, bool packed_b) {
    if (g->m > LOW || !is_far(g)) return g->kernels->depth;
    const int64_t row = g->b.row * g->size;
    return packed_b ? LOW_DEPTH : row < PAGE ? LOW_PAGES * PAGE / row : LOW_PAGES;
}

/* Whether rows of a panel of A lie along memory, and those of each k apart. */
static bool is_turned(const ad_product *g) { return g->a.row == 1 && g->a.col != 1; }

static void run_blocks(const ad_product *g, char *packed_a, char *packed_b) {
    const int64_t width = tile_width(g);
    const cuts cols = cut(g->n, NC, width);
    const bool late = packed_b && g->m <= LOW;
    const int64_t depth = block_depth(g, deepest(g, packed_b != NULL));
    block b = {.g = g,
               .packed_a = packed_a,
               .packed_b = packed_b,
               .copies = is_turned(g) && !packed_a,
               .late = late,
               .rows_of_task = late ? g->m : TASK_ROWS / g->kernels->rows,
               .cols_of_task = (late ? LOW_COLS : TASK_COLS) / width,
               .tile = {.a_row = g->a.row, .a_col = g->a.col, .b_row = g->b.row, .c_row = g->c_row}};
    for (int64_t j = 0; j < cols.count; j++) {
        const int64_t at = start(&cols, j), n = extent(&cols, j);
        b.cols = cut(n, width, vector_width(g));
        for (int64_t p = 0; p == 0 || p < g->k; p += depth) {
            b.tile.k = ad_least(depth, g->k - p);
            b.tile.accumulate = p > 0 || g->accumulate;
            b.bias = g->bias && p + depth >= g->k ? g->bias + at * g->size : NULL;
            b.b = g->b.data + (p * g->b.row + at * g->b.col) * g->size;
            if (packed_b && !b.late)
                ad_parallel_for((b.cols.count + b.cols_of_task - 1) / b.cols_of_task, n * b.tile.k / 2,
                                pack_cols, &b);
            run_rows(&b, at, n, p);
        }
    }
}

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

/* What is packed is packed to memory of the pool, or to the stack if that will do. */
static int run_matrices(const ad_product *g) {
    _Alignas(64) char stack[STACK_BYTES];
    const bool small = g->way == AD_WAY_SMALL;
    const bool a = !small && g->n > WIDE && (is_turned(g) || g->a.row * g->size % PAGE == 0),
               b = g->b.col != 1 || g->m > (is_far(g) ? HIGH_FAR : HIGH);
    const int64_t depth = small ? g->k : ad_least(g->k, g->kernels->depth),
                  cols = ad_least(g->n, small ? tile_width(g) : NC);
    const int64_t a_bytes = a ? (ad_least(g->m, MC) * depth * g->size + 63) / 64 * 64 : 0;
    const int64_t b_bytes = b ? cols * depth * g->size : 0;
    char *memory = a_bytes + b_bytes <= STACK_BYTES ? stack : ad_alloc((size_t)(a_bytes + b_bytes));
    if (!memory) return AD_NO_MEMORY;
    if (small)
        run_small(g, b ? memory : NULL);
    else
        run_blocks(g, a ? memory : NULL, b ? memory + a_bytes : NULL);
    if (memory != stack) ad_dealloc(memory);
    return AD_OK;
}

/* C^T = B^T A^T, and then C: where B's columns lie along memory and are many more than C's rows, to read them
 * in place and pack the rows takes less time than to turn them as they are packed. */
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
    const int status = run_matrices(&t);
    const ad_crossing across = {g->m, g->n, g->c_row, g->m};
    if (!status) ad_copy_across(&across, (int)g->size, g->c, turned, false);
    ad_dealloc(turned);
    return status;
}

static bool is_across(const ad_product *g) {
    const int64_t m = g->m, k = g->k;
    const bool fits = g->b.row == 1 && g->b.col != 1 && g->c_row == g->n && !g->accumulate;
    return fits && m >= most(vector_width(g), 8) && m <= ACROSS_MOST && g->n >= 2 * m && k >= 4 * m &&
           k >= (m < ACROSS_ROWS ? ACROSS_DEPTH_LOW : ACROSS_DEPTH);
}

/* The choices here are about speed: the bits are the same whichever way it goes. */
void ad_gemm_ready(ad_product *g) {
    const double work = (double)g->m * (double)g->n * (double)g->k;
    if (g->n == 1) turn(g);
    if (g->m == 1) g->a.row = 1;
    if (g->n == 1) g->b.col = 1;
    if (g->k == 1) g->a.col = g->b.row = 1;
    if (g->m > 1 && is_across(g))
        g->way = AD_WAY_ACROSS;
    else if (g->m > 1)
        g->way = work <= SMALL_WORK && g->k <= g->kernels->depth ? AD_WAY_SMALL : AD_WAY_BLOCKS;
    else
        g->way = g->b.col != 1 ? AD_WAY_DOTS : AD_WAY_ROW;
    g->bias_later = g->turned || g->way == AD_WAY_DOTS || g->way == AD_WAY_ACROSS ? g->bias : NULL;
    if (g->bias_later) g->bias = NULL;
}

int ad_gemm_run(const ad_product *g) {
    if (g->way == AD_WAY_SMALL || g->way == AD_WAY_BLOCKS) return run_matrices(g);
    if (g->way == AD_WAY_ACROSS) {
        const int status = run_across(g);
        if (status) return status;
    } else {
        run_vector(g, g->way == AD_WAY_DOTS ? run_dots : run_in_place);
    }
    if (g->bias_later) add_bias(g->turned ? g->n : g->m, g->turned ? 1 : g->n, g->size, g->c, g->bias_later);
    return AD_OK;
}

int ad_gemm(ad_product *g) {
    ad_gemm_ready(g);
    return ad_gemm_run(g);
}
