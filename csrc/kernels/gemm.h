/* kernels/gemm.h: the matrix product's kernels, for one variant. */
#include "../gemm.h"

/* 6 x 2 accumulators fill 16 registers, 12 x 2 fill 32; without vectors, 4 x 2 keep the adders busy. */
#if VF_W == 1
#define TILE_ROWS 4
#elif VF_W == 8
#define TILE_ROWS 6
#else
#define TILE_ROWS 12
#endif

#if VF_W == 16
#define T float
#define W (VF_W / 2)
#define V(name) hf##name
#define NAME(name) name##_half_f32
#include "gemm_half.h"

#define T double
#define W (VD_W / 2)
#define V(name) hd##name
#define NAME(name) name##_half_f64
#include "gemm_half.h"
#endif

#define T float
#define W VF_W
#define V(name) vf##name
#define NAME(name) name##_f32
#define FMA __builtin_fmaf
#include "gemm_type.h"

#define T double
#define W VD_W
#define V(name) vd##name
#define NAME(name) name##_f64
#define FMA __builtin_fma
#include "gemm_type.h"

static const ad_gemm_kernels gemm_kernels = {{&gemm_f32, &gemm_f64}};

#undef TILE_ROWS
