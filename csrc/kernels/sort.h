/* kernels/sort.h: keys compared by many at a time, for one variant. */
#include "../sort.h"

/* 32 bytes at a time, where a comparison gives a vector. */
#define K int32_t
#define W (VF_W < 8 ? VF_W : 8)
#define NAME(name) sort_##name##_32
#include "sort_type.h"

#define K int64_t
#define W (VD_W < 4 ? VD_W : 4)
#define NAME(name) sort_##name##_64
#include "sort_type.h"

static const ad_sort_kernels sort_kernels = {{sort_ranks_32, sort_ranks_64},
                                             {sort_up_to_32, sort_up_to_64},
                                             {sort_extremes_32, sort_extremes_64},
                                             {sort_within_32, sort_within_64}};
