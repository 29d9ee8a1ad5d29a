/* autodiff.h: the native API, and the only header cffi reads (lines that begin with '#' are dropped).
 *
 * A function that returns a pointer returns NULL on failure, one that returns int an ad_status; ad_error()
 * then tells the code and its numbers. No function aborts, prints or makes text: Python words the error.
 * Arrays are passed as (count, pointer). Shapes and strides count elements. */
#ifndef AUTODIFF_H
#define AUTODIFF_H
#include <stdint.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum {
    AD_OK = 0,
    AD_NO_MEMORY,  /* allocation of [0] bytes failed */
    AD_TOO_LARGE,  /* sizes that overflow 63 bits */
    AD_BAD_ARG,    /* something only a bug in the caller can cause */
    AD_BAD_DTYPE,  /* a dtype the function does not take: [0] */
    AD_BROADCAST,  /* sizes [0] and [1] differ at dimension [2] */
    AD_BAD_DIM,    /* dimension [0] of a tensor of [1] dimensions */
    AD_BAD_INDEX,  /* index [0] of dimension [1], of size [2] */
    AD_BAD_SHAPE,  /* shapes that do not fit the function; [0], [1]: the sizes at fault */
    AD_NO_VIEW,    /* the strides cannot express this shape without a copy */
    AD_NO_VARIANT, /* the op has no program for these operands yet: [0] is their key */
    AD_ZERO_DIV,   /* integer division by zero */
    AD_BAD_CAST,   /* the result cannot be stored in the output's dtype */
    AD_OVERLAP,    /* the output overlaps an input ([0] is 0), or itself (1) */
    AD_READ_ONLY,  /* foreign memory that must not be written */
    AD_EMPTY,      /* a reduction without identity over no elements */
    AD_INFERENCE,  /* memory made in inference mode, written to outside it */
    AD_BAD_ISA,    /* the instruction set is unknown, or not on this CPU */
    AD_STALE,      /* arguments that are not like those a tape was recorded with */
    AD_BUSY,       /* a tape that runs already */
    AD_NONFINITE,  /* a watched call made a nan or an infinity: ad_watch_found */
    AD_REFUSED     /* values that a function does not take, for reason [0]; of numbers, [2] at [1] */
} ad_status;

int ad_error(int64_t detail[3]);

/* ---- the machine ---- */
int ad_init(const char *isa);          /* NULL or "" takes the best the CPU has; call once, before all else */
const char *ad_isa(void);              /* the variant in use */
int ad_isa_available(const char *isa); /* 1 where compiled in and on this CPU */
const char *ad_compiler(void);         /* its name and version, and the sanitizers it built in */
int ad_get_num_threads(void);
int ad_set_num_threads(int n);
int64_t ad_spread_regions(void);        /* for tests: how often work was offered to other threads so far */
void ad_memory_stats(int64_t stats[4]); /* bytes in use, bytes cached, peak bytes in use, live blocks */
void ad_memory_trim(void);              /* gives cached blocks back to the system */
void ad_memory_reset_peak(void);
void ad_memory_fail(int64_t n); /* for tests: the n-th allocation from now fails, once; 0 calls it off */

/* ---- tensors ---- */
typedef struct ad_storage ad_storage;
typedef struct ad_tensor {
    ad_storage *storage;
    union { /* of the first element */
        char *data;
        intptr_t address;
    };
    int64_t numel;
    int64_t shape[8];
    int64_t strides[8]; /* in elements */
    uint8_t ndim;
    uint8_t dtype;      /* row of dtypes.def */
    uint8_t contiguous; /* row-major without gaps */
    uint8_t number;     /* stands for a Python number, weak in promotion: 1 + its reach */
    uint8_t aside;      /* what is written by it counts for none but those who are so, too */
    uint16_t unlike;    /* of a pointwise result: bit i is set where input i has another shape or dtype */
    int64_t version0, version1; /* of a pointwise result: the versions of its first two inputs, else 0 */
} ad_tensor;

const char *ad_dtype_name(int dtype); /* NULL past the last */
int ad_dtype_size(int dtype);

