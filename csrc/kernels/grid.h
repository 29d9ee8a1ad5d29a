/* kernels/grid.h: images read at any places, and the adjoints, for one variant. */
#include "../grid.h"

/* gcc's -O2 leaves loops as they are whose counts it cannot know to be multiples of a vector's. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("vect-cost-model=dynamic", "no-trapping-math")
#endif

enum { DIMS = AD_GRID_DIMS, LINE = AD_GRID_LINE, MOST = LINE * LINE, BLOCK = AD_GRID_BLOCK, WIDEST = 16 };

#define T float
#define W VF_W
#define V(name) vf##name
#define TYPE AD_f32
#define EXACT (1 << 24) /* the integers up to it are floats */
#define NAME(name) grid_##name##_f32
#define FN(name) name##f
#include "grid_type.h"

#define T double
#define W VD_W
#define V(name) vd##name
#define TYPE AD_f64
#define EXACT INT32_MAX
#define NAME(name) grid_##name##_f64
#define FN(name) name
#include "grid_type.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

static const ad_grid_kernels grid_kernels = {{grid_run_f32, grid_run_f64}};
