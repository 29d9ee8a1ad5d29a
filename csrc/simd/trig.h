/* simd/trig.h: sin, cos, tan and atan. */

/* ---- f32: x = m pi/2 + r. Even m are left to sin, with |r| <= pi/2, odd ones to cos, any to tan ---- */
#define VF_TRIG_LIMIT 0x1p16f
#define VD_TRIG_LIMIT 0x1p28

/* Of numbers past the limit: r, and in the low bit of t whether the half turns, of tan the quarters, are odd.
 * cos x is the sine of a quarter more. */
enum { TRIG_OF_SIN, TRIG_OF_COS, TRIG_OF_TAN };
static __attribute__((noinline)) void vf_trig_large(const vf *x, vf *r, vf *t, const int of) {
    float xs[VF_W], rs[VF_W];
    uint32_t ts[VF_W];
    memcpy(xs, x, sizeof xs), memcpy(rs, r, sizeof rs), memcpy(ts, t, sizeof ts);
    for (int i = 0; i < VF_W; i++) {
        double parts[2];
        if (!(fabsf(xs[i]) > VF_TRIG_LIMIT && fabsf(xs[i]) < INFINITY)) continue;
        int quarters = ad_reduce_large(fabsf(xs[i]), parts) + (of == TRIG_OF_COS);
        double rest = parts[0] + parts[1];
        if (of != TRIG_OF_TAN) {
            const int up = rest > 0 ? 1 : -1;
            if (quarters & 1) rest -= up * 1.5707963267948966, quarters += up;
            quarters >>= 1;
        }
        ts[i] = (uint32_t)quarters, rs[i] = (float)(xs[i] < 0 && of != TRIG_OF_COS ? -rest : rest);
    }
    memcpy(r, rs, sizeof rs), memcpy(t, ts, sizeof ts);
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

/* The first difference is exact where r is small, for it fits the type then; the others are rounded once.
 * pi/2 is in three parts of 24 bits, none of them negative, so that r of a zero is that zero. */
AD_SIMD vf vf_trig_rest(vf x, vf m) {
    vf r = vf_fma_exact(m, vf_set1(-0x1.921fb4p+0f), x);
    r = vf_fma_exact(m, vf_set1(-0x1.4442dp-24f), r);
    return vf_fma_exact(m, vf_set1(-0x1.846988p-48f), r);
}
AD_SIMD vf vf_sin_reduce(vf x, vf *t) {
    *t = vf_fma(x, vf_set1(0.63661975f), vf_set1(VF_EVEN));
    return vf_trig_rest(x, vf_sub(*t, vf_set1(VF_EVEN)));
}
AD_SIMD vf vf_cos_reduce(vf x, vf *t) {
    const vf one = vf_set1(1), a = vf_abs(x);
    *t = vf_add(vf_fma(a, vf_set1(0.63661975f), one), vf_set1(VF_EVEN));
    return vf_trig_rest(a, vf_sub(vf_sub(*t, vf_set1(VF_EVEN)), one));
}
/* sin r, turned where t is odd: r + r q(r^2), q(z) = z (c + z p(z)), p of degree 2: 2^-27. Of the terms of q
 * the larger is rounded with their sum alone. */
AD_SIMD vf vf_sin_turned(vf r, vf t) {
    const vf z = vf_mul(r, r);
    vf p = vf_fma(vf_set1(2.6060538e-06f), z, vf_set1(-0.00019809768f));
    p = vf_mul(vf_mul(z, z), vf_fma(p, z, vf_set1(0.008333069f)));
    const vf s = vf_fma_exact(r, vf_fma_exact(z, vf_set1(-0.1666666f), p), r);
    return vf_of_bits(vfi_xor(vf_bits(s), vfi_shl(vf_bits(t), 31)));
}
#define SIN(name, of)                                                                                        \
    static __attribute__((noinline)) vf vf_##name##_rare(vf x) {                                             \
        vf t, r = vf_##name##_reduce(x, &t);                                                                 \
        vf_trig_large(&x, &r, &t, of);                                                                       \
        return vf_sin_turned(r, t);                                                                          \
    }                                                                                                        \
    AD_SIMD int vf_##name##_is_rare(const vf *x, const int n) { return vf_reach(x, n, VF_TRIG_LIMIT); }      \
    AD_SIMD vf vf_##name##_usual(vf x) {                                                                     \
        vf t, r = vf_##name##_reduce(x, &t);                                                                 \
        return vf_sin_turned(r, t);                                                                          \
    }                                                                                                        \
    AD_SIMD vf vf_##name(vf x) {                                                                             \
        return vf_##name##_is_rare(&x, 1) ? vf_##name##_rare(x) : vf_##name##_usual(x);                      \
    }
SIN(sin, TRIG_OF_SIN)
SIN(cos, TRIG_OF_COS)

/* f64: x = n pi/2 + r + low, |r| <= pi/4, for x >= 0; n mod 4 is in the low bits of `quadrant`. */
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

/* sin r = r + r^3 p(r^2), p of degree 5: 2^-57; cos r = 1 - r^2/2 + r^4 q(r^2), q of degree 5: 2^-64 */
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
AD_SIMD vd vd_sin(vd x) {
    vdi quadrant;
    vd low, r = vd_trig_reduce(vd_abs(x), &low, &quadrant);
    return vd_flip(vd_sin_core(r, low, quadrant), x);
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
    vf t = vf_fma(x, vf_set1(0.63661975f), vf_set1(VF_INTEGER));
    vf r = vf_trig_rest(x, vf_sub(t, vf_set1(VF_INTEGER)));
    if (vf_reach(&x, 1, VF_TRIG_LIMIT)) {
        vf rest = r, quarters = t;
        vf_trig_large(&x, &rest, &quarters, TRIG_OF_TAN);
        r = rest, t = quarters;
    }
    const vf z = vf_mul(r, r), one = vf_set1(1);
    const vf tangent = vf_fma(vf_mul(r, z), vf_poly(z, P, AD_LENGTH(P)), r);
    const mf odd = vfi_odd(vf_bits(t));
    return vf_div(vf_select(odd, vf_neg(one), tangent), vf_select(odd, tangent, one));
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