ad_tensor *ad_empty(int dtype, int ndim, const int64_t *shape);
ad_tensor *ad_full_f64(int dtype, int ndim, const int64_t *shape, double value);
ad_tensor *ad_full_i64(int dtype, int ndim, const int64_t *shape, int64_t value);
ad_tensor *ad_arange_f64(int dtype, int64_t n, double start, double step);
ad_tensor *ad_arange_i64(int dtype, int64_t n, int64_t start, int64_t step);
/* A tensor of n numbers, as many as the shape has. */
ad_tensor *ad_values_f64(int dtype, int ndim, const int64_t *shape, int64_t n, const double *values);
ad_tensor *ad_values_i64(int dtype, int ndim, const int64_t *shape, int64_t n, const int64_t *values);
ad_tensor *ad_linspace(int dtype, int64_t n, double start, double end);
ad_tensor *ad_number_f64(double value);
ad_tensor *ad_number_i64(int64_t value, int is_bool);
/* Foreign memory: [lo, hi) bounds what may be touched; `release(owner)` is called once, when nothing uses it.
 * Without strides it is row-major. */
ad_tensor *ad_wrap(int dtype, int ndim, const int64_t *shape, const int64_t *strides, void *data, void *lo,
                   void *hi, int readonly, void *owner, void (*release)(void *));
/* The same by a DLPack struct, with a version or without; taken over unless it fails. AD_BAD_ARG: [0] is 1
 * for a version, 2 a device, 3 a dtype, 4 a count of dimensions, 5 a size, 6 a stride that cannot be, 7 for
 * memory that is not aligned. */
ad_tensor *ad_dlpack_import(void *managed, int with_version);
void *ad_dlpack_export(const ad_tensor *x, int with_version, int copied);
void ad_dlpack_delete(void *managed, int with_version); /* of one that nobody took */
void ad_free(ad_tensor *x);
/* The shape as a number, 14 bits a dimension above a 1; 0 where it is too large for that. */
int64_t ad_shape_key(const ad_tensor *x);
int64_t ad_storage_id(const ad_tensor *x); /* equal for tensors that share memory */
int64_t ad_storage_bytes(const ad_tensor *x);
int64_t ad_offset(const ad_tensor *x); /* of the first element in the storage, in elements */
/* Writes to the storage so far, and the sum of two; negative for memory made in inference mode. */
int64_t ad_version(const ad_tensor *x);
int64_t ad_writes(const ad_tensor *x); /* all there were, those aside included */
int64_t ad_version2(const ad_tensor *x, const ad_tensor *y);
/* What wrote to the storage last: one of these, or AD_BY_OP + the number given to ad_op_number. */
typedef enum {
    AD_BY_NOBODY,
    AD_BY_COPY,
    AD_BY_INDEX_PUT,
    AD_BY_RANDOM,
    AD_BY_OPTIMIZER,
    AD_BY_CLIPPING,
    AD_BY_OP
} ad_writer;
int ad_last_writer(const ad_tensor *x);
/* Whether this thread's new memory is inference memory; returns what held before. */
int ad_set_inference(int on);
int ad_is_inference(const ad_tensor *x);
int ad_readonly(const ad_tensor *x);    /* 1 where it views memory that must not be written */
double ad_item_f64(const ad_tensor *x); /* of a tensor of one element */
int64_t ad_item_i64(const ad_tensor *x);

/* The memory is about to be filled by the caller with what depends on no tensor. */
void ad_raw(ad_tensor *x);

/* ---- views: a new descriptor of the same storage ---- */
ad_tensor *ad_as_strided(const ad_tensor *x, int ndim, const int64_t *shape, const int64_t *strides,
                         int64_t offset);
ad_tensor *ad_alias(const ad_tensor *x);
ad_tensor *ad_aside(const ad_tensor *x);                                /* one whose writes count aside */
ad_tensor *ad_view(const ad_tensor *x, int ndim, const int64_t *shape); /* -1 is inferred; AD_NO_VIEW */
/* The same bytes as elements of another dtype. AD_BAD_ARG: [0] is 1 for no dimensions, 2 for a stride of the
 * last dimension other than 1, 3 for its size, 4 for the offset, 5 for the stride of dimension [2], which is
 * [1], 6 for memory that is not aligned. */
ad_tensor *ad_view_dtype(const ad_tensor *x, int dtype);
ad_tensor *ad_expand(const ad_tensor *x, int ndim, const int64_t *shape); /* -1 keeps */
ad_tensor *ad_permute(const ad_tensor *x, int ndim, const int64_t *dims);
/* A copy: the dimensions of x as `parts`, those in another order, and taken together as `shape`. */
ad_tensor *ad_regroup(const ad_tensor *x, int n, const int64_t *parts, const int64_t *order, int ndim,
                      const int64_t *shape);
