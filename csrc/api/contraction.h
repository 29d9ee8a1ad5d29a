/* api/contraction.h: the native API, products, factorizations and solves. */
#ifndef AD_API_CONTRACTION_H
#define AD_API_CONTRACTION_H
#include "../autodiff.h"

/* ---- contraction ---- */
/* a (..., m, k) times b (..., k, n), batch dimensions broadcast; bias (n) or NULL is added to each row. */
ad_tensor *ad_matmul(const ad_tensor *a, const ad_tensor *b, const ad_tensor *bias);
/* The same with the last two dimensions of a (bit 0 of transpose) or b (bit 1) swapped first. */
ad_tensor *ad_matmul_t(const ad_tensor *a, const ad_tensor *b, const ad_tensor *bias, int transpose);
/* The same of two matrices alone: AD_BAD_DIM for other operands. */
ad_tensor *ad_mm(const ad_tensor *a, const ad_tensor *b, int transpose);
/* And of two batches of one shape alone. */
ad_tensor *ad_bmm(const ad_tensor *a, const ad_tensor *b, int transpose);
/* From the cotangent of ad_mm's product those of a, where b is given, and of b, where a is; bit 2 of
 * transpose adds that of a bias, bit 3 tells that the product may be ad_bmm's. The first is returned, ad_next
 * has the others; NULL, AD_EMPTY where none is wanted. */
ad_tensor *ad_mm_vjp(const ad_tensor *g, const ad_tensor *a, const ad_tensor *b, int transpose);
/* The same where a or b is a vector: a row on the left, a column on the right; the result is without it. Of
 * two vectors of floats, the sum of a times b as ad_reduce adds it up. */
ad_tensor *ad_vector_product(const ad_tensor *a, const ad_tensor *b);

/* The cross products along a dimension of 3, of two tensors of one shape and dtype. */
ad_tensor *ad_cross(const ad_tensor *a, const ad_tensor *b, int dim);
/* Kronecker's product, by an op that multiplies; NULL, too, where one's strides leave no view to do it with.
 */
ad_tensor *ad_kron(ad_op *mul, const ad_tensor *a, const ad_tensor *b);

/* ---- factorizations and solves, of batches of float matrices ---- */
/* PA = LU of square matrices: out[0] has L below the diagonal, which is 1 there, and U; out[1] the row of A
 * that each row came from; out[2] 1 + the first zero of each U's diagonal, or 0; and where they are asked
 * for, out[3] the determinants or their signs. */
enum { AD_LU_DETERMINANT = 1, AD_LU_SIGN };
int ad_lu(const ad_tensor *a, int determinant, ad_tensor **out);
/* X of A X = B, or A^T X = B, from the first two; B's batch is A's. */
ad_tensor *ad_lu_solve(const ad_tensor *lu, const ad_tensor *order, const ad_tensor *b, int transposed);
/* A^-1 */
ad_tensor *ad_lu_inverse(const ad_tensor *lu, const ad_tensor *order);
ad_tensor *ad_matrix_exp(const ad_tensor *a);
/* The order of rows in which LU leaves m of them, by what each of the first k changed places with: int32,
 * from 1 on; and back. */
ad_tensor *ad_lu_exchanges(const ad_tensor *order, int64_t k);
ad_tensor *ad_lu_exchanged(const ad_tensor *pivots, int64_t m);
/* The derivatives of the determinant of a at its elements, from what ad_lu made of it. */
ad_tensor *ad_cofactors(const ad_tensor *a, const ad_tensor *lu, const ad_tensor *order,
                        const ad_tensor *info, const ad_tensor *det);
/* U^T U = A, read from the upper triangle: U (out[0]), and the order of the first leading minor that is not
 * positive-definite, or 0 (out[1]). */
