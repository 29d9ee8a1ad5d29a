/* gemm.h: products of float matrices, and what they ask of a variant; kernels/gemm.h fills it. */
#ifndef AD_GEMM_H
#define AD_GEMM_H
#include "internal.h"

#define AD_PANEL_BYTES 30720 /* no full tile of A is larger, in any variant */
#define AD_TILE_ROWS 12      /* the most rows a tile has in any variant */
#define AD_TILE_VECTORS 2    /* vectors across a tile */
#define AD_ROW_VECTORS 8     /* vectors across a tile of a single row */
#define AD_B_AT_ROWS 6       /* the same of tiles that read B at offsets: with 4 vectors, a single row */
#define AD_B_AT_VECTORS 4
#define AD_LINE_ROWS 8  /* the most rows of tiles of few taps; with 2 and 4 vectors, 4 and 2 */
#define AD_APART_ROWS 7 /* of tiles whose lanes have their own weights: 16 registers, with what is read */

/* One tile of C = A B: rows and vectors across are fixed by the kernel, strides are in elements. Elements
 * beside each other in B, C and bias are beside each other in memory. Each element of C is one chain of
 * c = fma(a, b, c) over k in order, from 0 or from what C holds, with the bias added last: so its bits depend
 * neither on the tile it falls in nor on how k is cut. The last vector ends at column `cols`; it overlaps
 * the one before where cols is no multiple of the width, which stores the same value twice. Tiles of
 * 0 vectors are for fewer columns than a vector has. */
typedef struct {
    int64_t k;
    const void *bias, *more; /* bias: NULL for none; more: with a bias, what C is added to, or NULL */
    void *c;
    int64_t a_row, a_col, b_row, c_row, more_row;
    int64_t cols;
    bool accumulate;     /* go on from what C holds */
    const void *ahead;   /* of a tile that looks ahead: where a line of memory that is read soon begins, */
    int64_t ahead_apart; /* how far from it there is another, or 0, */
    int64_t ahead_row;   /* how far it is to the next such ones, */
    int64_t seldom;      /* and which bits of k, counted from the end, are 0 where it looks */
    void *copy;          /* where a tile that copies its A or its B puts it: those of each k side by side */
    const int64_t *offsets; /* of each k, in elements: for the tiles of convolutions, */
    const int64_t *starts;  /* and where each row of A begins, for those that read A at offsets */
} ad_tile;
/* What moves from tile to tile comes in registers: a tile that had to read it from where it was just stored
 * would begin 20 cycles later (AMD), behind the stores of the one before. */
typedef void ad_tile_fn(const ad_tile *tile, const void *a, const void *b);

/* dst[p * lanes + l] = src[l * lane + p * step] for p in [0, k), l in [0, lanes) */
typedef void ad_pack_fn(int64_t k, int lanes, const void *src, int64_t lane, int64_t step, void *dst);
/* c[i] = the chain over x[i * x_row + p * x_step] * y[i * row + p * step], for i in [0, n) */
typedef void ad_dots_fn(int64_t n, int64_t k, const void *x, int64_t x_row, int64_t x_step, const void *y,
                        int64_t row, int64_t step, void *c);

/* The same of 4, or of AD_FEW_ROWS, rows of x at a time, whose elements, as those of rows of y, lie side by
 * side; n is no less than a vector. */
typedef void ad_few_fn(int64_t n, int64_t k, const void *const *x, const void *y, int64_t row,
                       void *const *c);
#define AD_FEW_ROWS 8

/* Of the weights of a depthwise convolution: acc[j * lanes + l], of j in [0, taps), which are
 * AD_CORRELATE_FEW or correlate_taps, goes on with the products of g[i] and x[offsets[j] + i] of the i in
 * [0, n) that are l modulo the lanes (AD_LANE_BYTES of them). Each row of n begins at lane 0. */
typedef void ad_correlate_fn(int64_t rows, int64_t n, const void *g, int64_t g_row, const void *x,
                             int64_t x_row, int taps, const int64_t *offsets, void *acc);
/* The same lane by lane of vectors of channels, side by side in memory: acc[(l * taps + j) * width + c], of a
 * multiple of AD_CORRELATE_TAPS taps. Elements of x are x_step apart. */
typedef void ad_correlate_apart_fn(int64_t rows, int64_t n, const void *g, const void *x, int64_t x_row,
                                   int64_t x_step, int64_t taps, const int64_t *offsets, void *acc);
#define AD_CORRELATE_TAPS 9 /* the most in any variant */
#define AD_CORRELATE_FEW 4  /* what the latency of an addition allows */

