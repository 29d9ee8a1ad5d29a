/* simd/exp.h: exp, exp2 and expm1, and what is a quotient of theirs: tanh and the sigmoid. */

/* exp(x) = 2^k exp(r), k a multiple of what adding `whole` rounds to, by which it is counted in the low bits
 * of t. */
#define EXP_REDUCE(v, T, INTEGER, high, rest)                                                                \
    AD_SIMD v v##_exp_reduce(v x, const T whole, v *t) {                                                     \
        *t = v##_fma(x, v##_set1((T)1.4426950408889634), v##_set1(whole));                                   \
        const v k = v##_sub(*t, v##_set1(whole));                                                            \
        return v##_fma(k, v##_set1(rest), v##_fma(k, v##_set1(high), x));                                    \
    }                                                                                                        \
    AD_SIMD v v##_exp_reduce_sum(v x, v low, v *t) {                                                         \
        *t = v##_fma(x, v##_set1((T)1.4426950408889634), v##_set1(INTEGER));                                 \
        const v k = v##_sub(*t, v##_set1(INTEGER));                                                          \
        return v##_add(v##_fma(k, v##_set1(high), x), v##_fma(k, v##_set1(rest), low));                      \
    }
EXP_REDUCE(vf, float, VF_INTEGER, -0.693359375f, 2.1219444e-4f) /* -ln 2 in two parts */
EXP_REDUCE(vd, double, VD_INTEGER, -0.6931471803691238, -1.9082149292705877e-10)
/* 2^k times a power of two, from the t that holds k */
AD_SIMD vf vf_power(vf t, float times) {
    return vf_of_bits(vfi_add(vfi_shl(vf_bits(t), 23), vf_bits(vf_set1(times))));
}
AD_SIMD vd vd_power(vd t, double times) {
    return vd_of_bits(vdi_add(vdi_shl(vd_bits(t), 52), vd_bits(vd_set1(times))));
}

/* 2^k of a k in sixteenths. 2^(j/16) is a number, whose bits are j 2^19 more than those of vf_powers, times 1
 * and one of vf_power_rests. */
static const float vf_powers[] = {0x1.000000p+0f, 0x1.fb5586p-1f, 0x1.f72b84p-1f, 0x1.f387a6p-1f,
                                  0x1.f06fe0p-1f, 0x1.edea64p-1f, 0x1.ebfdaep-1f, 0x1.eab07ep-1f,
                                  0x1.ea09e6p-1f, 0x1.ea1148p-1f, 0x1.eace54p-1f, 0x1.ec4918p-1f,
                                  0x1.ee89fap-1f, 0x1.f199bep-1f, 0x1.f5818ep-1f, 0x1.fa4afap-1f};
static const float vf_power_rests[] = {
    0.0f,           4.628547e-08f,  -1.19921575e-08f, 4.7297824e-08f, 3.193418e-08f,
    3.6210572e-08f, -3.099072e-08f, -7.475213e-09f,   1.7114271e-08f, -3.0476834e-08f,
    5.233334e-09f,  6.1075918e-09f, -1.4719605e-08f,  -5.258795e-09f, -6.1282597e-09f,
    5.1406093e-09f};
AD_SIMD vf vf_power_16(vfi t) { return vf_of_bits(vfi_add(vfi_shl(t, 19), vf_bits(vf_of_16(vf_powers, t)))); }

/* exp(r) - 1 as r + r^2 q(r) on [-ln 2 / 2, ln 2 / 2]; q of degree 4 (f32: 2^-28), 9 (f64: 2^-57) */
AD_SIMD vf vf_expm1_poly(vf r) {
    static const float Q[] = {0.49999994f, 0.16666521f, 0.04166839f, 0.0083687166f, 0.0013814595f};
    return vf_fma(vf_mul(r, r), vf_poly(r, Q, AD_LENGTH(Q)), r);
}
AD_SIMD vd vd_expm1_poly(vd r) {
    static const double Q[] = {0.5000000000000011,     0.16666666666666413,    0.04166666666653016,
                               0.008333333333494399,   0.001388888894362952,   0.0001984126950671873,
                               2.4801493099528506e-05, 2.7557587246922544e-06, 2.763024817117492e-07,
                               2.5000102107682377e-08};
    return vd_fma(vd_mul(r, r), vd_poly(r, Q, AD_LENGTH(Q)), r);
}

/* scaled: (1 + p) 2^k times a number for a 2^k that may not be normal, in two steps, so that denormal results
 * are rounded once; where it is, as in one. Past the limits (least, most) the result is 0 or infinite, and
 * nan passes through min and max; below `limit` 2^k is normal, and what is added to it loses nothing. */
