/* simd/neon.h: 4 floats or 2 doubles in AArch64 registers.
 * The vocabulary is described in simd/scalar.h; the names are the same in every file. */
#ifndef AD_SIMD_H
#define AD_SIMD_H
#include <stdint.h>
#include <arm_neon.h>

#define AD_SIMD static inline __attribute__((always_inline))

#define VF_W 4
#define VD_W 2
typedef float32x4_t vf;
typedef float64x2_t vd;
typedef uint32x4_t mf, vfi;
typedef uint64x2_t md, vdi;

/* ---- float ---- */
AD_SIMD vf vf_load(const float *p) { return vld1q_f32(p); }
AD_SIMD void vf_store(float *p, vf a) { vst1q_f32(p, a); }
AD_SIMD void vf_stream(float *p, vf a) { vst1q_f32(p, a); }
AD_SIMD vf vf_set1(float a) { return vdupq_n_f32(a); }
AD_SIMD vf vf_gather(const float *p, const int32_t *at) {
    float a[VF_W];
    for (int i = 0; i < VF_W; i++) a[i] = at[i] < 0 ? 0 : p[at[i]];
    return vf_load(a);
}
AD_SIMD vf vf_zero(void) { return vdupq_n_f32(0); }
AD_SIMD vf vf_load_n(const float *p, int64_t n) {
    vf a = vf_zero();
    if (n > 0) a = vld1q_lane_f32(p, a, 0);
    if (n > 1) a = vld1q_lane_f32(p + 1, a, 1);
    if (n > 2) a = vld1q_lane_f32(p + 2, a, 2);
    return a;
}
AD_SIMD void vf_store_n(float *p, vf a, int64_t n) {
    if (n > 0) vst1q_lane_f32(p, a, 0);
    if (n > 1) vst1q_lane_f32(p + 1, a, 1);
    if (n > 2) vst1q_lane_f32(p + 2, a, 2);
}
AD_SIMD vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
AD_SIMD vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
AD_SIMD vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
AD_SIMD vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
AD_SIMD vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
AD_SIMD vf vf_fma_exact(vf a, vf b, vf c) { return vf_fma(a, b, c); }
AD_SIMD vf vf_sqrt(vf a) { return vsqrtq_f32(a); }
AD_SIMD vf vf_abs(vf a) { return vabsq_f32(a); }
AD_SIMD vf vf_neg(vf a) { return vnegq_f32(a); }
AD_SIMD vf vf_floor(vf a) { return vrndmq_f32(a); }
AD_SIMD vf vf_ceil(vf a) { return vrndpq_f32(a); }
AD_SIMD vf vf_trunc(vf a) { return vrndq_f32(a); }
AD_SIMD vf vf_round(vf a) { return vrndnq_f32(a); }
AD_SIMD mf vf_lt(vf a, vf b) { return vcltq_f32(a, b); }
AD_SIMD mf vf_le(vf a, vf b) { return vcleq_f32(a, b); }
AD_SIMD mf vf_eq(vf a, vf b) { return vceqq_f32(a, b); }
AD_SIMD mf vf_ne(vf a, vf b) { return vmvnq_u32(vceqq_f32(a, b)); }
AD_SIMD mf mf_and(mf a, mf b) { return vandq_u32(a, b); }
AD_SIMD mf mf_or(mf a, mf b) { return vorrq_u32(a, b); }
AD_SIMD mf mf_not(mf a) { return vmvnq_u32(a); }
AD_SIMD int mf_any(mf a) { return vmaxvq_u32(a) != 0; }
AD_SIMD void mf_store4(uint8_t *p, const mf *m) {
    const uint16x8_t a = vmovn_high_u32(vmovn_u32(m[0]), m[1]), b = vmovn_high_u32(vmovn_u32(m[2]), m[3]);
    vst1q_u8(p, vandq_u8(vmovn_high_u16(vmovn_u16(a), b), vdupq_n_u8(1)));
}
AD_SIMD vf vf_select(mf m, vf a, vf b) { return vbslq_f32(m, a, b); }
AD_SIMD vf vf_min(vf a, vf b) { return vf_select(vf_lt(a, b), a, b); }
AD_SIMD vf vf_max(vf a, vf b) { return vf_select(vf_lt(b, a), a, b); }
AD_SIMD void vf_transpose(vf *x) {
    const vf a = vzip1q_f32(x[0], x[2]), b = vzip2q_f32(x[0], x[2]);
    const vf c = vzip1q_f32(x[1], x[3]), d = vzip2q_f32(x[1], x[3]);
    x[0] = vzip1q_f32(a, c), x[1] = vzip2q_f32(a, c);
    x[2] = vzip1q_f32(b, d), x[3] = vzip2q_f32(b, d);
}
AD_SIMD vf vf_lanes_from(vf a, int n) { return n == 2 ? vextq_f32(a, a, 2) : vextq_f32(a, a, 1); }
AD_SIMD void vf_columns(const float *p, int64_t row, vf *x) {
    AD_UNROLL for (int i = 0; i < 4; i++) x[i] = vf_load(p + i * row);
    vf_transpose(x);
}
AD_SIMD vf vf_minimum(vf a, vf b) { return vf_select(vf_ne(a, a), a, vf_min(a, b)); }
AD_SIMD vf vf_maximum(vf a, vf b) { return vf_select(vf_ne(a, a), a, vf_max(a, b)); }
AD_SIMD vfi vf_bits(vf a) { return vreinterpretq_u32_f32(a); }
AD_SIMD vf vf_of_bits(vfi a) { return vreinterpretq_f32_u32(a); }
AD_SIMD vfi vfi_set1(uint32_t a) { return vdupq_n_u32(a); }
AD_SIMD vfi vfi_add(vfi a, vfi b) { return vaddq_u32(a, b); }
AD_SIMD vfi vfi_sub(vfi a, vfi b) { return vsubq_u32(a, b); }
AD_SIMD vfi vfi_and(vfi a, vfi b) { return vandq_u32(a, b); }
AD_SIMD vfi vfi_or(vfi a, vfi b) { return vorrq_u32(a, b); }
AD_SIMD vfi vfi_xor(vfi a, vfi b) { return veorq_u32(a, b); }
AD_SIMD vfi vfi_shl(vfi a, int n) { return vshlq_u32(a, vdupq_n_s32(n)); }
AD_SIMD vfi vfi_shr(vfi a, int n) { return vshlq_u32(a, vdupq_n_s32(-n)); }
AD_SIMD mf vfi_odd(vfi a) { return vtstq_u32(a, vfi_set1(1)); }
AD_SIMD vf vf_of_16(const float *p, vfi at) { /* by bytes */
    const uint8x16x4_t table = vld1q_u8_x4((const uint8_t *)p);
    const vfi bytes = vmlaq_n_u32(vfi_set1(0x03020100), vfi_and(at, vfi_set1(15)), 0x04040404);
    return vreinterpretq_f32_u8(vqtbl4q_u8(table, vreinterpretq_u8_u32(bytes)));
}