typedef struct {
    int log2_width;      /* of the elements in a vector */
    int rows;            /* of a full tile */
    int depth;           /* k of a block: what a full tile reads of A stays in L1 */
    ad_tile_fn *looking; /* a full tile that looks ahead */
    ad_tile_fn *copying; /* a full tile, whose a_row is 1, that copies its A */
    ad_tile_fn *packing; /* a full tile that copies its B */
    ad_tile_fn *tile[AD_TILE_ROWS][AD_TILE_VECTORS + 1]; /* [rows - 1][vectors] */
    ad_tile_fn *row[AD_ROW_VECTORS + 1];                 /* [vectors] */
    ad_tile_fn *half[AD_TILE_ROWS]; /* [rows - 1], of at most half a vector; NULL where it takes as long */
    ad_pack_fn *pack;
    ad_dots_fn *dots;
    ad_few_fn *few[2];
    /* Tiles that read A, or B, at offsets; a bias of the latter is one of each row. Some numbers of rows are
     * NULL. */
    ad_tile_fn *a_at[AD_TILE_ROWS][AD_TILE_VECTORS + 1];
    ad_tile_fn *b_at[AD_B_AT_ROWS][AD_B_AT_VECTORS + 1];
    /* Of a single row of A: a row of B for each row of C, `b_row` further; the bias is one of them all. */
    ad_tile_fn *lines[AD_LINE_ROWS / 2][AD_B_AT_VECTORS + 1]; /* [rows / 2 - 1][vectors] */
    /* Lane by lane: row i of A, AD_APART_ROWS of them, has at each of k offsets `a_col` vectors, of which the
     * first is the second one of the row before. Those times as many of B; C and the bias are vectors too.
     * NULL where a vector is one element. */
    ad_tile_fn *apart;
    ad_correlate_fn *correlate;
    ad_correlate_apart_fn *correlate_apart; /* NULL where apart is */
    int correlate_taps;
} ad_gemm_type;

struct ad_gemm_kernels {
    const ad_gemm_type *type[2]; /* AD_f32, AD_f64 */
};

/* Those for tiles of n columns: of half as wide vectors where a whole half of the last one would be empty. */
static inline const ad_gemm_type *ad_gemm_across(const ad_gemm_type *kernels, int64_t n) {
    const int64_t lanes = (int64_t)1 << kernels->log2_width, rest = n & (lanes - 1);
    if (!ad_half || !rest || rest > lanes / 2) return kernels;
    return ad_half->gemm->type[kernels == ad_cpu->gemm->type[AD_f64] ? AD_f64 : AD_f32];
}

/* ---- gemm.c: one product ---- */

typedef struct {
    const char *data;
    int64_t row, col; /* strides in elements */
} ad_matrix;

/* C (m x n) = A (m x k) B (k x n) + bias; or C += A B, for a C of one row only where B's are contiguous, for
 * a C of one column where A's columns are. */
typedef struct {
    const ad_gemm_type *kernels;
    int64_t size; /* bytes of an element */
    int64_t m, n, k;
    ad_matrix a, b;
    char *c;          /* elements of a row one after the other, */
    int64_t c_row;    /* and rows so far apart */
    const char *bias; /* of each column, one after the other, or NULL */
    bool accumulate;
    int64_t a_next, b_next; /* of one of a batch: elements to the next one's A and B, or 0 */
    const char *more;       /* with a bias, of ad_panels_run alone; a row's elements one after the other, */
    int64_t more_row;       /* and rows so far apart */
    /* what ad_gemm_ready found: */
    enum { AD_WAY_SMALL, AD_WAY_BLOCKS, AD_WAY_ACROSS, AD_WAY_ROWS, AD_WAY_ROW, AD_WAY_DOTS, AD_WAY_FEW } way;
    bool turned;            /* C^T = B^T A^T instead, which is the same memory */
    const char *bias_later; /* to be added when the product is there */
} ad_product;

int64_t ad_product_cost(const ad_product *g); /* estimated nanoseconds, at most 1e15 */
void ad_gemm_ready(ad_product *g);            /* how to go about it; floats */
int ad_gemm_run(const ad_product *g);         /* once it is ready */
int ad_gemm(ad_product *g);                   /* both */
/* For a B, of at least one row, that is multiplied with often: packed once, to k n elements; then C, by the
 * calling thread alone, from A and those, to which `more` is added where it is there. Its `b` is only looked
 * at to pack. */
void ad_panels_pack(const ad_product *g, char *packed);
void ad_panels_run(const ad_product *g, const char *packed);

#endif