#define SCALED(v, INTEGER)                                                                                   \
    AD_SIMD v v##_scaled(v p, v t, v times) {                                                                \
        const v integer = v##_set1(INTEGER), k = v##_sub(t, integer);                                        \
        const v half = v##_fma(k, v##_set1(0.5f), integer), rest = v##_sub(t, v##_sub(half, integer));       \
        const v scale = v##_mul(v##_power(half, 1), times);                                                  \
        return v##_mul(v##_fma(p, scale, scale), v##_power(rest, 1));                                        \
    }
SCALED(vf, VF_INTEGER)
SCALED(vd, VD_INTEGER)
/* parts: p and t, of which the result is (1 + p) 2^k */
#define EXP(v, name, least, most, limit)                                                                     \
    static __attribute__((noinline)) v v##_##name##_rare(v x) {                                              \
        v t, p = v##_##name##_parts(v##_max(v##_set1(least), v##_min(v##_set1(most), x)), &t);               \
        return v##_exp_scaled(p, t);                                                                         \
    }                                                                                                        \
    AD_SIMD int v##_##name##_is_rare(const v *x, const int n) { return v##_reach(x, n, limit); }             \
    AD_SIMD v v##_##name##_usual(v x) { /* of a nan it is one */                                             \
        v t, p = v##_##name##_parts(x, &t), scale = v##_exp_scale(t);                                        \
        return v##_fma(p, scale, scale);                                                                     \
    }                                                                                                        \
    AD_SIMD v v##_##name(v x) {                                                                              \
        return v##_##name##_is_rare(&x, 1) ? v##_##name##_rare(x) : v##_##name##_usual(x);                   \
    }
/* f32: k is in sixteenths. exp(r) - 1 = r + r^2 q(r), q of degree 1: 2^-29; 2^r - 1 = r q(r), of degree 2:
 * 2^-29
 */
AD_SIMD vf vf_exp_scale(vf t) { return vf_power_16(vf_bits(t)); }
AD_SIMD vf vf_exp_scaled(vf p, vf t) {
    const vf k = vf_floor(vf_sub(t, vf_set1(VF_SIXTEENTH)));
    return vf_scaled(p, vf_add(k, vf_set1(VF_INTEGER)), vf_power_16(vfi_and(vf_bits(t), vfi_set1(15))));
}
AD_SIMD vf vf_exp_near(vf r, vf first) {
    return vf_fma(vf_mul(r, r), vf_fma(r, vf_set1(0.16667063f), vf_set1(0.5000162f)), first);
}
AD_SIMD vf vf_exp_parts(vf x, vf *t) {
    const vf r = vf_exp_reduce(x, VF_SIXTEENTH, t);
    return vf_exp_near(r, r);
}
AD_SIMD vf vf_exp2_parts(vf x, vf *t) {
    *t = vf_add(x, vf_set1(VF_SIXTEENTH));
    const vf r = vf_sub(x, vf_sub(*t, vf_set1(VF_SIXTEENTH)));
    const vf q = vf_fma(r, vf_set1(0.05550597f), vf_set1(0.2402343f));
    return vf_fma(vf_mul(r, r), q, vf_mul(r, vf_set1(0.6931472f)));
}
/* f64: 2^x is 2^k exp(r ln 2), where r = x - k is exact. */
AD_SIMD vd vd_exp_scale(vd t) { return vd_power(t, 1); }
AD_SIMD vd vd_exp_scaled(vd p, vd t) { return vd_scaled(p, t, vd_set1(1)); }
AD_SIMD vd vd_exp_parts(vd x, vd *t) { return vd_expm1_poly(vd_exp_reduce(x, VD_INTEGER, t)); }
AD_SIMD vd vd_exp2_parts(vd x, vd *t) {
    *t = vd_add(x, vd_set1(VD_INTEGER));
    const vd r = vd_sub(x, vd_sub(*t, vd_set1(VD_INTEGER)));
    return vd_expm1_poly(vd_mul(r, vd_set1(0.6931471805599453)));
}
EXP(vf, exp, -104, 89, 80)
EXP(vd, exp, -746, 710, 708)
EXP(vf, exp2, -151, 129, 116)
EXP(vd, exp2, -1080, 1030, 1022)

/* exp(x + low), for a low that is small beside 1, times a number */
#define EXP_SUM(v, least, most)                                                                              \
    AD_SIMD v v##_exp_sum(v x, v low, v times) {                                                             \
        v t, r = v##_exp_reduce_sum(v##_max(v##_set1(least), v##_min(v##_set1(most), x)), low, &t);          \
        return v##_scaled(v##_expm1_poly(r), t, times);                                                      \
    }
EXP_SUM(vf, -104, 89)
EXP_SUM(vd, -746, 710)

