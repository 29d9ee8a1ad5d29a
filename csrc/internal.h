/* internal.h: what the C files share. */
#ifndef AD_INTERNAL_H
#define AD_INTERNAL_H
#include <string.h>
#include "autodiff.h"

/* gcc would copy whole loops for each value of what does not change in them: a third of the code. Where that
 * pays, a kernel is written for a constant instead. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-unswitch-loops")
#endif

/* A variable of each thread, at a fixed distance from where those of a thread are: no call to find it. */
#if defined(__ELF__) && defined(__GNUC__)
#define AD_NEAR __attribute__((tls_model("initial-exec")))
#else
#define AD_NEAR
#endif

#define AD_MAX_DIMS 8
#define AD_MAX_INPUTS 10
#define AD_MAX_OUTPUTS 10
#define AD_BLOCK 1024 /* elements a pointwise register holds */
#define AD_TILE 16    /* transposes go through tiles of so many elements a side: a cache line or two */
#define AD_LINE 64    /* bytes of a cache line */
#define AD_PAGE 4096  /* of a page: places a multiple of it apart are one in the caches */
#define AD_STREAM_BYTES (24 << 20) /* what leaves the caches before it is read again */

/* Bytes to memory past the caches, while lines of what is read soon are fetched, `step` apart (move.c). */
void ad_move_past(char *dst, const char *src, int64_t n, int n_ahead, const char *const *ahead,
                  const int64_t *step);
/* Stores past the caches are done before what this thread stores after. A parallel loop ends with it. */
static inline void ad_end_streams(void) {
#ifdef __x86_64__
    __builtin_ia32_sfence();
#endif
}

/* The bits of a float (kernels/convert.h), as types that can be told apart. */
typedef uint16_t ad_f16;
typedef int16_t ad_bf16;

enum {
#define AD_DTYPE(name, ctype, type) AD_##name,
#include "dtypes.def"
#undef AD_DTYPE
    AD_N_DTYPES
};

/* Register types: what kernels compute in. */
enum { AD_f32, AD_f64, AD_i64, AD_N_TYPES };
/* And what extremes of narrow integers are folded in. */
enum { AD_u8 = AD_N_TYPES, AD_i8, AD_i16, AD_i32, AD_N_FOLD_TYPES };

enum {
#define AD_INSTR(name, arity, f32, f64, i64) AD_OP_##name,
#include "instructions.def"
#undef AD_INSTR
    AD_N_INSTR
};

enum {
#define AD_REDUCTION(name, identity) AD_RED_##name,
#include "reductions.def"
#undef AD_REDUCTION
    AD_N_REDUCTIONS
};

enum {
#define AD_ROWS(name, b, y) AD_ROWS_##name,
#include "rows.def"
#undef AD_ROWS
    AD_N_ROWS
};

enum {
#define AD_OPTIMIZER(name, states, scalars, hypers) AD_OPT_##name,
#include "optimizers.def"
#undef AD_OPTIMIZER
    AD_N_OPTIMIZERS
};

extern const uint8_t ad_itemsize[AD_N_DTYPES];
extern const uint8_t ad_dtype_type[AD_N_DTYPES]; /* the register type a dtype is computed in */
extern const uint8_t ad_type_size[AD_N_TYPES];
static inline bool ad_is_float(int dtype) { return dtype >= AD_float32; }    /* that kernels compute in */
static inline bool ad_is_floating(int dtype) { return dtype >= AD_float16; } /* of any width */
static inline bool ad_is_half(int dtype) { return dtype == AD_float16 || dtype == AD_bfloat16; }
/* Whether elements are what their register holds. */
static inline bool ad_is_native_dtype(int dtype) { return dtype == AD_int64 || ad_is_float(dtype); }
/* What kernels compute in. */
static inline int ad_work_dtype(int dtype) { return ad_is_half(dtype) ? AD_float32 : dtype; }
static inline bool ad_valid_dtype(int dtype) { return dtype >= 0 && dtype < AD_N_DTYPES; }
static inline int64_t ad_least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- errors: each sets this thread's error and returns what the caller returns ---- */
int ad_fail(int status, int64_t a, int64_t b, int64_t c);
void *ad_fail_null(int status, int64_t a, int64_t b, int64_t c);

