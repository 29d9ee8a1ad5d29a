/* kernels/reduce.h: the kernels under every reduction; fold.c says in what order they add. */

#define T float
#define PLACE int32_t
#define V vf
#define VEC_W VF_W
#define VEC(x) vf_##x
#define VEC_MASK mf
#define MASK(x) mf_##x
#define VEC_BITS(x) vfi_##x
#define NAME(x) x##_f32
#define LOWEST -INFINITY
#define HIGHEST INFINITY
#define IS_NAN(a) ((a) != (a))
#include "reduce_type.h"

#define T double
#define PLACE int64_t
#define V vd
#define VEC_W VD_W
#define VEC(x) vd_##x
#define VEC_MASK md
#define MASK(x) md_##x
#define VEC_BITS(x) vdi_##x
#define NAME(x) x##_f64
#define LOWEST -INFINITY
#define HIGHEST INFINITY
#define IS_NAN(a) ((a) != (a))
#include "reduce_type.h"

/* Integers need no lanes of their own: their folds are exact in any order. */
#define EXACT
#define T int64_t
#define PLACE int64_t
#define NAME(x) x##_i64
#define LOWEST INT64_MIN
#define HIGHEST INT64_MAX
#include "reduce_type.h"

#define EXTREMES_ALONE
#define EXACT
#define T uint8_t
#define NAME(x) x##_u8
#define LOWEST 0
#define HIGHEST UINT8_MAX
#include "reduce_type.h"

#define EXACT
#define T int8_t
#define NAME(x) x##_i8
#define LOWEST INT8_MIN
#define HIGHEST INT8_MAX
#include "reduce_type.h"

#define EXACT
#define T int16_t
#define NAME(x) x##_i16
#define LOWEST INT16_MIN
#define HIGHEST INT16_MAX
#include "reduce_type.h"

#define EXACT
#define T int32_t
#define NAME(x) x##_i32
#define LOWEST INT32_MIN
#define HIGHEST INT32_MAX
#include "reduce_type.h"

#define AD_FOLD_ROW(name, type, columns)                                                                     \
    {rows_##name##_##type,      columns, lane_##name##_##type, few_##name##_##type, combine_##name##_##type, \
     neighbours_##name##_##type}
#define OF_ALL(name)                                                                                         \
    AD_FOLD_ROW(name, f32, columns_##name##_f32), AD_FOLD_ROW(name, f64, columns_##name##_f64),              \
        AD_FOLD_ROW(name, i64, NULL)
#define OF_NARROW(name)                                                                                      \
    AD_FOLD_ROW(name, u8, NULL), AD_FOLD_ROW(name, i8, NULL), AD_FOLD_ROW(name, i16, NULL),                  \
        AD_FOLD_ROW(name, i32, NULL)
static const ad_reduce_kernels reduce_kernels = {{[AD_FOLD_sum] = {OF_ALL(sum)},
                                                  [AD_FOLD_prod] = {OF_ALL(prod)},
                                                  [AD_FOLD_max] = {OF_ALL(max), OF_NARROW(max)},
                                                  [AD_FOLD_min] = {OF_ALL(min), OF_NARROW(min)}},
                                                 {find_f32, find_f64, find_i64},
                                                 {places_f32, places_f64, places_i64}};
#undef OF_ALL
#undef OF_NARROW
#undef AD_FOLD_ROW
