/* gemm_blocks.c: large products, cut into blocks that the caches hold and tasks that threads share. */
#include <stdatomic.h>
#include "gemm_parts.h"

#define NC 2048         /* columns of a block of B */
#define MC 960          /* rows of a block of A, where it is packed: */
#define WIDE 512        /* if C has more columns, and A's rows lie along memory or pages apart */
#define HIGH 256        /* rows of C above which B is packed, */
#define HIGH_FAR 24     /* and where it is far, that is, from row to row a multiple of */
#define FEW_PLACES 2048 /* bytes: what a tile reads is in few sets of the caches; or altogether */
#define NEAR 0x180000   /* more bytes than this: it does not stay in L2 */
#define NEAR_A 0x80000  /* the same of A, read once */
#define TASK_ROWS 192   /* rows of a task, */
#define TASK_COLS 256   /* and its columns: its part of B stays in L2 */
#define LOW 256         /* but where C has no more rows than this, a task has them all */
#define LOW_COLS 64     /* and fewer columns, which it packs itself */
#define LOW_DEPTH 128   /* and k of a block, where B's rows are in few sets; those of its rows */
#define LOW_PAGES 64    /* read in place are in as many pages, which the CPU knows by heart */
#define MOST_PLACES 63  /* that so many tasks at a time pack to */
#define PACK_DEPTH 8    /* k that are packed at a time, of several panels */

/* The rows of a tile, where there are as many: fewer wait for themselves. */
static int64_t min_rows(const ad_product *g) { return g->kernels->rows * 2 / 3; }

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

/* The first parts, which are as wide as they can be. */
static int64_t whole(const cuts *c) { return c->n - c->last == c->step ? c->count : c->last / c->step; }

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
    int places; /* that tasks pack their columns of B to themselves, each to one; 0 if they do not, */
    atomic_uint_least64_t taken; /* and which of them are in use */
    const char *bias;
    cuts rows, cols;                    /* the panels */
    int64_t rows_of_task, cols_of_task; /* in panels */
} block;

/* The panels of rows [i0, i1) and of columns [j0, j1), and where those of B lie. */
typedef struct {
    const block *b;
    int64_t i0, i1, j0, j1;
    char *packed_b; /* of all tasks, or this one's own: from column `origin` on */
    int64_t origin;
    char *copy; /* where the first tile of a row of panels copies A's to, and others read it, or NULL */
} task;

static char *packed_panel(const task *t, int64_t j) {
    return t->packed_b + (start(&t->b->cols, j) - t->origin) * t->b->tile.k * t->b->g->size;
}

static bool is_full(const block *b, int64_t i, int64_t j) {
    return extent(&b->rows, i) == b->g->kernels->rows && extent(&b->cols, j) == tile_width(b->g);
}

/* Whether the first tile of a panel of B packs it. */
static bool packs(const task *t, int64_t i, int64_t j) {
    const block *b = t->b;
    return b->places && b->g->b.col == 1 && !t->copy && i == t->i0 &&
           extent(&b->rows, i) == b->g->kernels->rows && extent(&b->cols, j) > vector_width(b->g);
}

/* While a task computes, what the next task packs comes to L2, a cache line of each k after the other: with
 * every second k where there are tiles enough, as what has to be waited for is in the way of what is read.
 * Whether there is such. */
static bool look_ahead(const task *t, int64_t i, int64_t j, ad_tile *tile) {
    const block *b = t->b;
    const int64_t row = b->g->b.row, line = 64 / b->g->size, next = j + b->cols_of_task;
    if (!b->places || b->g->b.col != 1 || next >= b->cols.count) return false;
    const int64_t cols = extent(&b->cols, next) + (row % line ? line : 0); /* rows begin anywhere in a line */
    const int64_t lines = (cols + line - 1) / line;
    const int64_t tiles = ad_least(whole(&b->rows), t->i1) - t->i0 - 1;
    const int each = tiles >= 4 * lines ? 4 : tiles >= 2 * lines ? 2 : 1;
    const int64_t turn = i - t->i0 - (tiles >= lines);
    if (turn < 0 || turn >= each * lines) return false;
    const int64_t k = turn % each * (tile->k / each);
    tile->ahead = b->b + (start(&b->cols, next) + turn / each * line + k * row) * b->g->size;
    tile->ahead_row = row;
    tile->seldom = each - 1;
    return true;
}

