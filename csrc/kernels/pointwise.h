/* kernels/pointwise.h: the kernels of the pointwise machine, one for each row of instructions.def and
 * register type. An instruction is a small function f32_<name>, f64_<name> or i64_<name> of one vector (i64:
 * of one element, which the compiler vectorises); the loops around them come from the rows.
 *
 * dst may be a, b or c. The float types are in pointwise_real.h, loads and stores in convert.h. */

#define T float
#define V vf
#define M mf
#define W VF_W
#define EPSILON 0x1p-23f
#define v(op) vf_##op
#define m(op) mf_##op
#define K(name) f32_##name
#include "pointwise_real.h"

#define T double
#define V vd
#define M md
#define W VD_W
#define EPSILON 0x1p-52
#define v(op) vd_##op
#define m(op) md_##op
#define K(name) f64_##name
#include "pointwise_real.h"

/* ---- i64 ---- */
AD_SIMD int64_t i64_copy(int64_t a) { return a; }
AD_SIMD int64_t i64_add(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
AD_SIMD int64_t i64_sub(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
AD_SIMD int64_t i64_mul(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }
AD_SIMD int64_t i64_fma(int64_t a, int64_t b, int64_t c) { return i64_add(i64_mul(a, b), c); }
AD_SIMD int64_t i64_neg(int64_t a) { return i64_sub(0, a); }
AD_SIMD int64_t i64_abs(int64_t a) { return a < 0 ? i64_neg(a) : a; }
AD_SIMD int64_t i64_sign(int64_t a) { return (a > 0) - (a < 0); }
AD_SIMD int64_t i64_minimum(int64_t a, int64_t b) { return a < b ? a : b; }
AD_SIMD int64_t i64_maximum(int64_t a, int64_t b) { return a > b ? a : b; }

/* Of negative powers only those of 1 and -1 are integers; the others give 0. */
AD_SIMD int64_t i64_pow(int64_t a, int64_t b) {
    if (b < 0) return a == 1 ? 1 : a == -1 ? 1 - 2 * (b & 1) : 0;
    int64_t power = 1;
    for (; b; b >>= 1, a = i64_mul(a, a))
        if (b & 1) power = i64_mul(power, a);
    return power;
}

/* Stein's: what is left after twos are taken out are odd numbers, whose difference is even. */
AD_SIMD int64_t i64_gcd(int64_t a, int64_t b) {
    uint64_t x = (uint64_t)i64_abs(a), y = (uint64_t)i64_abs(b);
    if (!x || !y) return (int64_t)(x | y);
    const int twos = __builtin_ctzll(x | y);
    for (x >>= __builtin_ctzll(x);;) {
        y >>= __builtin_ctzll(y);
        if (x == y) return (int64_t)(x << twos);
        const uint64_t apart = x < y ? y - x : x - y;
        x = x < y ? x : y;
        y = apart;
    }
}

#include "divide.h"

AD_SIMD int64_t i64_lt(int64_t a, int64_t b) { return a < b; }
AD_SIMD int64_t i64_le(int64_t a, int64_t b) { return a <= b; }
AD_SIMD int64_t i64_eq(int64_t a, int64_t b) { return a == b; }
AD_SIMD int64_t i64_ne(int64_t a, int64_t b) { return a != b; }
AD_SIMD int64_t i64_where(int64_t a, int64_t b, int64_t c) { return a != 0 ? b : c; }
AD_SIMD int64_t i64_logical_not(int64_t a) { return a == 0; }
AD_SIMD int64_t i64_logical_and(int64_t a, int64_t b) { return (a != 0) & (b != 0); }
AD_SIMD int64_t i64_logical_or(int64_t a, int64_t b) { return (a | b) != 0; }
AD_SIMD int64_t i64_logical_xor(int64_t a, int64_t b) { return (a != 0) ^ (b != 0); }
AD_SIMD int64_t i64_bitwise_and(int64_t a, int64_t b) { return a & b; }
AD_SIMD int64_t i64_bitwise_or(int64_t a, int64_t b) { return a | b; }
AD_SIMD int64_t i64_bitwise_xor(int64_t a, int64_t b) { return a ^ b; }
AD_SIMD int64_t i64_bitwise_not(int64_t a) { return ~a; }
AD_SIMD int64_t i64_shl(int64_t a, int64_t b) {
    return (uint64_t)b > 63 ? 0 : (int64_t)((uint64_t)a << (b & 63));
}
AD_SIMD int64_t i64_shr(int64_t a, int64_t b) { return a >> ((uint64_t)b > 63 ? 63 : b); }
AD_SIMD int64_t i64_to_truth(int64_t a) { return a != 0; }
AD_SIMD int64_t i64_wrap_uint8(int64_t a) { return (uint8_t)a; }
AD_SIMD int64_t i64_wrap_int32(int64_t a) { return (int32_t)a; }

/* ---- the loops ---- */
#define VI_W 1
AD_SIMD int64_t vi_load(const int64_t *p) { return *p; }
AD_SIMD void vi_store(int64_t *p, int64_t a) { *p = a; }
AD_SIMD int64_t vi_load_n(const int64_t *p, int64_t n) { return n > 0 ? *p : 0; }
AD_SIMD void vi_store_n(int64_t *p, int64_t a, int64_t n) {
    if (n > 0) *p = a;
}

/* Every element depends on its own operands alone, which the compiler cannot know. (Clang's own pragma is an
 * error where a loop is in vectors already.) */
#ifdef __clang__
#define AD_INDEPENDENT
#define AD_UNROLL_4 _Pragma("clang loop unroll_count(4)")
#else
#define AD_INDEPENDENT _Pragma("GCC ivdep")
#define AD_UNROLL_4 _Pragma("GCC unroll 4")
#endif

#define PUT(v, T)                                                                                            \
    AD_SIMD void v##_put(T *p, v a, bool past) {                                                             \
        if (past)                                                                                            \
            v##_stream(p, a);                                                                                \
        else                                                                                                 \
            v##_store(p, a);                                                                                 \
    }
PUT(vf, float)
PUT(vd, double)
#define vi_put(p, a, past) vi_store(p, a)
#define IS_PAST_1 (c == ad_past)
#define IS_PAST_2 (c == ad_past)
#define IS_PAST_3 false

#define KERNEL(name, type, T, v, W, arity, LOOP)                                                             \
    static void pw_##type##_##name(int64_t n, void *dst, const void *a, const void *b, const void *c) {      \
        T *d = dst;                                                                                          \
        const T *x = a, *y = b, *z = c;                                                                      \
        int64_t i = 0;                                                                                       \
        bool past = IS_PAST_##arity;                                                                         \
        (void)y, (void)z, (void)past;                                                                        \
        LOOP for (; i <= n - (W); i += (W)) v##_put(d + i, type##_##name OPERANDS_##arity(v), past);         \
        if ((W) > 1 && i < n) v##_store_n(d + i, type##_##name OPERANDS_N_##arity(v), n - i);                \
    }
