/* simd/erf.h: erf and erfc. */

/* erf, f32: 1 - b^-q with b = exp(2/sqrt(pi)), the slope of erf at 0, so that q(a) = a + a^2 p(a), p of
 * degree 7: 2^-27 on [0, 3.93], from where on the result rounds to 1. As b^-q = 2^k b^-r, and 1 - b^-r = r +
 * r e(r), e of degree 5: 2^-26, small results keep their digits. f64: x + x p(x^2) below 1, p of degree 11:
 * 2^-56; else 1 - exp(q(|x|)), q = log erfc on [1, 6] of degree 17: 2^-57 */
AD_SIMD vf vf_erf(vf x) {
    static const float P[] = {0.5641894f,    0.091083355f,   -0.016970094f, -0.00014887039f,
                              0.0014837517f, -0.0005641811f, 0.0001051584f, -8.300475e-06f};
    static const float E[] = {0.12837918f,  -0.6366198f,   0.2394472f,
                              -0.06754684f, 0.0153090805f, -0.002875022f};
    vf a = vf_min(vf_set1(3.93f), vf_abs(x)), q = vf_fma(vf_mul(a, a), vf_poly(a, P, AD_LENGTH(P)), a);
    vf t = vf_fma(q, vf_set1(-1.627907f), vf_set1(VF_INTEGER)); /* log2 of b */
    vf r = vf_fma(vf_sub(t, vf_set1(VF_INTEGER)), vf_set1(0.6142857f), q), scale = vf_power(t, 1);
    vf p = vf_fma(r, vf_poly(r, E, AD_LENGTH(E)), r);
    return vf_flip(vf_fma(p, scale, vf_sub(vf_set1(1), scale)), x);
}
AD_SIMD vd vd_erf_small(vd x) {
    static const double P[] = {0.12837916709551256,    -0.3761263890318352,    0.11283791670944185,
                               -0.02686617064311153,   0.005223977606119001,   -0.0008548325929339361,
                               0.00012055293577623624, -1.492471231540805e-05, 1.644713172985184e-06,
                               -1.62063149184187e-07,  1.371098517488564e-08,  -7.779476959021837e-10};
    return vd_fma(x, vd_poly(vd_mul(x, x), P, AD_LENGTH(P)), x);
}
AD_SIMD vd vd_erf(vd x) {
    static const double Q[] = {-5.029146087639521e-07,  -1.128374088813429,      -0.6366436312188501,
                               -0.10270343043675724,    0.018990160729339733,    0.0004106543416159993,
                               -0.0019159725542588883,  0.0007706681905581247,   -0.00013506708690637058,
                               -2.0257867002665563e-05, 2.2818871101962265e-05,  -8.665993543911142e-06,
                               2.1353862567303834e-06,  -3.7324810386187697e-07, 4.6415361593767676e-08,
                               -3.933549178826017e-09,  2.0445513772770792e-10,  -4.92752312586843e-12};
    vd a = vd_abs(x), one = vd_set1(1);
    vd small = vd_erf_small(a);
    vd large = vd_sub(one, vd_exp_usual(vd_poly(vd_min(vd_set1(6), a), Q, AD_LENGTH(Q))));
    return vd_flip(vd_select(vd_lt(a, one), small, large), x);
}

/* erfc: with t = |x| and r = 1 / (t + b) it is exp(-t^2) r p((t - b) r), what rounding takes off the square
 * and off r added to the exponent; b = 9/4, p of degree 10: 2^-29 up to 10.1 (f32), b = 3, 20: 2^-55 on
 * [0.45, 27.3] (f64); from there on it is 0. Terms of p cancel, so the last two are added one by one. */
#define ERFC_TAIL(v, T, b, last, first, second, ...)                                                         \
    AD_SIMD v v##_erfc_tail(v x) {                                                                           \
        static const T P[] = {__VA_ARGS__};                                                                  \
        const v one = v##_set1(1), two = v##_set1(2), t = v##_min(v##_set1(last), v##_abs(x));               \
        const v d = v##_add(t, v##_set1(b)), d_low = v##_sub(t, v##_sub(d, v##_set1(b)));                    \
        const v r = v##_div(one, d), back = v##_neg(r);                                                      \
        const v off = v##_fma(back, d_low, v##_fma_exact(back, d, one));                                     \
        const v near = v##_mul(v##_sub(t, v##_set1(b)), r), u = v##_fma(near, off, near);                    \
        const v q = v##_fma(v##_poly(u, P, AD_LENGTH(P)), u, v##_set1(second));                              \
        const v p = v##_fma(q, u, v##_set1(first));                                                          \
        const v square = v##_neg(v##_mul(t, t)), low = v##_sub(off, v##_fma_exact(t, t, square));            \
        const v y = v##_exp_sum(square, low, v##_mul(p, r));                                                 \
        return v##_select(v##_lt(x, v##_zero()), v##_sub(two, y), y);                                        \
    }
ERFC_TAIL(vf, float, 2.25f, 11, 1.0398927f, -0.751959f, 0.37151766f, -0.101210296f, -0.0036137674f,
          0.011656921f, -0.0007805675f, -0.0016220122f, 4.2310196e-05f, 0.00024160834f, 4.8913866e-05f)
ERFC_TAIL(vd, double, 3, 30, 1.0740069070883396, -0.8833944531698835, 0.5902283571041106, -0.3104672619005818,
          0.11952776128675167, -0.02682723462377138, -0.0012124166144443088, 0.0030340619859098197,
          -0.0005483098452151189, -0.0002767776701314683, 0.00010756254753908785, 3.0396967827336006e-05,
          -1.747504548757913e-05, -4.7442136616649324e-06, 2.7771659559042167e-06, 9.857377122519747e-07,
          -4.268961021313229e-07, -2.1235014131273023e-07, 6.342091807503477e-08, 3.1180489860219456e-08,
          -8.58928699192364e-09)
AD_SIMD vf vf_erfc(vf x) { return vf_erfc_tail(x); }
AD_SIMD vd vd_erfc(vd x) {
    vd near = vd_sub(vd_set1(1), vd_erf_small(x));
    return vd_select(vd_lt(vd_abs(x), vd_set1(0.45)), near, vd_erfc_tail(x));
}
