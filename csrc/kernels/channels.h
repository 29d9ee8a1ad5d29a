/* kernels/channels.h: windows over images whose channels lie side by side, for one variant. */
#include "../channels.h"

#define T float
#define BITS uint32_t
#define W VF_W
#define V(name) vf##name
#define M(name) mf##name
#define NAME(name) channels_##name##_f32
#include "channels_type.h"

#define T double
#define BITS uint64_t
#define W VD_W
#define V(name) vd##name
#define M(name) md##name
#define NAME(name) channels_##name##_f64
#include "channels_type.h"

static const ad_channel_kernels channel_kernels = {{channels_sum_f32, channels_sum_f64},
                                                   {channels_greatest_f32, channels_greatest_f64},
                                                   {channels_spread_f32, channels_spread_f64}};
