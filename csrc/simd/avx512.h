/* simd/avx512.h: 16 floats or 8 doubles in AVX-512 registers.
 * The vocabulary is described in simd/scalar.h; the names are the same in every file. */
#ifndef AD_SIMD_H
#define AD_SIMD_H
#include <stdint.h>
#include <immintrin.h>

#define AD_SIMD static inline __attribute__((always_inline))

#define VF_W 16
#define VD_W 8
typedef __m512 vf;
typedef __m512d vd;
typedef __mmask16 mf;
typedef __mmask8 md;
typedef __m512i vfi, vdi;

/* ---- float ---- */
AD_SIMD vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
AD_SIMD void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
AD_SIMD void vf_stream(float *p, vf a) { _mm512_stream_ps(p, a); }
AD_SIMD vf vf_set1(float a) { return _mm512_set1_ps(a); }
AD_SIMD vf vf_set2(const float *p) { /* both by turns */
    double pair;
    __builtin_memcpy(&pair, p, sizeof pair);
    return _mm512_castpd_ps(_mm512_set1_pd(pair));
}
AD_SIMD vf vf_gather(const float *p, const int32_t *at) {
    const __m512i i = _mm512_loadu_si512(at);
    return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), _mm512_cmpge_epi32_mask(i, _mm512_setzero_si512()),
                                    i, p, 4);
}
AD_SIMD vf vf_zero(void) { return _mm512_setzero_ps(); }
AD_SIMD mf mf_first(int64_t n) { return (mf)((1u << n) - 1); }
AD_SIMD vf vf_load_n(const float *p, int64_t n) {
    AD_LOADS(p, n);
    return _mm512_maskz_loadu_ps(mf_first(n), p);
}
AD_SIMD void vf_store_n(float *p, vf a, int64_t n) {
    AD_STORES(p, n);
    _mm512_mask_storeu_ps(p, mf_first(n), a);
}
AD_SIMD vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
AD_SIMD vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
AD_SIMD vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
AD_SIMD vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
AD_SIMD vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
AD_SIMD vf vf_fma_exact(vf a, vf b, vf c) { return vf_fma(a, b, c); }
/* The instruction takes longer than to refine an estimate. Whatever estimate of 14 bits it is, all but very
 * small numbers come out rounded once: tests/test_accuracy.py looks at all digits there are. */
