/* conv.h: what the files of convolutions share. A convolution and its adjoint in the input are one thing to
 * them: each position of the result adds up what its taps meet in a source. */
#ifndef AD_CONV_H
#define AD_CONV_H
#include <stdatomic.h>
#include "gemm.h"

#define AD_CONV_DIMS 3 /* of space; where there are fewer, the first are of size 1 */

/* A tap of the kernel, and where in the source the first position meets it. */
typedef struct {
    int64_t tap, at;
} ad_tap;

/* Positions that meet the same taps: n of them, from `first` on. */
typedef struct {
    int64_t first, n, begin, end; /* of the axis's taps */
} ad_residue;

typedef struct {
    int64_t size, source, kernel; /* positions of the result and of the source, taps */
    int64_t step, source_step;    /* from one position of a residue to the next */
    int64_t low, high;            /* zeros around the source */
    int64_t residues;
    ad_residue *residue;
    ad_tap *tap;
} ad_axis;

/* Where a convolution reads: strides in elements. Column w lies at w % phases * phase + w / phases * at[2].
 */
typedef struct {
    char *data;
    int64_t n, c, at[AD_CONV_DIMS], phases, phase;
    char *copy; /* NULL where it is read in place */
} ad_source;

/* What a call is. */
typedef struct {
    int kind;          /* ad_conv_kind */
    ad_tensor a, b, y; /* of five dimensions */
    const char *bias;  /* one after the other, or NULL */
    int64_t groups;
    int64_t stride[AD_CONV_DIMS], padding[AD_CONV_DIMS], dilation[AD_CONV_DIMS];
} ad_conv_call;

/* The same, prepared. m and c: channels of the result and of the source in a group. */
typedef struct {
    const ad_gemm_type *kernels;
    int64_t size, batch, groups, m, c, taps, positions; /* size: bytes of an element */
    ad_axis axis[AD_CONV_DIMS];
    ad_source source;
    const char *w, *bias; /* bias: NULL or m of each group */
    int64_t w_group, w_m, w_c, w_at[AD_CONV_DIMS];
    char *y, *packed;
    const char *weights;    /* as tiles read them: packed, or where they lie */
    int64_t *offsets;       /* of each channel and tap, in the order in which they are added */
    bool channels;          /* vectors lie across channels, else across positions */
    const ad_tensor *local; /* the source, where each task copies the image and group it reads; or NULL */
    int64_t copy_bytes;
    bool holes;                 /* some positions meet no tap */
    int64_t images, rows, cols; /* of a block of the result, */
    int64_t down, across;       /* and how many of them an image has */
    atomic_int status;
} ad_conv_plan;

static inline int64_t ad_conv_width(const ad_gemm_type *kernels) {
    return (int64_t)AD_TILE_VECTORS << kernels->log2_width;
}
static inline int64_t ad_conv_vectors(const ad_gemm_type *kernels, int64_t cols) {
    return cols >> kernels->log2_width ? ((cols - 1) >> kernels->log2_width) + 1 : 0;
}
/* Where panel i of n columns starts, all `width` wide but for the last two: the last is no smaller than a
 * vector if it is not the only one. */
static inline int64_t ad_conv_panel(const ad_gemm_type *kernels, int64_t n, int64_t width, int64_t i) {
    const int64_t panels = (n + width - 1) / width, vector = (int64_t)1 << kernels->log2_width;
    return i == panels ? n : i && i == panels - 1 ? ad_least(i * width, n - vector) : i * width;
}
/* The columns to take next of those left: the last part is no smaller than a vector if it is not the only. */
static inline int64_t ad_conv_next(const ad_gemm_type *kernels, int64_t left, int64_t step) {
    const int64_t vector = (int64_t)1 << kernels->log2_width;
    return left <= step ? left : left < step + vector ? left - vector : step;
}
/* The rows of the tile to take next of those left, so that none is much smaller than another. */
static inline int64_t ad_conv_rows(const ad_gemm_type *kernels, int64_t left) {
    const int64_t most = kernels->rows;
    int64_t rows = left >= 2 * most                             ? most
                   : left <= most && kernels->a_at[left - 1][1] ? left
                                                                : (left + 1) / 2;
    while (!kernels->a_at[rows - 1][1]) rows++;
    return rows;
}

/* conv.c */
void *ad_conv_axes(ad_axis *axis); /* room for their tables, in one block */
void ad_conv_forward(ad_axis *axis, const ad_conv_call *call);
int64_t ad_conv_column(const ad_source *s, int64_t w);
/* How x is read: in place, or from a copy, whose bytes a channel are returned (-1: they are too many). With
 * `unit`, what a row of positions meets lies side by side. */
int64_t ad_conv_lay_out(ad_source *s, const ad_tensor *x, const ad_axis *axis, bool unit);
/* The copy, at s->data, of x or a part of it. */
void ad_conv_copy(const ad_source *s, const ad_tensor *x, const ad_axis *axis);
/* Both, in memory of its own. */
int ad_conv_source(ad_source *s, const ad_tensor *x, const ad_axis *axis, bool unit);
int64_t ad_conv_cost(int64_t macs, int64_t size);
/* conv_product.c: of kernels of one tap that move by one, image by image; of images of one position; and of
 * patches, whose kernels lie side by side */
bool ad_conv_is_matrix(const ad_conv_plan *v, const ad_tensor *x);
int ad_conv_matrix(ad_conv_plan *v);
bool ad_conv_is_spread(const ad_conv_call *call, const ad_conv_plan *v);
int ad_conv_spread(const ad_conv_call *call, ad_conv_plan *v);
bool ad_conv_is_patches(const ad_conv_call *call, const ad_conv_plan *v);
int ad_conv_patches(const ad_conv_call *call, ad_conv_plan *v);
/* conv_columns.c: every position meets all taps. Of the latter, v is the convolution's, its result the
 * weight's cotangent. */
int ad_conv_columns(ad_conv_plan *v);
int ad_conv_columns_weight(ad_conv_plan *v, const ad_tensor *g);
/* conv_depthwise.c: of one channel a group; the axes are those of the call. Of the weight's adjoint, v is the
 * convolution's, its result the adjoint. */
bool ad_conv_is_depthwise(const ad_conv_plan *v, const ad_tensor *x);
int ad_conv_depthwise(ad_conv_plan *v, const ad_tensor *x);
bool ad_conv_is_depthwise_weight(const ad_conv_plan *v, const ad_tensor *x, const ad_tensor *g);
int ad_conv_depthwise_weight(ad_conv_plan *v, const ad_tensor *x, const ad_tensor *g);
/* conv_tiles.c, conv_weight.c */
int ad_conv_tiles(ad_conv_plan *v);
int ad_conv_weight(const ad_conv_call *call);

#endif
