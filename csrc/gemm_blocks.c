/* gemm_blocks.c: large products, cut into blocks that the caches hold and tasks that threads share. */
#include <stdatomic.h>
#include "gemm_parts.h"

#define MC 2048         /* rows of a block of A, where it is packed: */
#define WIDE 512        /* if A is turned and C has more columns, */
#define WIDER 1024      /* or A's rows are pages apart and it has more than this, */
#define WIDER_FEW 64    /* or than this, where a tile's are more than a set of L1 holds */
#define HIGH 256        /* rows of C above which B is packed, */
#define HIGH_FAR 24     /* and where it is far, that is, from row to row a multiple of */
#define FEW_PLACES 2048 /* bytes: what a tile reads is in few sets of the caches; or more than NEAR */
#define NEAR_A 0x80000  /* the same of A, read once */
#define TASK_COLS 256   /* columns of a task: its part of B stays in L2; */
#define TASK_ROWS 192   /* and its rows where B is read in place, or the least that threads share */
#define SHARES 4        /* tasks of each thread, or more */
#define LOW 256         /* where C has no more rows than this, its first tiles pack B's rows, */
#define LOW_FEW 128     /* or no more than this, where B's rows are in few sets; */
#define LOW_COLS 64     /* and a task has fewer columns, */
#define LOW_DEPTH 128   /* and a block fewer k, where they are; those of its rows that are */
#define LOW_PAGES 64    /* read in place lie in as many pages, which the CPU knows by heart */
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
    return i < c->count ? ad_least(i * c->step, c->last) : c->n;
}
static int64_t extent(const cuts *c, int64_t i) { return start(c, i + 1) - start(c, i); }

/* The first parts, which are as wide as they can be. */
static int64_t whole(const cuts *c) { return c->n - c->last == c->step ? c->count : c->last / c->step; }

/* One block of the product: k and rows cut to what the caches hold. A is read where it is, but a panel whose
 * rows lie along memory is copied by a task's first tile of it. It is packed where many tasks would copy it,
 * or its rows push each other out of L1. B is read where it is, or packed by each task to a place that stays
 * in L2, as panels that tiles want one after the other. */
typedef struct {
    const ad_product *g;
    ad_tile tile; /* what all tiles share */
    const char *a, *b;
    char *c;
    char *packed_a, *packed_b;   /* NULL where the operand is read in place */
    bool packs_rows;             /* panels of A, each as it is first met, as tasks run one after the other; */
    int64_t ready;               /* else they are packed before. How many are */
    bool copies;                 /* panels of A */
    bool fetches;                /* C, which is one of a batch, or read and does not stay in L2 */
    bool by_tiles;               /* the first tiles of panels of B pack them */
    int places;                  /* that tasks pack their columns of B to, each to one; 0 if they do not, */
    atomic_uint_least64_t taken; /* and which of them are in use */
    const char *bias;
    cuts rows, cols;                    /* the panels */
    int64_t rows_of_task, cols_of_task; /* in panels */
} block;

/* The panels of rows [i0, i1) and of columns [j0, j1), and where those of B lie. */
typedef struct {
    block *b;
    int64_t i0, i1, j0, j1;
    char *packed_b; /* this task's */
    char *copy;     /* where the first tile of a row of panels copies A's to, and others read it, or NULL */
} task;

static char *packed_panel(const task *t, int64_t j) {
    const cuts *cols = &t->b->cols;
    return t->packed_b + (start(cols, j) - start(cols, t->j0)) * t->b->tile.k * t->b->g->size;
}

/* Whether the first tile of a panel of B packs it. */
static bool packs(const task *t, int64_t i, int64_t j) {
    const block *b = t->b;
    return b->by_tiles && !t->copy && i == t->i0 && extent(&b->rows, i) == b->g->kernels->rows &&
           extent(&b->cols, j) > vector_width(b->g);
}

/* While a task computes, what the next task packs comes to L2, a cache line of each k after the other: with
 * every second k where there are tiles enough, as what has to be waited for is in the way of what is read.
 * Whether there is such. */
