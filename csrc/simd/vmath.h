/* simd/vmath.h: elementary functions, written once on the simd names, so every variant with FMA gives the
 * same bits. docs/accuracy.md tells the largest errors; benchmarks/accuracy.py measures them.
 *
 * Each polynomial is a minimax fit, rounded to the type; beside it: what it approximates, where, and its
 * largest error relative to the function it serves. */
#ifndef AD_VMATH_H
#define AD_VMATH_H

#define AD_LENGTH(a) ((int)(sizeof(a) / sizeof *(a)))

/* c[0] + c[1] x + ..., the even and the odd powers apart: half the latency of one chain. n >= 3. */
AD_SIMD vf vf_poly(vf x, const float *c, int n) {
    vf x2 = vf_mul(x, x), p = vf_set1(c[n - 1]), q = vf_set1(c[n - 2]);
    AD_UNROLL for (int i = n - 3; i >= 0; i -= 2) p = vf_fma(p, x2, vf_set1(c[i]));
    AD_UNROLL for (int i = n - 4; i >= 0; i -= 2) q = vf_fma(q, x2, vf_set1(c[i]));
    return n & 1 ? vf_fma(q, x, p) : vf_fma(p, x, q);
}
AD_SIMD vd vd_poly(vd x, const double *c, int n) {
    vd x2 = vd_mul(x, x), p = vd_set1(c[n - 1]), q = vd_set1(c[n - 2]);
    AD_UNROLL for (int i = n - 3; i >= 0; i -= 2) p = vd_fma(p, x2, vd_set1(c[i]));
    AD_UNROLL for (int i = n - 4; i >= 0; i -= 2) q = vd_fma(q, x2, vd_set1(c[i]));
    return n & 1 ? vd_fma(q, x, p) : vd_fma(p, x, q);
}

AD_SIMD vf vf_signbit(vf x) { return vf_of_bits(vfi_and(vf_bits(x), vfi_set1(1u << 31))); }
AD_SIMD vd vd_signbit(vd x) { return vd_of_bits(vdi_and(vd_bits(x), vdi_set1(1ull << 63))); }
AD_SIMD vf vf_neg_abs(vf x) { return vf_of_bits(vfi_or(vf_bits(x), vfi_set1(1u << 31))); }
AD_SIMD vd vd_neg_abs(vd x) { return vd_of_bits(vdi_or(vd_bits(x), vdi_set1(1ull << 63))); }
/* x, its sign that of `sign`, or turned where `sign` is negative */
#ifndef AD_SIGNS
AD_SIMD vf vf_flip(vf x, vf sign) { return vf_of_bits(vfi_xor(vf_bits(x), vf_bits(vf_signbit(sign)))); }
AD_SIMD vd vd_flip(vd x, vd sign) { return vd_of_bits(vdi_xor(vd_bits(x), vd_bits(vd_signbit(sign)))); }
AD_SIMD vf vf_copysign(vf x, vf sign) { return vf_flip(vf_abs(x), sign); }
AD_SIMD vd vd_copysign(vd x, vd sign) { return vd_flip(vd_abs(x), sign); }
#endif

/* The bits one further from 0, or one nearer, are the next number. */
#define NEXTAFTER(v, m)                                                                                      \
    AD_SIMD v v##_nextafter(v x, v y) {                                                                      \
        const m up = v##_lt(x, y), above = v##_lt(v##_zero(), x);                                            \
        const m away = m##_or(m##_and(up, above), m##_not(m##_or(up, above)));                               \
        const v one = v##_of_bits(v##i_set1(1)), back = v##_of_bits(v##i_sub(v##i_set1(0), v##i_set1(1)));   \
        const v next = v##_of_bits(v##i_add(v##_bits(x), v##_bits(v##_select(away, one, back))));            \
        const v moved = v##_select(v##_eq(x, v##_zero()), v##_copysign(one, y), next);                       \
        const m ordered = m##_or(v##_lt(x, y), v##_lt(y, x));                                                \
        return v##_select(ordered, moved, v##_select(v##_eq(x, y), y, v##_add(x, y)));                       \
    }
NEXTAFTER(vf, mf)
NEXTAFTER(vd, md)

/* Adding this to a small number rounds it to an integer, found in the low bits of the sum. */
#define VF_INTEGER 0x1.8p23f
#define VD_INTEGER 0x1.8p52
#define VF_EVEN 0x1.8p24f      /* the same: to an even one, half of it in the low bits */
#define VF_SIXTEENTH 0x1.8p19f /* to a sixteenth, 16 times it in the low bits */

/* Whether |x| of a number is at least so much. Of nan nothing is told. */
#define REACH(v, m)                                                                                          \
    AD_SIMD int v##_reach(const v *x, const int n, const double limit) {                                     \
        v largest = n > 1 ? v##_zero() : v##_abs(*x);                                                        \
        AD_UNROLL for (int k = n == 1; k < n; k++) largest = v##_max(v##_abs(x[k]), largest);                \
        return m##_any(v##_le(v##_set1(limit), largest));                                                    \
    }
REACH(vf, mf)
REACH(vd, md)

#include "exp.h"
#include "log.h"
#include "trig.h"
#include "erf.h"
#include "pow.h"

#endif