#define OPERANDS_1(v) (v##_load(x + i))
#define OPERANDS_2(v) (v##_load(x + i), v##_load(y + i))
#define OPERANDS_3(v) (v##_load(x + i), v##_load(y + i), v##_load(z + i))
#define OPERANDS_N_1(v) (v##_load_n(x + i, n - i))
#define OPERANDS_N_2(v) (v##_load_n(x + i, n - i), v##_load_n(y + i, n - i))
#define OPERANDS_N_3(v) (v##_load_n(x + i, n - i), v##_load_n(y + i, n - i), v##_load_n(z + i, n - i))

#define KERNEL_f32_0(name, arity, LOOP)
#define KERNEL_f64_0(name, arity, LOOP)
#define KERNEL_i64_0(name, arity)
#define KERNEL_f32_1(name, arity, LOOP) KERNEL(name, f32, float, vf, VF_W, arity, LOOP)
#define KERNEL_f64_1(name, arity, LOOP) KERNEL(name, f64, double, vd, VD_W, arity, LOOP)
#define KERNEL_i64_1(name, arity) KERNEL(name, i64, int64_t, vi, VI_W, arity, AD_INDEPENDENT)

/* Where there is little to compute, a loop of its own: to look where each vector goes would cost as much. */
#define CHEAP(name, type, v, W, arity)                                                                       \
    if (past)                                                                                                \
        for (; i <= n - (W); i += (W)) v##_stream(d + i, type##_##name OPERANDS_##arity(v));                 \
    past = false;                                                                                            \
    AD_UNROLL_4

/* T vectors at a time where no element is one of the few: there is no call between them, so constants stay
 * in registers. */