/* A copy with each slice of dimension d so many times, in a dimension after it. */
ad_tensor *ad_repeat_each(const ad_tensor *x, int d, int64_t times);
/* Zeros of a shape of n dimensions, but for the diagonal of two of them. */
ad_tensor *ad_diag_embed(const ad_tensor *x, int n, const int64_t *shape, int64_t offset, int d1, int d2);
ad_tensor *ad_transpose(const ad_tensor *x, int dim0, int dim1);
ad_tensor *ad_select(const ad_tensor *x, int dim, int64_t index);
ad_tensor *ad_select_two(const ad_tensor *x, int64_t i, int64_t j); /* x[i, j] */
ad_tensor *ad_slice(const ad_tensor *x, int dim, int64_t start, int64_t stop, int64_t step);
ad_tensor *ad_squeeze(const ad_tensor *x, uint32_t dims); /* bit d: drop dimension d where its size is 1 */
ad_tensor *ad_unsqueeze(const ad_tensor *x, int dim);
/* All windows of `size` along a dimension, their elements in a new last one; of no dimension, the element. */
ad_tensor *ad_unfold(const ad_tensor *x, int dim, int64_t size, int64_t step);
ad_tensor *ad_diagonal(const ad_tensor *x, int64_t offset, int dim1, int dim2); /* in a new last dimension */

/* ---- copies ---- */
ad_tensor *ad_contiguous(const ad_tensor *x, int dtype); /* a new contiguous tensor */
ad_tensor *ad_clone(const ad_tensor *x);                 /* keeps the order of dense strides */
int ad_copy(ad_tensor *dst, const ad_tensor *src);       /* broadcasts and converts */
/* Joined along a dimension, or along a new one; -1 is the last. dtype: that of the result, or -1 where all
 * are to have one dtype and, to be joined, as many dimensions. */
ad_tensor *ad_cat(int n, ad_tensor *const *xs, int64_t dim, int dtype);
ad_tensor *ad_stack(int n, ad_tensor *const *xs, int64_t dim, int dtype);
/* With the order reversed along dimensions, each named once. Here and for roll, -1 is the last one. */
ad_tensor *ad_flip(const ad_tensor *x, int n, const int64_t *dims);
/* Shifted along dimensions, around the ends; where dims is NULL, once, as one vector. */
ad_tensor *ad_roll(const ad_tensor *x, int n, const int64_t *shifts, const int64_t *dims);
/* With more elements before and after those of the last n / 2 dimensions, of which the last comes first; pads
 * that are negative take some away. Constant: `value`, of x's dtype, or 0 where it is NULL; else x's own, of
 * 1 to 3 dimensions, before which there are one or two. */
typedef enum { AD_PAD_CONSTANT, AD_PAD_REFLECT, AD_PAD_REPLICATE, AD_PAD_CIRCULAR } ad_pad_kind;
ad_tensor *ad_pad(const ad_tensor *x, int n, const int64_t *pads, int how, const ad_tensor *value);
/* The adjoint of padding with elements of an x of g's dimensions, and these sizes of those that are padded:
 * what each element was copied to, added up. */
ad_tensor *ad_pad_vjp(const ad_tensor *g, int n, const int64_t *pads, int how, const int64_t *shape);
/* The elements of matrices on and below a diagonal, or on and above it; zeros elsewhere. */
ad_tensor *ad_triangle(const ad_tensor *x, int64_t diagonal, int lower);
/* (2, count) int64: the rows and columns where a matrix is on or below (else above) a diagonal. */
ad_tensor *ad_triangle_indices(int64_t rows, int64_t cols, int64_t diagonal, int lower);

/* ---- pointwise ---- */
typedef struct ad_program ad_program;
typedef struct ad_op ad_op;
const char *ad_instr_name(int op); /* NULL past the last */
int ad_instr_arity(int op);
int ad_instr_has(int op, int type); /* type: 0 f32, 1 f64, 2 i64 */
/* Code: rows of (instruction, register type, dst, a, b, c). Registers 0..n_in-1 are the inputs, converted to
 * in_types; then n_const constants (bits in `consts`, their types in const_types); then temporaries.
 * Registers are written once. Output i is register out_regs[i], stored as out_dtypes[i]. */