/* Half of exp(x) - 1, lest 2^k be infinite; at `least` it rounds to -1/2. Doubled, next to 0 it is x. */
#define EXPM1(v, INTEGER, least, most, tiny)                                                                 \
    AD_SIMD v v##_half_expm1(v x) {                                                                          \
        v t, p = v##_expm1_poly(v##_exp_reduce(x, INTEGER, &t)), half = v##_power(t, 0.5f);                  \
        return v##_fma(p, half, v##_sub(half, v##_set1(0.5f)));                                              \
    }                                                                                                        \
    AD_SIMD v v##_expm1(v x) {                                                                               \
        const v y = v##_half_expm1(v##_max(v##_set1(least), v##_min(v##_set1(most), x)));                    \
        return v##_select(v##_lt(v##_abs(x), v##_set1(tiny)), x, v##_add(y, y));                             \
    }
EXPM1(vf, VF_INTEGER, -18, 89, 0x1p-25f)
EXPM1(vd, VD_INTEGER, -38, 710, 0x1p-54)

/* f32: with h = (exp(2|x|) - 1) / 2 it is h / (1 + h). Below 1 that is h - h w with w the quotient, and above
 * 1 - 1 / (1 + h), which hides the error of the division; at the limit it rounds to 1.
 * |x| = k ln 2 / 2 + r, and (exp(2r) - 1) / 2 = r + r^2 q(r), q of degree 4 */
AD_SIMD vf vf_tanh(vf x) {
    static const float Q[] = {0.9999999f, 0.66666085f, 0.3333471f, 0.13389947f, 0.044206705f};
    vf a = vf_min(vf_set1(10), vf_abs(x)), t = vf_fma(a, vf_set1(2.885390f), vf_set1(VF_INTEGER));
    vf r = vf_fma(vf_sub(t, vf_set1(VF_INTEGER)), vf_set1(-0.3465736f), a);
    vf p = vf_fma(vf_mul(r, r), vf_poly(r, Q, AD_LENGTH(Q)), r), scale = vf_power(t, 1);
    vf h = vf_fma(p, scale, vf_fma(scale, vf_set1(0.5f), vf_set1(-0.5f))), y = vf_min(vf_set1(1), h);
    return vf_flip(vf_fma(vf_div(y, vf_sub(vf_set1(-1), h)), y, y), x);
}
/* f64: the same, h from exp(2|x|) itself */
AD_SIMD vd vd_tanh(vd x) {
    vd a = vd_min(vd_set1(20), vd_abs(x)), h = vd_half_expm1(vd_add(a, a)), y = vd_min(vd_set1(1), h);
    return vd_flip(vd_fma(vd_div(y, vd_sub(vd_set1(-1), h)), y, y), x);
}

/* With e = exp(-|x|) and w = e / (1 + e): 1 - w, and below 0 e - e w, which hides the error of w. e is not
 * large, so one scale does: 2^k, times a power that keeps it normal. */
AD_SIMD vf vf_sigmoid_parts(vf x, vf *e) {
    vf a = vf_max(vf_set1(-104), vf_neg_abs(x));
    vf t, r = vf_exp_reduce(a, VF_SIXTEENTH + 24, &t), scale = vf_power_16(vf_bits(t));
    vf p = vf_exp_near(r, vf_add(r, vf_of_16(vf_power_rests, vf_bits(t))));
    *e = vf_mul(vf_fma(p, scale, scale), vf_set1(0x1p-24f));
    return vf_div(*e, vf_sub(vf_set1(-1), *e));
}
AD_SIMD vd vd_sigmoid_parts(vd x, vd *e) {
    vd a = vd_max(vd_set1(-746), vd_neg_abs(x));
    vd t, p = vd_expm1_poly(vd_exp_reduce(a, VD_INTEGER, &t)), scale = vd_power(t, 0x1p64);
    *e = vd_mul(vd_fma(p, scale, scale), vd_set1(0x1p-64));
    return vd_div(*e, vd_sub(vd_set1(-1), *e));
}
#define SIGMOID(v)                                                                                           \
    AD_SIMD v v##_sigmoid_of(v x, v e, v minus_w) {                                                          \
        v y = v##_max(v##_copysign(v##_set1(1), x), e);                                                      \
        return v##_fma(minus_w, y, y);                                                                       \
    }                                                                                                        \
    AD_SIMD v v##_sigmoid(v x) {                                                                             \
        v e, minus_w = v##_sigmoid_parts(x, &e);                                                             \
        return v##_sigmoid_of(x, e, minus_w);                                                                \
    }                                                                                                        \
    AD_SIMD v v##_sigmoids(v x, v *opposite) { /* opposite: of -x */                                         \
        v e, minus_w = v##_sigmoid_parts(x, &e);                                                             \
        *opposite = v##_sigmoid_of(v##_neg(x), e, minus_w);                                                  \
        return v##_sigmoid_of(x, e, minus_w);                                                                \
    }
SIGMOID(vf)
SIGMOID(vd)
