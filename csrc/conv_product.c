/* conv_product.c: convolutions that are products of matrices as these lie. */
#include "conv.h"

#define MATRIX_POSITIONS 16 /* from which on a kernel of one tap is a matrix product */

/* Kernels of one tap that move by one: matrices of channels, image by image. */
bool ad_conv_is_matrix(const ad_conv_plan *v, const ad_tensor *x) {
    if (v->taps != 1 || v->groups != 1 || !v->channels || v->positions < MATRIX_POSITIONS) return false;
    for (int d = 0; d < 3; d++) {
        const ad_axis *a = &v->axis[d];
        if (a->step != 1 || a->source_step != 1 || a->low || a->high || a->size != a->source) return false;
        if (d && a[-1].size > 1 && x->strides[d + 1] != x->strides[d + 2] * a->size) return false;
    }
    return true;
}

static void add_to_rows(const ad_conv_plan *v, char *y, const char *bias) {
    for (int64_t i = 0; i < v->m; i++) {
        if (v->size == 4) {
            float *row = (float *)y + i * v->positions, b = ((const float *)bias)[i];
            for (int64_t p = 0; p < v->positions; p++) row[p] += b;
        } else {
            double *row = (double *)y + i * v->positions, b = ((const double *)bias)[i];
            for (int64_t p = 0; p < v->positions; p++) row[p] += b;
        }
    }
}

static void run_matrix(void *context, int64_t n) {
    ad_conv_plan *v = context;
    char *y = v->y + n * v->m * v->positions * v->size;
    const int64_t column = v->source.at[v->axis[2].size > 1 ? 2 : v->axis[1].size > 1 ? 1 : 0];
    ad_product g = {.kernels = v->kernels,
                    .size = v->size,
                    .m = v->m,
                    .n = v->positions,
                    .k = v->c,
                    .a = {v->w, v->w_m, v->w_c},
                    .b = {v->source.data + n * v->source.n * v->size, v->source.c, column},
                    .c = y,
                    .c_row = v->positions};
    const int status = ad_gemm(&g);
    if (status)
        atomic_store(&v->status, status);
    else if (v->bias)
        add_to_rows(v, y, v->bias);
}

int ad_conv_matrix(ad_conv_plan *v) {
    ad_parallel_for(v->batch, ad_conv_cost(v->batch * v->m * v->positions * v->c, v->size), run_matrix, v);
    return atomic_load(&v->status);
}

/* Images of one position whose result is as large as the kernel, or as they: each position meets one tap. */
bool ad_conv_is_spread(const ad_conv_call *call, const ad_conv_plan *v) {
    bool is = (call->kind == AD_CONV_TRANSPOSED || v->taps == 1) && v->c;
    is &= v->groups == 1 || v->m * v->taps > 1; /* a column of C has to lie along memory */
    for (int d = 0; d < 3; d++) {
        const ad_axis *x = &v->axis[d];
        is &= x->source == 1 && x->size == x->kernel && !call->padding[d] &&
              (x->kernel == 1 || call->dilation[d] == 1);
    }
    return is;
}

/* A product of images and weights, as these lie. */
int ad_conv_spread(const ad_conv_call *call, ad_conv_plan *v) {
    ad_tensor *made = call->b.contiguous ? NULL : ad_contiguous(&call->b, call->b.dtype);
    int status = call->b.contiguous || made ? AD_OK : AD_NO_MEMORY;
    const bool turned = call->kind != AD_CONV_TRANSPOSED;
    const int64_t row = v->m * v->taps, *step = call->a.strides;
    const char *bias = v->bias;
    for (int64_t i = 0; i < v->groups && !status; i++) {
        ad_product g = {.kernels = v->kernels,
                        .size = v->size,
                        .m = v->batch,
                        .n = row,
                        .k = v->c,
                        .a = {call->a.data + i * v->c * step[1] * v->size, step[0], step[1]},
                        .b = {(made ? made : &call->b)->data + i * v->c * row * v->size, turned ? 1 : row,
                              turned ? v->c : 1},
                        .bias = bias && v->taps == 1 ? bias + i * row * v->size : NULL,
                        .c = v->y + i * row * v->size,
                        .c_row = v->groups * row};
        status = ad_gemm(&g);
    }
    ad_free(made);
    for (int64_t i = 0; bias && v->taps > 1 && i < v->batch * v->groups && !status; i++)
        add_to_rows(v, v->y + i * row * v->size, bias + i % v->groups * v->m * v->size);
    return status;
}
