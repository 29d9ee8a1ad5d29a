/* kernels/number.h: instructions where one operand is a number, the same for a whole run; included by
 * pointwise.h. What a lane computes is what it computes for a run of that number. */

#define AD_BY_NUMBER                                                                                         \
    AD_NUMBER(add) AD_NUMBER(sub) AD_NUMBER(mul) AD_NUMBER(div) AD_NUMBER(minimum) AD_NUMBER(maximum)

#define BY_NUMBER(name, type, T, v, W, suffix, number, run, OPERANDS)                                        \
    static void number_##type##_##name##_##suffix(int64_t n, void *dst, const void *a, const void *b,        \
                                                  const void *c) {                                           \
        T *d = dst;                                                                                          \
        const T *x = run;                                                                                    \
        const v same = v##_set1(*(const T *)number);                                                         \
        int64_t i = 0;                                                                                       \
        (void)c;                                                                                             \
        AD_UNROLL_4 for (; i <= n - (W); i += (W)) {                                                         \
            const v each = v##_load(x + i);                                                                  \
            v##_store(d + i, type##_##name OPERANDS);                                                        \
        }                                                                                                    \
        if ((W) > 1 && i < n) {                                                                              \
            const v each = v##_load_n(x + i, n - i);                                                         \
            v##_store_n(d + i, type##_##name OPERANDS, n - i);                                               \
        }                                                                                                    \
    }
#define AD_NUMBER(name)                                                                                      \
    BY_NUMBER(name, f32, float, vf, VF_W, a, a, b, (same, each))                                             \
    BY_NUMBER(name, f32, float, vf, VF_W, b, b, a, (each, same))                                             \
    BY_NUMBER(name, f64, double, vd, VD_W, a, a, b, (same, each))                                            \
    BY_NUMBER(name, f64, double, vd, VD_W, b, b, a, (each, same))
AD_BY_NUMBER
#undef AD_NUMBER

/* fma of a run and two numbers, and of two runs and a number that is added */
#define FMA_BY_NUMBERS(type, T, v, W)                                                                        \
    static void number_##type##_fma_c(int64_t n, void *dst, const void *a, const void *b, const void *c) {   \
        T *d = dst;                                                                                          \
        const T *x = a, *y = b;                                                                              \
        const v term = v##_set1(*(const T *)c);                                                              \
        int64_t i = 0;                                                                                       \
        AD_UNROLL_4 for (; i <= n - (W); i += (W))                                                           \
            v##_store(d + i, type##_fma(v##_load(x + i), v##_load(y + i), term));                            \
        if ((W) > 1 && i < n)                                                                                \
            v##_store_n(d + i, type##_fma(v##_load_n(x + i, n - i), v##_load_n(y + i, n - i), term), n - i); \
    }                                                                                                        \
    static void number_##type##_fma(int64_t n, void *dst, const void *a, const void *b, const void *c) {     \
        T *d = dst;                                                                                          \
        const T *x = a;                                                                                      \
        const v factor = v##_set1(*(const T *)b), term = v##_set1(*(const T *)c);                            \
        int64_t i = 0;                                                                                       \
        AD_UNROLL_4 for (; i <= n - (W); i += (W))                                                           \
            v##_store(d + i, type##_fma(v##_load(x + i), factor, term));                                     \
        if ((W) > 1 && i < n) v##_store_n(d + i, type##_fma(v##_load_n(x + i, n - i), factor, term), n - i); \
    }
FMA_BY_NUMBERS(f32, float, vf, VF_W)
FMA_BY_NUMBERS(f64, double, vd, VD_W)

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
