/* gemm.c: matrix products. Every element of a result is one chain of multiply-adds over k in order, whichever
 * path computes it (see gemm.h), so paths are chosen by speed alone. */
#include "gemm.h"

#define SMALL_WORK (40 * 40 * 40) /* m n k up to which packing does not pay */
#define SKINNY 16                 /* nor does it for so few rows */
#define KC 320                    /* k of a block: a packed tile of B stays in L1 */
#define NC 2048                   /* columns of a block of B */
#define MC 960                    /* rows of a block of A */
#define TASK_ROWS 96              /* rows of a task: its part of A stays in L2 */
#define TASK_COLS 256
#define FLAT_DEPTH 8    /* rows of B that a vector is multiplied by at a time */
#define PANEL_DEPTH 32  /* the same, of a B that is packed for it */
#define VECTOR_TASK 256 /* columns of a task of such a product; the last has what is over */
#define STACK_BYTES 4096

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* In doubles, as expanded operands may be larger than any memory. */
int64_t ad_product_cost(const ad_product *g) {
    double ns = (double)g->m * (double)g->n * (double)g->k * (double)g->size / 160;
    return ns < 1e15 ? (int64_t)ns : (int64_t)1e15;
}

static void copy_elements(int64_t size, int64_t n, char *dst, int64_t dst_step, const char *src,
                          int64_t src_step) {
    if (size == 4) {
        for (int64_t i = 0; i < n; i++) memcpy(dst + i * dst_step * 4, src + i * src_step * 4, 4);
    } else {
        for (int64_t i = 0; i < n; i++) memcpy(dst + i * dst_step * 8, src + i * src_step * 8, 8);
    }
}

/* Tiles of C^T go through a buffer. */
static void run_turned(const ad_product *g, ad_tile *tile, ad_tile_fn *fn, int64_t rows) {
    const int64_t size = g->size, cols = tile->cols, c_col = g->c_col;
    _Alignas(64) char buffer[AD_TILE_ROWS * AD_TILE_VECTORS * 64];
    char *c = tile->c;
    for (int64_t i = 0; tile->accumulate && i < rows; i++)
        copy_elements(size, cols, buffer + i * cols * size, 1, c + i * g->c_row * size, c_col);
    tile->c = buffer;
    tile->c_row = cols;
    fn(tile);
    for (int64_t i = 0; i < rows; i++)
        copy_elements(size, cols, c + i * g->c_row * size, c_col, buffer + i * cols * size, 1);
}

static int64_t vector_width(const ad_product *g) { return (int64_t)1 << g->kernels->log2_width; }
static int64_t tile_width(const ad_product *g) { return AD_TILE_VECTORS * vector_width(g); }

/* The columns to take next of those left, so that no tile but the only one is narrower than a vector. */
static int64_t next_cols(int64_t left, int64_t width, int64_t vector) {
    return left <= width ? left : left < width + vector ? left - vector : width;
}

static void run_tile(const ad_product *g, ad_tile *tile, int64_t rows) {
    const ad_gemm_type *kernels = g->kernels;
    const int64_t vectors = tile->cols < vector_width(g) ? 0 : ((tile->cols - 1) >> kernels->log2_width) + 1;
    ad_tile_fn *fn = rows == 1 ? kernels->row[vectors] : kernels->tile[rows - 1][vectors];
    if (g->c_col == 1)
        fn(tile);
    else
        run_turned(g, tile, fn, rows);
}

