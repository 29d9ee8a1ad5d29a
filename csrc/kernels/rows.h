/* kernels/rows.h: the blocks that row programs are made of, besides the folds of kernels/reduce.h. A block is
 * rows of numbers, or columns of them; each row, or each column, has a top, a sum, a mean. */

/* double comes first, as the means are double for both */
#define T double
#define V vd
#define VEC_W VD_W
#define VEC(x) vd_##x
#define NAME(x) x##_f64
#define WIDEN(a, part) (a)
#define NARROW(parts) (*(parts))
#include "rows_type.h"

#define T float
#define V vf
#define VEC_W VF_W
#define VEC(x) vf_##x
#define NAME(x) x##_f32
#define WIDEN(a, part) vf_widen(a, part)
#define NARROW(parts) vf_narrow(parts)
#include "rows_type.h"

/* x - mean, or its square, in place; x is dense */
static void centre(const ad_block *s, double *x, const double *mean, bool square) {
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t c = 0, k = s->cols; c < s->cols; c += VD_W, k -= VD_W) {
            vd d = vd_sub(read_f64(x, r * s->cols + c, k), given_f64(mean, s, r, c, k));
            write_f64(x, r * s->cols + c, square ? vd_mul(d, d) : d, k);
        }
}

static const ad_row_kernels row_kernels = {
    .shifted_exp = {shifted_exp_f32, shifted_exp_f64},
    .finish = {finish_f32, finish_f64},
    .norm_vjp = {norm_vjp_f32, norm_vjp_f64},
    .deviations = {deviations_f32, deviations_f64},
    .centre = centre,
};