/* ---- memory.c ---- */
#define AD_INFERENCE_VERSION (-((int64_t)1 << 60)) /* so low that sums of a few stay negative */
/* The last tape that saw a storage, and as what. */
typedef struct {
    int32_t tape, memory;
} ad_known;
struct ad_storage {
    char *data;
    int64_t nbytes;
    int64_t version; /* writes so far; counted from AD_INFERENCE_VERSION for memory made in inference mode */
    int64_t aside;   /* writes by tensors that are so */
    int64_t refs;
    void *owner; /* foreign memory: released with it */
    void (*release)(void *);
    char *lo; /* foreign memory: first byte that may be touched (data for our own) */
    uint8_t readonly;
    int32_t writer;             /* ad_writer */
    _Alignas(8) ad_known known; /* written by who records, while others may look */
};
static inline void ad_storage_know(ad_storage *s, int32_t tape, int32_t memory) {
    ad_known known = {tape, memory};
    __atomic_store(&s->known, &known, __ATOMIC_RELAXED); /* both at once */
}
void *ad_alloc(size_t nbytes); /* 64-byte aligned; NULL sets the error */
void ad_dealloc(void *block);
extern _Thread_local bool ad_inference_mode AD_NEAR;
ad_storage *ad_storage_new(int64_t nbytes); /* with room for its first descriptor */
static inline ad_tensor *ad_first_descriptor(ad_storage *s) { return (ad_tensor *)(s + 1); }
void ad_storage_retain(ad_storage *s);
void ad_storage_release(ad_storage *s);
extern _Thread_local ad_tape *ad_recording AD_NEAR; /* tape.h */
void ad_tape_made(ad_storage *s);

/* ---- tensor.c ---- */
ad_tensor *ad_tensor_new(void);                                /* fields unset; of a view */
ad_tensor *ad_make(int dtype, int ndim, const int64_t *shape); /* contiguous, memory unset */
ad_tensor *ad_several(int n, ad_tensor *const *found);         /* the first; ad_next gives the others */
int ad_check_shape(int ndim, const int64_t *shape);
int ad_refresh(ad_tensor *x);        /* numel and contiguous from shape, strides */
void ad_set_row_major(ad_tensor *x); /* the strides of a contiguous x */
static inline bool ad_same_shape(const ad_tensor *a, const ad_tensor *b) {
    return a->ndim == b->ndim && !memcmp(a->shape, b->shape, sizeof(int64_t) * a->ndim);
}
void ad_wrote(ad_tensor *x, int writer);
/* As ad_expand, as an operand of a call: a number stays one. */
ad_tensor *ad_widened(const ad_tensor *x, int ndim, const int64_t *shape);
/* Of all dimensions but the last `skip`; returns their number, or -1 and the error. */
int ad_broadcast_shapes(int n, const ad_tensor *const *xs, int skip, int64_t *shape);
/* What x steps along dimension d of the ndim it is broadcast to. */
static inline int64_t ad_broadcast_stride(const ad_tensor *x, int ndim, int d) {
    int own = d - (ndim - x->ndim);
    return own < 0 || x->shape[own] == 1 ? 0 : x->strides[own];
}

/* ---- extent.c ---- */
bool ad_inside_storage(const ad_tensor *x);
bool ad_is_dense(const ad_tensor *x); /* fills an interval of memory, each byte once */
/* Without elements set: in the order in which x lies, without gaps (loop.c). */
ad_tensor *ad_make_like(const ad_tensor *x, int dtype);
bool ad_same_elements(const ad_tensor *a, const ad_tensor *b); /* in one order, at one place in memory */
int ad_check_writable(const ad_tensor *x);                     /* AD_OVERLAP where elements share memory */
bool ad_may_overlap(const ad_tensor *a, const ad_tensor *b);   /* byte ranges of one storage meet */

/* ---- views.c ---- */
void ad_swap_dims(ad_tensor *x, int a, int b); /* in a descriptor in the making */

/* ---- index.c ---- */
int ad_take_along(const ad_tensor *x, int dim, const ad_tensor *index, char *values); /* of a packed index */
int ad_take_rows(const ad_tensor *y, const ad_tensor *x, const ad_tensor *index); /* y = x[index], into y */

/* ---- copy.c, clone.c ---- */
/* Itself where it is contiguous and of the dtype, else a copy: `made` is to be freed. NULL for no memory. */
const ad_tensor *ad_packed(const ad_tensor *x, int dtype, ad_tensor **made);
void ad_copy_into(const ad_tensor *dst, const ad_tensor *src); /* one shape, no overlap; converts */

