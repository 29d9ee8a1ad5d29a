/* simd/avx2.h: 8 floats or 4 doubles in AVX2 registers.
 * The vocabulary is described in simd/scalar.h; the names are the same in every file. */
#ifndef AD_SIMD_H
#define AD_SIMD_H
#include <stdint.h>
#include <immintrin.h>

#define AD_SIMD static inline __attribute__((always_inline))

#define VF_W 8
#define VD_W 4
typedef __m256 vf, mf;
typedef __m256d vd, md;
typedef __m256i vfi, vdi;

/* ---- float ---- */
AD_SIMD vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
AD_SIMD void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
AD_SIMD void vf_stream(float *p, vf a) { _mm256_stream_ps(p, a); }
AD_SIMD vf vf_set1(float a) { return _mm256_set1_ps(a); }
AD_SIMD vf vf_gather(const float *p, const int32_t *at) {
    const __m256i i = _mm256_loadu_si256((const __m256i *)at),
                  any = _mm256_cmpgt_epi32(i, _mm256_set1_epi32(-1));
    return _mm256_mask_i32gather_ps(_mm256_setzero_ps(), p, i, _mm256_castsi256_ps(any), 4);
}
AD_SIMD vf vf_zero(void) { return _mm256_setzero_ps(); }
AD_SIMD vf vf_load_n(const float *p, int64_t n) {
    AD_LOADS(p, n);
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane));
}
/* Masked stores are slow on some CPUs, so halves are stored one by one. */
AD_SIMD void vf_store_n(float *p, vf a, int64_t n) {
    __m128 x = _mm256_castps256_ps128(a);
    if (n & 4) {
        _mm_storeu_ps(p, x);
        x = _mm256_extractf128_ps(a, 1), p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)p, x);
        x = _mm_movehl_ps(x, x), p += 2;
    }
    if (n & 1) _mm_store_ss(p, x);
}
AD_SIMD vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
AD_SIMD vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
AD_SIMD vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
AD_SIMD vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
AD_SIMD vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
AD_SIMD vf vf_fma_exact(vf a, vf b, vf c) { return vf_fma(a, b, c); }
AD_SIMD vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }
AD_SIMD vf vf_abs(vf a) { return _mm256_andnot_ps(vf_set1(-0.0f), a); }
AD_SIMD vf vf_neg(vf a) { return _mm256_xor_ps(vf_set1(-0.0f), a); }
AD_SIMD vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
AD_SIMD vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
AD_SIMD vf vf_floor(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
AD_SIMD vf vf_ceil(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
AD_SIMD vf vf_trunc(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
AD_SIMD vf vf_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
AD_SIMD mf vf_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
AD_SIMD mf vf_le(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
AD_SIMD mf vf_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
AD_SIMD mf vf_ne(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_NEQ_UQ); }
AD_SIMD mf mf_and(mf a, mf b) { return _mm256_and_ps(a, b); }
AD_SIMD mf mf_or(mf a, mf b) { return _mm256_or_ps(a, b); }
AD_SIMD mf mf_not(mf a) { return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1))); }
AD_SIMD int mf_any(mf a) { return _mm256_movemask_ps(a) != 0; }
/* Packing works within halves, whose quarters the permutation puts in order. */
AD_SIMD void mf_store4(uint8_t *p, const mf *m) {
    __m256i a = _mm256_packs_epi32(_mm256_castps_si256(m[0]), _mm256_castps_si256(m[1]));
    __m256i b = _mm256_packs_epi32(_mm256_castps_si256(m[2]), _mm256_castps_si256(m[3]));
    a = _mm256_and_si256(_mm256_packs_epi16(a, b), _mm256_set1_epi8(1));
    a = _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)p, a);
}
AD_SIMD vf vf_select(mf m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }
AD_SIMD void vf_transpose(vf *x) {
    vf a[8], b[8];
    AD_UNROLL for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
    }
    AD_UNROLL for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    AD_UNROLL for (int i = 0; i < 4; i++) {
        x[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        x[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}
/* The lanes from n on, a power of two, come first; what the others hold is of no use. */
AD_SIMD vf vf_lanes_from(vf a, int n) {
    return n == 4   ? _mm256_permute2f128_ps(a, a, 0x01)
           : n == 2 ? _mm256_permute_ps(a, 0x0e)
                    : _mm256_permute_ps(a, 0x01);
}
/* 16 bytes of each of as many rows as a vector has lanes, turned. */
AD_SIMD void vf_columns(const float *p, int64_t row, vf *x) {
    vf a[4], b[4];
    AD_UNROLL for (int i = 0; i < 4; i++) {
        a[i] = _mm256_castps128_ps256(_mm_loadu_ps(p + i * row));
        a[i] = _mm256_insertf128_ps(a[i], _mm_loadu_ps(p + (i + 4) * row), 1);
    }
    AD_UNROLL for (int i = 0; i < 4; i += 2) {
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
    AD_UNROLL for (int i = 0; i < 2; i++) {
        x[2 * i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
        x[2 * i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
    }
}
AD_SIMD vf vf_minimum(vf a, vf b) { return vf_select(vf_ne(a, a), a, vf_min(a, b)); }
AD_SIMD vf vf_maximum(vf a, vf b) { return vf_select(vf_ne(a, a), a, vf_max(a, b)); }
AD_SIMD vfi vf_bits(vf a) { return _mm256_castps_si256(a); }
AD_SIMD vf vf_of_bits(vfi a) { return _mm256_castsi256_ps(a); }
AD_SIMD vfi vfi_set1(uint32_t a) { return _mm256_set1_epi32((int)a); }
AD_SIMD vfi vfi_add(vfi a, vfi b) { return _mm256_add_epi32(a, b); }
AD_SIMD vfi vfi_sub(vfi a, vfi b) { return _mm256_sub_epi32(a, b); }
AD_SIMD vfi vfi_and(vfi a, vfi b) { return _mm256_and_si256(a, b); }
AD_SIMD vfi vfi_or(vfi a, vfi b) { return _mm256_or_si256(a, b); }
AD_SIMD vfi vfi_xor(vfi a, vfi b) { return _mm256_xor_si256(a, b); }
AD_SIMD vfi vfi_shl(vfi a, int n) { return _mm256_slli_epi32(a, n); }
AD_SIMD vfi vfi_shr(vfi a, int n) { return _mm256_srli_epi32(a, n); }
AD_SIMD mf vfi_odd(vfi a) { return vf_of_bits(vfi_shl(a, 31)); }
/* One instruction looks at 3 bits; the 4th chooses as a sign. */
AD_SIMD vf vf_of_16(const float *p, vfi at) {
    const vf low = _mm256_permutevar8x32_ps(vf_load(p), at),
             high = _mm256_permutevar8x32_ps(vf_load(p + 8), at);
    return vf_select(vf_of_bits(vfi_shl(at, 28)), high, low);
}

/* Of 16 bits in memory. */
AD_SIMD vfi vfi_load_16(const uint16_t *p) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
}
AD_SIMD void vfi_store_16(uint16_t *p, vfi a) { /* below 2^16 */
    const __m256i halves = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, a), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(halves));
}
/* Of float16, where the CPU converts it: VF_F16. */
#define VF_F16 ad_has_f16c
AD_SIMD vf vf_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
AD_SIMD void vf_store_f16(uint16_t *p, vf a) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

/* ---- double ---- */
AD_SIMD vd vd_load(const double *p) { return _mm256_loadu_pd(p); }
AD_SIMD void vd_store(double *p, vd a) { _mm256_storeu_pd(p, a); }
AD_SIMD void vd_stream(double *p, vd a) { _mm256_stream_pd(p, a); }
AD_SIMD vd vd_set1(double a) { return _mm256_set1_pd(a); }
AD_SIMD vd vd_gather(const double *p, const int32_t *at) {
    const __m128i i = _mm_loadu_si128((const __m128i *)at), any = _mm_cmpgt_epi32(i, _mm_set1_epi32(-1));
    return _mm256_mask_i32gather_pd(_mm256_setzero_pd(), p, i,
                                    _mm256_castsi256_pd(_mm256_cvtepi32_epi64(any)), 8);
}
AD_SIMD vd vd_zero(void) { return _mm256_setzero_pd(); }
AD_SIMD vd vd_load_n(const double *p, int64_t n) {
    AD_LOADS(p, n);
    const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    return _mm256_maskload_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), lane));
}
AD_SIMD void vd_store_n(double *p, vd a, int64_t n) {
    __m128d x = _mm256_castpd256_pd128(a);
    if (n & 2) {
        _mm_storeu_pd(p, x);
        x = _mm256_extractf128_pd(a, 1), p += 2;
    }
    if (n & 1) _mm_store_sd(p, x);
}
AD_SIMD vd vd_load_f32(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
AD_SIMD vd vf_widen(vf a, int part) {
    return _mm256_cvtps_pd(part ? _mm256_extractf128_ps(a, 1) : _mm256_castps256_ps128(a));
}
AD_SIMD vf vf_narrow(const vd *parts) {
    return _mm256_set_m128(_mm256_cvtpd_ps(parts[1]), _mm256_cvtpd_ps(parts[0]));
}
AD_SIMD vd vd_add(vd a, vd b) { return _mm256_add_pd(a, b); }
AD_SIMD vd vd_sub(vd a, vd b) { return _mm256_sub_pd(a, b); }
AD_SIMD vd vd_mul(vd a, vd b) { return _mm256_mul_pd(a, b); }
AD_SIMD vd vd_div(vd a, vd b) { return _mm256_div_pd(a, b); }
AD_SIMD vd vd_fma(vd a, vd b, vd c) { return _mm256_fmadd_pd(a, b, c); }
AD_SIMD vd vd_fma_exact(vd a, vd b, vd c) { return vd_fma(a, b, c); }
AD_SIMD vd vd_sqrt(vd a) { return _mm256_sqrt_pd(a); }
AD_SIMD vd vd_abs(vd a) { return _mm256_andnot_pd(vd_set1(-0.0), a); }
AD_SIMD vd vd_neg(vd a) { return _mm256_xor_pd(vd_set1(-0.0), a); }
AD_SIMD vd vd_min(vd a, vd b) { return _mm256_min_pd(a, b); }
AD_SIMD vd vd_max(vd a, vd b) { return _mm256_max_pd(a, b); }
AD_SIMD vd vd_floor(vd a) { return _mm256_round_pd(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
AD_SIMD vd vd_ceil(vd a) { return _mm256_round_pd(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
AD_SIMD vd vd_trunc(vd a) { return _mm256_round_pd(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
AD_SIMD vd vd_round(vd a) { return _mm256_round_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
AD_SIMD md vd_lt(vd a, vd b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
AD_SIMD md vd_le(vd a, vd b) { return _mm256_cmp_pd(a, b, _CMP_LE_OQ); }
AD_SIMD md vd_eq(vd a, vd b) { return _mm256_cmp_pd(a, b, _CMP_EQ_OQ); }
AD_SIMD md vd_ne(vd a, vd b) { return _mm256_cmp_pd(a, b, _CMP_NEQ_UQ); }
AD_SIMD md md_and(md a, md b) { return _mm256_and_pd(a, b); }
AD_SIMD md md_or(md a, md b) { return _mm256_or_pd(a, b); }
AD_SIMD md md_not(md a) { return _mm256_xor_pd(a, _mm256_castsi256_pd(_mm256_set1_epi32(-1))); }
AD_SIMD int md_any(md a) { return _mm256_movemask_pd(a) != 0; }
AD_SIMD vd vd_select(md m, vd a, vd b) { return _mm256_blendv_pd(b, a, m); }
AD_SIMD void vd_transpose(vd *x) {
    const vd a = _mm256_unpacklo_pd(x[0], x[1]), b = _mm256_unpackhi_pd(x[0], x[1]);
    const vd c = _mm256_unpacklo_pd(x[2], x[3]), d = _mm256_unpackhi_pd(x[2], x[3]);
    x[0] = _mm256_permute2f128_pd(a, c, 0x20), x[1] = _mm256_permute2f128_pd(b, d, 0x20);
    x[2] = _mm256_permute2f128_pd(a, c, 0x31), x[3] = _mm256_permute2f128_pd(b, d, 0x31);
}
AD_SIMD vd vd_lanes_from(vd a, int n) {
    return n == 2 ? _mm256_permute2f128_pd(a, a, 0x01) : _mm256_permute_pd(a, 0x05);
}
AD_SIMD void vd_columns(const double *p, int64_t row, vd *x) {
    vd a[2];
    AD_UNROLL for (int i = 0; i < 2; i++) {
        a[i] = _mm256_castpd128_pd256(_mm_loadu_pd(p + i * row));
        a[i] = _mm256_insertf128_pd(a[i], _mm_loadu_pd(p + (i + 2) * row), 1);
    }
    x[0] = _mm256_unpacklo_pd(a[0], a[1]), x[1] = _mm256_unpackhi_pd(a[0], a[1]);
}
AD_SIMD vd vd_minimum(vd a, vd b) { return vd_select(vd_ne(a, a), a, vd_min(a, b)); }
AD_SIMD vd vd_maximum(vd a, vd b) { return vd_select(vd_ne(a, a), a, vd_max(a, b)); }
AD_SIMD vdi vd_bits(vd a) { return _mm256_castpd_si256(a); }
AD_SIMD vd vd_of_bits(vdi a) { return _mm256_castsi256_pd(a); }
AD_SIMD vdi vdi_set1(uint64_t a) { return _mm256_set1_epi64x((int64_t)a); }
AD_SIMD vdi vdi_add(vdi a, vdi b) { return _mm256_add_epi64(a, b); }
AD_SIMD vdi vdi_sub(vdi a, vdi b) { return _mm256_sub_epi64(a, b); }
AD_SIMD vdi vdi_and(vdi a, vdi b) { return _mm256_and_si256(a, b); }
AD_SIMD vdi vdi_or(vdi a, vdi b) { return _mm256_or_si256(a, b); }
AD_SIMD vdi vdi_xor(vdi a, vdi b) { return _mm256_xor_si256(a, b); }
AD_SIMD vdi vdi_shl(vdi a, int n) { return _mm256_slli_epi64(a, n); }
AD_SIMD vdi vdi_shr(vdi a, int n) { return _mm256_srli_epi64(a, n); }
AD_SIMD md vdi_odd(vdi a) { return vd_of_bits(vdi_shl(a, 63)); }

#endif
