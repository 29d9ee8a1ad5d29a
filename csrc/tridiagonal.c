/* tridiagonal.c: eigenvalues of symmetric matrices by way of three diagonals: reflections (Householder) take
 * all else away, then rotations (implicit QL with Wilkinson's shift) the two beside the main one. In a fixed
 * order; as exact as the largest value allows. */
#include <math.h>
#include "spectral.h"

enum {
    TURNS = 60,
    KEPT = 16
}; /* an eigenvalue takes rarely 3; rotations kept for a row until they are made */
static const double EPSILON = 0x1p-53, NOTHING = 1e-150; /* next to elements of about 1 */

/* 1 - tau v v^T, of which v and then A v become the update that A is behind by: u q^T + q u^T. */
typedef struct {
    int64_t n, cols; /* of A: rows, and elements in memory of each */
    double *a, *u, *q, *v, *taus;
} reduction;

/* v, 0 up to k, and tau, of the row that is there; what is left beside the diagonal. */
static double reflector(const reduction *r, int64_t k) {
    const int64_t from = k / AD_DOUBLES * AD_DOUBLES;
    double *v = r->v;
    const double first = v[k + 1];
    v[k + 1] = 0;
    const double rest = ad_cpu->spectral->dot(r->cols - from, v + from, v + from);
    r->taus[k] = 0;
    if (rest < NOTHING * NOTHING) {
        memset(v, 0, (size_t)r->cols * sizeof *v);
        return first;
    }
    const double end = (first > 0 ? -1 : 1) * sqrt(first * first + rest), by = 1 / (first - end);
    for (int64_t j = k + 2; j < r->n; j++) v[j] *= by;
    v[k + 1] = 1;
    r->taus[k] = (end - first) / end;
    return end;
}

/* Row k brought up to date, and A's rows below reflected so that the row has but e beside its diagonal; v
 * stays in it, in a row of zeros. */
static void reduce(const reduction *r, int64_t k, double *d, double *e) {
    const int64_t n = r->n, from = k / AD_DOUBLES * AD_DOUBLES;
    double *row = r->a + k * r->cols, *u = r->u, *q = r->q, *v = r->v;
    const double x = u[k], z = q[k];
    for (int64_t j = k; j < n; j++) row[j] -= x * q[j] + z * u[j];
    *d = row[k];
    *e = k + 1 < n ? row[k + 1] : 0;
    if (k >= n - 2) return;
    memset(row, 0, (size_t)(k + 1) * sizeof *row);
    memcpy(v, row, (size_t)r->cols * sizeof *row);
    *e = reflector(r, k);
    memcpy(row, v, (size_t)r->cols * sizeof *row);
    double *y = r->v + r->cols;
    ad_cpu->spectral->update(k + 1, n, r->cols, r->a, u, q, v, y);
    memset(y + from, 0, (size_t)(k + 1 - from) * sizeof *y);
    const double tau = r->taus[k];
    const double half = tau * tau / 2 * ad_cpu->spectral->dot(r->cols - from, v + from, y + from);
    q[k] = u[k] = 0;
    for (int64_t j = k + 1; j < n; j++) {
        q[j] = tau * y[j] - half * v[j];
        u[j] = v[j];
    }
}

/* The vectors in v's rows, reflected back. */
static int reflect_back(const reduction *r, double *v) {
    const int64_t n = r->n, cols = r->cols;
    const ad_tools t = ad_tools_of(AD_float64);
    double *x = ad_alloc((size_t)(n * n) * sizeof *x);
    if (!x) return AD_NO_MEMORY;
    ad_cpu->pw->transpose[1](n, n, x, n, v, cols, false);
    const ad_matrix given = {(const char *)(r->a + 1), 1, cols};
    const int status =
        n < 3 ? AD_OK : ad_reflections(&t, n - 1, n - 2, given, (const char *)r->taus, n, (char *)(x + n));
    ad_cpu->pw->transpose[1](n, n, v, cols, x, n, false);
    ad_dealloc(x);
    return status;
}

