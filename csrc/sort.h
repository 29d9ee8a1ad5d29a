/* sort.h: what sorting asks of a variant; kernels/sort.h fills it. */
#ifndef AD_SORT_H
#define AD_SORT_H
#include "internal.h"

#define AD_SORT_LANES 16 /* parts of a row whose extremes are told apart */
#define AD_SORT_PAST 32  /* elements behind a row that may be read, and what is made of them written */

/* Of signed keys of 4 and of 8 bytes. */
struct ad_sort_kernels {
    /* how many keys of its row are less than each, of the keys' type */
    void (*ranks[2])(int64_t rows, int64_t n, const void *keys, void *ranks);
    /* how many are no more than the one that is given */
    int64_t (*up_to[2])(int64_t n, const void *keys, const void *key);
    /* of parts of at most n / AD_SORT_LANES + 1 elements, which make all of n >= AD_SORT_LANES */
    void (*extremes[2])(int64_t n, const void *keys, void *least, void *most);
    /* where keys from range[0] to range[1] are, in order, of the keys' type; returns how many */
    int64_t (*within[2])(int64_t n, const void *keys, const void *range, void *at);
};

#endif
