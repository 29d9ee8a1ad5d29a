/* conquer.c: eigenvalues of symmetric matrices of three diagonals: two halves are solved apart, what was
 * between them is of rank one (Cuppen, Numer. Math. 36, 1981). The values are then the zeros of a rational
 * function (Li, LAPACK Working Note 89, 1993), and vectors are those of a matrix near by whose values these
 * are exactly (Gu and Eisenstat, SIAM J. Matrix Anal. 16, 1995): so they are orthogonal. */
#include <math.h>
#include "spectral.h"

enum { LEAF = 24, STEPS = 60 };
static const double EPSILON = 0x1p-53;

/* Diag(d) + z z^T, d ascending, where neither a z nor a gap is next to nothing; and the sums over the poles
 * up to one and after it, with their slopes. */
typedef struct {
    int64_t k, line; /* poles, and a number of them that is a multiple of AD_DOUBLES */
    bool mixed;      /* vectors are not of one half each */
    double *d, *z;
    double below, above, below_slope, above_slope;
} secular;

/* 1 + the sum of z^2 / (d - x), x seen from pole `origin`, and to away, how far the poles are from there. */
static double evaluate(secular *f, int64_t origin, double x, double *away) {
    double sums[4];
    ad_cpu->spectral->poles(f->line, f->d, f->z, f->d[origin], x, away, sums);
    f->below = sums[0];
    f->above = sums[1];
    f->below_slope = sums[2];
    f->above_slope = sums[3];
    return 1 + f->below + f->above;
}

/* From where the function is g to where one of the same poles beside it, values and slopes is 0. */
static double step(const secular *f, int64_t j, double g, const double *away) {
    const double p = away[j], q = j + 1 < f->k ? away[j + 1] : 0;
    if (j + 1 == f->k) return p + p * p * f->below_slope / (g - p * f->below_slope);
    const double c = g - p * f->below_slope - q * f->above_slope;
    const double a = (p + q) * g - p * q * (f->below_slope + f->above_slope), b = p * q * g;
    const double root = sqrt(fmax(a * a - 4 * b * c, 0));
    return a <= 0 ? (a - root) / (2 * c) : 2 * b / (a + root);
}

/* The zero behind pole j, and how far the poles are from it. */
static double zero_after(secular *f, int64_t j, double *away) {
    int64_t origin = j;
    double low = 0, high = 0;
    if (j + 1 < f->k)
        high = f->d[j + 1] - f->d[j];
    else
        for (int64_t i = 0; i < f->k; i++) high += f->z[i] * f->z[i];
    double x = high / 2, g = evaluate(f, j, x, away);
    if (j + 1 < f->k && g < 0) { /* the same place, seen from the other side */
        origin = j + 1;
        low = -high;
        high = 0;
        x = low / 2;
    }
    for (int i = 0; i < STEPS && !(fabs(g) <= 8 * EPSILON * (1 + f->above - f->below)); i++) {
        if (g < 0)
            low = x;
        else
            high = x;
        double next = x + step(f, j, g, away);
        if (!(next > low && next < high)) next = low + (high - low) / 2;
        if (next == x || next == low || next == high) break;
        x = next;
        g = evaluate(f, origin, x, away);
    }
    return f->d[origin] + x;
}

/* Vectors from the distances in u (k rows): as of the z whose zeros they are exactly, up to rounding. */
static void vectors_of(const secular *f, double *u, int64_t row, double *w) {
    const int64_t k = f->k;
    for (int64_t i = 0; i < f->line; i++) w[i] = i < k ? -u[i * row + i] : 0;
    for (int64_t j = 0; j < k; j++) ad_cpu->spectral->ratios(f->line, u + j * row, f->d, f->d[j], w);
    for (int64_t i = 0; i < k; i++) w[i] = copysign(sqrt(fabs(w[i])), f->z[i]);
    for (int64_t j = 0; j < k; j++) ad_cpu->spectral->unit(f->line, w, u + j * row);
}

/* Sets apart, of n values in order, those that the other half hardly changes, or which are as good as another
 * once their vectors are turned; the others go to f, their places to kept. */
