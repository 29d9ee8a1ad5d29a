/* tridiagonal.c: eigenvalues of symmetric matrices by way of three diagonals: reflections (Householder) take
 * all else away, then rotations (implicit QL with Wilkinson's shift) the two beside the main one. In double,
 * in a fixed order; as exact as the largest value allows. */
#include <math.h>
#include "factor.h"

enum { TURNS = 60 };                                     /* rarely 3 an eigenvalue */
static const double EPSILON = 0x1p-53, NOTHING = 1e-150; /* next to elements of about 1 */

/* Reflects row and column k + 1.. of a (n x n) so that of column k only alpha is left below the diagonal. The
 * reflection is I - beta u u^T, u and beta stay in column k, from its third element, in row k and in `beta`.
 */
static double reflect(int64_t n, int64_t k, double *a, double *u, double *q, double *beta) {
    const int64_t m = n - k - 1;
    double *below = a + (k + 1) * n + k + 1;
    for (int64_t i = 0; i < m; i++) u[i] = a[k * n + k + 1 + i];
    const double first = u[0], rest = ad_dot_in_lanes(m - 1, u + 1, u + 1);
    *beta = 0;
    if (rest < NOTHING * NOTHING) return first;
    const double alpha = (first > 0 ? -1 : 1) * sqrt(first * first + rest);
    u[0] = first - alpha;
    *beta = 2 / (u[0] * u[0] + rest);
    for (int64_t i = 0; i < m; i++) q[i] = *beta * ad_dot_in_lanes(m, below + i * n, u);
    const double half = *beta / 2 * ad_dot_in_lanes(m, u, q);
    for (int64_t i = 0; i < m; i++) q[i] -= half * u[i];
    for (int64_t i = 0; i < m; i++) {
        double *row = below + i * n;
        const double x = u[i], y = q[i];
        for (int64_t j = 0; j < m; j++) row[j] -= x * q[j] + y * u[j];
    }
    for (int64_t i = 0; i < m; i++) a[k * n + k + 1 + i] = u[i];
    return alpha;
}

/* To v, which is the identity, the product of the reflections, the last one first. */
static void accumulate(int64_t n, const double *a, const double *betas, double *v) {
    for (int64_t k = n - 3; k >= 0; k--) {
        if (betas[k] == 0) continue;
        const double *u = a + k * n + k + 1;
        const int64_t m = n - k - 1;
        double *from = v + (k + 1) * n + k + 1;
        for (int64_t i = 0; i < m; i++) { /* rows of v are columns of the product */
            double *row = from + i * n;
            const double by = betas[k] * ad_dot_in_lanes(m, row, u);
            for (int64_t j = 0; j < m; j++) row[j] -= by * u[j];
        }
    }
}

/* Makes the diagonal d of the symmetric matrix of diagonals d and e its eigenvalues, and rotates v's rows. */
static void solve(int64_t n, double *d, double *e, double *v) {
    for (int64_t low = 0; low < n; low++)
        for (int turn = 0; turn < TURNS; turn++) {
            int64_t high = low;
            for (; high < n - 1; high++)
                if (fabs(e[high]) <= EPSILON * (fabs(d[high]) + fabs(d[high + 1])) || fabs(e[high]) < NOTHING)
                    break;
            if (high == low) break;
            const double half = (d[low + 1] - d[low]) / (2 * e[low]);
            const double root = sqrt(half * half + 1);
            double g = d[high] - d[low] + e[low] / (half + (half < 0 ? -root : root));
            double s = 1, c = 1, p = 0;
            int64_t i = high - 1;
            for (; i >= low; i--) {
                const double f = s * e[i], b = c * e[i], r = sqrt(f * f + g * g);
                e[i + 1] = r;
                if (r == 0) {
                    d[i + 1] -= p;
                    break;
                }
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                const double more = (d[i] - g) * s + 2 * c * b;
                p = s * more;
                d[i + 1] = g + p;
                g = c * more - b;
                ad_rotate(n, v + i * n, v + (i + 1) * n, 1, c, s);
            }
            e[high] = 0;
            if (i >= low) continue;
            d[low] -= p;
            e[low] = g;
        }
}

int ad_eigh_tridiagonal(int64_t n, double *a, double *v, double *values) {
    double *memory = ad_alloc((size_t)(4 * n) * sizeof *memory);
    if (!memory) return AD_NO_MEMORY;
    double *e = memory, *betas = e + n, *u = betas + n, *q = u + n;
    for (int64_t k = 0; k < n - 2; k++) {
        e[k] = reflect(n, k, a, u, q, betas + k);
        values[k] = a[k * n + k];
    }
    for (int64_t k = n - 2; k < n; k++) values[k] = a[k * n + k];
    e[n - 2] = a[(n - 2) * n + n - 1];
    e[n - 1] = 0;
    accumulate(n, a, betas, v);
    solve(n, values, e, v);
    ad_dealloc(memory);
    return AD_OK;
}
