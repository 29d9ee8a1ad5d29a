/* The kernels for AArch64, where every CPU has NEON and FMA. */
#if defined(__aarch64__)
#include <math.h>
#include "../internal.h"

#include "../simd/neon.h"
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

const ad_variant ad_variant_neon = {
    .name = "neon",
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
#endif
