/* gemm_parts.h: what the ways to multiply matrices share, and how gemm.c has large products made. */
#ifndef AD_GEMM_PARTS_H
#define AD_GEMM_PARTS_H
#include "gemm.h"

#define NEAR 0x180000 /* more bytes than this do not stay in L2 */

static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

/* k of a block: a tile's part of A stays in L1. */
static inline int64_t block_depth(const ad_product *g, int64_t deepest) {
    const int64_t depths = most((g->k + deepest - 1) / deepest, 1);
    return most((g->k + depths - 1) / depths, 1);
}

static inline int64_t vector_width(const ad_product *g) { return (int64_t)1 << g->kernels->log2_width; }
static inline int64_t tile_width(const ad_product *g) { return AD_TILE_VECTORS * vector_width(g); }

/* The least columns of a panel: a vector, or what is over, where tiles of that take half the time. */
static inline int64_t least_cols(const ad_product *g) {
    const int64_t vector = vector_width(g), rest = g->n % vector;
    return rest > 0 && rest <= vector / 2 && g->kernels->half[g->kernels->rows - 1] ? rest : vector;
}

static inline ad_tile_fn *tile_of(const ad_product *g, int64_t rows, int64_t cols) {
    const ad_gemm_type *kernels = g->kernels;
    if (cols <= vector_width(g) / 2 && kernels->half[rows - 1]) return kernels->half[rows - 1];
    const int64_t vectors = cols < vector_width(g) ? 0 : ((cols - 1) >> kernels->log2_width) + 1;
    return rows == 1 ? kernels->row[vectors] : kernels->tile[rows - 1][vectors];
}

/* What is read soon, two parts of memory, which tiles fetch to L2 while they compute. */
typedef struct {
    const char *at[2];
    int64_t left[2]; /* pairs of cache lines */
    int64_t steps;   /* k of the tiles that can, together */
} upcoming;

static inline bool is_flat(const ad_matrix *x, int64_t rows, int64_t cols) {
    return (x->col == 1 && x->row == cols) || (x->row == 1 && x->col == rows);
}

static inline void expect(upcoming *u, int part, const char *at, int64_t bytes) {
    u->at[part] = at;
    u->left[part] = bytes / (2 * AD_LINE);
}

/* Has a tile fetch what it can, as seldom as will do; false if nothing is left. */
static inline bool look_on(upcoming *u, ad_tile *tile, int64_t size) {
    const int64_t pairs = most(u->left[0], 0) + most(u->left[1], 0), part = u->left[0] <= 0;
    if (pairs == 0) return false;
    tile->seldom = u->steps >= 4 * pairs ? 3 : u->steps >= 2 * pairs ? 1 : 0;
    tile->ahead = u->at[part];
    tile->ahead_apart = AD_LINE / size;
    tile->ahead_row = 2 * tile->ahead_apart;
    const int64_t now = tile->k / (tile->seldom + 1);
    u->at[part] += now * 2 * AD_LINE;
    u->left[part] -= now;
    u->steps -= tile->k;
    return true;
}

/* gemm_blocks.c */
bool ad_gemm_a_is_crowded(const ad_product *g);        /* a tile's rows of A push each other out of L1 */
bool ad_gemm_packs_b(const ad_product *g);             /* rather than to read B in place */
int ad_gemm_blocks(const ad_product *g);               /* C has several rows */
int ad_gemm_whole(const ad_product *g);                /* so, or across */
bool ad_gemm_strips(const ad_product *g, int *status); /* false if it is better whole */

#endif