ad_program *ad_program_new(int n_in, const uint8_t *in_types, int n_const, const uint8_t *const_types,
                           const uint64_t *consts, int n_code, const int32_t *code, int n_out,
                           const int32_t *out_regs, const uint8_t *out_dtypes);
/* An op holds a program for each combination of operands met so far. An operand's code is dtype | kind << 4,
 * kind 0 for a tensor with dimensions, 1 for one without, 2 for a Python number; that of a number that not
 * every dtype holds is reach | 3 << 4 where its bit of `exact` is set. A key is the codes, 6 bits each. */
ad_op *ad_op_new(int n_in, int n_out, int exact);
void ad_op_number(ad_op *op, int number); /* what ad_last_writer tells of this op */
void ad_op_free(ad_op *op);
void ad_op_forget(ad_op *op); /* its programs, for tests of what makes them: while no thread calls it */
int ad_op_add(ad_op *op, uint64_t key,
              ad_program *program); /* takes the program over, in any case but AD_BAD_ARG */
void ad_op_default(int dtype);      /* the default: in the last 4 bits of keys */
ad_tensor *ad_pw1(ad_op *op, const ad_tensor *x);
ad_tensor *ad_pw2(ad_op *op, const ad_tensor *x, const ad_tensor *y);
ad_tensor *ad_pw3(ad_op *op, const ad_tensor *x, const ad_tensor *y, const ad_tensor *z);
ad_tensor *ad_pw4(ad_op *op, const ad_tensor *x, const ad_tensor *y, const ad_tensor *z, const ad_tensor *w);
/* The next of the results of the last call on this thread that has several and returns the first; NULL after
 * the last. */
ad_tensor *ad_next(void);
int ad_pw(ad_op *op, int n_in, const ad_tensor *const *in, int n_out,
          ad_tensor **out); /* NULL outs are made */
/* The result of up to four inputs, NULL where there are fewer, written to `out`. */
int ad_pw_to(ad_op *op, ad_tensor *out, const ad_tensor *x, const ad_tensor *y, const ad_tensor *z,
             const ad_tensor *w);
/* The op of one index of the first dimension of all operands after another, the last first if `reverse`: a
 * step may read what those before it wrote, but not what it writes. */
int ad_pw_steps(ad_op *op, int reverse, int n_in, const ad_tensor *const *in, int n_out,
                ad_tensor *const *out);
/* The steps of a recurrent layer over `steps` blocks of rows, the last first if `reverse`. in: what the
 * inputs add to the gates, the weights and first state of h, c or NULL, a bias or NULL; out: the rows of h,
 * of c or NULL, of what is kept (in an order of its own) or NULL. The op takes what states add to each gate,
 * of the first of them with what inputs add; then what these add to the others; and where it makes what is to
 * be kept, c or else h. AD_NO_VARIANT as of ad_pw: then call again.
 */
int ad_recur(ad_op *op, int gates, int64_t steps, int reverse, const ad_tensor *const *in,
             ad_tensor *const *out);
/* in: the rows' cotangents, the weights, what was kept or NULL, the rows of states before (or NULL), and
 * after where asked for, the last c's cotangent or NULL; out: the cotangents of gates and of what states add
 * to them (or NULL), of the first h, and of the first c or NULL. The op takes what was kept, before, after,
 * h's cotangents from its row and from the step after, and where anything was kept, what goes on by itself.
 */
int ad_recur_vjp(ad_op *op, int gates, int64_t steps, int reverse, const ad_tensor *const *in,
                 ad_tensor *const *out);
int ad_pw_reference(int op, int type, int64_t n, void *dst, const void *a, const void *b, const void *c);
int ad_pw_kernel(int op, int type, int64_t n, void *dst, const void *a, const void *b, const void *c);

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
 * whose target is `ignored` count as nothing. `saved` is what the vjp needs. AD_BAD_INDEX: a target out of
 * bounds.
 */
ad_tensor *ad_cross_entropy(const ad_tensor *x, const ad_tensor *target, const ad_tensor *weight,
                            int64_t ignored, int reduction, ad_tensor **saved);
ad_tensor *ad_cross_entropy_vjp(const ad_tensor *g, const ad_tensor *x, const ad_tensor *target,
                                const ad_tensor *weight, int64_t ignored, int reduction,
                                const ad_tensor *saved);
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
 * edge included: floats of one dtype, without gaps. */
