/* simd/vmath.h: elementary functions, written once on the simd names. */
#ifndef AD_VMATH_H
#define AD_VMATH_H

#endif