static bool look_ahead(const task *t, int64_t i, int64_t j, ad_tile *tile) {
    const block *b = t->b;
    const int64_t row = b->g->b.row, line = AD_LINE / b->g->size, next = j + b->cols_of_task;
    if (!b->by_tiles || next >= b->cols.count) return false;
    const int64_t cols = extent(&b->cols, next) + (row % line ? line : 0); /* rows begin anywhere in a line */
    const int64_t lines = (cols + line - 1) / line;
    const int64_t tiles = ad_least(whole(&b->rows), t->i1) - t->i0 - 1;
    const int each = tiles >= 4 * lines ? 4 : tiles >= 2 * lines ? 2 : 1;
    const int64_t turn = i - t->i0 - (tiles >= lines);
    if (turn < 0 || turn >= each * lines) return false;
    const int64_t k = turn % each * (tile->k / each);
    tile->ahead = b->b + (start(&b->cols, next) + turn / each * line + k * row) * b->g->size;
    tile->ahead_apart = 0;
    tile->ahead_row = row;
    tile->seldom = each - 1;
    return true;
}

/* The panel of A after this one, where A is large and in order in memory; of a batch, a part of what the next
 * product reads of B, too. */
static upcoming look_up(const task *t, int64_t i) {
    const block *b = t->b;
    const ad_product *g = b->g;
    const int64_t k = b->tile.k, rows = extent(&b->rows, i), end = start(&b->rows, i) + rows;
    const int64_t tiles = ad_least(t->j1, whole(&b->cols)) - t->j0, next = i + 1 < t->i1 ? i + 1 : t->i0;
    const bool batched = g->a_next || g->b_next, large = b->rows.n * k * g->size > NEAR_A;
    upcoming u = {.steps = tiles * k};
    if (b->by_tiles || tiles < 1) return u;
    const bool meets = next >= b->ready; /* and packs it, when some tiles have fetched its rows */
    if (meets) u.steps -= g->kernels->rows / 2 * k;
    if (b->packed_a && (large || meets))
        expect(&u, 1, b->packed_a + start(&b->rows, next) * k * g->size,
               extent(&b->rows, next) * k * g->size);
    if (b->packed_a || g->k != k || (t->j0 > 0 && !b->places)) return u;
    if (g->b_next && tiles > 1 && is_flat(&g->b, k, g->n)) {
        const int64_t part = (k * g->n / b->rows.count + 1) * g->size;
        expect(&u, 0, g->b.data + g->b_next * g->size + i * part, part);
    }
    if ((batched || large) && (end < g->m || g->a_next == g->m * k) && g->a.col == 1 && g->a.row == k)
        expect(&u, 1, b->a + end * k * g->size, rows * k * g->size);
    return u;
}

/* Of the panel of A that is packed next, two rows come to L2 with a tile. */
static bool look_at_rows(const task *t, int64_t i, int64_t j, ad_tile *tile) {
    const block *b = t->b;
    const ad_product *g = b->g;
    const int64_t row = 2 * (j - t->j0), line = AD_LINE / g->size;
    if (!b->packed_a || i + 1 < b->ready || i + 1 >= t->i1 || row >= g->kernels->rows) return false;
    tile->ahead = b->a + (start(&b->rows, i + 1) + row) * g->a.row * g->size;
    tile->ahead_apart = g->a.row;
    tile->ahead_row = line;
    tile->seldom = line - 1;
    return true;
}

/* Where a tile reads B, and how it is made. */
static ad_tile_fn *lay_out(const task *t, int64_t i, int64_t j, ad_tile *tile, const char **from,
                           upcoming *u) {
    const block *b = t->b;
    const ad_product *g = b->g;
    const int64_t rows = extent(&b->rows, i);
    if (packs(t, i, j)) {
        if (!look_ahead(t, i, j, tile)) tile->seldom = -1;
        tile->copy = packed_panel(t, j);
        return g->kernels->packing;
    }
    if (t->packed_b) {
        *from = packed_panel(t, j);
        tile->b_row = tile->cols;
    }
    if (t->copy && rows == g->kernels->rows && j == t->j0) return g->kernels->copying;
    const bool full = rows == g->kernels->rows && tile->cols == tile_width(g);
    const bool looks =
        full && (look_ahead(t, i, j, tile) || look_at_rows(t, i, j, tile) || look_on(u, tile, g->size));
    return looks ? g->kernels->looking : tile_of(g, rows, tile->cols);
}