/* ---- three diagonals ---- */

typedef struct {
    int64_t cols, count, room;
    int64_t row;
    double *v; /* whose rows are rotated */
    ad_rotation *kept;
} rotations;

static void rotate(rotations *r) {
    ad_cpu->spectral->turn_rows(r->cols, r->v, r->row, r->count, r->kept);
    r->count = 0;
}

/* The part of the diagonals d and e from low to high, one step on. */
static void turn(int64_t low, int64_t high, double *d, double *e, rotations *r) {
    const double half = (d[low + 1] - d[low]) / (2 * e[low]);
    const double root = sqrt(half * half + 1);
    double g = d[high] - d[low] + e[low] / (half + (half < 0 ? -root : root));
    double s = 1, c = 1, p = 0;
    for (int64_t i = high - 1; i >= low; i--) {
        const double f = s * e[i], b = c * e[i], size = sqrt(f * f + g * g);
        e[i + 1] = size;
        if (size < NOTHING) { /* whose square would be too small to be precise */
            e[i + 1] = 0;
            d[i + 1] -= p;
            e[high] = 0;
            return;
        }
        s = f / size;
        c = g / size;
        g = d[i + 1] - p;
        const double more = (d[i] - g) * s + 2 * c * b;
        p = s * more;
        d[i + 1] = g + p;
        g = c * more - b;
        r->kept[r->count++] = (ad_rotation){c, s, i};
    }
    e[high] = 0;
    d[low] -= p;
    e[low] = g;
}

/* Makes the diagonal d of the symmetric matrix of diagonals d and e its eigenvalues. */
static void solve(int64_t n, double *d, double *e, rotations *r) {
    for (int64_t low = 0; low < n; low++)
        for (int times = 0; times < TURNS; times++) {
            int64_t high = low;
            for (; high < n - 1; high++)
                if (fabs(e[high]) <= EPSILON * (fabs(d[high]) + fabs(d[high + 1])) || fabs(e[high]) < NOTHING)
                    break;
            if (high == low) break;
            if (r->count + n > r->room) rotate(r);
            turn(low, high, d, e, r);
        }
    rotate(r);
}

void ad_turn_out(const ad_halves *t, int64_t low, int64_t high) {
    const int64_t n = high - low,
                  cols = t->values ? AD_DOUBLES : (n + AD_DOUBLES - 1) / AD_DOUBLES * AD_DOUBLES;
    ad_rotation *kept = (ad_rotation *)(void *)t->work;
    rotations r = {cols, 0, n * n, t->row, t->v + low * t->row + (t->values ? 0 : low), kept};
    solve(n, t->d + low, t->e + low, &r);
}

int ad_eigh_rows(int64_t n, double *a, double *v, double *values) {
    const int64_t cols = ad_line_up(n), row = v ? cols : AD_DOUBLES;
    if (n == 0) return AD_OK;
    const size_t doubles = (size_t)(10 * cols + 2 * n + (v ? 0 : n * row)), bytes = doubles * sizeof(double);
    double *memory = ad_alloc(bytes + (size_t)(3 * n * cols) * sizeof(double));
    if (!memory) return AD_NO_MEMORY;
    memset(memory, 0, bytes);
    double *u = memory, *e = u + 4 * cols, *taus = e + n, *numbers = taus + n, *ends = numbers + 6 * cols;
    reduction r = {n, cols, a, u, u + cols, u + 2 * cols, taus};
    for (int64_t k = 0; k < n; k++) reduce(&r, k, values + k, e + k);
    if (v) memset(v, 0, (size_t)(n * cols) * sizeof *v);
    const ad_halves halves = {values, e, v ? v : ends, numbers, memory + doubles, n, row, row, !v};
    int status = ad_conquer(&halves, 0, n);
    if (!status && v) status = reflect_back(&r, v);
    ad_dealloc(memory);
    return status;
}
