/* kernels/number.h: instructions where operands are numbers, the same for a whole run; included by
 * pointwise.h. What a lane computes is what it computes for a run of that number. */

/* AD_NUMBER: an instruction, its arity, and a bit for each operand that is a number. AD_PAIR: those of
 * pairs.c. */
/* clang-format off */
#define AD_BY_NUMBER                                                                                         \
    AD_EITHER(add, 2) AD_EITHER(sub, 2) AD_EITHER(mul, 2) AD_EITHER(div, 2)                                  \
    AD_EITHER(minimum, 2) AD_EITHER(maximum, 2) AD_EITHER(keep_le, 3) AD_EITHER(drop_le, 3)                  \
    AD_NUMBER(keep_within, 3, 2) AD_NUMBER(drop_within, 3, 2) AD_NUMBER(replace_le, 3, 6)                    \
    AD_NUMBER(lerp, 3, 4) AD_NUMBER(softshrink, 2, 2) AD_NUMBER(nan_to_largest, 3, 6)                        \
    AD_NUMBER(smooth_l1_loss, 3, 4) AD_NUMBER(huber_loss, 3, 4) AD_NUMBER(bounded_error, 3, 4)               \
    AD_NUMBER(sloped, 3, 4) AD_NUMBER(limited, 3, 6)                                                         \
    AD_NUMBER(fma, 3, 2) AD_NUMBER(fma, 3, 4) AD_NUMBER(fma, 3, 6)                                           \
    AD_PAIR(add_add, 2) AD_PAIR(add_mul, 2) AD_PAIR(sub_mul, 1) AD_PAIR(sub_mul, 2) AD_PAIR(sub_mul, 4)      \
    AD_PAIR(sub_mul, 6) AD_PAIR(mul_add, 2) AD_PAIR(mul_add, 4) AD_PAIR(mul_add, 6) AD_PAIR(mul_mul, 2)      \
    AD_PAIR(mul_mul, 4) AD_PAIR(mul_from, 4)
/* clang-format on */
#define AD_EITHER(name, arity) AD_NUMBER(name, arity, 1) AD_NUMBER(name, arity, 2)

#define EACH(k, which, LOAD) ((which) >> (k) & 1 ? same[k] : LOAD(p[k]))
#define EACH_2(which, LOAD) (EACH(0, which, LOAD), EACH(1, which, LOAD))
#define EACH_3(which, LOAD) (EACH(0, which, LOAD), EACH(1, which, LOAD), EACH(2, which, LOAD))
#define BY_NUMBER(name, type, T, v, W, EACH_OF, which)                                                       \
    static void number_##type##_##name##_##which(int64_t n, void *dst, const void *a, const void *b,         \
                                                 const void *c) {                                            \
        T *d = dst;                                                                                          \
        const T *const p[] = {a, b, c};                                                                      \
        v same[3];                                                                                           \
        AD_UNROLL for (int k = 0; k < 3; k++) if ((which) >> k & 1) same[k] = v##_set1(*p[k]);               \
        int64_t i = 0;                                                                                       \
        AD_UNROLL_4 for (; i <= n - (W); i += (W)) v##_store(d + i, type##_##name EACH_OF(which, v##_RUN));  \
        if ((W) > 1 && i < n) v##_store_n(d + i, type##_##name EACH_OF(which, v##_REST), n - i);             \
    }
#define vf_RUN(p) vf_load((p) + i)
#define vd_RUN(p) vd_load((p) + i)
#define vf_REST(p) vf_load_n((p) + i, n - i)
#define vd_REST(p) vd_load_n((p) + i, n - i)
#define AD_NUMBER(name, arity, which)                                                                        \
    BY_NUMBER(name, f32, float, vf, VF_W, EACH_##arity, which)                                               \
    BY_NUMBER(name, f64, double, vd, VD_W, EACH_##arity, which)
#define AD_PAIR(name, which) BY_NUMBER(name, f32, float, vf, VF_W, EACH_3, which)
AD_BY_NUMBER
#undef AD_NUMBER
#undef AD_PAIR
#undef EACH

/* `where` with conditions that are bools in memory. */
#define WHERE(type, T)                                                                                       \
    static void where_##type(int64_t n, void *dst, const void *a, const void *b, const void *c) {            \
        T *d = dst;                                                                                          \
        const uint8_t *condition = a;                                                                        \
        const T *x = b, *y = c;                                                                              \
        AD_INDEPENDENT for (int64_t i = 0; i < n; i++) {                                                     \
            const T yes = x[i], no = y[i];                                                                   \
            d[i] = condition[i] ? yes : no;                                                                  \
        }                                                                                                    \
    }
WHERE(f32, float)
WHERE(f64, double)
WHERE(i64, int64_t)
