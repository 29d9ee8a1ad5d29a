/* simd/trig.h: sin, cos, tan and atan. */

/* ---- sin, cos: x = n pi/2 + r, |r| <= pi/4; n mod 4 is in the low bits of `quadrant` ---- */
#define VF_TRIG_LIMIT 0x1p16f
#define VD_TRIG_LIMIT 0x1p28

static __attribute__((noinline)) void vf_trig_large(const vf *x, vf *r, vfi *quadrant) {
    float xs[VF_W], rs[VF_W];
    uint32_t qs[VF_W];
    memcpy(xs, x, sizeof xs), memcpy(rs, r, sizeof rs), memcpy(qs, quadrant, sizeof qs);
    for (int i = 0; i < VF_W; i++) {
        double parts[2];
        if (!(xs[i] > VF_TRIG_LIMIT && xs[i] < INFINITY)) continue;
        qs[i] = (uint32_t)ad_reduce_large(xs[i], parts);
        rs[i] = (float)(parts[0] + parts[1]);
    }
    memcpy(r, rs, sizeof rs), memcpy(quadrant, qs, sizeof qs);
}
static __attribute__((noinline)) void vd_trig_large(const vd *x, vd *r, vd *low, vdi *quadrant) {
    double xs[VD_W], rs[VD_W], lows[VD_W];
    uint64_t qs[VD_W];
    memcpy(xs, x, sizeof xs), memcpy(rs, r, sizeof rs), memcpy(lows, low, sizeof lows);
    memcpy(qs, quadrant, sizeof qs);
    for (int i = 0; i < VD_W; i++) {
        double parts[2];
        if (!(xs[i] > VD_TRIG_LIMIT && xs[i] < INFINITY)) continue;
        qs[i] = (uint64_t)ad_reduce_large(xs[i], parts);
        rs[i] = parts[0], lows[i] = parts[1];
    }
    memcpy(r, rs, sizeof rs), memcpy(low, lows, sizeof lows), memcpy(quadrant, qs, sizeof qs);
}

/* For x >= 0. The first difference is exact, for it fits the type; the others are rounded once. */
AD_SIMD vf vf_trig_reduce(vf x, vfi *quadrant) {
    vf t = vf_fma(x, vf_set1(0.63661975f), vf_set1(VF_INTEGER)), n = vf_sub(vf_set1(VF_INTEGER), t);
    vf r = vf_fma_exact(n, vf_set1(0x1.921fb6p+0f), x); /* pi/2 in three parts of 24 bits */
    r = vf_fma_exact(n, vf_set1(-0x1.777a5cp-25f), r);
    r = vf_fma_exact(n, vf_set1(-0x1.ee59dap-50f), r);
    *quadrant = vf_bits(t);
    if (mf_any(vf_lt(vf_set1(VF_TRIG_LIMIT), x))) vf_trig_large(&x, &r, quadrant);
    return r;
}
/* The same as r + low. */
AD_SIMD vd vd_trig_reduce(vd x, vd *low, vdi *quadrant) {
    const vd b = vd_set1(0x1.1a62633145c07p-54), c = vd_set1(-0x1.f1976b7ed8fbcp-110);
    vd t = vd_fma(x, vd_set1(0.6366197723675814), vd_set1(VD_INTEGER)), n = vd_sub(vd_set1(VD_INTEGER), t);
    vd r0 = vd_fma_exact(n, vd_set1(0x1.921fb54442d18p+0), x); /* pi/2 in three parts of 53 bits */
    vd p = vd_mul(n, b), p_low = vd_fma_exact(n, b, vd_neg(p));
    vd r = vd_add(r0, p), back = vd_sub(r, r0); /* the error of this sum, whichever term is larger */
    vd lost = vd_add(vd_sub(r0, vd_sub(r, back)), vd_sub(p, back));
    *low = vd_add(lost, vd_fma(n, c, p_low));
    *quadrant = vd_bits(t);
    if (md_any(vd_lt(vd_set1(VD_TRIG_LIMIT), x))) vd_trig_large(&x, &r, low, quadrant);
    return r;
}

/* sin of the angle r + quadrant pi/2.
 * sin r = r + r^3 p(r^2), p of degree 2: 2^-28; cos r = 1 - r^2/2 + r^4 q(r^2), q of degree 2: 2^-33 */
