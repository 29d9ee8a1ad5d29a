/* api/reductions.h: the native API, reductions, row programs, scans and sorting. */
#ifndef AD_API_REDUCTIONS_H
#define AD_API_REDUCTIONS_H
#include "../autodiff.h"

/* ---- reductions ---- */
const char *ad_reduction_name(int kind); /* NULL past the last */
/* Bit d of `dims`: reduce dimension d. argmax and argmin take one dimension or all. */
ad_tensor *ad_reduce(int kind, const ad_tensor *x, uint32_t dims, bool keepdim, int dtype);
/* Over all dimensions, in x's dtype; of integers and bools, a sum is int64. */
ad_tensor *ad_reduce_all(int kind, const ad_tensor *x);
/* All elements of what an op makes of two floating tensors of one shape and dtype, reduced; AD_BAD_SHAPE for
 * others. */
ad_tensor *ad_pw2_reduced(ad_op *op, const ad_tensor *x, const ad_tensor *y, int kind);
/* AD_REFUSED, for this reason, where any element of x (bool, or int64 without gaps) is not 0; of int64, with
 * the first one's place and value. */
int ad_equal(const ad_tensor *a, const ad_tensor *b); /* -1: ask the pointwise op and a reduction */
/* How often each number from 0 on is in a vector, up to the largest; at least so many. */
ad_tensor *ad_bincount(const ad_tensor *x, int64_t least);
int ad_refuse_any(const ad_tensor *x, int64_t reason);
/* Of argmax or argmin: the extremes (out[0], of x's dtype) and where they are (out[1]). */
int ad_extremes(int kind, const ad_tensor *x, uint32_t dims, bool keepdim, ad_tensor **out);
ad_tensor *ad_sum_to(const ad_tensor *x, int ndim, const int64_t *shape); /* undoes a broadcast from shape */

/* ---- row programs: softmax and its kin ---- */
const char *ad_rows_name(int kind); /* a row of rows.def; NULL past the last */
/* The rows are along the dimensions whose bits are set in `dims`, which follow one another. b is NULL, of a's
 * shape, or has a number for each row, as the program takes it. */
ad_tensor *ad_rows(int kind, const ad_tensor *a, const ad_tensor *b, uint32_t dims, bool keepdim);
typedef struct ad_rng ad_rng; /* random numbers */
/* softmax(scale q k^T + mask) v of (..., queries, width), (..., keys, width), (..., keys, depth), the
 * dimensions before broadcast; causal: without the keys after a query. mask: NULL, what is added, or bools of
 * what is seen; rows that see nothing are 0. Weights are dropped with probability p: where that draws,
 * `places` is made, of where rng was. */
ad_tensor *ad_attend(const ad_tensor *q, const ad_tensor *k, const ad_tensor *v, const ad_tensor *mask,
                     double scale, int causal, double p, ad_rng *rng, ad_tensor **places);
/* The cotangents of q, k and v in the shape they were broadcast to: made, three of them, where they are NULL.
 * in: q, k, v, mask, places and the result's cotangent, whose rows are contiguous. */
int ad_attend_vjp(const ad_tensor *const *in, double scale, int causal, double p, ad_tensor **out);

/* The squared deviations from the mean of each row, added up and divided by `freedom`; or the root of that.
 */
ad_tensor *ad_spread(const ad_tensor *x, uint32_t dims, bool keepdim, double freedom, int root);
/* The deviations from the mean of each row, times `scale` and, where it is not NULL, the row's number in g.
 */
ad_tensor *ad_deviations(const ad_tensor *x, const ad_tensor *g, uint32_t dims, double scale);
/* Rows, along the last dimensions of x, of this shape, less their mean, over the root of their variance plus
 * eps; times w plus b, of that shape or NULL. Where they are not `centred`, 0 is what is taken for their
 * mean. `stats` is what the vjp needs: four rows, of which the first are the means and the last the
 * variances. */
ad_tensor *ad_layer_norm(const ad_tensor *x, int ndim, const int64_t *shape, const ad_tensor *w,
                         const ad_tensor *b, double eps, int centred, ad_tensor **stats);
/* The cotangents of x, w and b from that of the result: those whose bits are set in `wanted`. */
int ad_layer_norm_vjp(const ad_tensor *g, const ad_tensor *x, int ndim, const ad_tensor *w,
                      const ad_tensor *stats, int centred, int wanted, ad_tensor **out);
/* The same of rows that are so many groups of the channels (dimension 1) of each element of the batch or,
 * where groups is 0, that are a channel of all of the batch; w and b have a number for each channel. Without
 * stats, the vjp is that of x w + b. */
ad_tensor *ad_channel_norm(const ad_tensor *x, int64_t groups, const ad_tensor *w, const ad_tensor *b,
                           double eps, ad_tensor **stats);
int ad_channel_norm_vjp(const ad_tensor *g, const ad_tensor *x, int64_t groups, const ad_tensor *w,
                        const ad_tensor *stats, int wanted, ad_tensor **out);