AD_SIMD vfi vfi_load_16(const uint16_t *p) { return vmovl_u16(vld1_u16(p)); }
AD_SIMD void vfi_store_16(uint16_t *p, vfi a) { vst1_u16(p, vmovn_u32(a)); }
#define VF_F16 true
AD_SIMD vf vf_load_f16(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
AD_SIMD void vf_store_f16(uint16_t *p, vf a) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(a))); }

/* ---- double ---- */
AD_SIMD vd vd_load(const double *p) { return vld1q_f64(p); }
AD_SIMD void vd_store(double *p, vd a) { vst1q_f64(p, a); }
AD_SIMD void vd_stream(double *p, vd a) { vst1q_f64(p, a); }
AD_SIMD vd vd_set1(double a) { return vdupq_n_f64(a); }
AD_SIMD vd vd_gather(const double *p, const int32_t *at) {
    double a[VD_W];
    for (int i = 0; i < VD_W; i++) a[i] = at[i] < 0 ? 0 : p[at[i]];
    return vd_load(a);
}
AD_SIMD vd vd_zero(void) { return vdupq_n_f64(0); }
AD_SIMD vd vd_load_n(const double *p, int64_t n) {
    return n > 0 ? vld1q_lane_f64(p, vd_zero(), 0) : vd_zero();
}
AD_SIMD void vd_store_n(double *p, vd a, int64_t n) {
    if (n > 0) vst1q_lane_f64(p, a, 0);
}
AD_SIMD vd vd_load_f32(const float *p) { return vcvt_f64_f32(vld1_f32(p)); }
AD_SIMD vd vf_widen(vf a, int part) { return part ? vcvt_high_f64_f32(a) : vcvt_f64_f32(vget_low_f32(a)); }
AD_SIMD vf vf_narrow(const vd *parts) { return vcvt_high_f32_f64(vcvt_f32_f64(parts[0]), parts[1]); }
AD_SIMD vd vd_add(vd a, vd b) { return vaddq_f64(a, b); }
AD_SIMD vd vd_sub(vd a, vd b) { return vsubq_f64(a, b); }
AD_SIMD vd vd_mul(vd a, vd b) { return vmulq_f64(a, b); }
AD_SIMD vd vd_div(vd a, vd b) { return vdivq_f64(a, b); }
AD_SIMD vd vd_fma(vd a, vd b, vd c) { return vfmaq_f64(c, a, b); }
AD_SIMD vd vd_fma_exact(vd a, vd b, vd c) { return vd_fma(a, b, c); }
AD_SIMD vd vd_sqrt(vd a) { return vsqrtq_f64(a); }
AD_SIMD vd vd_abs(vd a) { return vabsq_f64(a); }
AD_SIMD vd vd_neg(vd a) { return vnegq_f64(a); }
AD_SIMD vd vd_floor(vd a) { return vrndmq_f64(a); }
AD_SIMD vd vd_ceil(vd a) { return vrndpq_f64(a); }
AD_SIMD vd vd_trunc(vd a) { return vrndq_f64(a); }
AD_SIMD vd vd_round(vd a) { return vrndnq_f64(a); }
AD_SIMD md vd_lt(vd a, vd b) { return vcltq_f64(a, b); }
AD_SIMD md vd_le(vd a, vd b) { return vcleq_f64(a, b); }
AD_SIMD md vd_eq(vd a, vd b) { return vceqq_f64(a, b); }
AD_SIMD md vd_ne(vd a, vd b) {
    return vreinterpretq_u64_u32(vmvnq_u32(vreinterpretq_u32_u64(vceqq_f64(a, b))));
}
AD_SIMD md md_and(md a, md b) { return vandq_u64(a, b); }
AD_SIMD md md_or(md a, md b) { return vorrq_u64(a, b); }
AD_SIMD md md_not(md a) { return vreinterpretq_u64_u32(vmvnq_u32(vreinterpretq_u32_u64(a))); }
AD_SIMD int md_any(md a) { return vmaxvq_u32(vreinterpretq_u32_u64(a)) != 0; }
AD_SIMD vd vd_select(md m, vd a, vd b) { return vbslq_f64(m, a, b); }
AD_SIMD vd vd_min(vd a, vd b) { return vd_select(vd_lt(a, b), a, b); }
AD_SIMD vd vd_max(vd a, vd b) { return vd_select(vd_lt(b, a), a, b); }
AD_SIMD void vd_transpose(vd *x) {
    const vd a = x[0];
    x[0] = vzip1q_f64(a, x[1]), x[1] = vzip2q_f64(a, x[1]);
}
AD_SIMD vd vd_lanes_from(vd a, int n) {
    (void)n;
    return vextq_f64(a, a, 1);
}
AD_SIMD void vd_columns(const double *p, int64_t row, vd *x) {
    AD_UNROLL for (int i = 0; i < 2; i++) x[i] = vd_load(p + i * row);
    vd_transpose(x);
}
AD_SIMD vd vd_minimum(vd a, vd b) { return vd_select(vd_ne(a, a), a, vd_min(a, b)); }
AD_SIMD vd vd_maximum(vd a, vd b) { return vd_select(vd_ne(a, a), a, vd_max(a, b)); }
AD_SIMD vdi vd_bits(vd a) { return vreinterpretq_u64_f64(a); }
AD_SIMD vd vd_of_bits(vdi a) { return vreinterpretq_f64_u64(a); }
AD_SIMD vdi vdi_set1(uint64_t a) { return vdupq_n_u64(a); }
AD_SIMD vdi vdi_add(vdi a, vdi b) { return vaddq_u64(a, b); }
AD_SIMD vdi vdi_sub(vdi a, vdi b) { return vsubq_u64(a, b); }
AD_SIMD vdi vdi_and(vdi a, vdi b) { return vandq_u64(a, b); }
AD_SIMD vdi vdi_or(vdi a, vdi b) { return vorrq_u64(a, b); }
AD_SIMD vdi vdi_xor(vdi a, vdi b) { return veorq_u64(a, b); }
AD_SIMD vdi vdi_shl(vdi a, int n) { return vshlq_u64(a, vdupq_n_s64(n)); }
AD_SIMD vdi vdi_shr(vdi a, int n) { return vshlq_u64(a, vdupq_n_s64(-n)); }
AD_SIMD md vdi_odd(vdi a) { return vtstq_u64(a, vdi_set1(1)); }

#endif