/* What the next tile has of C comes to L2 meanwhile, as stores that wait for it hold up what follows them. A
 * call, which has no other effect, GCC would leave out. */
static inline __attribute__((always_inline)) void fetch_next(const task *t, int64_t i, int64_t j) {
    const block *b = t->b;
    if (++j == t->j1) i++, j = t->j0;
    if (i == t->i1) return;
    const int64_t size = b->g->size, row = b->g->c_row * size, end = start(&b->cols, j + 1) * size;
    const char *c = b->c + start(&b->rows, i) * row + end;
    for (int64_t r = extent(&b->rows, i); r > 0; r--, c += row) {
        __builtin_prefetch(c - 1, 1, 2);
        __builtin_prefetch(c - 1 - AD_LINE, 1, 2);
    }
}

/* The full tiles behind full tile j, where none has anything to fetch or to pack: they are as that one, but
 * for where they are, and begin sooner by what need not be asked. The last one. */
static int64_t run_alike(const task *t, int64_t j, ad_tile tile, ad_tile_fn *run, const char *a,
                         const char *from) {
    const int64_t step = tile.cols * t->b->g->size, b_step = t->packed_b ? step * tile.k : step;
    for (const int64_t end = ad_least(t->j1, whole(&t->b->cols)); j + 1 < end; j++) {
        tile.c = (char *)tile.c + step;
        if (tile.bias) tile.bias = (const char *)tile.bias + step;
        run(&tile, a, from += b_step);
    }
    return j;
}

/* The panels [first, end) of an operand: a few k at a time, so that memory is read in order, or, where those
 * of a lane lie along it, all. */
static void pack_panels(const block *b, const cuts *panels, int64_t first, int64_t end, const char *from,
                        int64_t lane, int64_t step, char *packed) {
    const int64_t size = b->g->size, k = b->tile.k, depth = step == 1 ? most(k, 1) : PACK_DEPTH;
    const int64_t origin = start(panels, first);
    for (int64_t p = 0; p < k; p += depth) {
        for (int64_t j = first; j < end; j++) {
            const int64_t at = start(panels, j), lanes = extent(panels, j);
            b->g->kernels->pack(ad_least(depth, k - p), (int)lanes, from + (p * step + at * lane) * size,
                                lane, step, packed + ((at - origin) * k + p * lanes) * size);
        }
    }
}

static void pack_a(const block *b, int64_t first, int64_t end) {
    const ad_matrix *x = &b->g->a;
    pack_panels(b, &b->rows, first, end, b->a, x->row, x->col,
                b->packed_a + start(&b->rows, first) * b->tile.k * b->g->size);
}

/* The tiles of a panel of A, along C's rows, in the order of memory. */
static void run_panel(const task *t, int64_t i) {
    block *b = t->b;
    const ad_product *g = b->g;
    const int64_t at = start(&b->rows, i), rows = extent(&b->rows, i), size = g->size;
    const bool plain = !b->fetches && !b->by_tiles;
    upcoming u = look_up(t, i);
    ad_tile tile = b->tile;
    const char *a = b->a + at * tile.a_row * size;
    if (b->packed_a) {
        if (i >= b->ready) pack_a(b, i, ++b->ready);
        a = b->packed_a + at * tile.k * size;
        tile.a_row = 1;
        tile.a_col = rows;
    }
    for (int64_t j = t->j0; j < t->j1; j++) {
        const int64_t across = start(&b->cols, j);
        tile.cols = extent(&b->cols, j);
        tile.bias = b->bias ? b->bias + across * size : NULL;
        tile.c = b->c + (at * g->c_row + across) * size;
        const char *from = b->b + across * size;
        tile.b_row = g->b.row;
        tile.copy = t->copy;
        ad_tile_fn *run = lay_out(t, i, j, &tile, &from, &u);
        if (b->fetches) fetch_next(t, i, j);
        run(&tile, a, from);
        if (run == g->kernels->copying) {
            a = t->copy;
            tile.a_row = 1;
            tile.a_col = rows;
        } else if (plain && tile.cols == tile_width(g) && run != g->kernels->looking && u.left[0] <= 0 &&
                   u.left[1] <= 0) {
            j = run_alike(t, j, tile, run, a, from);
        }
    }
}