/* Minus the logarithm of the softmax of logits (n, classes, ...) at int64 targets (n, ...), times the weight
 * of the class where there are weights: each (reduction 0), their mean by weight (1), their sum (2). Rows
 * whose target is `ignored` count as nothing. ad_next has what the vjp needs. AD_BAD_INDEX: a target out of
 * bounds. */
ad_tensor *ad_cross_entropy(const ad_tensor *x, const ad_tensor *target, const ad_tensor *weight,
                            int64_t ignored, int reduction);
ad_tensor *ad_cross_entropy_vjp(const ad_tensor *g, const ad_tensor *x, const ad_tensor *target,
                                const ad_tensor *saved, const ad_tensor *weight, int64_t ignored,
                                int reduction);
/* Of rows (n, classes), the classes' mean of what int64 targets (n) fall short of being larger by a margin,
 * to the power of 1 or 2, times the target's weight where there are weights; of power 0, of all labels of a
 * row (n, classes) up to the first -1, without weights. Reduced as in ad_cross_entropy. AD_REFUSED, for the
 * reason given: a label out of bounds. `slopes`, where asked for: what the vjp multiplies g by. */
ad_tensor *ad_margin_loss(const ad_tensor *x, const ad_tensor *target, const ad_tensor *weight, int power,
                          double margin, int reduction, int64_t reason, ad_tensor **slopes);
/* The same of logarithms of probabilities (n, classes, ...), with targets (n, ...) of n times
 * places: minus that of the target. Its adjoint puts a cotangent's numbers into zeros of that shape. */
ad_tensor *ad_nll(const ad_tensor *x, const ad_tensor *target, const ad_tensor *weight, int64_t ignored,
                  int reduction);
ad_tensor *ad_nll_spread(const ad_tensor *g, const ad_tensor *target, const ad_tensor *weight,
                         int64_t ignored, int reduction, int ndim, const int64_t *shape);

/* ---- scans and sorting ---- */
/* Running sums, from the end where `reverse`, of a tensor of float32, float64 or int64. */
ad_tensor *ad_cumsum(const ad_tensor *x, int dim, int reverse);
ad_tensor *ad_cumprod(const ad_tensor *x, int dim);      /* and running products */
ad_tensor *ad_logcumsumexp(const ad_tensor *x, int dim); /* log(running sums of exp(x)), of floats */
/* The distances of order 1, 2 or infinity between the rows of x (..., m, k) and those of y (..., n, k), as
 * (..., m, n); or, where y is NULL, of each two of a matrix's rows, row by row. */
ad_tensor *ad_distances(const ad_tensor *x, const ad_tensor *y, double order);
/* Those of order 2 as the roots of |x|^2 + |y|^2 - 2 x y: near 0 half the digits are lost. */
ad_tensor *ad_distances_by_product(const ad_tensor *x, const ad_tensor *y);
/* y[i] = b[i] + a[i] y[i - 1], of floats; from the end y[i + 1] where `reverse`; where it `lags`, a is that
 * of the y it multiplies. */
ad_tensor *ad_recurrence(const ad_tensor *a, const ad_tensor *b, int dim, int reverse, int lags);
/* The largest (or smallest) elements so far (out[0]), the last of equal ones, nan from the first one on, and
 * where they were (out[1]). */
int ad_running_extremes(const ad_tensor *x, int dim, int largest, ad_tensor **out);
/* The first k along a dimension (all, if -1) in ascending or descending order, equal ones in the order they
 * came in and nans the largest; ad_next has where they were. A number is one element. */
ad_tensor *ad_sort(const ad_tensor *x, int dim, int64_t k, int descending);
/* One element along a dimension, and where it was: the k-th smallest, or the lower median, of
 * all or of those that are no nan. */
enum { AD_PICK_KTH = 1, AD_PICK_MEDIAN, AD_PICK_NANMEDIAN, AD_PICK_MODE };
int ad_pick(const ad_tensor *x, int dim, int64_t k, int how, bool keepdim, ad_tensor **out);
/* The slices of the first dimension that are unlike the one before, a nan being unlike all: where they are
 * (out[0]), where `inverse` is asked for, which of them each slice belongs to, slice i being number order[i]
 * or, without an order, i (out[1]), and where `counts` are, how many do (out[2]). */
int ad_runs(const ad_tensor *x, const ad_tensor *order, int inverse, int counts, ad_tensor **out);
/* How many elements of each sorted row are less than (or no more than, where `right`) each value: one row for
 * all values, or one for each row of them; all float32, float64 or int64. */
ad_tensor *ad_searchsorted(const ad_tensor *rows, const ad_tensor *values, int right);
/* The weights (all 1 where NULL) of the elements of x from each of the sorted edges to the next, the last
 * edge included: floats of one dtype, without gaps. even: the edges part a range evenly. */
ad_tensor *ad_histogram(const ad_tensor *x, const ad_tensor *edges, bool even, const ad_tensor *weight);

#endif
