/* The kernels for x86-64 with AVX2 and FMA. */
#if defined(__x86_64__)
#include <math.h>
#include "../internal.h"
#include <immintrin.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#include "../simd/avx2.h"
#include "../kernels/all.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

static int available(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

const ad_variant ad_variant_avx2 = {.name = "avx2", .available = available, AD_KERNELS};
#endif
