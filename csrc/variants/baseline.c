/* The kernels for any CPU of the architecture the compiler targets. */
#include <math.h>
#include "../internal.h"

#if defined(__x86_64__) && !defined(__clang__) /* hardly a CPU runs them there: small rather than fast */
#pragma GCC optimize("Os")
#undef AD_UNROLL
#define AD_UNROLL
#endif

#include "../simd/scalar.h"
#include "../kernels/all.h"

static int available(void) { return 1; }

const ad_variant ad_variant_baseline = {.name = "baseline", .available = available, AD_KERNELS};
