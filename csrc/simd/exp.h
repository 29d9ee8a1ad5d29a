/* simd/exp.h: exp, exp2 and expm1, and what is a quotient of theirs: tanh and the sigmoid. */

/* exp(x) = 2^k exp(r), r in [-ln 2 / 2, ln 2 / 2]; k is in the low bits of t. */
#define EXP_REDUCE(v, T, INTEGER, high, rest)                                                                \
    AD_SIMD v v##_exp_reduce(v x, v *t) {                                                                    \
        *t = v##_fma(x, v##_set1((T)1.4426950408889634), v##_set1(INTEGER));                                 \
        const v k = v##_sub(*t, v##_set1(INTEGER));                                                          \
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

/* 2^x is 2^k exp(r ln 2), where r = x - k is exact. */
#define EXP2_POLY(v, T, INTEGER)                                                                             \
    AD_SIMD v v##_exp2_poly(v x, v *t) {                                                                     \
        *t = v##_add(x, v##_set1(INTEGER));                                                                  \
        const v r = v##_sub(x, v##_sub(*t, v##_set1(INTEGER)));                                              \
        return v##_expm1_poly(v##_mul(r, v##_set1((T)0.6931471805599453)));                                  \
    }
EXP2_POLY(vf, float, VF_INTEGER)
EXP2_POLY(vd, double, VD_INTEGER)

/* scaled: (1 + p) 2^k times a number for a 2^k that may not be normal, in two steps, so that denormal results
 * are rounded once; where it is, as in one. Past the limits (least, most) the result is 0 or infinite, and
 * nan passes through min and max; below `limit` 2^k is normal. */
#define SCALED(v, INTEGER)                                                                                   \
    AD_SIMD v v##_scaled(v p, v t, v times) {                                                                \
        const v integer = v##_set1(INTEGER), k = v##_sub(t, integer);                                        \
        const v half = v##_fma(k, v##_set1(0.5f), integer), rest = v##_sub(t, v##_sub(half, integer));       \
        const v scale = v##_mul(v##_power(half, 1), times);                                                  \
        return v##_mul(v##_fma(p, scale, scale), v##_power(rest, 1));                                        \
    }
SCALED(vf, VF_INTEGER)
SCALED(vd, VD_INTEGER)
#define EXP(v, m, name, least, most, limit, POLY)                                                            \
    AD_SIMD v v##_##name##_clamp(v x) { return v##_max(v##_set1(least), v##_min(v##_set1(most), x)); }       \
    static __attribute__((noinline)) v v##_##name##_rare(v x) {                                              \
        v t, p = POLY(v, v##_##name##_clamp(x), &t);                                                         \
        return v##_scaled(p, t, v##_set1(1));                                                                \
    }                                                                                                        \
    AD_SIMD int v##_##name##_is_rare(const v *x, const int n) { return v##_reach(x, n, limit); }             \
    AD_SIMD v v##_##name##_usual(v x) {                                                                      \
        v t, p = POLY(v, x, &t), scale = v##_power(t, 1);                                                    \
        return v##_fma(p, scale, scale);                                                                     \
    }                                                                                                        \
    AD_SIMD v v##_##name(v x) {                                                                              \
        return v##_##name##_is_rare(&x, 1) ? v##_##name##_rare(x) : v##_##name##_usual(x);                   \
    }
#define EXP_E(v, x, t) v##_expm1_poly(v##_exp_reduce(x, t))
#define EXP_2(v, x, t) v##_exp2_poly(x, t)
EXP(vf, mf, exp, -104, 89, 87, EXP_E)
EXP(vd, md, exp, -746, 710, 708, EXP_E)
EXP(vf, mf, exp2, -151, 129, 126, EXP_2)
EXP(vd, md, exp2, -1080, 1030, 1022, EXP_2)

/* exp(x + low), for a low that is small beside 1, times a number */
#define EXP_SUM(v)                                                                                           \
    AD_SIMD v v##_exp_sum(v x, v low, v times) {                                                             \
        v t, r = v##_exp_reduce_sum(v##_exp_clamp(x), low, &t);                                              \
        return v##_scaled(v##_expm1_poly(r), t, times);                                                      \
    }
EXP_SUM(vf)
EXP_SUM(vd)

/* Half of exp(x) - 1, lest 2^k be infinite; at `least` it rounds to -1/2. Doubled, next to 0 it is x. */
#define EXPM1(v, least, most, tiny)                                                                          \
    AD_SIMD v v##_half_expm1(v x) {                                                                          \
        v t, p = v##_expm1_poly(v##_exp_reduce(x, &t)), half = v##_power(t, 0.5f);                           \
        return v##_fma(p, half, v##_sub(half, v##_set1(0.5f)));                                              \
    }                                                                                                        \
    AD_SIMD v v##_expm1(v x) {                                                                               \
        const v y = v##_half_expm1(v##_max(v##_set1(least), v##_min(v##_set1(most), x)));                    \
        return v##_select(v##_lt(v##_abs(x), v##_set1(tiny)), x, v##_add(y, y));                             \
    }
EXPM1(vf, -18, 89, 0x1p-25f)
EXPM1(vd, -38, 710, 0x1p-54)

/* f32: with h = (exp(2|x|) - 1) / 2 it is h / (1 + h). Below 1 that is h - h w with w the quotient, and above
 * 1 - 1 / (1 + h), which hides the error of the division; at the limit it rounds to 1.
 * |x| = k ln 2 / 2 + r, and (exp(2r) - 1) / 2 = r + r^2 q(r), q that of exp. */
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
AD_SIMD vf vf_sigmoid(vf x) {
    vf a = vf_max(vf_set1(-104), vf_neg_abs(x));
    vf t, p = vf_expm1_poly(vf_exp_reduce(a, &t)), scale = vf_power(t, 0x1p24f);
    vf e = vf_mul(vf_fma(p, scale, scale), vf_set1(0x1p-24f));
    vf minus_w = vf_div(e, vf_sub(vf_set1(-1), e));
    vf y = vf_max(vf_copysign(vf_set1(1), x), e);
    return vf_fma(minus_w, y, y);
}
AD_SIMD vd vd_sigmoid(vd x) {
    vd a = vd_max(vd_set1(-746), vd_neg_abs(x));
    vd t, p = vd_expm1_poly(vd_exp_reduce(a, &t)), scale = vd_power(t, 0x1p64);
    vd e = vd_mul(vd_fma(p, scale, scale), vd_set1(0x1p-64));
    vd minus_w = vd_div(e, vd_sub(vd_set1(-1), e));
    vd y = vd_max(vd_copysign(vd_set1(1), x), e);
    return vd_fma(minus_w, y, y);
}