static void run_panels(const task *t) {
    for (int64_t i = t->i0; i < t->i1; i++) run_panel(t, i);
}

static void pack_b(const task *t, int64_t first, int64_t end) {
    const ad_matrix *x = &t->b->g->b;
    pack_panels(t->b, &t->b->cols, first, end, t->b->b, x->col, x->row, packed_panel(t, first));
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

static void run_packing(task *t, block *b) {
    const int place = take_place(b);
    t->packed_b = b->packed_b + place * b->cols_of_task * tile_width(b->g) * b->tile.k * b->g->size;
    if (b->by_tiles) {
        for (int64_t j = t->j0; j < t->j1; j++)
            if (!packs(t, t->i0, j)) pack_b(t, j, j + 1);
    } else {
        pack_b(t, t->j0, t->j1);
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
              .j1 = ad_least(j + b->cols_of_task, b->cols.count)};
    if (b->copies && t.j1 - j > 1 && extent(&b->cols, j) == tile_width(b->g)) t.copy = copy;
    if (b->places)
        run_packing(&t, b);
    else
        run_panels(&t);
}

/* How many panels of rows a task has, each the same: where it packs B, all, but for what threads share. */
static int64_t rows_of_task(const block *b, int64_t across) {
    const int64_t least = TASK_ROWS / b->g->kernels->rows, all = b->rows.count;
    if (b->by_tiles || b->places == 1) return all;
    const int64_t packing = ad_least((SHARES * b->places + across - 1) / across, most(all / least, 1));
    const int64_t down = b->places ? packing : (all + least - 1) / least;
    return (all + down - 1) / down;
}

static void run_block(block *b) {
    const ad_product *g = b->g;
    const int64_t across = (b->cols.count + b->cols_of_task - 1) / b->cols_of_task;
    b->rows_of_task = rows_of_task(b, across);
    const int64_t down = (b->rows.count + b->rows_of_task - 1) / b->rows_of_task;
    const ad_product part = {.m = b->rows.n, .n = g->n, .k = b->tile.k, .size = g->size};
    ad_parallel_for(down * across, ad_product_cost(&part), run_task, b);
}

static void pack_rows(void *context, int64_t task) {
    const block *b = context;
    const int64_t each = TASK_ROWS / b->g->kernels->rows, i = task * each;
    pack_a(b, i, ad_least(i + each, b->rows.count));
}

/* The blocks that begin at element p of k. */
static void run_rows(block *b, int64_t p) {
    const ad_product *g = b->g;
    const cuts blocks = cut(g->m, b->packed_a ? MC : g->m, min_rows(g));
    for (int64_t i = 0; i < blocks.count; i++) {
        const int64_t at = start(&blocks, i), m = extent(&blocks, i);
        b->rows = cut(m, g->kernels->rows, min_rows(g));
        b->a = g->a.data + (at * g->a.row + p * g->a.col) * g->size;
        b->c = g->c + at * g->c_row * g->size;
        b->ready = b->packs_rows ? 0 : b->rows.count;
        if (b->packed_a && !b->packs_rows)
            ad_parallel_for((m + TASK_ROWS - 1) / TASK_ROWS, m * b->tile.k / 2, pack_rows, b);
        run_block(b);
    }
}

/* Whether rows of B, which lie along memory, are in few sets of the caches. If expanded, they are one row. */
static bool in_few_places(const ad_product *g) {
    const int64_t row = g->b.row * g->size;
    return g->b.col == 1 && row != 0 && row % FEW_PLACES == 0;
}

/* Whether they push each other out of the caches. */
static bool is_far(const ad_product *g) {
    const int64_t row = g->b.row * g->size;
    return in_few_places(g) || (g->b.col == 1 && (double)row * (double)g->k > NEAR);
}

static bool is_low(const ad_product *g) { return g->m <= (in_few_places(g) ? LOW_FEW : LOW); }

/* The most k of a block. */
static int64_t deepest(const ad_product *g, bool packed_b) {
    if (!is_low(g) || !is_far(g)) return g->kernels->depth;
    const int64_t row = g->b.row * g->size;
    if (packed_b) return in_few_places(g) ? LOW_DEPTH : g->kernels->depth;
    return row < AD_PAGE ? LOW_PAGES * AD_PAGE / row : LOW_PAGES;
}

/* Whether rows of a panel of A lie along memory, and those of each k apart. */
static bool is_turned(const ad_product *g) { return g->a.row == 1 && g->a.col != 1; }

bool ad_gemm_a_is_crowded(const ad_product *g) {
    return g->a.row * g->size % AD_PAGE == 0 && ad_l1_ways > 0 &&
           ad_least(g->kernels->rows, g->m) > ad_l1_ways;
}

static bool packs_a(const ad_product *g) {
    if (is_turned(g)) return g->n > WIDE;
    return g->a.row * g->size % AD_PAGE == 0 && g->n > (ad_gemm_a_is_crowded(g) ? WIDER_FEW : WIDER);
}

static void run_blocks(block *b, int64_t depth) {
    const ad_product *g = b->g;
    for (int64_t p = 0; p == 0 || p < g->k; p += depth) {
        b->tile.k = ad_least(depth, g->k - p);
        b->tile.accumulate = p > 0 || g->accumulate;
        b->bias = p + depth >= g->k ? g->bias : NULL;
        b->b = g->b.data + p * g->b.row * g->size;
        run_rows(b, p);
    }
}

bool ad_gemm_packs_b(const ad_product *g) { return g->b.col != 1 || g->m > (is_far(g) ? HIGH_FAR : HIGH); }

/* What is packed is packed to memory of the pool. */
int ad_gemm_blocks(const ad_product *g) {
    const bool pack_a = packs_a(g), pack_b = ad_gemm_packs_b(g);
    const bool low = pack_b && is_low(g), by_tiles = low && g->b.col == 1, batched = g->a_next || g->b_next;
    const int places = pack_b ? (int)ad_least(ad_threads_here(), MOST_PLACES) : 0;
    const bool narrow = by_tiles || (low && places > 1 && !batched); /* that threads have enough tasks */
    const int64_t width = tile_width(g), depth = block_depth(g, deepest(g, pack_b));
    const int64_t cols = ad_least((narrow ? LOW_COLS : TASK_COLS) / width, (g->n + width - 1) / width);
    const double c_bytes = (double)g->m * (double)g->n * (double)g->size;
    const int64_t a_bytes = pack_a ? (ad_least(g->m, MC) * depth * g->size + 63) / 64 * 64 : 0;
    const int64_t b_bytes = places * cols * width * depth * g->size;
    char *memory = pack_a || pack_b ? ad_alloc((size_t)most(a_bytes + b_bytes, 1)) : NULL;
    if ((pack_a || pack_b) && !memory) return AD_NO_MEMORY;
    block b = {.g = g,
               .packed_a = pack_a ? memory : NULL,
               .packed_b = pack_b ? memory + a_bytes : NULL,
               .packs_rows = pack_a && !is_turned(g) && places == 1,
               .copies = is_turned(g) && !pack_a,
               .fetches = batched || (g->k > depth && c_bytes > NEAR),
               .by_tiles = by_tiles,
               .places = places,
               .cols = cut(g->n, width, least_cols(g)),
               .cols_of_task = cols,
               .tile = {.a_row = g->a.row, .a_col = g->a.col, .b_row = g->b.row, .c_row = g->c_row}};
    run_blocks(&b, depth);
    if (memory) ad_dealloc(memory);
    return AD_OK;
}
