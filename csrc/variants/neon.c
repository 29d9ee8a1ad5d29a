/* The kernels for AArch64, where every CPU has NEON and FMA. */
#if defined(__aarch64__)
#include <math.h>
#include "../internal.h"

#include "../simd/neon.h"
#include "../kernels/all.h"

static int available(void) { return 1; }

const ad_variant ad_variant_neon = {.name = "neon", .available = available, AD_KERNELS};
#endif