/* What comes after a panel of A that is read in place, where its rows follow one another, and a part of what
 * a batch's next product reads of B. */
static upcoming look_up(const task *t, int64_t i) {
    const block *b = t->b;
    const ad_product *g = b->g;
    const int64_t k = b->tile.k, rows = extent(&b->rows, i), end = start(&b->rows, i) + rows;
    const int64_t tiles = ad_least(t->j1, whole(&b->cols)) - t->j0;
    const bool batched = g->a_next || g->b_next, last = end == g->m && g->a_next != g->m * k;
    upcoming u = {.steps = tiles * k};
    if (b->places || b->packed_a || t->j0 > 0 || tiles < 1 || g->k != k) return u;
    if (g->b_next && tiles > 1 && is_flat(&g->b, k, g->n)) {
        const int64_t part = (k * g->n / b->rows.count + 1) * g->size;
        expect(&u, 0, g->b.data + g->b_next * g->size + i * part, part);
    }
    if ((batched || g->m * k * g->size > NEAR_A) && !last && g->a.col == 1 && g->a.row == k)
        expect(&u, 1, b->a + end * k * g->size, rows * k * g->size);
    return u;
}

static void run_panel(const task *t, int64_t i, int64_t j, upcoming *u) {
    const block *b = t->b;
    const ad_product *g = b->g;
    const int64_t at = start(&b->rows, i), rows = extent(&b->rows, i), across = start(&b->cols, j);
    const bool copies = t->copy && rows == g->kernels->rows, first = j == t->j0;
    ad_tile tile = b->tile;
    tile.cols = extent(&b->cols, j);
    tile.bias = b->bias ? b->bias + across * g->size : NULL;
    tile.c = b->c + (at * g->c_row + across) * g->size;
    tile.a = b->a + at * tile.a_row * g->size;
    if (b->packed_a || (copies && !first)) {
        tile.a = b->packed_a ? b->packed_a + at * tile.k * g->size : t->copy;
        tile.a_row = 1;
        tile.a_col = rows;
    }
    tile.b = b->b + across * g->size;
    if (packs(t, i, j)) {
        if (!look_ahead(t, i, j, &tile)) tile.seldom = -1;
        tile.copy = packed_panel(t, j);
        g->kernels->packing(&tile);
        return;
    }
    if (t->packed_b) {
        tile.b = packed_panel(t, j);
        tile.b_row = tile.cols;
    }
    tile.copy = t->copy;
    (copies && first ? g->kernels->copying
     : is_full(b, i, j) && (look_ahead(t, i, j, &tile) || look_on(u, &tile, g->size))
         ? g->kernels->looking
         : tile_of(g, rows, tile.cols))(&tile);
}