/* ---- move.c ---- */
/* dst[r * dst_row + c] = src[r + c * src_col], of elements of itemsize bytes; past the caches if so wanted.
 */
typedef struct {
    int64_t rows, cols, dst_row, src_col;
} ad_crossing;
void ad_copy_across(const ad_crossing *x, int itemsize, char *dst, const char *src, bool past);

/* ---- half.c ---- */
/* Makes operands (or NULL) of x's dtype, one of 16 bits, float32; false and the error where that cannot be.
 */
bool ad_widen(int n, const ad_tensor **xs);
/* Frees those, and of results those of float32 become the dtype; all are freed where the status is an error.
 */
int ad_narrow(int dtype, int status, int n_out, ad_tensor **out, int n, const ad_tensor **xs);
/* The call, of in32[0], in32[1], ... for the operands that are listed, where x is of 16 bits: this returns.
 */
#define AD_ALL_IN_FLOAT32(x, n_out, out, call, ...)                                                          \
    if (ad_is_half((x)->dtype)) {                                                                            \
        const ad_tensor *in32[] = {__VA_ARGS__};                                                             \
        enum { N = sizeof in32 / sizeof *in32 };                                                             \
        if (!ad_widen(N, in32)) return ad_error(NULL);                                                       \
        return ad_narrow((x)->dtype, call, n_out, out, N, in32);                                             \
    }
/* The same of a call that returns its result; `kept` is NULL or a result beside it, which stays as it is. */
#define AD_IN_FLOAT32(x, kept, call, ...)                                                                    \
    if (ad_is_half((x)->dtype)) {                                                                            \
        const ad_tensor *in32[] = {__VA_ARGS__};                                                             \
        enum { N = sizeof in32 / sizeof *in32 };                                                             \
        ad_tensor *y32 = NULL, **const beside = (kept);                                                      \
        if (ad_widen(N, in32)) {                                                                             \
            y32 = call;                                                                                      \
            ad_narrow((x)->dtype, y32 ? AD_OK : ad_error(NULL), 1, &y32, N, in32);                           \
        }                                                                                                    \
        if (!y32 && beside) {                                                                                \
            ad_free(*beside);                                                                                \
            *beside = NULL;                                                                                  \
        }                                                                                                    \
        return y32;                                                                                          \
    }
/* The same of a call that adds to `wide` what x shall be: it is rounded once. */
#define AD_ADD_IN_FLOAT32(x, call)                                                                           \
    if (ad_is_half((x)->dtype)) {                                                                            \
        ad_tensor *wide = ad_contiguous(x, AD_float32);                                                      \
        int status = wide ? call : AD_NO_MEMORY;                                                             \
        if (!status) status = ad_copy(x, wide);                                                              \
        ad_free(wide);                                                                                       \
        return status;                                                                                       \
    }

/* Whether PyTorch takes images for ones whose channels come last: by shape and strides alone. */
bool ad_is_channels_last(const ad_tensor *x);
/* A new result in that order if `last`, else as it is; y may be NULL. */
ad_tensor *ad_channels_last(ad_tensor *y, bool last);
ad_tensor *ad_make_last(int dtype, int ndim, const int64_t *shape); /* in that order; memory unset */

/* A number that is read once, however often it is used: what was checked, no other thread changes. */
static inline int64_t ad_once(const int64_t *x) { return __atomic_load_n(x, __ATOMIC_RELAXED); }

/* Unrolls the loop that follows, so that arrays indexed by its counter stay in registers. */
#ifdef __clang__
#define AD_UNROLL _Pragma("clang loop unroll(full)")
#else
#define AD_UNROLL _Pragma("GCC unroll 16")
#endif

/* gcc's AddressSanitizer sees no masked access: the vocabulary announces those of n elements. */
#ifdef __SANITIZE_ADDRESS__
void __asan_loadN(void *p, ptrdiff_t nbytes);
void __asan_storeN(void *p, ptrdiff_t nbytes);
#define AD_LOADS(p, n) __asan_loadN((void *)(p), (ptrdiff_t)sizeof *(p) * (n))
#define AD_STORES(p, n) __asan_storeN(p, (ptrdiff_t)sizeof *(p) * (n))
#else
#define AD_LOADS(p, n) ((void)0)
#define AD_STORES(p, n) ((void)0)
#endif

