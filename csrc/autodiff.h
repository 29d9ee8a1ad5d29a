/* autodiff.h: the native API, and what cffi reads, with api/ (of lines that begin with '#' only its
 * includes count).
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
    AD_UNDONE,     /* a run of a tape that was refused values, and left nothing behind */
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
        uint8_t *u8; /* of what has this dtype */
        int8_t *i8;
        int16_t *i16;
        int32_t *i32;
        int64_t *i64;
        float *f32;
        double *f64;
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
void ad_table(int n, ad_tensor *const *xs,
              ad_tensor **table); /* the pointers, for calls that write some of them */
/* The shape or strides as a number, 14 bits a dimension above a 1; 0 where that is too small. */
int64_t ad_shape_key(const ad_tensor *x);
int64_t ad_stride_key(const ad_tensor *x);
int64_t ad_storage_id(const ad_tensor *x); /* equal for tensors that share memory */
int64_t ad_storage_bytes(const ad_tensor *x);
int64_t ad_offset(const ad_tensor *x); /* of the first element in the storage, in elements */
/* Writes to the storage so far; negative for memory made in inference mode. */
int64_t ad_version(const ad_tensor *x);
int64_t ad_writes(const ad_tensor *x); /* all there were, those aside included */
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
ad_tensor *ad_transpose_matrix(const ad_tensor *x);
ad_tensor *ad_select(const ad_tensor *x, int dim, int64_t index);
ad_tensor *ad_select_two(const ad_tensor *x, int64_t i, int64_t j); /* x[i, j] */
ad_tensor *ad_slice(const ad_tensor *x, int dim, int64_t start, int64_t stop, int64_t step);
ad_tensor *ad_squeeze(const ad_tensor *x, uint32_t dims); /* bit d: drop dimension d where its size is 1 */
ad_tensor *ad_unsqueeze(const ad_tensor *x, int dim);
/* The view that n steps lead to, each a dimension of what those before it led to and an index and two zeros,
 * the start, stop and step of a slice, or a step of -1 for a new dimension. */
ad_tensor *ad_view_at(const ad_tensor *x, int n, const int64_t *items);
/* All windows of `size` along a dimension, their elements in a new last one; of no dimension, the element. */
ad_tensor *ad_unfold(const ad_tensor *x, int dim, int64_t size, int64_t step);
ad_tensor *ad_diagonal(const ad_tensor *x, int64_t offset, int dim1, int dim2); /* in a new last dimension */

/* ---- copies ---- */
ad_tensor *ad_contiguous(const ad_tensor *x, int dtype); /* a new contiguous tensor */
ad_tensor *ad_clone(const ad_tensor *x);                 /* keeps the order of the strides */
int ad_copy(ad_tensor *dst, const ad_tensor *src);       /* broadcasts and converts */
int ad_copy_at(const ad_tensor *x, int n, const int64_t *items, const ad_tensor *src); /* to that view */
/* Joined along a dimension, or along a new one; -1 is the last. dtype: that of the result, or -1 where all
 * are to have one dtype and, to be joined, as many dimensions. */
ad_tensor *ad_cat(int n, ad_tensor *const *xs, int64_t dim, int dtype);
ad_tensor *ad_stack(int n, ad_tensor *const *xs, int64_t dim, int dtype);
/* The same to what has the dtype of all and the result's shape, without gaps, and shares no memory with them.
 * What fails has written nothing. */
int ad_join_to(ad_tensor *y, int n, ad_tensor *const *xs, int64_t dim, int stacked);
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
ad_tensor *ad_pw_of(ad_op *op, int n, const ad_tensor *const *in);
/* The next of the results of the last call on this thread that has several and returns the first; NULL after
 * the last. */
ad_tensor *ad_next(void);
int ad_pw(ad_op *op, int n_in, const ad_tensor *const *in, int n_out,
          ad_tensor **out); /* NULL outs are made */
/* The result of up to four inputs, NULL where there are fewer, written to `out`. */
int ad_pw_to(ad_op *op, ad_tensor *out, const ad_tensor *x, const ad_tensor *y, const ad_tensor *z,
             const ad_tensor *w);
/* The same to what has the result's shape and dtype, where operands have that shape, or are of none. What
 * fails has written nothing, unless for want of memory. */
int ad_pw_into(ad_op *op, ad_tensor *out, int n, const ad_tensor *const *in);
/* The op of one index of the first dimension of all operands after another, the last first if `reverse`: a
 * step may read what those before it wrote, but not what it writes. */
int ad_pw_steps(ad_op *op, int reverse, int n_in, const ad_tensor *const *in, int n_out,
                ad_tensor *const *out);
/* The steps of a recurrent layer over `steps` blocks of rows, the last first if `reverse`. in: what the
 * inputs add to the gates, the weights and first state of h, c or NULL, a bias or NULL; out: the rows of h;
 * those of c, behind the first state's (before them if `reverse`), or NULL; what is kept (in an order of its
 * own) or NULL; the rows of h as those of c, or NULL; the last c or NULL. The op takes what states add to
 * each gate, of the first of them with what inputs add; then what these add to the others; and where it makes
 * what is to be kept, c or else h. AD_NO_VARIANT as of ad_pw: then call again.
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

#include "api/reductions.h"
#include "api/contraction.h"
#include "api/gather.h"
#include "api/random.h"
#include "api/optim.h"
#include "api/tape.h"

#endif