/* Along C's rows, in the order of memory. */
static void run_panels(const task *t) {
    for (int64_t i = t->i0; i < t->i1; i++) {
        upcoming u = look_up(t, i);
        for (int64_t j = t->j0; j < t->j1; j++) run_panel(t, i, j, &u);
    }
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

/* One of the places where tasks pack to that nobody has. */
static int take_place(block *b) {
    for (;;) {
        uint64_t taken = atomic_load(&b->taken);
        const int place = __builtin_ctzll(~taken);
        if (place < b->places && atomic_compare_exchange_weak(&b->taken, &taken, taken | 1ull << place))
            return place;
    }
}

static void run_late(task *t, block *b) {
    const ad_product *g = b->g;
    const int place = take_place(b);
    t->origin = start(&b->cols, t->j0);
    t->packed_b += place * LOW_COLS * b->tile.k * g->size;
    for (int64_t j = t->j0; j < t->j1; j++) {
        if (packs(t, t->i0, j)) continue;
        g->kernels->pack(b->tile.k, (int)extent(&b->cols, j), b->b + start(&b->cols, j) * g->b.col * g->size,
                         g->b.col, g->b.row, packed_panel(t, j));
    }
    run_panels(t);
    atomic_fetch_and(&b->taken, ~(1ull << place));
}

static void run_task(void *context, int64_t number) {
    block *b = context;
    const int64_t across = (b->cols.count + b->cols_of_task - 1) / b->cols_of_task;
    const int64_t i = number / across * b->rows_of_task, j = number % across * b->cols_of_task;
    _Alignas(64) char copy[AD_PANEL_BYTES];
    task t = {.b = b,
              .i0 = i,
              .i1 = ad_least(i + b->rows_of_task, b->rows.count),
              .j0 = j,
              .j1 = ad_least(j + b->cols_of_task, b->cols.count),
              .packed_b = b->packed_b};
    if (b->copies && t.j1 - j > 1 && extent(&b->cols, j) == tile_width(b->g)) t.copy = copy;
    if (b->places)
        run_late(&t, b);
    else
        run_panels(&t);
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
    const cuts blocks = cut(g->m, b->packed_a ? MC : g->m, min_rows(g));
    for (int64_t i = 0; i < blocks.count; i++) {
        const int64_t at = start(&blocks, i), m = extent(&blocks, i);
        b->rows = cut(m, g->kernels->rows, min_rows(g));
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
    if (packed_b) return row % FEW_PLACES == 0 ? LOW_DEPTH : g->kernels->depth;
    return row < AD_PAGE ? LOW_PAGES * AD_PAGE / row : LOW_PAGES;
}

/* Whether rows of a panel of A lie along memory, and those of each k apart. */
static bool is_turned(const ad_product *g) { return g->a.row == 1 && g->a.col != 1; }

static void run_blocks(const ad_product *g, char *packed_a, char *packed_b, int places) {
    const int64_t width = tile_width(g);
    const cuts cols = cut(g->n, NC, width);
    const int64_t depth = block_depth(g, deepest(g, packed_b != NULL));
    block b = {.g = g,
               .packed_a = packed_a,
               .packed_b = packed_b,
               .copies = is_turned(g) && !packed_a,
               .places = places,
               .rows_of_task = places ? g->m : TASK_ROWS / g->kernels->rows,
               .cols_of_task = (places ? LOW_COLS : TASK_COLS) / width,
               .tile = {.a_row = g->a.row, .a_col = g->a.col, .b_row = g->b.row, .c_row = g->c_row}};
    for (int64_t j = 0; j < cols.count; j++) {
        const int64_t at = start(&cols, j), n = extent(&cols, j);
        b.cols = cut(n, width, vector_width(g));
        for (int64_t p = 0; p == 0 || p < g->k; p += depth) {
            b.tile.k = ad_least(depth, g->k - p);
            b.tile.accumulate = p > 0 || g->accumulate;
            b.bias = g->bias && p + depth >= g->k ? g->bias + at * g->size : NULL;
            b.b = g->b.data + (p * g->b.row + at * g->b.col) * g->size;
            if (packed_b && !b.places)
                ad_parallel_for((b.cols.count + b.cols_of_task - 1) / b.cols_of_task, n * b.tile.k / 2,
                                pack_cols, &b);
            run_rows(&b, at, n, p);
        }
    }
}

bool ad_gemm_packs_b(const ad_product *g) { return g->b.col != 1 || g->m > (is_far(g) ? HIGH_FAR : HIGH); }

/* What is packed is packed to memory of the pool. Of a low C, tasks pack their columns of B where they packed
 * others: that memory stays in the caches. */
int ad_gemm_blocks(const ad_product *g) {
    const bool a = g->n > WIDE && (is_turned(g) || g->a.row * g->size % AD_PAGE == 0), b = ad_gemm_packs_b(g);
    const int64_t depth = ad_least(g->k, g->kernels->depth);
    const int64_t a_bytes = a ? (ad_least(g->m, MC) * depth * g->size + 63) / 64 * 64 : 0;
    const int places = b && g->m <= LOW ? (int)ad_least(ad_get_num_threads(), MOST_PLACES) : 0;
    const int64_t b_bytes = b ? (places ? places * LOW_COLS : ad_least(g->n, NC)) * depth * g->size : 0;
    char *memory = a || b ? ad_alloc((size_t)most(a_bytes + b_bytes, 1)) : NULL;
    if ((a || b) && !memory) return AD_NO_MEMORY;
    run_blocks(g, a ? memory : NULL, b ? memory + a_bytes : NULL, places);
    if (memory) ad_dealloc(memory);
    return AD_OK;
}