AD_SIMD vf vf_sqrt(vf a) {
    const vf half = vf_set1(0.5f), estimate = _mm512_rsqrt14_ps(a);
    vf root = vf_mul(a, estimate), inverse = vf_mul(estimate, half); /* of twice the root */
    const vf off = _mm512_fnmadd_ps(root, inverse, half);
    root = vf_fma(root, off, root), inverse = vf_fma(inverse, off, inverse);
    root = vf_fma(_mm512_fnmadd_ps(root, root, a), inverse, root);
    const __mmask16 usual = _mm512_cmp_ps_mask(a, vf_set1(0x1p-100f), _CMP_GE_OQ);
    const __mmask16 rare = ~_mm512_mask_cmp_ps_mask(usual, a, vf_set1(INFINITY), _CMP_LT_OQ);
    return __builtin_expect(rare != 0, 0) ? _mm512_sqrt_ps(a) : root;
}
AD_SIMD vf vf_abs(vf a) { return _mm512_andnot_ps(vf_set1(-0.0f), a); }
AD_SIMD vf vf_neg(vf a) { return _mm512_xor_ps(vf_set1(-0.0f), a); }
AD_SIMD vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
AD_SIMD vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
AD_SIMD vf vf_floor(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
AD_SIMD vf vf_ceil(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
AD_SIMD vf vf_trunc(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
AD_SIMD vf vf_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
AD_SIMD mf vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
AD_SIMD mf vf_le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
AD_SIMD mf vf_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
AD_SIMD mf vf_ne(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ); }
AD_SIMD mf mf_and(mf a, mf b) { return a & b; }
AD_SIMD mf mf_or(mf a, mf b) { return a | b; }
AD_SIMD mf mf_not(mf a) { return (mf)~a; }
AD_SIMD int mf_any(mf a) { return a != 0; }
AD_SIMD void mf_store4(uint8_t *p, const mf *m) { /* to join the masks would take longer */
    AD_UNROLL for (int k = 0; k < 4; k++)
        _mm_storeu_si128((__m128i *)(p + 16 * k), _mm_maskz_set1_epi8(m[k], 1));
}
AD_SIMD vf vf_select(mf m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
/* Each stage interleaves a row with the one W/2 below: that moves one bit of the row number into the column
 * number, and one of the column number back. */
AD_SIMD void vf_transpose(vf *x) {
    vf a[16];
    AD_UNROLL for (int i = 0; i < 16; i += 4) { /* each lane of 4, of 4 rows */
        const vf b = _mm512_unpacklo_ps(x[i], x[i + 1]), c = _mm512_unpackhi_ps(x[i], x[i + 1]);
        const vf d = _mm512_unpacklo_ps(x[i + 2], x[i + 3]), e = _mm512_unpackhi_ps(x[i + 2], x[i + 3]);
        a[i] = _mm512_shuffle_ps(b, d, 0x44), a[i + 1] = _mm512_shuffle_ps(b, d, 0xee);
        a[i + 2] = _mm512_shuffle_ps(c, e, 0x44), a[i + 3] = _mm512_shuffle_ps(c, e, 0xee);
    }
    AD_UNROLL for (int i = 0; i < 4; i++) { /* and then the lanes */
        const vf b = _mm512_shuffle_f32x4(a[i], a[i + 4], 0x44),
                 c = _mm512_shuffle_f32x4(a[i], a[i + 4], 0xee);
        const vf d = _mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0x44);
        const vf e = _mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0xee);
        x[i] = _mm512_shuffle_f32x4(b, d, 0x88), x[i + 4] = _mm512_shuffle_f32x4(b, d, 0xdd);
        x[i + 8] = _mm512_shuffle_f32x4(c, e, 0x88), x[i + 12] = _mm512_shuffle_f32x4(c, e, 0xdd);
    }
}
AD_SIMD vf vf_lanes_from(vf a, int n) {
    return n == 8   ? _mm512_shuffle_f32x4(a, a, 0xee)
           : n == 4 ? _mm512_shuffle_f32x4(a, a, 0x01)
           : n == 2 ? _mm512_permute_ps(a, 0x0e)
                    : _mm512_permute_ps(a, 0x01);
}
AD_SIMD void vf_columns(const float *p, int64_t row, vf *x) {
    vf a[4], b[4];
    AD_UNROLL for (int i = 0; i < 4; i++) {
        a[i] = _mm512_castps128_ps512(_mm_loadu_ps(p + i * row));
        a[i] = _mm512_insertf32x4(a[i], _mm_loadu_ps(p + (i + 4) * row), 1);
        a[i] = _mm512_insertf32x4(a[i], _mm_loadu_ps(p + (i + 8) * row), 2);
        a[i] = _mm512_insertf32x4(a[i], _mm_loadu_ps(p + (i + 12) * row), 3);
    }
    AD_UNROLL for (int i = 0; i < 4; i += 2) {
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
    AD_UNROLL for (int i = 0; i < 2; i++) {
        x[2 * i] = _mm512_shuffle_ps(b[i], b[i + 2], 0x44);
        x[2 * i + 1] = _mm512_shuffle_ps(b[i], b[i + 2], 0xee);
    }
}
AD_SIMD vf vf_minimum(vf a, vf b) { return vf_select(vf_ne(a, a), a, vf_min(a, b)); }
AD_SIMD vf vf_maximum(vf a, vf b) { return vf_select(vf_ne(a, a), a, vf_max(a, b)); }
AD_SIMD vfi vf_bits(vf a) { return _mm512_castps_si512(a); }
AD_SIMD vf vf_of_bits(vfi a) { return _mm512_castsi512_ps(a); }
AD_SIMD vfi vfi_set1(uint32_t a) { return _mm512_set1_epi32((int)a); }
AD_SIMD vfi vfi_add(vfi a, vfi b) { return _mm512_add_epi32(a, b); }
AD_SIMD vfi vfi_sub(vfi a, vfi b) { return _mm512_sub_epi32(a, b); }
AD_SIMD vfi vfi_and(vfi a, vfi b) { return _mm512_and_si512(a, b); }
AD_SIMD vfi vfi_or(vfi a, vfi b) { return _mm512_or_si512(a, b); }
AD_SIMD vfi vfi_xor(vfi a, vfi b) { return _mm512_xor_si512(a, b); }
AD_SIMD vfi vfi_shl(vfi a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
AD_SIMD vfi vfi_shr(vfi a, int n) { return _mm512_srli_epi32(a, (unsigned)n); }
AD_SIMD mf vfi_odd(vfi a) { return _mm512_test_epi32_mask(a, vfi_set1(1)); }
AD_SIMD vf vf_of_16(const float *p, vfi at) { return _mm512_permutexvar_ps(at, vf_load(p)); }

AD_SIMD vfi vfi_load_16(const uint16_t *p) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
}
AD_SIMD void vfi_store_16(uint16_t *p, vfi a) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(a)); }
#define VF_F16 true
AD_SIMD vf vf_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
AD_SIMD void vf_store_f16(uint16_t *p, vf a) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