static void deflate(const ad_halves *t, int64_t low, int64_t n, int64_t half, double *z, const int64_t *order,
                    secular *f, int64_t *kept) {
    double *d = t->d + low, most = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fmax(fabs(d[i]), z[i] * z[i]));
    const double least = 8 * EPSILON * most;
    f->k = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = order[i], last = f->k ? kept[f->k - 1] : -1;
        if (fabs(z[at]) * sqrt(most) <= least) continue;
        if (last >= 0) {
            const double size = sqrt(z[last] * z[last] + z[at] * z[at]), c = z[at] / size, s = z[last] / size;
            if (fabs((d[at] - d[last]) * c * s) <= least) {
                const double one = d[last], other = d[at];
                ad_cpu->spectral->turn(t->width, t->v + (low + last) * t->row, t->v + (low + at) * t->row, c,
                                       s);
                d[last] = one * c * c + other * s * s;
                d[at] = one * s * s + other * c * c;
                z[at] = size;
                f->mixed = f->mixed || (last < half) != (at < half);
                f->k--;
            }
        }
        kept[f->k++] = at;
    }
    f->line = (f->k + AD_DOUBLES - 1) / AD_DOUBLES * AD_DOUBLES;
    for (int64_t i = 0; i < f->line; i++) { /* what is no pole is far away */
        f->d[i] = i < f->k ? d[kept[i]] : 1e300;
        f->z[i] = i < f->k ? z[kept[i]] : 0;
    }
}

/* Puts vectors of the lower half before those of the other, which have nothing where it is: to `order`, and
 * so the columns of u. How many there are; all, where they are mixed. */
static int64_t part_halves(const secular *f, int64_t half, const int64_t *kept, int64_t *order, double *u,
                           int64_t row, double *room) {
    int64_t lower = 0, n = 0;
    for (int64_t i = 0; i < f->k; i++)
        if (f->mixed || kept[i] < half) order[lower++] = i;
    n = lower;
    for (int64_t i = 0; !f->mixed && i < f->k; i++)
        if (kept[i] >= half) order[n++] = i;
    for (int64_t j = 0; !f->mixed && j < f->k; j++) {
        memcpy(room, u + j * row, (size_t)f->k * sizeof *room);
        for (int64_t i = 0; i < f->k; i++) u[j * row + i] = room[order[i]];
    }
    return lower;
}

/* The halves from low to middle and to high, which `between` joins. */
static int merge(const ad_halves *t, int64_t low, int64_t middle, int64_t high, double between) {
    const int64_t n = high - low, first = t->values ? 0 : low, cols = t->values ? 2 : n, line = ad_line_up(n);
    double *z = t->numbers, *w = z + n, *u = t->work, *given = u + n * line, *made = given + n * line;
    secular f = {.d = w + line, .z = w + 2 * line, .mixed = t->values};
    int64_t *order = (int64_t *)(w + 3 * line), *kept = order + n;
    const double size = sqrt(fabs(between));
    for (int64_t i = low; i < high; i++) {
        double *v = t->v + i * t->row;
        double *at = v + (t->values ? i < middle : i < middle ? middle - 1 : middle);
        z[i - low] = i < middle || between > 0 ? size * *at : -size * *at;
        if (t->values) *at = 0; /* which is at neither end of the whole */
    }
    ad_sort_values(n, t->d + low, order, false);
    deflate(t, low, n, middle - low, z, order, &f, kept);
    for (int64_t j = 0; j < f.k; j++) t->d[low + kept[j]] = zero_after(&f, j, u + j * line);
    if (t->values && n == t->n) return AD_OK;
    vectors_of(&f, u, line, w);
    const int64_t lower = part_halves(&f, middle - low, kept, order, u, line, z);
    for (int64_t j = 0; j < f.k; j++)
        memcpy(given + j * cols, t->v + (low + kept[order[j]]) * t->row + first,
               (size_t)cols * sizeof *given);
    const int64_t left = f.mixed ? cols : middle - low;
    int status = ad_multiply_doubles(f.k, left, lower, (ad_matrix){(const char *)u, line, 1},
                                     (ad_matrix){(const char *)given, cols, 1}, made, cols);
    if (!status && left < cols)
        status = ad_multiply_doubles(
            f.k, cols - left, f.k - lower, (ad_matrix){(const char *)(u + lower), line, 1},
            (ad_matrix){(const char *)(given + lower * cols + left), cols, 1}, made + left, cols);
    for (int64_t j = 0; !status && j < f.k; j++)
        memcpy(t->v + (low + kept[j]) * t->row + first, made + j * cols, (size_t)cols * sizeof *made);
    return status;
}

int ad_conquer(const ad_halves *t, int64_t low, int64_t high) {
    if (high - low <= LEAF) {
        for (int64_t i = low; i < high; i++) {
            double *row = t->v + i * t->row;
            if (!t->values)
                row[i] = 1;
            else {
                row[0] = i == low;
                row[1] = i == high - 1;
            }
        }
        ad_turn_out(t, low, high);
        return AD_OK;
    }
    const int64_t middle = low + (high - low + 2 * AD_DOUBLES - 1) / (2 * AD_DOUBLES) * AD_DOUBLES;
    const double between = t->e[middle - 1];
    t->e[middle - 1] = 0;
    t->d[middle - 1] -= fabs(between);
    t->d[middle] -= fabs(between);
    int status = ad_conquer(t, low, middle);
    if (!status) status = ad_conquer(t, middle, high);
    return status ? status : merge(t, low, middle, high, between);
}
