/* optim.c: optimiser steps. One call updates every parameter of a group, so a small model pays one crossing
 * from Python a step. */
#include "internal.h"

#define CHUNK 16384 /* elements of a task */

/* x must look like param, element for element. */
static int check_like(const ad_tensor *x, const ad_tensor *param) {
    if (!x) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    if (x->dtype != param->dtype) return ad_fail(AD_BAD_DTYPE, x->dtype, 0, 0);
    return ad_same_shape(x, param) ? AD_OK : ad_fail(AD_BAD_SHAPE, x->numel, param->numel, 0);
}

static int check_buffer(const ad_tensor *buffer, const ad_tensor *param, const ad_tensor *grad) {
    int status = check_like(buffer, param);
    if (!status) status = ad_check_writable(buffer);
    if (status) return status;
    const bool shared = ad_may_overlap(buffer, param) || ad_may_overlap(buffer, grad);
    return shared ? ad_fail(AD_OVERLAP, 0, 0, 0) : AD_OK;
}

static int check(int n, ad_tensor *const *params, const ad_tensor *const *grads, ad_tensor *const *buffers) {
    for (int i = 0; i < n; i++) {
        const ad_tensor *param = params[i];
        if (!param) return ad_fail(AD_BAD_ARG, 0, 0, 0);
        if (!ad_is_float(param->dtype)) return ad_fail(AD_BAD_DTYPE, param->dtype, 0, 0);
        int status = check_like(grads[i], param);
        if (!status) status = ad_check_writable(param);
        if (!status && buffers && buffers[i]) status = check_buffer(buffers[i], param, grads[i]);
        if (status) return status;
    }
    return AD_OK;
}

typedef struct {
    ad_sgd_step step;
    void (*kernel)(int64_t n, void *param, const void *grad, void *buffer, const ad_sgd_step *step);
    int64_t numel, size;
    char *param, *buffer; /* buffer: NULL without momentum */
    const char *grad;
} update;

static void run_chunk(void *context, int64_t chunk) {
    const update *u = context;
    const int64_t first = chunk * CHUNK, left = u->numel - first, at = first * u->size;
    u->kernel(ad_least(left, CHUNK), u->param + at, u->grad + at, u->buffer ? u->buffer + at : NULL,
              &u->step);
}

static void update_contiguous(update *u, ad_tensor *param, const ad_tensor *grad, ad_tensor *buffer) {
    u->kernel = ad_cpu->optim->sgd[ad_dtype_type[param->dtype]];
    u->numel = param->numel;
    u->size = ad_itemsize[param->dtype];
    u->param = param->data;
    u->grad = grad->data;
    u->buffer = buffer ? buffer->data : NULL;
    ad_parallel_for((u->numel + CHUNK - 1) / CHUNK, u->numel / 2, run_chunk, u);
}

/* Any layout, by way of contiguous copies. */
static int update_copies(update *u, ad_tensor *param, const ad_tensor *grad, ad_tensor *buffer) {
    ad_tensor *p = ad_contiguous(param, param->dtype), *g = p ? ad_contiguous(grad, grad->dtype) : NULL;
    ad_tensor *b = g && buffer ? ad_contiguous(buffer, buffer->dtype) : NULL;
    const bool complete = g && (b || !buffer);
    if (complete) {
        update_contiguous(u, p, g, b);
        ad_copy_into(param, p);
        if (b) ad_copy_into(buffer, b);
    }
    ad_free(p);
    ad_free(g);
    ad_free(b);
    return complete ? AD_OK : AD_NO_MEMORY;
}

static int update_one(update *u, ad_tensor *param, const ad_tensor *grad, ad_tensor *buffer) {
    const bool flat = param->contiguous && grad->contiguous && (!buffer || buffer->contiguous);
    const bool apart = param->data == grad->data || !ad_may_overlap(param, grad);
    int status = AD_OK;
    if (flat && apart)
        update_contiguous(u, param, grad, buffer);
    else
        status = update_copies(u, param, grad, buffer);
    if (status) return status;
    ad_wrote(param, AD_BY_OPTIMIZER);
    if (buffer) ad_wrote(buffer, AD_BY_OPTIMIZER);
    return AD_OK;
}

int ad_sgd(int n, ad_tensor *const *params, const ad_tensor *const *grads, ad_tensor **buffers,
           const double *hyper) {
    update u = {.step = {.lr = hyper[0],
                         .momentum = hyper[1],
                         .dampening = hyper[2],
                         .weight_decay = hyper[3],
                         .nesterov = hyper[4] != 0,
                         .maximize = hyper[5] != 0}};
    const bool buffered = u.step.momentum != 0;
    int status = buffered && !buffers ? ad_fail(AD_BAD_ARG, 0, 0, 0) : AD_OK;
    if (!status) status = check(n, params, grads, buffered ? buffers : NULL);
    for (int i = 0; i < n && !status; i++) {
        ad_tensor *made = NULL;
        u.step.first = buffered && !buffers[i];
        if (u.step.first && !(made = ad_make(params[i]->dtype, params[i]->ndim, params[i]->shape)))
            return AD_NO_MEMORY;
        if (made) buffers[i] = made;
        status = update_one(&u, params[i], grads[i], buffered ? buffers[i] : NULL);
        if (status && made) {
            ad_free(made);
            buffers[i] = NULL;
        }
    }
    return status;
}
