/* simd/scalar.h: one lane, in plain C, for the baseline; and the description of the vocabulary.
 *
 * X is f (float) or d (double). Vectors: vX of VX_W lanes; masks: mX; lanes seen as unsigned integers of the
 * same width: vXi. The lanes are always those of VX_W consecutive elements, and no alignment is asked for.
 *
 *   load, store            VX_W elements
 *   stream                 store to an aligned address that is not read soon: past the caches, where
 *                          that can be; see ad_end_streams()
 *   load_n, store_n        0 <= n < VX_W elements; memory past them is not touched, lanes past them are 0
 *   vd_load_f32(p)         VD_W floats as doubles
 *   vf_widen(a, part)      lanes part*VD_W.. as doubles; vf_narrow(parts) rounds VF_W/VD_W such parts back
 *   gather(p, at)          p[at[lane]], or 0 where the int32_t at[lane] is negative
 *   vf_of_16(p, at)        p[lowest 4 bits of the integer at[lane]]
 *   set1, zero, add, sub, mul, div, sqrt, abs, neg
 *   fma(a, b, c)           a*b + c rounded once; unfused here on x86, which has no such instruction
 *   fma_exact(a, b, c)     the same, rounded once everywhere, for code that is wrong otherwise
 *   min, max               the second operand where the two are equal or either is nan
 *   minimum, maximum       nan where either operand is
 *   floor, ceil, trunc, round (half to even)
 *   lt, le, eq, ne         masks; with a nan operand only ne holds
 *   mX_and, mX_or, mX_not, mX_any
 *   mf_store4(p, m)        the lanes of four masks as bytes, 1 or 0
 *   select(m, a, b)        a where m holds, else b
 *   transpose(x)           of an array of VX_W vectors, in place
 *   vf_load_f16, vf_store_f16  of float16 in memory; where VF_F16 is defined and, when asked, true
 *   vfi_load_16, vfi_store_16  of 16 bits in memory; below 2^16. Only where VF_W > 1
 *   bits, of_bits          the same lanes as integers, and back
 *   vXi_set1, vXi_add, vXi_sub, vXi_and, vXi_or, vXi_xor, vXi_shl, vXi_shr (logical, by a constant)
 *   vXi_odd                a mask for select alone: the lanes whose lowest bit is set
 *
 * Every operation but fma gives the same bits in every file (of a nan, only that it is one). */
#ifndef AD_SIMD_H
#define AD_SIMD_H
#include <math.h>
#include <stdint.h>
#include <string.h>

#define AD_SIMD static inline __attribute__((always_inline))

#define VF_W 1
#define VD_W 1
typedef float vf;
typedef double vd;
typedef int mf, md;
typedef uint32_t vfi;
typedef uint64_t vdi;

