/* The kernels for any CPU of the architecture the compiler targets. */
#include <math.h>
#include "../internal.h"

#if defined(__x86_64__) && !defined(__clang__) /* hardly a CPU runs them there: small rather than fast */
#pragma GCC optimize("Os")
#undef AD_UNROLL
#define AD_UNROLL
#endif

#include "../simd/scalar.h"
#include "../simd/vmath.h"
#include "../kernels/pointwise.h"
#include "../kernels/reduce.h"
#include "../kernels/rows.h"
#include "../kernels/gemm.h"
#include "../kernels/solve.h"
#include "../kernels/spectral.h"
#include "../kernels/optim.h"
#include "../kernels/grid.h"

static int available(void) { return 1; }

const ad_variant ad_variant_baseline = {
    .name = "baseline",
    .available = available,
    .pw = &pw_kernels,
    .reduce = &reduce_kernels,
    .rows = &row_kernels,
    .gemm = &gemm_kernels,
    .solve = &solve_kernels,
    .spectral = &spectral_kernels,
    .optim = &optim_kernels,
    .grid = &grid_kernels,
};