ad_tensor *ad_histogram(const ad_tensor *x, const ad_tensor *edges, const ad_tensor *weight);

/* ---- contraction ---- */
/* a (..., m, k) times b (..., k, n), batch dimensions broadcast; bias (n) or NULL is added to each row. */
ad_tensor *ad_matmul(const ad_tensor *a, const ad_tensor *b, const ad_tensor *bias);
/* The same with the last two dimensions of a (bit 0 of transpose) or b (bit 1) swapped first. */
ad_tensor *ad_matmul_t(const ad_tensor *a, const ad_tensor *b, const ad_tensor *bias, int transpose);
/* The same of two matrices alone: AD_BAD_DIM for other operands. */
ad_tensor *ad_mm(const ad_tensor *a, const ad_tensor *b, int transpose);
/* From the cotangent of that product those of a, where b is given, and of b, where a is; bit 2 of transpose
 * adds that of a bias. The first is returned, ad_next has the others; NULL, AD_EMPTY where none is wanted. */
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

/* ---- random: the Mersenne twister and PyTorch's derivations from it ---- */
ad_rng *ad_rng_new(uint64_t seed);
void ad_rng_free(ad_rng *rng);
int ad_rng_seed(ad_rng *rng, uint64_t seed);
uint64_t ad_rng_initial_seed(const ad_rng *rng); /* of the last seeding, or of the state set since */
int ad_rng_state_size(void);
int ad_rng_get_state(ad_rng *rng, ad_tensor *state); /* so many bytes */
int ad_rng_set_state(ad_rng *rng, const ad_tensor *state);
/* Each fills `out` in the order of its memory, advances the generator and counts as one write. */
int ad_rng_uniform(ad_rng *rng, ad_tensor *out, double low, double high);
/* The same of those of out's float64s where a mask of bools is true; others become 1. Both are contiguous. */
int ad_rng_uniform_where(ad_rng *rng, ad_tensor *out, double low, double high, const ad_tensor *mask);
int ad_rng_normal(ad_rng *rng, ad_tensor *out, double mean, double std);
int ad_rng_log_normal(ad_rng *rng, ad_tensor *out, double mean, double std);
int ad_rng_exponential(ad_rng *rng, ad_tensor *out, double rate);
int ad_rng_cauchy(ad_rng *rng, ad_tensor *out, double median, double sigma);
int ad_rng_geometric(ad_rng *rng, ad_tensor *out, double p);
int ad_rng_randint(ad_rng *rng, ad_tensor *out, int64_t low, int64_t last); /* both ends included */
int ad_rng_random(ad_rng *rng, ad_tensor *out); /* all the integers from 0 on that the dtype holds */
int ad_rng_randperm(ad_rng *rng, ad_tensor *out);
int ad_rng_bernoulli(ad_rng *rng, ad_tensor *out, double p);
int ad_rng_dropout(ad_rng *rng, ad_tensor *noise, double p); /* 0 with probability p, else 1 / (1 - p) */
/* The same again, in equal parts: each from a place that a generator was at (as of ad_attend). */
int ad_dropout_again(const ad_tensor *places, ad_tensor *noise, double p);
/* A parameter for each element: `p` and `rates` are of out's shape, float32 or float64. */
int ad_rng_bernoulli_of(ad_rng *rng, ad_tensor *out, const ad_tensor *p);
int ad_rng_poisson(ad_rng *rng, ad_tensor *out, const ad_tensor *rates);
/* Of float64, one shape and without gaps, as all of these. */
int ad_rng_gamma(ad_rng *rng, ad_tensor *out, const ad_tensor *concentration);
int ad_rng_binomial(ad_rng *rng, ad_tensor *out, const ad_tensor *count, const ad_tensor *prob);
/* S, the sum of x^n / (a (a + 1) ... (a + n)), and the same with each term times 1 / a + ... + 1 / (a + n).
 */
int ad_gamma_series(const ad_tensor *a, const ad_tensor *x, ad_tensor **out);
/* Of each row of weights (rows, categories), out's (rows, n) categories. AD_BAD_ARG: [0] is 1 for a negative
 * weight or nan, 2 for an infinite one, 3 for a sum of 0. */
int ad_rng_multinomial(ad_rng *rng, ad_tensor *out, const ad_tensor *weights, int replacement);

