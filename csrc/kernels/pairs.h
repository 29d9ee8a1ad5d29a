/* kernels/pairs.h: two instructions in one loop, for a result that the second alone reads: it stays in the
 * CPU's register, and has the bits it would have in memory. Included by pointwise.h. */

/* Of the vector at `o` elements from i: what the first makes of r[1].., and the second of that and the rest
 */
#define FIRST_add(type, at) type##_add(at(0), at(1))
#define FIRST_sub(type, at) type##_sub(at(0), at(1))
#define FIRST_mul(type, at) type##_mul(at(0), at(1))
#define FIRST_fma(type, at) type##_fma(at(0), at(1), at(2))
#define SECOND_add(type, at) type##_add(t, at(2))
#define SECOND_sub(type, at) type##_sub(t, at(2))
#define SECOND_from(type, at) type##_sub(at(2), t)
#define SECOND_mul(type, at) type##_mul(t, at(2))
#define SECOND_fma(type, at) type##_fma(t, at(3), at(4))

#define WHOLE_f32(k) vf_load(p[k] + step[k] * i + o)
#define WHOLE_f64(k) vd_load(p[k] + step[k] * i + o)
#define PART_f32(k) vf_load_n(p[k] + step[k] * i, n - i)
#define PART_f64(k) vd_load_n(p[k] + step[k] * i, n - i)

/* `varies` tells of each register whether it holds a run, or one number AD_PAIR_RUN times. */
#define PAIR(first, second, type, T, v, W)                                                                   \
    static void pair_##type##_##first##_##second(int64_t n, void *const *regs, const uint8_t *varies,        \
                                                 const uint16_t *r) {                                        \
        T *d = regs[r[0]];                                                                                   \
        const T *p[AD_PAIR_READS];                                                                           \
        int64_t step[AD_PAIR_READS], i = 0;                                                                  \
        AD_UNROLL for (int k = 0; k < AD_PAIR_READS; k++) p[k] = regs[r[k + 1]], step[k] = varies[r[k + 1]]; \
        for (; i <= n - 4 * (W); i += 4 * (W)) {                                                             \
            AD_UNROLL for (int64_t o = 0; o < 4 * (W); o += (W)) {                                           \
                const v t = FIRST_##first(type, WHOLE_##type);                                               \
                v##_store(d + i + o, SECOND_##second(type, WHOLE_##type));                                   \
            }                                                                                                \
        }                                                                                                    \
        for (const int64_t o = 0; i <= n - (W); i += (W)) {                                                  \
            const v t = FIRST_##first(type, WHOLE_##type);                                                   \
            v##_store(d + i, SECOND_##second(type, WHOLE_##type));                                           \
        }                                                                                                    \
        if ((W) > 1 && i < n) {                                                                              \
            const v t = FIRST_##first(type, PART_##type);                                                    \
            v##_store_n(d + i, SECOND_##second(type, PART_##type), n - i);                                   \
        }                                                                                                    \
    }
#define AD_PAIR(first, second)                                                                               \
    PAIR(first, second, f32, float, vf, VF_W) PAIR(first, second, f64, double, vd, VD_W)
AD_PAIRS
#undef AD_PAIR