/* ---- kernels: one table per variant, filled by kernels/<family>.h ---- */
typedef void ad_pw_fn(int64_t n, void *dst, const void *a, const void *b, const void *c);
/* Instead of c where there are one or two operands, but for those of integers and casts: what is made, whole
 * lines of it, is stored past the caches. */
extern const char ad_past[1];
/* A comparison whose truth values go to bytes; n contiguous elements. */
typedef void ad_compare_fn(int64_t n, uint8_t *dst, const void *a, const void *b);
#define AD_COMPARISONS AD_COMPARE(lt, <) AD_COMPARE(le, <=) AD_COMPARE(eq, ==) AD_COMPARE(ne, !=)
/* A strided run of one dtype to a register, and back: n elements, stride in elements. */
typedef void ad_load_fn(int64_t n, void *dst, const char *src, int64_t stride);
typedef void ad_store_fn(int64_t n, char *dst, int64_t stride, const void *src);

/* The instructions that kernels for numbers are among, and which comparison one of f32 is, or -1. */
enum { AD_BY_NUMBER_END = AD_OP_limited + 1, AD_N_COMPARISONS = AD_OP_ne - AD_OP_lt + 1 };
static inline int ad_comparison(int op, int type) {
    return type == AD_f32 && op >= AD_OP_lt && op <= AD_OP_ne ? op - AD_OP_lt : -1;
}

typedef struct {
    ad_pw_fn *instr[AD_N_INSTR][AD_N_TYPES]; /* NULL where the row has 0 */
    ad_load_fn *load[AD_N_DTYPES][AD_N_TYPES];
    ad_store_fn *store[AD_N_TYPES][AD_N_DTYPES];
    ad_compare_fn *compare[AD_N_COMPARISONS];
    /* with numbers that meet all n elements as operands: a, b, c, or b and c (ad_by_number); f32, f64 */
    ad_pw_fn *number[AD_BY_NUMBER_END][2][4];
    ad_compare_fn *compare_number[AD_N_COMPARISONS][2];
    ad_compare_fn *truth[4];     /* of bools: not, and, or, xor */
    ad_pw_fn *where[AD_N_TYPES]; /* with a of bools in memory */
    /* add, sub, mul, minimum, maximum, lt, eq, bitwise_*, shl, shr of two runs of uint8, int8, int16 or int32
     * in memory, abs and sign of the first, to the same or to bools (lt and eq of bools, too); or NULL. c: a
     * byte that is 1 where the opposite of a comparison is wanted */
    ad_pw_fn *(*narrow)(int op, int dtype);
    /* neg, abs, sqrt, add, sub, mul, div, minimum and maximum of runs of float16 or bfloat16 in memory, to
     * the same; or NULL. c: a float that is the second operand, or a */
    ad_pw_fn *(*half)(int op, int dtype);
    /* a run of bool, uint8, int8, int16 or int32 to another of them; or NULL */
    ad_store_fn *(*convert)(int from, int to);
    /* rows of n bytes, at least 32, `step` bytes apart */
    void (*move)(int64_t rows, int64_t n, char *dst, int64_t dst_step, const char *src, int64_t src_step);
    void (*fill)(int64_t lines, char *dst, const char *line); /* of 64 bytes, all the same */
    /* lines of 64 bytes, aligned, past the caches; meanwhile `step` bytes a line are fetched from each of the
     * addresses `ahead` */
    void (*stream)(int64_t lines, char *dst, const char *src, int n_ahead, const char *const *ahead,
                   const int64_t *step);
    /* Columns that run along src to rows along dst, elements of 4 and of 8 bytes; whole tiles. past: dst is
     * aligned, row by row, and stored past the caches. */
    void (*transpose[2])(int64_t rows, int64_t cols, void *dst, int64_t dst_row, const void *src,
                         int64_t src_col, bool past);
} ad_pw_kernels;
/* The kernel of an instruction whose operands are numbers where `which` has their bit; NULL for none. */
static inline ad_pw_fn *ad_by_number(const ad_pw_kernels *pw, int op, int type, int which) {
    if (op >= AD_BY_NUMBER_END || type == AD_i64 || !which || (which != 1 && which & 1)) return NULL;
    return pw->number[op][type][which >> 1];
}
/* What reductions are made of. Elements are of a register type; strides count elements. */
#define AD_FOLDS AD_FOLD(sum) AD_FOLD(prod) AD_FOLD(max) AD_FOLD(min)
enum {
#define AD_FOLD(name) AD_FOLD_##name,
    AD_FOLDS
#undef AD_FOLD
        AD_N_FOLDS
};
#define AD_LANE_BYTES 64 /* one element of each virtual lane: 16 floats, 8 doubles */
#define AD_LANE_STEPS 4  /* elements that a lane folds before they join what it holds */
typedef struct {
    /* rows: each of `rows` runs of n elements, `stride` apart, to one element of out; several runs at a time
     * unless each is read alone.
     * columns: `rows` rows of cols elements into the lanes of each column, lanes[lane * cols + column];
     * `first` makes the lanes, and all calls but the last bring a multiple of the number of lanes.
     * lane: `rows` rows, if there are any, into one lane of each column;
     * few: what the columns of at most as many rows as there are lanes amount to; of integers any number,
     *   and instead of columns;
     * combine: dst[i] = a[i] folded with b[i];
     * neighbours: n parts, which are overwritten, to one, as the tree over chunks joins them. */
    void (*rows)(int64_t rows, int64_t n, const void *x, int64_t stride, void *out, bool alone);
    void (*columns)(int64_t rows, int64_t cols, const void *x, int64_t stride, void *lanes, bool first);
    void (*lane)(int64_t rows, int64_t cols, const void *x, int64_t stride, void *lane, bool first);
    void (*few)(int64_t rows, int64_t cols, const void *x, int64_t stride, void *out);
    void (*combine)(int64_t n, void *dst, const void *a, const void *b);
    void (*neighbours)(int64_t n, void *parts, void *out);
} ad_fold_kernels;
typedef struct {
    ad_fold_kernels fold[AD_N_FOLDS][AD_N_FOLD_TYPES];
    /* Where in n elements the value first is (a nan, where it is one); n where it is not. */
    int64_t (*find[AD_N_TYPES])(int64_t n, const void *x, const void *value);
    /* Rows first, first + 1, ... of cols elements: the extreme of each column and its row, as an integer of
     * the element's width, so far; row 0 begins. `max` tells which extreme. */
    void (*places[AD_N_TYPES])(bool max, int64_t first, int64_t rows, int64_t cols, const void *x,
                               int64_t stride, void *extremes, void *places);
} ad_reduce_kernels;
/* What row programs are made of, besides folds. A block: `rows` runs of `cols` numbers, `stride` apart; what
 * goes with it has a number for each column, or for each row. */