/* ---- float ---- */
AD_SIMD vf vf_load(const float *p) { return *p; }
AD_SIMD void vf_store(float *p, vf a) { *p = a; }
AD_SIMD void vf_stream(float *p, vf a) { *p = a; }
AD_SIMD vf vf_set1(float a) { return a; }
AD_SIMD vf vf_gather(const float *p, const int32_t *at) { return *at < 0 ? 0 : p[*at]; }
AD_SIMD vf vf_zero(void) { return 0; }
AD_SIMD vf vf_load_n(const float *p, int64_t n) { return n > 0 ? *p : 0; }
AD_SIMD void vf_store_n(float *p, vf a, int64_t n) {
    if (n > 0) *p = a;
}
AD_SIMD vf vf_add(vf a, vf b) { return a + b; }
AD_SIMD vf vf_sub(vf a, vf b) { return a - b; }
AD_SIMD vf vf_mul(vf a, vf b) { return a * b; }
AD_SIMD vf vf_div(vf a, vf b) { return a / b; }
#ifdef __FP_FAST_FMAF
AD_SIMD vf vf_fma(vf a, vf b, vf c) { return __builtin_fmaf(a, b, c); }
#else
AD_SIMD vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
#endif
AD_SIMD vf vf_fma_exact(vf a, vf b, vf c) { return fmaf(a, b, c); }
AD_SIMD vf vf_sqrt(vf a) { return sqrtf(a); }
AD_SIMD vf vf_abs(vf a) { return fabsf(a); }
AD_SIMD vf vf_neg(vf a) { return -a; }
AD_SIMD vf vf_min(vf a, vf b) { return a < b ? a : b; }
AD_SIMD vf vf_max(vf a, vf b) { return a > b ? a : b; }
AD_SIMD void vf_transpose(vf *x) { (void)x; }
AD_SIMD vf vf_lanes_from(vf a, int n) {
    (void)n;
    return a;
}
AD_SIMD void vf_columns(const float *p, int64_t row, vf *x) {
    (void)row;
    memcpy(x, p, 16);
}
AD_SIMD vf vf_minimum(vf a, vf b) { return a != a || a < b ? a : b; }
AD_SIMD vf vf_maximum(vf a, vf b) { return a != a || a > b ? a : b; }
AD_SIMD vf vf_floor(vf a) { return floorf(a); }
AD_SIMD vf vf_ceil(vf a) { return ceilf(a); }
AD_SIMD vf vf_trunc(vf a) { return truncf(a); }
AD_SIMD vf vf_round(vf a) { return rintf(a); }
AD_SIMD mf vf_lt(vf a, vf b) { return a < b; }
AD_SIMD mf vf_le(vf a, vf b) { return a <= b; }
AD_SIMD mf vf_eq(vf a, vf b) { return a == b; }
AD_SIMD mf vf_ne(vf a, vf b) { return a != b; }
AD_SIMD mf mf_and(mf a, mf b) { return a & b; }
AD_SIMD mf mf_or(mf a, mf b) { return a | b; }
AD_SIMD mf mf_not(mf a) { return !a; }
AD_SIMD int mf_any(mf a) { return a; }
AD_SIMD void mf_store4(uint8_t *p, const mf *m) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)m[i];
}
AD_SIMD vf vf_select(mf m, vf a, vf b) { return m ? a : b; }
AD_SIMD vfi vf_bits(vf a) {
    vfi bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}
AD_SIMD vf vf_of_bits(vfi bits) {
    vf a;
    memcpy(&a, &bits, sizeof a);
    return a;
}
AD_SIMD vfi vfi_set1(uint32_t a) { return a; }
AD_SIMD vfi vfi_add(vfi a, vfi b) { return a + b; }
AD_SIMD vfi vfi_sub(vfi a, vfi b) { return a - b; }
AD_SIMD vfi vfi_and(vfi a, vfi b) { return a & b; }
AD_SIMD vfi vfi_or(vfi a, vfi b) { return a | b; }
AD_SIMD vfi vfi_xor(vfi a, vfi b) { return a ^ b; }
AD_SIMD vfi vfi_shl(vfi a, int n) { return a << n; }
AD_SIMD mf vfi_odd(vfi a) { return a & 1; }
AD_SIMD vf vf_of_16(const float *p, vfi at) { return p[at & 15]; }
AD_SIMD vfi vfi_shr(vfi a, int n) { return a >> n; }

