/* The kernels for x86-64 with AVX-512 F, DQ, BW and VL. */
#if defined(__x86_64__) && !defined(AD_WITHOUT_AVX512)
#include <math.h>
#include "../internal.h"
#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl"))),         \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl")
#endif

#include "../simd/avx512.h"
#include "../kernels/all.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

static int available(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

const ad_variant ad_variant_avx512 = {.name = "avx512", .available = available, AD_KERNELS};
#endif
