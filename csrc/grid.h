/* grid.h: what reading images at any places asks of a variant; kernels/grid.h fills it. */
#ifndef AD_GRID_H
#define AD_GRID_H
#include "internal.h"

/* The dimensions of an image, the taps of one, and the places taken at a time. */
enum { AD_GRID_DIMS = 3, AD_GRID_LINE = 4, AD_GRID_BLOCK = 64 };

typedef struct {
    const void *x, *grid, *g;
    void *y, *dx, *dgrid; /* what is wanted; the others are NULL */
    int dtype, nd, mode, padding, line, taps;
    bool corners;
    int tap[AD_GRID_LINE * AD_GRID_LINE][AD_GRID_DIMS]; /* of each tap of all, that of each dimension */
    int64_t images, channels, pixels, places, size[AD_GRID_DIMS];
    int64_t parts,
        step; /* of an image: tasks, and places or (where only pixels are written to) channels each */
} ad_grid_task;

struct ad_grid_kernels {
    /* places [start, end) of an image of the batch, channels [c, c_end); f32, f64 */
    void (*run[2])(const ad_grid_task *t, int64_t image, int64_t start, int64_t end, int64_t c,
                   int64_t c_end);
};

#endif
