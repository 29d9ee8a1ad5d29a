/* kernels/narrow.h: instructions on integers of 8, 16 and 32 bits from memory to memory, as they come out of
 * i64 registers once those are stored; included by pointwise.h. */
#if VF_W > 1

/* What is over after the last part is done one by one: to make vectors of that too is code for nothing. */
#define NARROW_KERNEL(name, ctype, result, op_of)                                                            \
    static void narrow_##ctype##_##name(int64_t n, void *dst, const void *a, const void *b, const void *c) { \
        enum { PART = 64 };                                                                                  \
        result *d = dst;                                                                                     \
        const ctype *x = a, *y = b;                                                                          \
        const uint8_t opposite = *(const uint8_t *)c;                                                        \
        int64_t i = 0;                                                                                       \
        (void)opposite, (void)y;                                                                             \
        for (; i <= n - PART; i += PART)                                                                     \
            AD_INDEPENDENT for (int k = 0; k < PART; k++) d[i + k] = (result)op_of(x[i + k], y[i + k]);      \
        for (; i < n; i++) ONE(d[i] = (result)op_of(x[i], y[i]));                                            \
    }
#define SUM(x, y) (1u * (x) + (y))
#define DIFFERENCE(x, y) (1u * (x) - (y))
#define PRODUCT(x, y) (1u * (x) * (y))
#define LEAST(x, y) ((x) < (y) ? (x) : (y))
#define GREATEST(x, y) ((x) > (y) ? (x) : (y))
#define SIZE(x, y) ((x) < 0 ? 0u - (x) : 0u + (x))
#define SIGN(x, y) (((x) > 0) - ((x) < 0))
#define LEFT(x, y) ((unsigned)(y) < 32 ? 1u * (x) << (y) : 0) /* of what is at least as wide */
#define RIGHT(x, y) ((x) >> ((unsigned)(y) < 32 ? (y) : 31))
#define BOTH(x, y) ((x) & (y))
#define EITHER(x, y) ((x) | (y))
#define ONE_OF(x, y) ((x) ^ (y))
#define BELOW(x, y) (((x) < (y)) ^ opposite) /* a byte that c points at: x < y, or that it is not so */
#define SAME(x, y) (((x) == (y)) ^ opposite)

/* bit by bit: any width is so many bytes */
#define BYTES(name, ctype)                                                                                   \
    static void narrow_##ctype##_##name(int64_t n, void *dst, const void *a, const void *b, const void *c) { \
        narrow_uint8_t_##name(n *(int64_t)sizeof(ctype), dst, a, b, c);                                      \
    }
#define OF_BITS(name, op_of)                                                                                 \
    NARROW_KERNEL(name, uint8_t, uint8_t, op_of) BYTES(name, uint16_t) BYTES(name, uint32_t)
#define MODULAR(name, op_of)                                                                                 \
    NARROW_KERNEL(name, uint8_t, uint8_t, op_of)                                                             \
    NARROW_KERNEL(name, uint16_t, uint16_t, op_of) NARROW_KERNEL(name, uint32_t, uint32_t, op_of)
#define CHOICE(name, op_of)                                                                                  \
    NARROW_KERNEL(name, uint8_t, uint8_t, op_of)                                                             \
    NARROW_KERNEL(name, int8_t, int8_t, op_of)                                                               \
    NARROW_KERNEL(name, int16_t, int16_t, op_of) NARROW_KERNEL(name, int32_t, int32_t, op_of)
MODULAR(add, SUM)
MODULAR(sub, DIFFERENCE)
MODULAR(mul, PRODUCT)
MODULAR(shl, LEFT)
OF_BITS(bitwise_and, BOTH)
OF_BITS(bitwise_or, EITHER)
OF_BITS(bitwise_xor, ONE_OF)
CHOICE(minimum, LEAST)
CHOICE(maximum, GREATEST)
CHOICE(abs, SIZE)
CHOICE(sign, SIGN)
CHOICE(shr, RIGHT)
NARROW_KERNEL(lt, uint8_t, uint8_t, BELOW)
NARROW_KERNEL(lt, int8_t, uint8_t, BELOW)
NARROW_KERNEL(lt, int16_t, uint8_t, BELOW)
NARROW_KERNEL(lt, int32_t, uint8_t, BELOW)
NARROW_KERNEL(eq, uint8_t, uint8_t, SAME)
NARROW_KERNEL(eq, uint16_t, uint8_t, SAME)
NARROW_KERNEL(eq, uint32_t, uint8_t, SAME)

/* A function, as a table of so many would have to be filled when the library is loaded. */
#define BY_SIZE(name)                                                                                        \
    case AD_OP_##name:                                                                                       \
        return size == 1   ? narrow_uint8_t_##name                                                           \
               : size == 2 ? narrow_uint16_t_##name                                                          \
                           : narrow_uint32_t_##name;
#define BY_SIGN(name)                                                                                        \
    case AD_OP_##name:                                                                                       \
        return dtype <= AD_uint8 ? narrow_uint8_t_##name                                                     \
               : size == 1       ? narrow_int8_t_##name                                                      \
               : size == 2       ? narrow_int16_t_##name                                                     \
                                 : narrow_int32_t_##name;
static ad_pw_fn *narrow(int op, int dtype) {
    const int size = ad_itemsize[dtype];
    switch (op) {
        BY_SIZE(add)
        BY_SIZE(sub)
        BY_SIZE(mul)
        BY_SIZE(shl)
        BY_SIZE(bitwise_and)
        BY_SIZE(bitwise_or)
        BY_SIZE(bitwise_xor)
        BY_SIGN(minimum)
        BY_SIGN(maximum)
        BY_SIGN(abs)
        BY_SIGN(sign)
        BY_SIGN(shr)
        BY_SIGN(lt)
        BY_SIZE(eq)
    default: return NULL;
    }
}
#else
static ad_pw_fn *narrow(int op, int dtype) { return (void)op, (void)dtype, NULL; }
#endif
