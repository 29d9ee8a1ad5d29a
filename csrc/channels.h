/* channels.h: windows over images whose channels lie side by side, and what they ask of a variant;
 * kernels/channels.h fills it. */
#ifndef AD_CHANNELS_H
#define AD_CHANNELS_H
#include "internal.h"

enum { AD_WINDOW_DIMS = 3 };

/* Whether the channels of images of nd dimensions lie so. */
static inline bool ad_lie_beside(const ad_tensor *x, int64_t nd) {
    return x->ndim == nd + 2 && x->strides[1] == 1 && x->shape[1] > 1;
}

/* Of a dimension: window j has the taps [first[j], first[j + 1]). */
typedef struct {
    const int64_t *first, *at; /* at: an element's number, or -1: none, which counts as 0 in a row */
    int64_t stride, place;     /* from one to the next, and what that adds to a place */
    const void *weight;        /* of each tap, or NULL */
} ad_taps;

/* A row of n windows, numbers d and h in the other dimensions. */
typedef struct {
    ad_taps axis[AD_WINDOW_DIMS];
    int64_t d, h, n, channels, step; /* step: from one window's result to the next one's, in elements */
    double zero;                     /* which sums start from: 0, or -0, to which all can be added */
    int64_t outer;                   /* a sum is divided by this, if it is not 0, */
    const int64_t *counts;           /* times that of its window, if these are there */
} ad_window_row;

struct ad_channel_kernels {
    /* f32, f64; by columns, as rows of images whose channels are apart are summed first */
    void (*sum[2])(const ad_window_row *r, const void *x, void *y);
    /* places: NULL if nobody asks; those of float32 are less than 2^32 */
    void (*greatest[2])(const ad_window_row *r, const void *x, void *y, int64_t *places);
    /* x[to[i]...] += weight[i * step] y[from[i]...] of i in [0, n) in order, `channels` elements each */
    void (*spread[2])(int64_t n, const int64_t *from, const int64_t *to, const void *weight, int64_t step,
                      int64_t channels, const void *y, void *x);
};

#endif