/* Small products: no blocks, no threads. B is packed a panel at a time where there is room for that. */
static void run_small(const ad_product *g, void *packed_b) {
    const int64_t size = g->size, width = tile_width(g), vector = vector_width(g), height = g->kernels->rows;
    ad_tile tile = {.k = g->k, .a_row = g->a.row, .a_col = g->a.col, .b_row = g->b.row, .c_row = g->c_row};
    for (int64_t j = 0; j < g->n; j += tile.cols) {
        tile.cols = next_cols(g->n - j, width, vector);
        tile.b = g->b.data + j * g->b.col * size;
        if (packed_b) {
            g->kernels->pack(g->k, (int)tile.cols, tile.b, g->b.col, g->b.row, packed_b);
            tile.b = packed_b;
            tile.b_row = tile.cols;
        }
        tile.bias = g->bias ? g->bias + j * size : NULL;
        for (int64_t i = 0; i < g->m; i += height) {
            tile.a = g->a.data + i * g->a.row * size;
            tile.c = g->c + (i * g->c_row + j * g->c_col) * size;
            run_tile(g, &tile, ad_least(height, g->m - i));
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
                     .accumulate = p > 0};
}

/* B in place: a few of its rows at a time, along which the memory is read in order. */
static void run_in_place(const ad_product *g, int64_t first, int64_t end) {
    const int64_t vector = vector_width(g), width = AD_ROW_VECTORS * vector;
    for (int64_t p = 0; p == 0 || p < g->k; p += FLAT_DEPTH) {
        for (int64_t j = first, cols; j < end; j += cols) {
            cols = next_cols(end - j, width, vector);
            ad_tile tile = row_tile(g, p, ad_least(g->k - p, FLAT_DEPTH), j, cols);
            run_tile(g, &tile, 1);
        }
    }
}

/* B's columns are rows of memory: some are turned at a time. */
static void run_turning(const ad_product *g, int64_t first, int64_t end) {
    const int64_t vector = vector_width(g), width = AD_ROW_VECTORS * vector;
    _Alignas(64) char panel[PANEL_DEPTH * AD_ROW_VECTORS * 64];
    for (int64_t j = first, cols; j < end; j += cols) {
        cols = next_cols(end - j, width, vector);
        for (int64_t p = 0; p == 0 || p < g->k; p += PANEL_DEPTH) {
            ad_tile tile = row_tile(g, p, ad_least(g->k - p, PANEL_DEPTH), j, cols);
            g->kernels->pack(tile.k, (int)cols, tile.b, g->b.col, g->b.row, panel);
            tile.b = panel;
            tile.b_row = cols;
            run_tile(g, &tile, 1);
        }
    }
}

/* A few columns, or short ones: a scalar chain each. The bias is left out. */
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

/* One block of the product: k, rows and columns cut to what the caches hold. Operands are read where they
 * are, or from panels packed as tiles want them, one after the other. */
typedef struct {
    const ad_product *g;
    ad_tile tile; /* what all tiles share */
    const char *a, *b;
    char *c;
    char *packed_a, *packed_b; /* NULL where the operand is read in place */
    const char *bias;
    cuts rows, cols;                    /* the panels */
    int64_t rows_of_task, cols_of_task; /* in panels */
} block;

static void run_panel(const block *b, int64_t i, ad_tile tile) {
    const ad_product *g = b->g;
    const int64_t at = start(&b->rows, i), rows = extent(&b->rows, i);
    tile.c = (char *)tile.c + at * g->c_row * g->size;
    if (b->packed_a) {
        tile.a = b->packed_a + at * tile.k * g->size;
        tile.a_row = 1;
        tile.a_col = rows;
    } else {
        tile.a = b->a + at * tile.a_row * g->size;
    }
    const bool full = rows == g->kernels->rows && tile.cols == tile_width(g);
    if (b->packed_a && full)
        g->kernels->packed(&tile);
    else
        run_tile(g, &tile, rows);
}

static void run_task(void *context, int64_t task) {
    const block *b = context;
    const int64_t across = (b->cols.count + b->cols_of_task - 1) / b->cols_of_task, size = b->g->size;
    const int64_t i0 = task / across * b->rows_of_task, i1 = ad_least(i0 + b->rows_of_task, b->rows.count);
    const int64_t j0 = task % across * b->cols_of_task, j1 = ad_least(j0 + b->cols_of_task, b->cols.count);
    for (int64_t j = j0; j < j1; j++) {
        const int64_t at = start(&b->cols, j);
        ad_tile tile = b->tile;
        tile.cols = extent(&b->cols, j);
        tile.b = b->packed_b ? b->packed_b + at * tile.k * size : b->b + at * size;
        if (b->packed_b) tile.b_row = tile.cols;
        tile.bias = b->bias ? b->bias + at * size : NULL;
        tile.c = b->c + at * b->g->c_col * size;
        for (int64_t i = i0; i < i1; i++) run_panel(b, i, tile);
    }
}

static void run_block(block *b, int64_t m, int64_t n) {
    const ad_product *g = b->g;
    const int64_t down = (b->rows.count + b->rows_of_task - 1) / b->rows_of_task;
    const int64_t across = (b->cols.count + b->cols_of_task - 1) / b->cols_of_task;
    const ad_product part = {.m = m, .n = n, .k = b->tile.k, .size = g->size};
    ad_parallel_for(down * across, ad_product_cost(&part), run_task, b);
}

static void pack_rows(void *context, int64_t i) {
    const block *b = context;
    const int64_t at = start(&b->rows, i), size = b->g->size;
    const int rows = (int)extent(&b->rows, i);
    b->g->kernels->pack(b->tile.k, rows, b->a + at * b->g->a.row * size, b->g->a.row, b->g->a.col,
                        b->packed_a + at * b->tile.k * size);
}

static void pack_cols(void *context, int64_t j) {
    const block *b = context;
    const int64_t at = start(&b->cols, j), size = b->g->size;
    const int cols = (int)extent(&b->cols, j);
    b->g->kernels->pack(b->tile.k, cols, b->b + at * b->g->b.col * size, b->g->b.col, b->g->b.row,
                        b->packed_b + at * b->tile.k * size);
}

/* The block that begins at column j and element p of k, all rows. */
static void run_rows(block *b, const ad_product *g, int64_t j, int64_t n, int64_t p, const cuts *blocks) {
    for (int64_t i = 0; i < blocks->count; i++) {
        const int64_t at = start(blocks, i), m = extent(blocks, i);
        b->rows = cut(m, g->kernels->rows, 1);
        b->a = g->a.data + (at * g->a.row + p * g->a.col) * g->size;
        b->c = g->c + (at * g->c_row + j * g->c_col) * g->size;
        if (b->packed_a) ad_parallel_for(b->rows.count, m * b->tile.k / 2, pack_rows, b);
        run_block(b, m, n);
    }
}

static void run_blocks(const ad_product *g, char *packed_a, char *packed_b) {
    const int64_t width = tile_width(g);
    const cuts rows = cut(g->m, MC, 1), cols = cut(g->n, NC, width);
    const int64_t depths = most((g->k + KC - 1) / KC, 1), depth = most((g->k + depths - 1) / depths, 1);
    block b = {.g = g,
               .packed_a = packed_a,
               .packed_b = packed_b,
               .rows_of_task = TASK_ROWS / g->kernels->rows,
               .cols_of_task = TASK_COLS / width,
               .tile = {.a_row = g->a.row, .a_col = g->a.col, .b_row = g->b.row, .c_row = g->c_row}};
    for (int64_t j = 0; j < cols.count; j++) {
        const int64_t at = start(&cols, j), n = extent(&cols, j);
        b.cols = cut(n, width, vector_width(g));
        for (int64_t p = 0; p == 0 || p < g->k; p += depth) {
            b.tile.k = ad_least(depth, g->k - p);
            b.tile.accumulate = p > 0;
            b.bias = g->bias && p + depth >= g->k ? g->bias + at * g->size : NULL;
            b.b = g->b.data + (p * g->b.row + at * g->b.col) * g->size;
            if (packed_b) ad_parallel_for(b.cols.count, n * b.tile.k / 2, pack_cols, &b);
            run_rows(&b, g, at, n, p, &rows);
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

/* C^T = B^T A^T */
static void turn(ad_product *g) {
    const ad_matrix a = g->a;
    const int64_t m = g->m, c_row = g->c_row;
    g->m = g->n, g->n = m;
    g->a = (ad_matrix){g->b.data, g->b.col, g->b.row};
    g->b = (ad_matrix){a.data, a.col, a.row};
    g->c_row = g->c_col, g->c_col = c_row;
}

/* What is packed is packed to memory of the pool, or to the stack if that will do. */
static int run(const ad_product *g, bool small, bool pack_a, bool pack_b) {
    _Alignas(64) char stack[STACK_BYTES];
    const int64_t depth = small ? g->k : ad_least(g->k, KC),
                  cols = ad_least(g->n, small ? tile_width(g) : NC);
    const int64_t a_bytes = pack_a ? (ad_least(g->m, MC) * depth * g->size + 63) / 64 * 64 : 0;
    const int64_t b_bytes = pack_b ? cols * depth * g->size : 0;
    char *memory = a_bytes + b_bytes <= STACK_BYTES ? stack : ad_alloc((size_t)(a_bytes + b_bytes));
    if (!memory) return AD_NO_MEMORY;
    if (small)
        run_small(g, pack_b ? memory : NULL);
    else
        run_blocks(g, pack_a ? memory : NULL, pack_b ? memory + a_bytes : NULL);
    if (memory != stack) ad_dealloc(memory);
    return AD_OK;
}

/* The choices here are about speed: the bits are the same whichever way it goes. */
int ad_gemm(ad_product *g) {
    if (g->m == 1) g->a.row = 1;
    if (g->n == 1) g->b.col = 1;
    if (g->k == 1) g->a.col = g->b.row = 1;
    const int64_t m = g->m, n = g->n;
    const char *bias = g->bias;
    const bool small = (double)m * (double)n * (double)g->k <= SMALL_WORK;
    const bool direct = small || m <= SKINNY || n <= SKINNY;
    /* A matrix read in place should be the larger one, and B's rows be rows of memory. */
    const bool turned = n == 1 || (direct && m > 1 && g->b.col != 1 && (g->a.row == 1 || m < n));
    if (turned) turn(g);
    const bool in_place = direct && g->b.col == 1;
    const bool dots = g->m == 1 && !in_place && (g->n < 16 || small);
    const bool bias_later = bias && (turned || dots);
    if (bias_later) g->bias = NULL;
    int status = AD_OK;
    if (g->m == 1)
        run_vector(g, in_place ? run_in_place : dots ? run_dots : run_turning);
    else if (in_place && small)
        run_small(g, NULL);
    else
        status = run(g, small, !direct, !in_place);
    if (!status && bias_later) add_bias(m, n, g->size, g->c, bias);
    return status;
}
