/* walk.h: visiting elements of one tensor by nested loops. */
#ifndef AD_WALK_H
#define AD_WALK_H
#include "internal.h"

typedef struct {
    int ndim; /* the last loop is the innermost; until the first is added, none */
    int64_t shape[AD_MAX_DIMS], strides[AD_MAX_DIMS];
} ad_walk;

/* Adds a loop inside the others, or makes the innermost longer where one stride runs through both. */
static inline void ad_walk_add(ad_walk *w, int64_t size, int64_t stride) {
    int last = w->ndim - 1;
    if (size == 1) return;
    if (last >= 0 && w->strides[last] == stride * size) {
        w->shape[last] *= size;
    } else {
        last = w->ndim++;
        w->shape[last] = size;
    }
    w->strides[last] = stride;
}

/* A walk is never without a loop: one of a single step stands for none. */
static inline void ad_walk_finish(ad_walk *w) {
    if (w->ndim) return;
    w->ndim = 1;
    w->shape[0] = 1;
    w->strides[0] = 0;
}

/* Where step i is, in elements. */
static inline int64_t ad_walk_offset(const ad_walk *w, int64_t i) {
    int64_t offset = 0;
    int d = w->ndim - 1;
    for (; d > 0; i /= w->shape[d--]) offset += i % w->shape[d] * w->strides[d];
    return offset + i * w->strides[0];
}

#endif
