/* exponential.c: exp(A), one matrix at a time: Taylor's polynomial of A / 2^s, squared s times.
 *
 * The polynomial, of degree 15, is one of A^4 whose coefficients are polynomials of degree 3 (Paterson and
 * Stockmeyer 1973): six products. With row sums of at most 1/2, what it leaves out is below half a unit of
 * float64. */
#include <math.h>
#include "factor.h"

enum { POWERS = 4 }; /* A to A^4 */

/* y + c[0] + c[1] A + c[2] A^2 + c[3] A^3; x: the powers, one after the other. */
#define ADD_CUBIC(T)                                                                                         \
    static void add_cubic_##T(int64_t n, const double *c, const void *x, void *y) {                          \
        const T *a = x, *square = a + n * n, *cube = square + n * n, by[] = {(T)c[1], (T)c[2], (T)c[3]};     \
        T *to = y;                                                                                           \
        for (int64_t i = 0; i < n * n; i++) to[i] += by[0] * a[i] + (by[1] * square[i] + by[2] * cube[i]);   \
        for (int64_t i = 0; i < n; i++) to[i * (n + 1)] += (T)c[0];                                          \
    }
ADD_CUBIC(float)
ADD_CUBIC(double)

static int multiply(const ad_tools *t, int64_t n, const char *a, const char *b, char *c) {
    return ad_gemm(&(ad_product){.kernels = t->gemm,
                                 .size = t->size,
                                 .m = n,
                                 .n = n,
                                 .k = n,
                                 .a = {a, n, 1},
                                 .b = {b, n, 1},
                                 .c = c,
                                 .c_row = n});
}

/* How often A is halved. */
static int halvings(const char *a, int64_t size, int64_t n) {
    double most = 0;
    int exponent;
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++) sum += fabs(ad_element(a, size, i * n + j));
        if (!(sum <= most)) most = sum;
    }
    if (!(most > 0.5) || isinf(most)) return 0;
    frexp(most, &exponent);
    return exponent + 1;
}

int ad_exp_one(const ad_factor *x, int64_t i) {
    const int64_t n = x->n;
    const ad_tools t = ad_tools_of(x->out->dtype);
    const size_t each = (size_t)(n * n * t.size);
    char *out = x->out->data + i * (int64_t)each, *a = ad_alloc((POWERS + 1) * each);
    if (!a) return AD_NO_MEMORY;
    char *fourth = a + (POWERS - 1) * each, *y = a + POWERS * each, *other = out;
    const int s = halvings(out, t.size, n);
    for (int64_t k = 0; k < n * n; k++) ad_set_element(a, t.size, k, ldexp(ad_element(out, t.size, k), -s));
    int status = AD_OK;
    for (size_t k = 1; k < POWERS && !status; k++)
        status = multiply(&t, n, a, a + (k - 1) * each, a + k * each);
    double c[4 * POWERS] = {1};
    for (int k = 1; k < 4 * POWERS; k++) c[k] = c[k - 1] / k;
    memset(y, 0, each);
    for (int j = 3; j >= 0 && !status; j--) {
        (t.size == sizeof(float) ? add_cubic_float : add_cubic_double)(n, c + 4 * j, a, y);
        if (!j) break;
        status = multiply(&t, n, y, fourth, other);
        char *const kept = y;
        y = other;
        other = kept;
    }
    for (int k = 0; k < s && !status; k++) {
        status = multiply(&t, n, y, y, other);
        char *const kept = y;
        y = other;
        other = kept;
    }
    if (y != out) memcpy(out, y, each);
    ad_dealloc(a);
    return status;
}