/* ---- optimisers: one call updates every parameter of a group ---- */
const char *ad_optim_name(int kind); /* a row of optimizers.def; NULL past the last */
int ad_optim_columns(int kind);      /* tensors a parameter takes, and */
int ad_optim_hypers(int kind);       /* options */
/* `tensors` has that many columns of n: the parameters, their gradients, each state, each scalar. All is
 * checked before anything is written; should memory for copies of strided tensors run out, each parameter is
 * updated whole, with its states and scalars, or not at all. The momentum buffers of sgd_momentum may be
 * NULL: these are made from the gradients, and stored for the caller to own. */
int ad_optim_step(int kind, int n, ad_tensor **tensors, const double *hyper);

/* ---- norms of many tensors ---- */
/* The norm of all elements, as the norm of the tensors' norms; floating-point tensors only. */
ad_tensor *ad_norm(int n, const ad_tensor *const *xs, double order, int dtype);
/* Multiply all elements (by a factor of 1: leave them), or bring them into [low, high] (high where low is
 * more). All tensors are checked before one is written; should memory for a copy of a strided one run out,
 * each is changed whole or not. */
int ad_scale(int n, ad_tensor *const *xs, const ad_tensor *factor);
int ad_clip(int n, ad_tensor *const *xs, double low, double high);

/* ---- watching: the first call that makes a nan or an infinity of finite operands fails ---- */
typedef struct {
    const char *name;       /* of the call */
    int written, n_written; /* which of the operands that it writes */
    int ndim;               /* of that, and where in it */
    int64_t shape[8], index[8];
    double value; /* what is there */
    int n_in;     /* operands that it reads; of a pointwise call, their elements there, */
    double operands[10];
    uint8_t known[10]; /* where they are to be had */
} ad_nonfinite;
int ad_watch(int on); /* this thread's calls, or no longer; whether they were before, -1: it records */
int ad_watching(void);
const ad_nonfinite *ad_watch_found(void);

/* ---- tapes: the calls of a thread, recorded once and run again ---- */
typedef struct ad_tape ad_tape;
typedef enum {
    AD_TAPE_FINE,
    AD_TAPE_READ,       /* a value was looked at */
    AD_TAPE_SIZED,      /* a result whose size depends on values */
    AD_TAPE_UNRECORDED, /* a call that does not record what it does */
    AD_TAPE_SEED,       /* a generator's seed was asked for */
    AD_TAPE_FOREIGN,    /* memory was taken in or given away */
    AD_TAPE_STARTED,    /* a first step made the states of an optimiser */
    AD_TAPE_NO_MEMORY,
    AD_TAPE_REFUSED, /* a call failed, and others follow */
    AD_TAPE_REFUSES  /* none: a call was recorded that other values may make fail */
} ad_tape_reason;
/* Records this thread's calls until ad_tape_stop. `notice` is called for each with AD_TAPE_FINE or
 * AD_TAPE_REFUSES, and with the reason where what happens cannot be recorded. */
ad_tape *ad_tape_record(int n_args, ad_tensor *const *args, void (*notice)(int reason));
/* The same, of calls that read what those of another tape made: of what they read, that one's exports and,
 * after the n_args, the arguments of this one get what leads to its memory, if only once. */
ad_tape *ad_tape_record_after(ad_tape *first, int n_args, ad_tensor *const *args, void (*notice)(int reason));
int ad_tape_links(const ad_tape *tape);         /* how many those are, */
int ad_tape_linked(const ad_tape *tape, int i); /* and which export of the other tape is one of them; or -1 */
/* Which link leads to x's memory, and how far x begins behind what it leads to; -1 for none. */
int ad_tape_link(const ad_tape *tape, const ad_tensor *x, int64_t *offset);
/* A tensor of a layout, so far behind what a link leads to. */
ad_tensor *ad_tape_link_part(const ad_tensor *link, const ad_tensor *layout, int64_t offset);
/* When all exports of it are told: what the first made is known by that one again, for another after it. */
void ad_tape_unlink(const ad_tape *tape, const ad_tape *first);
int ad_tape_stop(ad_tape *tape); /* the first reason there was */
ad_tape *ad_tape_pause(void);    /* what this thread does until then is not recorded */
void ad_tape_resume(ad_tape *tape);
/* Whether this thread records, and x's memory was made since. */
int ad_tape_made_here(const ad_tensor *x);
/* Where a tape knows x's memory from: an argument (0), before (1), made while recording (2); -1: it does not.
 */