int ad_cholesky(const ad_tensor *a, ad_tensor **out);
/* X of A X = B for a triangle of A, its diagonal 1 where `unit`; A's batch broadcasts to B's. */
ad_tensor *ad_solve_triangular(const ad_tensor *a, const ad_tensor *b, int upper, int unit);
/* The same of A A^T, or A^T A where it is `upper`. */
ad_tensor *ad_cholesky_solve(const ad_tensor *a, const ad_tensor *b, int upper);
/* QR = A: the first cols columns of Q (out[0]), and R with all of A's rows (out[1]). */
int ad_qr(const ad_tensor *a, int64_t cols, ad_tensor **out);
/* U S V^T = A of matrices that are no wider than high: U, S (descending) and V. */
int ad_svd(const ad_tensor *a, ad_tensor **out);
/* The X of least norm of those for which A X - B is least, and A's rank, to which singular values count that
 * are above `least` times the largest; the third result is of no use. a is A or, transposed, A^T: no wider
 * than high. */
int ad_least_squares(const ad_tensor *a, const ad_tensor *b, int transposed, double least, ad_tensor **out);
/* The eigenvectors and eigenvalues, ascending, of symmetric matrices; the lower triangle is read. Where
 * values alone are wanted, the first result is of no use. */
int ad_eigh(const ad_tensor *a, int values, ad_tensor **out);
/* Convolutions over the last nd (1 to 3) dimensions, and their adjoints. `geometry` is the strides, the
 * paddings (before the first element), the dilations and the result's sizes, nd each. Of images
 * x (n, groups c, ...), weights w (groups m, c, ...) and results y (n, groups m, ...):
 * forward: y from a = x and b = w; transposed: x from a = y and b = w; weight: w from a = y and b = x.
 * The first two add bias, of the result's channels, or NULL. */
typedef enum { AD_CONV_FORWARD, AD_CONV_TRANSPOSED, AD_CONV_WEIGHT } ad_conv_kind;
ad_tensor *ad_conv(int kind, const ad_tensor *a, const ad_tensor *b, const ad_tensor *bias, int64_t groups,
                   int nd, const int64_t *geometry);
/* The greatest element of each window of the last nd (1 to 3) dimensions, and where in these, taken as one,
 * it is (unless places is NULL): the first of equals, or the last nan. plan, of n numbers: nd, the steps
 * between elements of a window, the numbers of windows, and for each dimension where windows start, and where
 * they end. */
ad_tensor *ad_max_pool(const ad_tensor *x, int64_t n, const int64_t *plan, ad_tensor **places);
/* The sums over windows of the last nd (1 to 3) dimensions, and what adds a cotangent up where they lie.
 * plan, of n numbers: nd; 0, or that sums are divided by the next number (1), by how many elements the window
 * has (2), or has with those of the padding (3); that number; for each dimension its size, the number of
 * windows and of their taps, the stride, padding and dilation. Tap b of window j is element j stride + b
 * dilation - padding, or none. Where the stride is 0, windows of tap 0, tap 1, ... tell theirs at the end,
 * the size meaning none; weights, of as many, or NULL, are what these are multiplied by. */
ad_tensor *ad_windows(const ad_tensor *x, const ad_tensor *weights, int64_t n, const int64_t *plan);
ad_tensor *ad_windows_vjp(const ad_tensor *g, const ad_tensor *weights, int64_t n, const int64_t *plan);
/* Images x (n, c, ...) of 2 or 3 dimensions read at the places of a grid (n, ..., dimensions), the last of x
 * first, from -1 to 1; and from a cotangent g, what goes to x (out[0], where bit 0 is wanted) and to the grid
 * (out[1], bit 1). */
typedef enum { AD_GRID_BILINEAR, AD_GRID_NEAREST, AD_GRID_BICUBIC } ad_grid_mode;
typedef enum { AD_GRID_ZEROS, AD_GRID_BORDER, AD_GRID_REFLECTION } ad_grid_padding;
ad_tensor *ad_grid_sample(const ad_tensor *x, const ad_tensor *grid, int mode, int padding, int corners);
int ad_grid_sample_vjp(const ad_tensor *g, const ad_tensor *x, const ad_tensor *grid, int mode, int padding,
                       int corners, int wanted, ad_tensor **out);

#endif
