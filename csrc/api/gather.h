/* api/gather.h: the native API, gather and scatter. */
#ifndef AD_API_GATHER_H
#define AD_API_GATHER_H
#include "../autodiff.h"

/* ---- gather and scatter ---- */
/* x (lead, n dimensions from the `first`, rest) at n int64 index tensors of one shape s: a result of shape
 * lead + s + rest. */
ad_tensor *ad_index_get(const ad_tensor *x, int first, int n, const ad_tensor *const *index);
/* The rows of n tensors that elements `from` to `to` of a one-dimensional index name: in out. */
int ad_index_rows(int n, const ad_tensor *const *x, const ad_tensor *index, int64_t from, int64_t to,
                  ad_tensor **out);
/* The rows of a table that an int64 index names; none is negative. */
ad_tensor *ad_lookup(const ad_tensor *table, const ad_tensor *index);
/* Their sums or means by bags: each row of index (bags, n), or of a vector what is between two starts, which
 * are int64. All contiguous, the table of float32 or float64. AD_REFUSED, for one of three reasons: the first
 * start is not 0, the last is past the end, one is negative. */
ad_tensor *ad_bags(const ad_tensor *table, const ad_tensor *index, const ad_tensor *starts, int mean,
                   const int64_t *reasons);
/* Of labels (n, most), or (all) one after the other, and of how many steps and labels each sequence has: the
 * labels between blanks (2 longest + 1, n), which of them may be reached past the one before, which steps
 * there are (steps, 2 longest + 1, n), and the two states that may be the last, counted from the one before
 * the first (2, n). AD_REFUSED, for one of six reasons: a number of steps is negative, one of labels is,
 * there are more steps than that, more or fewer labels (all) than their numbers tell, or fewer (most), a
 * label is no class. */
int ad_ctc_states(const ad_tensor *targets, const ad_tensor *times, const ad_tensor *sizes, int64_t steps,
                  int64_t longest, int64_t classes, int64_t blank, const int64_t *reasons, ad_tensor **out);
/* Of log-probabilities x (steps, n, classes) and those: the losses (n), and by ad_next the labels'
 * log-probabilities (steps, 2 longest + 1, n), and those of the states before and after each step, behind two
 * that cannot be. */
ad_tensor *ad_ctc_chart(const ad_tensor *x, const ad_tensor *row, const ad_tensor *skips,
                        const ad_tensor *there, const ad_tensor *ends);
int ad_index_put(ad_tensor *x, int first, int n, const ad_tensor *const *index, const ad_tensor *values,
                 int accumulate);
/* The elements at places of x in row-major order; and the first values, as many as places, written or added
 * there. AD_NO_VIEW where one of these is no vector as it lies. */
ad_tensor *ad_take(const ad_tensor *x, const ad_tensor *index);
int ad_put(ad_tensor *x, const ad_tensor *index, const ad_tensor *values, int accumulate);
/* The elements that an int64 index of x's dimensions names along one; values are added there. Indices are
 * not negative; where one is wrong, some may have been added before it. */
ad_tensor *ad_gather(const ad_tensor *x, int dim, const ad_tensor *index);
/* How values (or one number) join the elements they go to; of equal places in the order of the index. */
typedef enum {
    AD_SCATTER_SET,
    AD_SCATTER_ADD,
    AD_SCATTER_MUL,
    AD_SCATTER_MAX,
    AD_SCATTER_MIN,
    AD_N_SCATTERS
} ad_scatter_how;
int ad_scatter(ad_tensor *x, int dim, const ad_tensor *index, const ad_tensor *values, int how);
/* A row of `count` zeros for each number of an int64 index, with a 1 there. */
ad_tensor *ad_one_hot(const ad_tensor *index, int64_t count);
int ad_scatter_add(ad_tensor *x, int dim, const ad_tensor *index, const ad_tensor *values);
/* Zeros to which values are added, at places that count the elements of the n dimensions from `first` on, of
 * these sizes, in row-major order. */
ad_tensor *ad_add_at(const ad_tensor *values, const ad_tensor *places, int first, int n,
                     const int64_t *sizes);
/* Each number of 0, 1, 2... as often as a vector of integers tells. AD_BAD_ARG for a negative one. */
ad_tensor *ad_repeat_counts(const ad_tensor *counts);
/* (count, ndim) int64, in row-major order; where `flat`, (count), of the elements as one vector. */
ad_tensor *ad_nonzero(const ad_tensor *x, int flat);

#endif