typedef struct {
    int64_t rows, cols, stride;
    bool columns;
} ad_block;
#define AD_STRIP 64 /* the columns of a block at most */
/* Of each row: x is normalized to ((x - mean) - rest) rstd, in its own type. */
typedef struct {
    const void *mean, *rest, *rstd;
    bool one; /* weight and bias are one number each, else numbers of columns */
} ad_normal;
typedef struct {
    /* y = exp(a - top); f32, f64 */
    void (*shifted_exp[2])(const ad_block *s, const void *a, const void *top, void *y, int64_t y_stride);
    /* the last step of a program of rows.def */
    void (*finish[2])(int program, const ad_block *s, const void *a, const void *b, const void *top,
                      const void *sum, void *y);
    /* of layer norm: rows of n to y = normal(x) weight + bias, either NULL or not */
    void (*normalize[2])(int64_t rows, int64_t n, const void *x, const ad_normal *s, const void *weight,
                         const void *bias, void *y);
    /* sums over n numbers of h = g weight, and of h normal(x) */
    void (*norm_sums[2])(int64_t n, const void *g, const void *x, const void *weight, const ad_normal *s,
                         double *sums);
    /* from their means, a row of dx, and what is added to dw and db; each NULL or not */
    void (*norm_vjp[2])(int64_t n, const void *g, const void *x, const void *weight, const ad_normal *s,
                        const double *means, void *dx, void *dw, void *db);
    /* y = factor ((a - mean) - rest), differences in double */
    void (*deviations[2])(const ad_block *s, const void *a, const double *mean, const double *rest,
                          const void *factor, void *y);
    /* x - mean or its square, in place; x is dense */
    void (*centre)(const ad_block *s, double *x, const double *mean, bool square);
    /* of float32: the mean, and the squared deviations from it added up, of up to AD_STRIP columns or of rows
     */
    void (*moments)(const ad_block *s, const float *x, double *mean, double *squares);
    /* from rows of k to the columns of a panel, AD_LANE_BYTES of them; out: rows of as many, in eights */
    void (*distances[2])(int order, int64_t rows, int64_t k, const void *x, const void *panel, void *out);
    /* the sums of the squares of rows of k; and, in place of the products of a row with n others, its
     * distances from them, by its sum and theirs */
    void (*squares[2])(int64_t rows, int64_t k, const void *x, void *sums);
    void (*by_squares[2])(int64_t n, const void *own, const void *others, void *c);
} ad_row_kernels;
enum { AD_DISTANCE_1 = 1, AD_DISTANCE_2, AD_DISTANCE_inf, AD_DISTANCE_product };
typedef struct ad_gemm_kernels ad_gemm_kernels;         /* gemm.h */
typedef struct ad_solve_kernels ad_solve_kernels;       /* solve.h */
typedef struct ad_sort_kernels ad_sort_kernels;         /* sort.h */
typedef struct ad_spectral_kernels ad_spectral_kernels; /* spectral.h */
typedef struct ad_grid_kernels ad_grid_kernels;         /* grid.h */
typedef struct ad_channel_kernels ad_channel_kernels;   /* channels.h */
/* The numbers of one optimiser's update of one parameter; each optimiser uses some. */
typedef struct {
    double lr, lr_next, weight_decay, shrink; /* shrink: what the parameter is multiplied by first */
    double momentum, dampening, beta1, beta2, eps;
    double correction, adaptive, rectification;
    double average, slower, faster, least, most;
    bool maximize, nesterov, rectified;
    bool fresh; /* the momentum buffer is yet to be filled */
    bool plain; /* neither the sign of the gradient nor a decay is to be seen to */
} ad_update;
typedef struct {
    /* n contiguous elements: data is the parameter, its gradient, its states; f32, f64 */
    void (*update[AD_N_OPTIMIZERS][2])(int64_t n, void *const *data, const ad_update *u);
} ad_optim_kernels;

