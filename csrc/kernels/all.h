/* kernels/all.h: all kernels, on the vocabulary of simd/ that a variant includes before, and their tables. */
#include "../simd/vmath.h"
#include "pointwise.h"
#include "reduce.h"
#include "rows.h"
#include "gemm.h"
#include "solve.h"
#include "sort.h"
#include "spectral.h"
#include "optim.h"
#include "grid.h"
#include "channels.h"

#define AD_KERNELS                                                                                           \
    .pw = &pw_kernels, .reduce = &reduce_kernels, .rows = &row_kernels, .gemm = &gemm_kernels,               \
    .solve = &solve_kernels, .sort = &sort_kernels, .spectral = &spectral_kernels, .optim = &optim_kernels,  \
    .grid = &grid_kernels, .channels = &channel_kernels