/* ---- double ---- */
AD_SIMD vd vd_load(const double *p) { return *p; }
AD_SIMD void vd_store(double *p, vd a) { *p = a; }
AD_SIMD void vd_stream(double *p, vd a) { *p = a; }
AD_SIMD vd vd_set1(double a) { return a; }
AD_SIMD vd vd_gather(const double *p, const int32_t *at) { return *at < 0 ? 0 : p[*at]; }
AD_SIMD vd vd_zero(void) { return 0; }
AD_SIMD vd vd_load_n(const double *p, int64_t n) { return n > 0 ? *p : 0; }
AD_SIMD void vd_store_n(double *p, vd a, int64_t n) {
    if (n > 0) *p = a;
}
AD_SIMD vd vd_load_f32(const float *p) { return *p; }
AD_SIMD vd vf_widen(vf a, int part) { return part ? 0 : a; }
AD_SIMD vf vf_narrow(const vd *parts) { return (float)parts[0]; }
AD_SIMD vd vd_add(vd a, vd b) { return a + b; }
AD_SIMD vd vd_sub(vd a, vd b) { return a - b; }
AD_SIMD vd vd_mul(vd a, vd b) { return a * b; }
AD_SIMD vd vd_div(vd a, vd b) { return a / b; }
#ifdef __FP_FAST_FMA
AD_SIMD vd vd_fma(vd a, vd b, vd c) { return __builtin_fma(a, b, c); }
#else
AD_SIMD vd vd_fma(vd a, vd b, vd c) { return a * b + c; }
#endif
AD_SIMD vd vd_fma_exact(vd a, vd b, vd c) { return fma(a, b, c); }
AD_SIMD vd vd_sqrt(vd a) { return sqrt(a); }
AD_SIMD vd vd_abs(vd a) { return fabs(a); }
AD_SIMD vd vd_neg(vd a) { return -a; }
AD_SIMD vd vd_min(vd a, vd b) { return a < b ? a : b; }
AD_SIMD vd vd_max(vd a, vd b) { return a > b ? a : b; }
AD_SIMD void vd_transpose(vd *x) { (void)x; }
AD_SIMD vd vd_lanes_from(vd a, int n) {
    (void)n;
    return a;
}
AD_SIMD void vd_columns(const double *p, int64_t row, vd *x) {
    (void)row;
    memcpy(x, p, 16);
}
AD_SIMD vd vd_minimum(vd a, vd b) { return a != a || a < b ? a : b; }
AD_SIMD vd vd_maximum(vd a, vd b) { return a != a || a > b ? a : b; }
AD_SIMD vd vd_floor(vd a) { return floor(a); }
AD_SIMD vd vd_ceil(vd a) { return ceil(a); }
AD_SIMD vd vd_trunc(vd a) { return trunc(a); }
AD_SIMD vd vd_round(vd a) { return rint(a); }
AD_SIMD md vd_lt(vd a, vd b) { return a < b; }
AD_SIMD md vd_le(vd a, vd b) { return a <= b; }
AD_SIMD md vd_eq(vd a, vd b) { return a == b; }
AD_SIMD md vd_ne(vd a, vd b) { return a != b; }
AD_SIMD md md_and(md a, md b) { return a & b; }
AD_SIMD md md_or(md a, md b) { return a | b; }
AD_SIMD md md_not(md a) { return !a; }
AD_SIMD int md_any(md a) { return a; }
AD_SIMD vd vd_select(md m, vd a, vd b) { return m ? a : b; }
AD_SIMD vdi vd_bits(vd a) {
    vdi bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}
AD_SIMD vd vd_of_bits(vdi bits) {
    vd a;
    memcpy(&a, &bits, sizeof a);
    return a;
}
AD_SIMD vdi vdi_set1(uint64_t a) { return a; }
AD_SIMD vdi vdi_add(vdi a, vdi b) { return a + b; }
AD_SIMD vdi vdi_sub(vdi a, vdi b) { return a - b; }
AD_SIMD vdi vdi_and(vdi a, vdi b) { return a & b; }
AD_SIMD vdi vdi_or(vdi a, vdi b) { return a | b; }
AD_SIMD vdi vdi_xor(vdi a, vdi b) { return a ^ b; }
AD_SIMD vdi vdi_shl(vdi a, int n) { return a << n; }
AD_SIMD md vdi_odd(vdi a) { return a & 1; }
AD_SIMD vdi vdi_shr(vdi a, int n) { return a >> n; }

#endif