int ad_tape_knows(const ad_tape *tape, const ad_tensor *x);
/* Whether what x holds by now is made of numbers alone, and so the same at each run; also of what no call
 * made meanwhile, 0. */
int ad_tape_constant(const ad_tape *tape, const ad_tensor *x);
void ad_tape_free(ad_tape *tape);
/* An expression of the caller that depends on values. */
void ad_tape_break(int reason);
/* The call has x from elsewhere: no run takes its memory as an argument. */
int ad_tape_capture(ad_tape *tape, const ad_tensor *x);
/* Before ad_tape_finish: makes x, all of a captured memory, one more argument, in whose memory a run may find
 * others like it; 0 where that cannot be, as x is an export too. -1 for want of memory. */
int ad_tape_lend(ad_tape *tape, const ad_tensor *x);
/* After ad_tape_stop: x is to be had after each run, by this number; -1 for want of memory,
 * -2 where the call that made it did not tell. */
int ad_tape_export(ad_tape *tape, const ad_tensor *x);
/* Before ad_tape_finish: an export that may be looked at until a run writes it. The memory of others is
 * used for what is needed before. */
int ad_tape_keep(ad_tape *tape, int exported);
/* Plans calls and memory; the first n_outputs exports are what ad_tape_run returns. `fuse`: pointwise calls
 * that lead to one another become one where they can. */
int ad_tape_finish(ad_tape *tape, int n_outputs, int fuse);
/* The first n exports keep their memory: a run writes over what the one before returned. */
int ad_tape_reuse(ad_tape *tape, int n);
/* The outputs for these arguments. AD_STALE before, AD_BUSY: nothing was done. After other failures
 * ad_tape_position tells which call failed. */
int ad_tape_run(ad_tape *tape, int n_args, ad_tensor *const *args, ad_tensor **outputs);
/* The same of tapes with at most one output, which is NULL where there is none and where it fails. */
ad_tensor *ad_tape_run0(ad_tape *tape);
ad_tensor *ad_tape_run1(ad_tape *tape, ad_tensor *a);
ad_tensor *ad_tape_run2(ad_tape *tape, ad_tensor *a, ad_tensor *b);
ad_tensor *ad_tape_run3(ad_tape *tape, ad_tensor *a, ad_tensor *b, ad_tensor *c);
/* Runs steps `from` to `to` on args. Where `order` is not NULL, the first n_data are filled before each, by
 * the rows of its data tensor that order has for the step. Output i of a step goes to row `step` of
 * stacked[i]; those beyond n_stacked are not kept. */
int ad_tape_steps(ad_tape *tape, int n_args, ad_tensor *const *args, int n_data, ad_tensor *const *data,
                  const ad_tensor *order, int64_t from, int64_t to, int n_stacked, ad_tensor *const *stacked);
int ad_tape_position(void);                          /* in the last run that this thread made */
ad_tensor *ad_tape_get(ad_tape *tape, int exported); /* as the last run left it */
/* For checks: what a run writes to that was there before, kept and put back; and a hash of each call's
 * results, by the call it was recorded as: of the last run of ad_tape_run_hashed, or while recording from
 * ad_tape_hash on. */
int ad_tape_save(ad_tape *tape, int n_args, ad_tensor *const *args);
void ad_tape_restore(ad_tape *tape);
int ad_tape_run_hashed(ad_tape *tape, int n_args, ad_tensor *const *args, ad_tensor **outputs);
void ad_tape_hash(ad_tape *tape);
int ad_tape_hashes(const ad_tape *tape, int n,
                   uint64_t *hashes); /* 0 where a call is not made; how many there are */
/* Calls recorded, calls a run makes, bytes of the arena, of results, the most in use while recording, how
 * many calls became part of another, and how many runs there were. */
void ad_tape_stats(const ad_tape *tape, int64_t stats[7]);
int ad_tape_length(const ad_tape *tape); /* of what is run */
/* The i-th call that is run: its name, its operand j (NULL past the last) and, of that, where its memory
 * comes from, an ad_tape_memory, and which of those it is. */
const char *ad_tape_name(const ad_tape *tape, int i);
int ad_tape_source(const ad_tape *tape, int i); /* the recorded call it came from */
const ad_tensor *ad_tape_operand(const ad_tape *tape, int i, int j, int origin[3]);
int ad_tape_writer(const ad_tape *tape, int i); /* of a pointwise call: its op, as ad_last_writer tells */

#endif
