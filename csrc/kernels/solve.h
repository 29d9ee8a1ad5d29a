/* kernels/solve.h: the kernels under triangular solves and factorizations, for one variant. */
#include "../solve.h"

#define T float
#define W VF_W
#define V(name) vf##name
#define M(name) mf##name
#define TURNED transpose_float
#define NAME(name) name##_f32
#define ABS fabsf
#define ROOT sqrtf
#define EXPONENT 128 /* from which powers of 2 are too large */
#include "solve_type.h"

#define T double
#define W VD_W
#define V(name) vd##name
#define M(name) md##name
#define TURNED transpose_double
#define NAME(name) name##_f64
#define ABS fabs
#define ROOT sqrt
#define EXPONENT 1024
#include "solve_type.h"

static const ad_solve_kernels solve_kernels = {{&solve_f32, &solve_f64}};
