/* spectral.h: eigenvalues and singular values, in double: what they ask of a variant, which
 * kernels/spectral.h fills, and what the two share. */
#ifndef AD_SPECTRAL_H
#define AD_SPECTRAL_H
#include "factor.h"

#define AD_DOUBLES 8 /* doubles of a cache line; rows end in zeros, at a multiple of it */

typedef struct {
    double c, s;
    int64_t row; /* this and the next are made (c x - s y, s x + c y) */
} ad_rotation;

struct ad_spectral_kernels {
    double (*dot)(int64_t n, const double *x, const double *y);
    double (*largest)(int64_t n, const double *x); /* magnitude; nan where one is not finite */
    void (*turn)(int64_t n, double *x, double *y, double c, double s);
    /* n rotations of rows, one after the other */
    void (*turn_rows)(int64_t cols, double *x, int64_t row, int64_t n, const ad_rotation *r);
    /* A -= u q^T + q u^T, then y = A by; of rows, and at least of columns, `first` to n of the symmetric A,
     * of which the upper triangle is there. Its rows are cols long; u, q and by are 0 before first. */
    void (*update)(int64_t first, int64_t n, int64_t cols, double *a, const double *u, const double *q,
                   const double *by, double *y);
    /* away = d - from - x; sums: of z^2 / away where that is below 0, and above; and the same of its slopes.
     */
    void (*poles)(int64_t n, const double *d, const double *z, double from, double x, double *away,
                  double *sums);
    /* w *= away / (d - from), but where that is by 0; and x becomes w / x, of length 1 */
    void (*ratios)(int64_t n, const double *away, const double *d, double from, double *w);
    void (*unit)(int64_t n, const double *w, double *x);
};

/* How long rows of n elements are made: an odd number of lines, which lie in different sets of a cache. */
static inline int64_t ad_line_up(int64_t n) { return ((n + AD_DOUBLES - 1) / AD_DOUBLES | 1) * AD_DOUBLES; }

/* An eigenvector or singular vector each is a row here, and a column of the caller's. */
void ad_columns_out(int64_t n, int64_t cols, const double *rows, int64_t row, const int64_t *order, char *to,
                    int64_t size);
/* What scales magnitudes to about 1, a power of two; 0 where an element is no number. */
double ad_scale_of(double largest);
void ad_scale_by(int64_t n, double *x, double by);
/* The order of values by size, the largest first or last; equal ones as they are. */
void ad_sort_values(int64_t n, const double *values, int64_t *order, bool descending);
void ad_fill_nan(const ad_tensor *const *xs, int64_t i, int n);
int ad_multiply_doubles(int64_t m, int64_t n, int64_t k, ad_matrix a, ad_matrix b, double *c, int64_t c_row);

/* A symmetric matrix of diagonals d, which becomes its eigenvalues, and e, which is lost. v: rows of zeros,
 * which become the vectors, or, where values alone are wanted, their first and last elements. */
typedef struct {
    double *d, *e, *v, *numbers, *work; /* the last two: room for 6 rows, and for 3 n of them */
    int64_t n, row, width;              /* rows; elements from a row to the next, and how many are in use */
    bool values;
} ad_halves;
/* Of the part from low to high, without what it holds beyond. */
int ad_conquer(const ad_halves *t, int64_t low, int64_t high);   /* conquer.c */
void ad_turn_out(const ad_halves *t, int64_t low, int64_t high); /* tridiagonal.c: the same by rotations */

/* The eigenvalues, unordered, of a (n rows of ad_line_up(n) elements, zeros from n on), which is lost; to v,
 * unless it is NULL, their vectors as rows. */
int ad_eigh_rows(int64_t n, double *a, double *v, double *values);

#endif