/* One instruction for three operands. */
#define AD_SIGNS
AD_SIMD vf vf_flip(vf x, vf sign) {
    return vf_of_bits(_mm512_ternarylogic_epi32(vf_bits(x), vf_bits(sign), vfi_set1(1u << 31), 0x78));
}
AD_SIMD vf vf_copysign(vf x, vf sign) {
    return vf_of_bits(_mm512_ternarylogic_epi32(vf_bits(x), vf_bits(sign), vfi_set1(1u << 31), 0xd8));
}

/* ---- double ---- */
AD_SIMD vd vd_load(const double *p) { return _mm512_loadu_pd(p); }
AD_SIMD void vd_store(double *p, vd a) { _mm512_storeu_pd(p, a); }
AD_SIMD void vd_stream(double *p, vd a) { _mm512_stream_pd(p, a); }
AD_SIMD vd vd_set1(double a) { return _mm512_set1_pd(a); }
AD_SIMD vd vd_gather(const double *p, const int32_t *at) {
    const __m256i i = _mm256_loadu_si256((const __m256i *)at);
    return _mm512_mask_i32gather_pd(_mm512_setzero_pd(), _mm256_cmpge_epi32_mask(i, _mm256_setzero_si256()),
                                    i, p, 8);
}
AD_SIMD vd vd_zero(void) { return _mm512_setzero_pd(); }
AD_SIMD md md_first(int64_t n) { return (md)((1u << n) - 1); }
AD_SIMD vd vd_load_n(const double *p, int64_t n) {
    AD_LOADS(p, n);
    return _mm512_maskz_loadu_pd(md_first(n), p);
}
AD_SIMD void vd_store_n(double *p, vd a, int64_t n) {
    AD_STORES(p, n);
    _mm512_mask_storeu_pd(p, md_first(n), a);
}
AD_SIMD vd vd_load_f32(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
AD_SIMD vd vf_widen(vf a, int part) {
    return _mm512_cvtps_pd(part ? _mm512_extractf32x8_ps(a, 1) : _mm512_castps512_ps256(a));
}
AD_SIMD vf vf_narrow(const vd *parts) {
    __m512 low = _mm512_castps256_ps512(_mm512_cvtpd_ps(parts[0]));
    return _mm512_insertf32x8(low, _mm512_cvtpd_ps(parts[1]), 1);
}
AD_SIMD vd vd_add(vd a, vd b) { return _mm512_add_pd(a, b); }
AD_SIMD vd vd_sub(vd a, vd b) { return _mm512_sub_pd(a, b); }
AD_SIMD vd vd_mul(vd a, vd b) { return _mm512_mul_pd(a, b); }
AD_SIMD vd vd_div(vd a, vd b) { return _mm512_div_pd(a, b); }
AD_SIMD vd vd_fma(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }
AD_SIMD vd vd_fma_exact(vd a, vd b, vd c) { return vd_fma(a, b, c); }
AD_SIMD vd vd_sqrt(vd a) { return _mm512_sqrt_pd(a); }
AD_SIMD vd vd_abs(vd a) { return _mm512_andnot_pd(vd_set1(-0.0), a); }
AD_SIMD vd vd_neg(vd a) { return _mm512_xor_pd(vd_set1(-0.0), a); }
AD_SIMD vd vd_min(vd a, vd b) { return _mm512_min_pd(a, b); }
AD_SIMD vd vd_max(vd a, vd b) { return _mm512_max_pd(a, b); }
AD_SIMD vd vd_floor(vd a) { return _mm512_roundscale_pd(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
AD_SIMD vd vd_ceil(vd a) { return _mm512_roundscale_pd(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
AD_SIMD vd vd_trunc(vd a) { return _mm512_roundscale_pd(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
AD_SIMD vd vd_round(vd a) { return _mm512_roundscale_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
AD_SIMD md vd_lt(vd a, vd b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
AD_SIMD md vd_le(vd a, vd b) { return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ); }
AD_SIMD md vd_eq(vd a, vd b) { return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ); }
AD_SIMD md vd_ne(vd a, vd b) { return _mm512_cmp_pd_mask(a, b, _CMP_NEQ_UQ); }
AD_SIMD md md_and(md a, md b) { return a & b; }
AD_SIMD md md_or(md a, md b) { return a | b; }
AD_SIMD md md_not(md a) { return (md)~a; }
AD_SIMD int md_any(md a) { return a != 0; }
AD_SIMD vd vd_select(md m, vd a, vd b) { return _mm512_mask_blend_pd(m, b, a); }
AD_SIMD void vd_transpose(vd *x) {
    vd a[8];
    AD_UNROLL for (int i = 0; i < 8; i += 2) { /* each lane of 2, of 2 rows */
        a[i] = _mm512_unpacklo_pd(x[i], x[i + 1]), a[i + 1] = _mm512_unpackhi_pd(x[i], x[i + 1]);
    }
    AD_UNROLL for (int i = 0; i < 2; i++) { /* and then the lanes */
        const vd b = _mm512_shuffle_f64x2(a[i], a[i + 2], 0x44),
                 c = _mm512_shuffle_f64x2(a[i], a[i + 2], 0xee);
        const vd d = _mm512_shuffle_f64x2(a[i + 4], a[i + 6], 0x44);
        const vd e = _mm512_shuffle_f64x2(a[i + 4], a[i + 6], 0xee);
        x[i] = _mm512_shuffle_f64x2(b, d, 0x88), x[i + 2] = _mm512_shuffle_f64x2(b, d, 0xdd);
        x[i + 4] = _mm512_shuffle_f64x2(c, e, 0x88), x[i + 6] = _mm512_shuffle_f64x2(c, e, 0xdd);
    }
}
AD_SIMD vd vd_lanes_from(vd a, int n) {
    return n == 4   ? _mm512_shuffle_f64x2(a, a, 0xee)
           : n == 2 ? _mm512_shuffle_f64x2(a, a, 0x01)
                    : _mm512_permute_pd(a, 0x55);
}
AD_SIMD void vd_columns(const double *p, int64_t row, vd *x) {
    vd a[2];
    AD_UNROLL for (int i = 0; i < 2; i++) {
        a[i] = _mm512_castpd128_pd512(_mm_loadu_pd(p + i * row));
        a[i] = _mm512_insertf64x2(a[i], _mm_loadu_pd(p + (i + 2) * row), 1);
        a[i] = _mm512_insertf64x2(a[i], _mm_loadu_pd(p + (i + 4) * row), 2);
        a[i] = _mm512_insertf64x2(a[i], _mm_loadu_pd(p + (i + 6) * row), 3);
    }
    x[0] = _mm512_unpacklo_pd(a[0], a[1]), x[1] = _mm512_unpackhi_pd(a[0], a[1]);
}
AD_SIMD vd vd_minimum(vd a, vd b) { return vd_select(vd_ne(a, a), a, vd_min(a, b)); }
AD_SIMD vd vd_maximum(vd a, vd b) { return vd_select(vd_ne(a, a), a, vd_max(a, b)); }
AD_SIMD vdi vd_bits(vd a) { return _mm512_castpd_si512(a); }
AD_SIMD vd vd_of_bits(vdi a) { return _mm512_castsi512_pd(a); }
AD_SIMD vdi vdi_set1(uint64_t a) { return _mm512_set1_epi64((int64_t)a); }
AD_SIMD vdi vdi_add(vdi a, vdi b) { return _mm512_add_epi64(a, b); }
AD_SIMD vdi vdi_sub(vdi a, vdi b) { return _mm512_sub_epi64(a, b); }
AD_SIMD vdi vdi_and(vdi a, vdi b) { return _mm512_and_si512(a, b); }
AD_SIMD vdi vdi_or(vdi a, vdi b) { return _mm512_or_si512(a, b); }
AD_SIMD vdi vdi_xor(vdi a, vdi b) { return _mm512_xor_si512(a, b); }
AD_SIMD vdi vdi_shl(vdi a, int n) { return _mm512_slli_epi64(a, (unsigned)n); }
AD_SIMD md vdi_odd(vdi a) { return _mm512_test_epi64_mask(a, vdi_set1(1)); }
AD_SIMD vdi vdi_shr(vdi a, int n) { return _mm512_srli_epi64(a, (unsigned)n); }

AD_SIMD vd vd_flip(vd x, vd sign) {
    return vd_of_bits(_mm512_ternarylogic_epi64(vd_bits(x), vd_bits(sign), vdi_set1(1ull << 63), 0x78));
}
AD_SIMD vd vd_copysign(vd x, vd sign) {
    return vd_of_bits(_mm512_ternarylogic_epi64(vd_bits(x), vd_bits(sign), vdi_set1(1ull << 63), 0xd8));
}

/* ---- half a vector, for what needs no more; here load_n and store_n take all of it, too ---- */
typedef __m256 hf;
typedef __m256d hd;
AD_SIMD hf hf_zero(void) { return _mm256_setzero_ps(); }
AD_SIMD hf hf_set1(float a) { return _mm256_set1_ps(a); }
AD_SIMD hf hf_load(const float *p) { return _mm256_loadu_ps(p); }
AD_SIMD void hf_store(float *p, hf a) { _mm256_storeu_ps(p, a); }
AD_SIMD hf hf_load_n(const float *p, int64_t n) {
    AD_LOADS(p, n);
    return _mm256_maskz_loadu_ps((__mmask8)((1u << n) - 1), p);
}
AD_SIMD void hf_store_n(float *p, hf a, int64_t n) {
    AD_STORES(p, n);
    _mm256_mask_storeu_ps(p, (__mmask8)((1u << n) - 1), a);
}
AD_SIMD hf hf_add(hf a, hf b) { return _mm256_add_ps(a, b); }
AD_SIMD hf hf_fma(hf a, hf b, hf c) { return _mm256_fmadd_ps(a, b, c); }
AD_SIMD hd hd_zero(void) { return _mm256_setzero_pd(); }
AD_SIMD hd hd_set1(double a) { return _mm256_set1_pd(a); }
AD_SIMD hd hd_load(const double *p) { return _mm256_loadu_pd(p); }
AD_SIMD void hd_store(double *p, hd a) { _mm256_storeu_pd(p, a); }
AD_SIMD hd hd_load_n(const double *p, int64_t n) {
    AD_LOADS(p, n);
    return _mm256_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
}
AD_SIMD void hd_store_n(double *p, hd a, int64_t n) {
    AD_STORES(p, n);
    _mm256_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), a);
}
AD_SIMD hd hd_add(hd a, hd b) { return _mm256_add_pd(a, b); }
AD_SIMD hd hd_fma(hd a, hd b, hd c) { return _mm256_fmadd_pd(a, b, c); }

#endif
