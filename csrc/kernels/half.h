/* kernels/half.h: instructions on floats of 16 bits from memory to memory, as they come out of f32 registers
 * once those are stored; included by pointwise.h. */
#if VF_W > 1

AD_SIMD vf load_bf16(const uint16_t *p) { return vf_of_bits(vfi_shl(vfi_load_16(p), 16)); }
AD_SIMD void store_bf16(uint16_t *p, vf a) { /* as f32_to_bf16 */
    const vfi bits = vf_bits(a), upper = vfi_shr(bits, 16);
    const vfi odd = vfi_and(upper, vfi_set1(1));
    const vfi near = vfi_shr(vfi_add(bits, vfi_add(vfi_set1(0x7fff), odd)), 16);
    const vf quiet = vf_of_bits(vfi_or(upper, vfi_set1(0x40)));
    vfi_store_16(p, vf_bits(vf_select(vf_eq(a, a), vf_of_bits(near), quiet)));
}
/* Where nothing is rounded: bits, of which a nan becomes quiet as it would on the way. */
#define HALF_BITS(half, name, infinity, quiet, sign)                                                         \
    static void half_##half##_##name(int64_t n, void *dst, const void *a, const void *b, const void *c) {    \
        uint16_t *d = dst;                                                                                   \
        const uint16_t *x = a;                                                                               \
        (void)b, (void)c;                                                                                    \
        AD_INDEPENDENT for (int64_t i = 0; i < n; i++) {                                                     \
            const uint16_t size = x[i] & 0x7fff, still = size > (infinity) ? (quiet) : 0;                    \
            d[i] = size | still | (sign);                                                                    \
        }                                                                                                    \
    }
HALF_BITS(f16, neg, 0x7c00, 0x200, ~x[i] & 0x8000)
HALF_BITS(f16, abs, 0x7c00, 0x200, 0)
HALF_BITS(bf16, neg, 0x7f80, 0x40, ~x[i] & 0x8000)
HALF_BITS(bf16, abs, 0x7f80, 0x40, 0)

#define load_f16 vf_load_f16
#define store_f16 vf_store_f16

/* What is over after the last vector, as one of its own. */
static __attribute__((noinline)) void half_rest(ad_pw_fn *kernel, int64_t n, uint16_t *d, const uint16_t *x,
                                                const uint16_t *y, const void *number) {
    uint16_t made[VF_W], a[VF_W] = {0}, b[VF_W] = {0};
    memcpy(a, x, (size_t)n * sizeof *x);
    if (!number) memcpy(b, y, (size_t)n * sizeof *y);
    kernel(VF_W, made, a, b, number ? number : a);
    memcpy(d, made, (size_t)n * sizeof *d);
}

/* c: a float that is the second operand, or a. */
#define HALF_KERNEL(half, name, OF)                                                                          \
    static void half_##half##_##name(int64_t n, void *dst, const void *a, const void *b, const void *c) {    \
        uint16_t *d = dst;                                                                                   \
        const uint16_t *x = a, *y = b;                                                                       \
        const float *number = c == a ? NULL : c;                                                             \
        int64_t i = 0;                                                                                       \
        const vf same = vf_set1(number ? *number : 0);                                                       \
        (void)y, (void)same;                                                                                 \
        for (; number && i <= n - VF_W; i += VF_W) store_##half(d + i, f32_##name OF(half, same));           \
        for (; i <= n - VF_W; i += VF_W) store_##half(d + i, f32_##name OF(half, load_##half(y + i)));       \
        if (i < n) half_rest(half_##half##_##name, n - i, d + i, x + i, y + i, number);                      \
    }
#define ALONE(half, other) (load_##half(x + i))
#define BESIDE(half, other) (load_##half(x + i), other)
#define HALF_1(name) HALF_KERNEL(f16, name, ALONE) HALF_KERNEL(bf16, name, ALONE)
#define HALF_2(name) HALF_KERNEL(f16, name, BESIDE) HALF_KERNEL(bf16, name, BESIDE)
#define AD_HALVES HALF_1(sqrt) HALF_2(add) HALF_2(sub) HALF_2(mul) HALF_2(div) HALF_2(minimum) HALF_2(maximum)
AD_HALVES
#undef HALF_1
#undef HALF_2

#define HALF_1(name)                                                                                         \
    case AD_OP_##name: return dtype == AD_float16 ? half_f16_##name : half_bf16_##name;
#define HALF_2 HALF_1
static ad_pw_fn *half(int op, int dtype) {
    if (dtype == AD_float16 && !(VF_F16)) return NULL;
    switch (op) {
        HALF_1(neg)
        HALF_1(abs)
        AD_HALVES
    default: return NULL;
    }
}
#else
static ad_pw_fn *half(int op, int dtype) { return (void)op, (void)dtype, NULL; }
#endif
