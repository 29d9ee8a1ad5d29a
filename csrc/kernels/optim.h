/* kernels/optim.h: the optimisers' kernels, for one variant. */

#define T float
#define W VF_W
#define V(name) vf##name
#define NAME(name) name##_f32
#include "optim_type.h"

#define T double
#define W VD_W
#define V(name) vd##name
#define NAME(name) name##_f64
#include "optim_type.h"

#define AD_OPTIMIZER(name, states, scalars, hypers) {name##_f32, name##_f64},
static const ad_optim_kernels optim_kernels = {.update = {
#include "../optimizers.def"
                                               }};
#undef AD_OPTIMIZER
