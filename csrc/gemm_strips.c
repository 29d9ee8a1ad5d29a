/* gemm_strips.c: products that are too short to share their blocks, cut among threads as products of their
 * own. */
#include <stdatomic.h>
#include "gemm_parts.h"

#define SHARED 1000000 /* nanoseconds a block's tasks take together from which on threads share these */
#define LEAST 13000    /* and a strip's least */

typedef struct {
    const ad_product *g;
    bool by_rows;
    int64_t step; /* rows or columns of a strip */
    atomic_int status;
} strips;

static void run_strip(void *context, int64_t i) {
    strips *s = context;
    ad_product part = *s->g;
    const int64_t first = i * s->step;
    if (s->by_rows) {
        part.m = ad_least(s->step, part.m - first);
        part.a.data += first * part.a.row * part.size;
        part.c += first * part.c_row * part.size;
    } else {
        part.n = ad_least(s->step, part.n - first);
        part.b.data += first * part.b.col * part.size;
        part.c += first * part.size;
        if (part.bias) part.bias += first * part.size;
    }
    const int status = ad_gemm_whole(&part);
    if (status) atomic_store(&s->status, status);
}

/* The tiles along a side of C of the strip that has most of them. */
static int64_t height(int64_t tiles, int64_t count) { return (tiles + count - 1) / count; }

/* Strips of as many tiles as can be; of columns rather where each would pack all of B. */
bool ad_gemm_strips(const ad_product *g, int *status) {
    const int threads = ad_threads_here();
    if (threads == 1) return false;
    const int64_t cost = ad_product_cost(g), rows = g->kernels->rows, width = tile_width(g);
    const int64_t count = ad_least(threads, cost / LEAST), deep = most(g->k / g->kernels->depth, 1);
    if (count < 2 || cost / deep >= SHARED) return false;
    const int64_t down = (g->m + rows - 1) / rows, across = (g->n + width - 1) / width;
    const int64_t high = height(down, count) * across, wide = height(across, count) * down;
    strips s = {.g = g, .by_rows = ad_gemm_packs_b(g) ? 4 * high < 3 * wide : high < wide};
    s.step = s.by_rows ? height(down, count) * rows : height(across, count) * width;
    const int64_t n = s.by_rows ? g->m : g->n;
    ad_parallel_for((n + s.step - 1) / s.step, cost, run_strip, &s);
    *status = atomic_load(&s.status);
    return true;
}