#define USUAL_LOOP(name, v, W, T)                                                                            \
    for (; i <= n - T * (W); i += T * (W)) {                                                                 \
        v r[T];                                                                                              \
        AD_UNROLL for (int k = 0; k < T; k++) r[k] = v##_load(x + i + k * (W));                              \
        if (__builtin_expect(v##_##name##_is_rare(r, T), 0)) {                                               \
            for (int k = 0; k < T; k++)                                                                      \
                v##_put(d + i + k * (W), v##_##name##_rare(v##_load(x + i + k * (W))), past);                \
            continue;                                                                                        \
        }                                                                                                    \
        AD_UNROLL for (int k = 0; k < T; k++) v##_put(d + i + k * (W), v##_##name##_usual(r[k]), past);      \
    }

/* pow of the first elements, vectors in step; tells of how many. */
static int64_t pow_in_step(int64_t n, float *d, const float *x, const float *y, bool past) {
    int64_t i = 0;
    for (; POW_IN_FLOATS && i <= n - POW_VECTORS * VF_W; i += POW_VECTORS * VF_W) {
        vf a[POW_VECTORS], b[POW_VECTORS], r[POW_VECTORS];
        mf right[POW_VECTORS];
        AD_UNROLL for (int k = 0; k < POW_VECTORS; k++) {
            a[k] = vf_load(x + i + k * VF_W), b[k] = vf_load(y + i + k * VF_W);
        }
        vf_pow_each(a, b, r, right, POW_VECTORS);
        mf all = right[0];
        AD_UNROLL for (int k = 1; k < POW_VECTORS; k++) all = mf_and(all, right[k]);
        if (__builtin_expect(mf_any(mf_not(all)), 0))
            AD_UNROLL for (int k = 0; k < POW_VECTORS; k++) r[k] = vf_pow_rest(a[k], b[k], r[k], right[k]);
        AD_UNROLL for (int k = 0; k < POW_VECTORS; k++) vf_put(d + i + k * VF_W, r[k], past);
    }
    return i;
}
#define AD_POW(name, arity, F, D, I)                                                                         \
    KERNEL_f32_##F(name, arity, i = pow_in_step(n, d, x, y, past);) KERNEL_f64_##D(name, arity, )            \
        KERNEL_i64_##I(name, arity)
#define AD_DIVIDES(name, arity, F, D, I)                                                                     \
    BY_ONE(name)                                                                                             \
    OF_SMALL(name)                                                                                           \
    KERNEL_f32_##F(name, arity, ) KERNEL_f64_##D(name, arity, )                                              \
        KERNEL(name, i64, int64_t, vi, VI_W, 2, i = name##_of_small(n, d, x, y);                             \
               i += name##_by_one(n - i, d + i, x + i, y + i);)
#define AD_CAST(name, arity, F, D, I)
#define AD_INSTR(name, arity, F, D, I)                                                                       \
    KERNEL_f32_##F(name, arity, ) KERNEL_f64_##D(name, arity, ) KERNEL_i64_##I(name, arity)
#define AD_CHEAP(name, arity, F, D, I)                                                                       \
    KERNEL_f32_##F(name, arity, CHEAP(name, f32, vf, VF_W, arity))                                           \
        KERNEL_f64_##D(name, arity, CHEAP(name, f64, vd, VD_W, arity)) KERNEL_i64_##I(name, arity)
#define AD_USUAL(name, arity, F, D, I)                                                                       \
    KERNEL_f32_##F(name, arity, USUAL_LOOP(name, vf, VF_W, 4))                                               \
        KERNEL_f64_##D(name, arity, USUAL_LOOP(name, vd, VD_W, 2))
#define AD_MOSTLY(name, arity, F, D, I)                                                                      \
    KERNEL_f32_##F(name, arity, USUAL_LOOP(name, vf, VF_W, 4)) KERNEL_f64_##D(name, arity, )
#include "../instructions.def"
#undef AD_INSTR

#include "convert.h"
#include "bytes.h"
#include "number.h"
#include "narrow.h"
#include "half.h"
#include "transpose.h"

/* ---- the table ---- */
#define ENTRY_0(name, type) NULL
#define ENTRY_1(name, type) pw_##type##_##name
#define AD_INSTR(name, arity, F, D, I)                                                                       \
    [AD_OP_##name] = {ENTRY_##F(name, f32), ENTRY_##D(name, f64), ENTRY_##I(name, i64)},
#define AD_DTYPE(name, ctype, type) [AD_##name] = {load_##name##_f32, load_##name##_f64, load_##name##_i64},
static const ad_pw_kernels pw_kernels = {
    .instr =
        {
#include "../instructions.def"
        },
    .load =
        {
#include "../dtypes.def"
        },
#undef AD_DTYPE
    .store =
        {
#define AD_DTYPE(name, ctype, type) [AD_##name] = store_f32_##name,
            [AD_f32] =
                {
#include "../dtypes.def"
                },
#undef AD_DTYPE
#define AD_DTYPE(name, ctype, type) [AD_##name] = store_f64_##name,
            [AD_f64] =
                {
#include "../dtypes.def"
                },
#undef AD_DTYPE
#define AD_DTYPE(name, ctype, type) [AD_##name] = store_i64_##name,
            [AD_i64] =
                {
#include "../dtypes.def"
                },
#undef AD_DTYPE
        },
    .compare =
        {
#define AD_COMPARE(name, op) [AD_OP_##name - AD_OP_lt] = compare_f32_##name,
            AD_COMPARISONS
#undef AD_COMPARE
        },
    .number =
        {
#define AD_NUMBER(name, arity, which)                                                                        \
    [AD_OP_##name][AD_f32][(which) >> 1] = number_f32_##name##_##which,                                      \
                                      [AD_OP_##name][AD_f64][(which) >> 1] = number_f64_##name##_##which,
#define AD_PAIR(name, which) [AD_OP_##name][AD_f32][(which) >> 1] = number_f32_##name##_##which,
            AD_BY_NUMBER
#undef AD_NUMBER
#undef AD_PAIR
        },
    .compare_number =
        {
#define AD_COMPARE(name, op)                                                                                 \
    [AD_OP_##name - AD_OP_lt] = {compare_number_##name##_a, compare_number_##name##_b},
            AD_COMPARISONS
#undef AD_COMPARE
        },
    .truth = {truth_not, truth_and, truth_or, truth_xor},
    .where = {where_f32, where_f64, where_i64},
    .narrow = narrow,
    .half = half,
    .convert = convert,
    .move = move,
    .fill = fill,
    .stream = stream,
    .transpose = {transpose_float, transpose_double},
};
#undef AD_INSTR
