/* kernels/reduce.h: the kernels under every reduction; fold.c says in what order they add. */

/* 64-bit integers need no lanes of their own: their folds are exact in any order. */
typedef int64_t vl;
AD_SIMD vl vl_load(const int64_t *p) { return *p; }
AD_SIMD void vl_store(int64_t *p, vl a) { *p = a; }
AD_SIMD vl vl_set1(int64_t a) { return a; }
AD_SIMD vl vl_add(vl a, vl b) { return a + b; }
AD_SIMD vl vl_mul(vl a, vl b) { return a * b; }
AD_SIMD vl vl_minimum(vl a, vl b) { return a < b ? a : b; }
AD_SIMD vl vl_maximum(vl a, vl b) { return a > b ? a : b; }

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

#define T int64_t
#define PLACE int64_t
#define V vl
#define VEC_W 1
#define VEC(x) vl_##x
#define NAME(x) x##_i64
#define LOWEST INT64_MIN
#define HIGHEST INT64_MAX
#define IS_NAN(a) false
#define EXACT
#include "reduce_type.h"

#define AD_FOLD_ROW(name, type)                                                                              \
    {rows_##name##_##type, columns_##name##_##type, lane_##name##_##type,                                    \
     few_##name##_##type,  combine_##name##_##type, neighbours_##name##_##type}
#define AD_FOLD(name)                                                                                        \
    [AD_FOLD_##name] = {AD_FOLD_ROW(name, f32), AD_FOLD_ROW(name, f64), AD_FOLD_ROW(name, i64)},
static const ad_reduce_kernels reduce_kernels = {
    {AD_FOLDS}, {find_f32, find_f64, find_i64}, {places_f32, places_f64, places_i64}};
#undef AD_FOLD
#undef AD_FOLD_ROW
