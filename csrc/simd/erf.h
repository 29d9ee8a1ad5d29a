/* simd/erf.h: erf and erfc. */

/* erf, f32: about one of 16 centres a polynomial of degree 5, 2^-26.5 up to 4, where the result rounds to 1.
 * The upper bits of |x| + 11/8 number the intervals: of 1/8 to 5/8, 1/4 to 21/8, 1/2 from there. Centres are
 * such that erf of each is all but a float, and r is exact. Next to 0, where the centre is 0, r itself is
 * added instead of that value: small results keep their digits. f64: x + x p(x^2) below 1, p of degree 11:
 * 2^-56; else 1 - exp(q(|x|)), q = log erfc on [1, 6] of degree 17: 2^-57 */
static const float vf_erf_centres[] = {-0.74670583f, -0.9977906f,  -1.251566f,   -1.50308f,
                                       -1.7527318f,  -2.0091925f,  -2.2532306f,  -2.4911292f,
                                       -2.8646104f,  -3.363559f,   -3.8325055f,  0.0f,
                                       -0.18674178f, -0.31365314f, -0.43852106f, -0.56176907f}; /* negated */
static const float vf_erf_values[] = {
    0.7090325f,  0.8417816f,  0.9232698f,  0.96646976f, 0.98681515f, 0.9955088f,  0.9985602f,  0.9995733f,
    0.99994904f, 0.99999803f, 0.99999994f, 0.0f,        0.20829156f, 0.34264833f, 0.46484914f, 0.57307315f};
AD_SIMD vfi vf_erf_interval(vf t) { return vfi_shr(vf_bits(t), 20); }
/* (erf(a) - its value) / r, about the centre of the interval */
AD_SIMD vf vf_erf_slope(vf slope, vfi at, vf r) {
    static const float P[][16] = {
        {-0.4824504f, -0.41602302f, -0.29486656f, -0.1771179f, -0.09162044f, -0.04002149f, -0.015860561f,
         -0.0056717647f, -0.00088053197f, -4.6069297e-05f, -1.8018085e-06f, 3.297796e-07f, -0.20349382f,
         -0.32075924f, -0.4082536f, -0.46233416f},
        {0.024797305f, 0.13775152f, 0.16749991f, 0.13820764f, 0.08963573f, 0.04696855f, 0.02147846f,
         0.0086628925f, 0.0015846068f, 9.946683e-05f, 4.3951027e-06f, -0.3761443f, -0.33790228f, -0.27381578f,
         -0.19097556f, -0.10118238f},
        {0.15097113f, 0.07003933f, -0.00607035f, -0.044410363f, -0.047819376f, -0.03383765f, -0.018974286f,
         -0.008955639f, -0.0020741038f, -0.00016504823f, -8.463143e-06f, 0.00032499185f, 0.09921124f,
         0.14961673f, 0.17768534f, 0.1822733f},
        {-0.052512135f, -0.0688126f, -0.047158204f, -0.015016969f, 0.0064459085f, 0.012992062f, 0.010636139f,
         0.006133811f, 0.0017768133f, 0.00017631658f, 1.3139561e-05f, 0.11079652f, 0.09392029f, 0.06378485f,
         0.026450204f, -0.010656973f}};
    vf p = vf_of_16(P[3], at);
    AD_UNROLL for (int k = 2; k >= 0; k--) p = vf_fma(p, r, vf_of_16(P[k], at));
    return vf_fma(p, r, slope);
}
AD_SIMD vf vf_erf(vf x) {
    static const float SLOPE[] = {0.6461088f,     0.41694382f,    0.23559633f,    0.1178353f,
                                  0.052272405f,   0.01991918f,    0.007039166f,   0.002276891f,
                                  0.00030803954f, 1.3771501e-05f, 4.7186404e-07f, 0.12837917f,
                                  1.089708f,      1.0226568f,     0.9309791f,     0.8229974f};
    const vf a = vf_min(vf_set1(4), vf_abs(x));
    const vfi at = vf_erf_interval(vf_add(a, vf_set1(1.375f)));
    const vf r = vf_add(a, vf_of_16(vf_erf_centres, at));
    const vf p = vf_erf_slope(vf_of_16(SLOPE, at), at, r);
    return vf_flip(vf_fma(r, p, vf_max(vf_of_16(vf_erf_values, at), r)), x);
}
/* x (1 + erf(x / sqrt 2)) / 2; an erf that is small beside 1 needs no digits of its own */
AD_SIMD vf vf_gelu(vf x) {
    static const float SLOPE[] = {0.6461088f,     0.41694382f,    0.23559633f,    0.1178353f,
                                  0.052272405f,   0.01991918f,    0.007039166f,   0.002276891f,
                                  0.00030803954f, 1.3771501e-05f, 4.7186404e-07f, 1.1283792f,
                                  1.089708f,      1.0226568f,     0.9309791f,     0.8229974f};
    const vf a = vf_min(vf_set1(5.656854f), vf_abs(x)), root = vf_set1(0.70710678f);
    const vfi at = vf_erf_interval(vf_fma(a, root, vf_set1(1.375f)));
    const vf r = vf_fma(a, root, vf_of_16(vf_erf_centres, at));
    const vf p = vf_erf_slope(vf_of_16(SLOPE, at), at, r);
    const vf half = vf_set1(0.5f), erf = vf_flip(vf_fma(r, p, vf_of_16(vf_erf_values, at)), x);
    return vf_mul(x, vf_fma(erf, half, half));
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

AD_SIMD vd vd_gelu(vd x) {
    const vd scaled = vd_mul(x, vd_set1(0.70710678118654752));
    return vd_mul(vd_mul(x, vd_set1(0.5)), vd_add(vd_set1(1), vd_erf(scaled)));
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
