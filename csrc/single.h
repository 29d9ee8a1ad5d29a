/* single.h: a loop that a kernel runs from memory to memory (single.c, narrow.c). */
#ifndef AD_SINGLE_H
#define AD_SINGLE_H
#include "loop.h"

extern const int64_t ad_still[AD_MAX_DIMS]; /* the strides of a number */

typedef struct {
    const char *data;
    const int64_t *strides; /* along the loop's dimensions */
    int64_t size;
} ad_source;

typedef struct ad_single {
    const ad_loop *loop;
    const struct ad_single *next; /* of what this one made, and a number or in[2] */
    ad_source in[3];
    uint64_t numbers[3]; /* those that had to be converted */
    ad_runner run;
    ad_store_fn *convert;           /* instead of it, or NULL */
    int64_t block;                  /* elements that are staged at once */
    bool stream, truths;            /* truths: logic of bools, byte by byte */
    bool past;                      /* whether the kernel itself stores past the caches (ad_past) */
    bool filled;                    /* a number fills a block, as kernels of narrow integers read it */
    int64_t part;                   /* elements of a row that a task takes */
    int64_t rows, pieces, rows_per; /* a task: so many rows, or one of so many pieces of one */
} ad_single;

static inline ad_single ad_single_of(const ad_loop *l) {
    return (ad_single){.loop = l, .block = AD_BLOCK, .rows = 1, .pieces = 1, .rows_per = 1};
}

void ad_run_runs(ad_single *s, bool stream);
/* The same of a program on narrow integers that has kernels for them; else returns false. */
bool ad_run_narrow(const ad_loop *l, bool stream);

#endif