AD_SIMD vf vf_sin_core(vf r, vfi quadrant) {
    static const float P[] = {-0.16666655f, 0.008332158f, -0.00019514958f};
    static const float Q[] = {0.041666646f, -0.0013887313f, 2.4432813e-05f};
    vf z = vf_mul(r, r);
    vf s = vf_fma(vf_mul(r, z), vf_poly(z, P, AD_LENGTH(P)), r);
    vf c = vf_fma(vf_mul(z, z), vf_poly(z, Q, AD_LENGTH(Q)), vf_fma(z, vf_set1(-0.5f), vf_set1(1)));
    return vf_flip(vf_select(vfi_odd(quadrant), c, s), vf_of_bits(vfi_shl(quadrant, 30)));
}
/* The degrees are 5 (2^-57) and 5 (2^-64). */
AD_SIMD void vd_sin_cos(vd r, vd low, vd *sine, vd *cosine) {
    static const double P[] = {-0.1666666666666663,   0.008333333333322063,    -0.00019841269829542606,
                               2.755731360452909e-06, -2.5050745038625955e-08, 1.589606756996519e-10};
    static const double Q[] = {0.041666666666666595,    -0.0013888888888872975, 2.480158728880012e-05,
                               -2.7557314163999404e-07, 2.0875698711193095e-09, -1.13584236354403e-11};
    vd one = vd_set1(1), z = vd_mul(r, r), half = vd_mul(z, vd_set1(0.5)), w = vd_sub(one, half);
    vd tail = vd_fma(vd_mul(z, z), vd_poly(z, Q, AD_LENGTH(Q)), vd_neg(vd_mul(r, low)));
    *sine = vd_add(r, vd_fma(vd_mul(r, z), vd_poly(z, P, AD_LENGTH(P)), low));
    *cosine = vd_add(w, vd_add(vd_sub(vd_sub(one, w), half), tail));
}
AD_SIMD vd vd_sin_core(vd r, vd low, vdi quadrant) {
    vd s, c;
    vd_sin_cos(r, low, &s, &c);
    return vd_flip(vd_select(vdi_odd(quadrant), c, s), vd_of_bits(vdi_shl(quadrant, 62)));
}
AD_SIMD vf vf_sin(vf x) {
    vfi quadrant;
    vf r = vf_trig_reduce(vf_abs(x), &quadrant);
    return vf_flip(vf_sin_core(r, quadrant), x);
}
AD_SIMD vd vd_sin(vd x) {
    vdi quadrant;
    vd low, r = vd_trig_reduce(vd_abs(x), &low, &quadrant);
    return vd_flip(vd_sin_core(r, low, quadrant), x);
}
AD_SIMD vf vf_cos(vf x) {
    vfi quadrant;
    vf r = vf_trig_reduce(vf_abs(x), &quadrant);
    return vf_sin_core(r, vfi_add(quadrant, vfi_set1(1)));
}
AD_SIMD vd vd_cos(vd x) {
    vdi quadrant;
    vd low, r = vd_trig_reduce(vd_abs(x), &low, &quadrant);
    return vd_sin_core(r, low, vdi_add(quadrant, vdi_set1(1)));
}

/* tan is -1 / tan r in odd quadrants. f32: tan r = r + r^3 p(r^2), p of degree 6: 2^-29 */
AD_SIMD vf vf_tan(vf x) {
    static const float P[] = {0.3333335f,   0.13332663f,    0.05405998f,  0.021281863f,
                              0.010836672f, 8.8427863e-05f, 0.0043768305f};
    vfi quadrant;
    vf r = vf_trig_reduce(vf_abs(x), &quadrant), z = vf_mul(r, r);
    vf t = vf_fma(vf_mul(r, z), vf_poly(z, P, AD_LENGTH(P)), r), one = vf_set1(1);
    mf odd = vfi_odd(quadrant);
    return vf_flip(vf_div(vf_select(odd, vf_neg(one), t), vf_select(odd, t, one)), x);
}
AD_SIMD vd vd_tan(vd x) {
    vdi quadrant;
    vd low, s, c, r = vd_trig_reduce(vd_abs(x), &low, &quadrant);
    vd_sin_cos(r, low, &s, &c);
    md odd = vdi_odd(quadrant);
    return vd_flip(vd_div(vd_select(odd, vd_neg(c), s), vd_select(odd, s, c)), x);
}

/* ---- atan: of r = |x| up to `least`, else of what is left of pi/4 or pi/2 ----
 * rest: what rounding pi takes off, of the rounded. atan r = r + r^3 p(r^2); p of degree 5: 2^-27 on [0, 1/2]
 * (f32), where a quotient has errors as large as the result's; 12: 2^-55 up to tan(pi/8) (f64) */
#define ATAN(v, m, T, least, rest, ...)                                                                      \
    AD_SIMD v v##_atan(v x) {                                                                                \
        static const T P[] = {__VA_ARGS__};                                                                  \
        const v t = v##_abs(x), one = v##_set1(1), zero = v##_zero();                                        \
        const m middle = v##_lt(v##_set1(least), t);                                                         \
        const m large = v##_lt(v##_set1((T)2.414213562373095), t);                                           \
        const v over = v##_select(large, v##_neg(one), v##_select(middle, v##_sub(t, one), t));              \
        const v r = v##_div(over, v##_select(large, t, v##_select(middle, v##_add(t, one), one)));           \
        const v about = v##_select(large, v##_set1((T)1.5707963267948966),                                   \
                                   v##_select(middle, v##_set1((T)0.7853981633974483), zero));               \
        const v z = v##_mul(r, r), p = v##_poly(z, P, AD_LENGTH(P));                                         \
        const v near = v##_add(r, v##_fma(v##_mul(r, z), p, v##_mul(about, v##_set1(rest))));                \
        return v##_copysign(v##_add(about, near), x);                                                        \
    }
ATAN(vf, mf, float, 0.5f, -2.7827534e-8f, -0.33333328f, 0.19999489f, -0.14272079f, 0.10940981f, -0.07984058f,
     0.038723186f)
ATAN(vd, md, double, 0.41421356237309503, 3.8981718325193755e-17, -0.3333333333333333, 0.19999999999999993,
     -0.14285714285711518, 0.11111111110754729, -0.0909090906700999, 0.07692306736000173,
     -0.06666642020055166, 0.058819252531928636, -0.05258041554297779, 0.04719395030027433,
     -0.04104436265755082, 0.030635704112969498, -0.01391822929102443)
