/* conv_product.c: convolutions that are products of matrices as these lie. */
#include "conv.h"
#include "move.h"

#define MATRIX_POSITIONS 16 /* from which on a kernel of one tap is a matrix product */
#define LEAST_PATCH 4       /* elements of a patch side by side, from which on it is */

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

/* ---- patches: kernels that lie side by side, so that each position of the result meets one tap ---- */

bool ad_conv_is_patches(const ad_conv_call *call, const ad_conv_plan *v) {
    bool is = call->kind == AD_CONV_TRANSPOSED && v->groups == 1 && v->c && v->axis[2].kernel >= LEAST_PATCH;
    for (int d = 0; d < 3; d++) {
        const ad_axis *x = &v->axis[d];
        is &= x->size == x->source * x->kernel && !call->padding[d] &&
              (x->source == 1 || call->stride[d] == x->kernel) && (x->kernel == 1 || call->dilation[d] == 1);
    }
    return is;
}

typedef struct {
    ad_conv_plan *v;
    ad_product g; /* of an image: a row for each patch */
    int64_t next; /* from one image of A to the next, in elements */
} patches;

/* Patches, one after the other, to their places. */
static void lay_patches(const ad_conv_plan *v, const char *from, char *to) {
    const ad_axis *x = v->axis;
    const int64_t run = x[2].kernel * v->size, lines = x[0].kernel * x[1].kernel;
    for (int64_t p = 0; p < x[0].source * x[1].source * x[2].source; p++) {
        const int64_t w = p % x[2].source, h = p / x[2].source % x[1].source,
                      d = p / x[2].source / x[1].source;
        for (int64_t m = 0; m < v->m; m++) {
            for (int64_t i = 0; i < lines; i++, from += run) {
                const int64_t row = (m * x[0].size + d * x[0].kernel + i / x[1].kernel) * x[1].size +
                                    h * x[1].kernel + i % x[1].kernel;
                ad_move_run(to + (row * x[2].source + w) * run, from, run);
            }
        }
    }
}

static void run_patches(void *context, int64_t n) {
    const patches *all = context;
    ad_conv_plan *v = all->v;
    ad_product g = all->g;
    char *y = v->y + n * v->m * v->positions * v->size;
    g.a.data += n * all->next * v->size;
    g.c = ad_alloc((size_t)(g.m * g.n * v->size));
    const int status = g.c ? ad_gemm(&g) : AD_NO_MEMORY;
    if (!status) lay_patches(v, g.c, y);
    ad_dealloc(g.c);
    if (status) atomic_store(&v->status, status);
    if (!status && v->bias) add_to_rows(v, y, v->bias);
}

int ad_conv_patches(const ad_conv_call *call, ad_conv_plan *v) {
    const ad_tensor *operand[] = {&call->a, &call->b};
    ad_tensor *made[] = {NULL, NULL};
    int status = AD_OK;
    for (int i = 0; i < 2 && !status; i++) {
        if (operand[i]->contiguous) continue;
        operand[i] = made[i] = ad_contiguous(operand[i], operand[i]->dtype);
        if (!made[i]) status = AD_NO_MEMORY;
    }
    if (!status) {
        const int64_t row = v->m * v->taps, count = v->positions / v->taps;
        patches all = {.v = v, .next = v->c * count};
        all.g = (ad_product){.kernels = v->kernels,
                             .size = v->size,
                             .m = count,
                             .n = row,
                             .k = v->c,
                             .a = {operand[0]->data, 1, count},
                             .b = {operand[1]->data, row, 1},
                             .c_row = row};
        ad_parallel_for(v->batch, ad_conv_cost(v->batch * count * row * v->c, v->size), run_patches, &all);
        status = atomic_load(&v->status);
    }
    ad_free(made[0]);
    ad_free(made[1]);
    return status;
}