typedef struct {
    const char *name;
    int (*available)(void);
    const ad_pw_kernels *pw;
    const ad_reduce_kernels *reduce;
    const ad_row_kernels *rows;
    const ad_gemm_kernels *gemm;
    const ad_solve_kernels *solve;
    const ad_sort_kernels *sort;
    const ad_spectral_kernels *spectral;
    const ad_optim_kernels *optim;
    const ad_grid_kernels *grid;
    const ad_channel_kernels *channels;
} ad_variant;
extern const ad_variant *ad_cpu;  /* the variant in use, */
extern const ad_variant *ad_half; /* and that of vectors half as wide, if the CPU runs each as two such */

extern bool ad_has_f16c; /* whether an x86 CPU converts float16 in AVX registers, */
extern bool ad_is_amd;   /* and is of that make, whose prefetchers rather follow one place than several */
extern long ad_l1_ways;  /* lines of a set of the cache next to it; less than 1 if nobody tells */
/* Whether pages of several arrays, and of what is fetched of each, push each other out of it. */
static inline bool ad_l1_is_narrow(void) { return ad_l1_ways > 0 && ad_l1_ways <= 8; }

/* Set by integer division by zero, read and cleared by the machine after each call. */
extern _Thread_local int ad_zero_div AD_NEAR;

/* ---- trig.c ---- */
/* The distance r[0] + r[1] of a finite x >= 1 from the nearest multiple of pi/2; returns the multiple
 * modulo 4. */
int ad_reduce_large(double x, double r[2]);

/* ---- threads.c ---- */
/* Runs fn(context, i) for i in [0, n), on the calling thread alone where cost (about a nanosecond each) is
 * small. What is in chunk i never depends on the number of threads. */
bool ad_let_go(int64_t cost); /* lets others run Python during work of this cost, until ad_take_back */
void ad_take_back(bool let_go);
int ad_threads_here(void); /* that a loop begun here would have: one in a loop that is shared already */
/* Into how many of these strips of columns rows are cut: 1 where threads would write near each other in each
 * row, as a core fetches what comes next and takes it from the one that writes it. */
int64_t ad_shared_strips(int64_t strips, int64_t row_bytes);
void ad_parallel_for(int64_t n, int64_t cost, void (*fn)(void *context, int64_t i), void *context);

#endif
