/* conv.c: convolutions of one to three dimensions and their adjoints in the input and in the weight. Of the
 * first two, every element of a result is one chain of multiply-adds over channels and taps in order, as in a
 * matrix product; which way it is computed is chosen by speed alone. */
#include "conv.h"
#include "tape.h"

#define MANY_CHANNELS 8       /* in a group of the result, from which on vectors lie across them */
#define LOCAL_BYTES (1 << 17) /* of a padded image that each task copies itself; */
#define LARGE_BYTES (1 << 19) /* and of one where there are MANY_IMAGES, whose results have half of that */
#define MANY_IMAGES 8
#define EMPTY_LANES 8 /* of the last vector of positions, or fewer, cost less than to pack weights */
#define LIMIT                                                                                                \
    ((int64_t)1 << 30) /* of sizes and steps: products of two, and sums of a few of these, are safe */
#define MOST 0x1p56    /* elements of an operand, and of padded images */

int64_t ad_conv_cost(int64_t macs, int64_t size) {
    return macs < LIMIT * LIMIT / 8 ? macs * size / 80 : LIMIT * LIMIT / 64;
}

/* ---- axes ---- */

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int64_t floor_mod(int64_t a, int64_t b) { return (a % b + b) % b; }

/* Zeros around the source, so that every tap meets something. */
static void pad(ad_axis *x) {
    for (int64_t i = 0; i < x->residues; i++) {
        const ad_residue *r = &x->residue[i];
        for (int64_t t = r->begin; t < r->end; t++) {
            const int64_t first = x->tap[t].at, last = first + (r->n - 1) * x->source_step;
            if (-first > x->low) x->low = -first;
            if (last - x->source + 1 > x->high) x->high = last - x->source + 1;
        }
    }
    for (int64_t t = 0; t < x->kernel; t++) x->tap[t].at += x->low;
}

/* Position i meets tap t at i stride - padding + t dilation. */
static void set_forward(ad_axis *x, int64_t stride, int64_t padding, int64_t dilation) {
    x->step = 1, x->source_step = stride;
    x->residues = 1;
    x->residue[0] = (ad_residue){0, x->size, 0, x->kernel};
    for (int64_t t = 0; t < x->kernel; t++) x->tap[t] = (ad_tap){t, t * dilation - padding};
}

/* Position i meets tap t at (i + padding - t dilation) / stride, where that is whole. */
static void set_transposed(ad_axis *x, int64_t stride, int64_t padding, int64_t dilation) {
    const int64_t period = stride / common_divisor(stride, dilation % stride);
    int64_t end = 0;
    x->step = stride, x->source_step = 1;
    for (int64_t first = 0; first < ad_least(period, x->kernel); first++) {
        const int64_t at = floor_mod(first * dilation - padding, stride), begin = end;
        if (at >= x->size) continue;
        for (int64_t t = first; t < x->kernel; t += period)
            x->tap[end++] = (ad_tap){t, (at + padding - t * dilation) / stride};
        x->residue[x->residues++] = (ad_residue){at, (x->size - at - 1) / stride + 1, begin, end};
    }
    for (int64_t t = end; t < x->kernel; t++) x->tap[t] = (ad_tap){0, 0};
}

/* The tables of the axes, in one block. */
void *ad_conv_axes(ad_axis *axis) {
    const int64_t taps = axis[0].kernel + axis[1].kernel + axis[2].kernel;
    char *memory = ad_alloc((size_t)taps * (sizeof(ad_tap) + sizeof(ad_residue)));
    char *at = memory;
    for (int d = 0; memory && d < 3; d++) {
        axis[d].tap = (ad_tap *)at;
        at += axis[d].kernel * sizeof(ad_tap);
        axis[d].residue = (ad_residue *)at;
        at += axis[d].kernel * sizeof(ad_residue);
    }
    return memory;
}

void ad_conv_forward(ad_axis *axis, const ad_conv_call *call) {
    for (int d = 0; d < 3; d++) {
        set_forward(&axis[d], call->stride[d], call->padding[d], call->dilation[d]);
        pad(&axis[d]);
    }
}

static void transpose(ad_axis *axis, const ad_conv_call *call) {
    for (int d = 0; d < 3; d++) {
        set_transposed(&axis[d], call->stride[d], call->padding[d], call->dilation[d]);
        pad(&axis[d]);
    }
}

/* ---- sources ---- */

int64_t ad_conv_column(const ad_source *s, int64_t w) {
    return s->phases == 1 ? w * s->at[2] : w % s->phases * s->phase + w / s->phases;
}

/* The columns of x that belong to one phase: the first one, their number, and where that is in the copy. */
typedef struct {
    int64_t column, n, to;
} columns;

static columns columns_of(const ad_source *s, const ad_tensor *x, const ad_axis *axis, int64_t phase) {
    const int64_t low = axis[2].low, first = axis[0].low * s->at[0] + axis[1].low * s->at[1];
    if (s->phases == 1) return (columns){0, x->shape[4], first + low};
    const int64_t q = low > phase ? (low - phase + s->phases - 1) / s->phases : 0;
    const int64_t column = phase + q * s->phases - low, left = x->shape[4] - column;
    return (columns){column, left > 0 ? (left - 1) / s->phases + 1 : 0, first + phase * s->phase + q};
}

static void copy_phase(const ad_source *s, const ad_tensor *x, const columns *w) {
    const int64_t size = ad_itemsize[x->dtype];
    ad_tensor from = *x, to;
    from.shape[4] = w->n;
    from.data += w->column * x->strides[4] * size;
    from.strides[4] *= s->phases;
    ad_refresh(&from);
    to = from;
    to.data = s->data + w->to * size;
    to.strides[0] = s->n, to.strides[1] = s->c;
    for (int d = 0; d < 3; d++) to.strides[d + 2] = s->at[d];
    ad_refresh(&to);
    ad_copy_into(&to, &from);
}

int64_t ad_conv_lay_out(ad_source *s, const ad_tensor *x, const ad_axis *axis, bool unit) {
    const int64_t phases = unit ? axis[2].source_step : 1;
    bool copied = phases > 1 || (unit && x->strides[4] != 1);
    for (int d = 0; d < 3; d++) copied |= axis[d].low || axis[d].high;
    *s = (ad_source){x->data, x->strides[0], x->strides[1], {x->strides[2], x->strides[3], x->strides[4]}, 1,
                     0,       NULL};
    if (!copied) return 0;
    int64_t wide[3];
    for (int d = 0; d < 3; d++) wide[d] = axis[d].low + axis[d].source + axis[d].high;
    s->phases = phases;
    s->phase = (wide[2] + phases - 1) / phases;
    s->at[2] = 1;
    s->at[1] = s->phase * phases;
    const double elements = (double)s->at[1] * (double)wide[1] * (double)wide[0];
    if (elements * (double)x->shape[0] * (double)x->shape[1] > MOST)
        return ad_fail(AD_TOO_LARGE, 0, 0, 0), -1;
    s->at[0] = s->at[1] * wide[1];
    s->c = s->at[0] * wide[0];
    s->n = s->c * x->shape[1];
    return s->c * ad_itemsize[x->dtype];
}

/* Every so many elements of a row. */
static void copy_row(int64_t n, int64_t size, char *to, const char *from, int64_t step) {
    if (step == 1)
        memcpy(to, from, (size_t)(n * size));
    else if (size == 4 && step == 2) /* which compilers make vectors of */
        for (int64_t i = 0; i < n; i++) ((uint32_t *)to)[i] = ((const uint32_t *)from)[i * 2];
    else if (size == 4)
        for (int64_t i = 0; i < n; i++) ((uint32_t *)to)[i] = ((const uint32_t *)from)[i * step];
    else
        for (int64_t i = 0; i < n; i++) ((uint64_t *)to)[i] = ((const uint64_t *)from)[i * step];
}

/* Rows that lie along memory, one after the other: most copies are small, and a general one takes as long. */
static void copy_rows(const ad_source *s, const ad_tensor *x, const columns *w) {
    const int64_t size = ad_itemsize[x->dtype], *n = x->shape, *step = x->strides;
    for (int64_t i = 0; i < n[0]; i++) {
        for (int64_t c = 0; c < n[1]; c++) {
            for (int64_t d = 0; d < n[2]; d++) {
                const char *from = x->data + (i * step[0] + c * step[1] + d * step[2] + w->column) * size;
                char *to = s->data + (i * s->n + c * s->c + d * s->at[0] + w->to) * size;
                for (int64_t h = 0; h < n[3]; h++, from += step[3] * size, to += s->at[1] * size)
                    copy_row(w->n, size, to, from, s->phases);
            }
        }
    }
}

void ad_conv_copy(const ad_source *s, const ad_tensor *x, const ad_axis *axis) {
    memset(s->data, 0, (size_t)(x->shape[0] * x->shape[1] * s->c * ad_itemsize[x->dtype]));
    const bool rows = x->strides[4] == 1 && x->numel * ad_itemsize[x->dtype] <= LARGE_BYTES;
    for (int64_t phase = 0; x->numel && phase < s->phases; phase++) {
        const columns w = columns_of(s, x, axis, phase);
        if (w.n) (rows ? copy_rows : copy_phase)(s, x, &w);
    }
}

int ad_conv_source(ad_source *s, const ad_tensor *x, const ad_axis *axis, bool unit) {
    const int64_t bytes = ad_conv_lay_out(s, x, axis, unit);
    if (bytes <= 0) return bytes ? AD_TOO_LARGE : AD_OK;
    s->data = s->copy = ad_alloc((size_t)(x->shape[0] * x->shape[1] * bytes + AD_LINE)); /* read by lines */
    if (!s->copy) return AD_NO_MEMORY;
    ad_conv_copy(s, x, axis);
    return AD_OK;
}

/* ---- calls ---- */

/* Whether the weights are read where they lie; on AMD, whose L3 is near, to pack them takes less time than
 * vectors of positions of which many lanes are empty. */
static bool is_few(const ad_conv_plan *v) {
    const int64_t positions = v->batch * v->positions, lanes = (int64_t)1 << v->kernels->log2_width;
    if (ad_is_amd && (-positions & (lanes - 1)) > EMPTY_LANES) return false;
    const bool by_one = v->axis[0].step == 1 && v->axis[1].step == 1 && v->axis[2].step == 1;
    return by_one && !v->holes && v->c && v->m >> v->kernels->log2_width && positions < v->m;
}

static int run_tiles(const ad_conv_call *call, ad_conv_plan *v) {
    (call->kind == AD_CONV_TRANSPOSED ? transpose : ad_conv_forward)(v->axis, call);
    for (int d = 0; d < 3; d++) {
        const ad_axis *x = &v->axis[d];
        int64_t met = 0;
        for (int64_t i = 0; i < x->residues; i++) met += x->residue[i].n;
        v->holes |= met != x->size;
    }
    if (ad_conv_is_depthwise(v, &call->a)) return ad_conv_depthwise(v, &call->a);
    v->channels = v->m >= MANY_CHANNELS && v->m >> v->kernels->log2_width;
    const bool matrix = ad_conv_is_matrix(v, &call->a);
    if (is_few(v) && !matrix) {
        const int status = ad_conv_source(&v->source, &call->a, v->axis, true);
        return status ? status : ad_conv_columns(v);
    }
    if (!matrix && v->m >= MANY_CHANNELS && (v->channels || v->axis[2].size <= EMPTY_LANES)) {
        v->kernels = ad_gemm_across(v->kernels, v->m);
        v->channels = v->m >> v->kernels->log2_width;
    }
    const int64_t bytes = ad_conv_lay_out(&v->source, &call->a, v->axis, !v->channels) * v->c;
    const bool large = v->batch * v->groups >= MANY_IMAGES && v->channels &&
                       v->m * v->positions * v->size <= LARGE_BYTES / 2;
    if (bytes > 0 && bytes <= (large ? LARGE_BYTES : LOCAL_BYTES)) {
        v->local = &call->a;
        v->copy_bytes = bytes;
    } else {
        const int status = ad_conv_source(&v->source, &call->a, v->axis, !v->channels);
        if (status) return status;
    }
    return matrix ? ad_conv_matrix(v) : ad_conv_tiles(v);
}

static int run(const ad_conv_call *call) {
    if (call->kind == AD_CONV_WEIGHT) return ad_conv_weight(call);
    const bool transposed = call->kind == AD_CONV_TRANSPOSED;
    const ad_tensor *w = &call->b;
    ad_conv_plan v = {.kernels = ad_cpu->gemm->type[ad_dtype_type[call->a.dtype]],
                      .size = ad_itemsize[call->a.dtype],
                      .batch = call->a.shape[0],
                      .groups = call->groups,
                      .m = call->y.shape[1] / call->groups,
                      .c = call->a.shape[1] / call->groups,
                      .taps = 1,
                      .positions = 1,
                      .w = w->data,
                      .bias = call->bias,
                      .w_group = w->shape[0] / call->groups * w->strides[0],
                      .w_m = w->strides[transposed ? 1 : 0],
                      .w_c = w->strides[transposed ? 0 : 1],
                      .y = call->y.data};
    atomic_init(&v.status, AD_OK);
    for (int d = 0; d < 3; d++) {
        v.axis[d] = (ad_axis){
            .size = call->y.shape[d + 2], .source = call->a.shape[d + 2], .kernel = w->shape[d + 2]};
        v.taps *= v.axis[d].kernel;
        v.positions *= v.axis[d].size;
        v.w_at[d] = w->strides[d + 2];
    }
    if (ad_conv_is_spread(call, &v)) return ad_conv_spread(call, &v);
    if (v.m < MANY_CHANNELS && ad_conv_is_patches(call, &v)) return ad_conv_patches(call, &v);
    void *axes = ad_conv_axes(v.axis);
    if (!axes) return AD_NO_MEMORY;
    const int status = run_tiles(call, &v);
    ad_dealloc(v.source.copy);
    ad_dealloc(axes);
    return status;
}

/* ---- ad_conv ---- */

/* x (.., .., and nd dimensions of space) with space made of three. */
static void spread(ad_tensor *to, const ad_tensor *x, int nd) {
    *to = *x;
    to->ndim = 5;
    for (int d = 0; d < 3; d++) {
        const int from = d - (3 - nd) + 2;
        to->shape[d + 2] = from < 2 ? 1 : x->shape[from];
        to->strides[d + 2] = from < 2 ? 0 : x->strides[from];
    }
    ad_refresh(to);
}

typedef struct {
    int kind, nd;
    int64_t groups, geometry[3 * AD_CONV_DIMS]; /* strides, paddings, dilations */
} numbers;

static int run_call(const ad_call *c) {
    const numbers *n = c->numbers;
    const ad_tensor *bias = ad_in(c, 2);
    ad_tensor *row = bias && bias->strides[0] != 1 ? ad_contiguous(bias, bias->dtype) : NULL;
    if (bias && bias->strides[0] != 1 && !row) return AD_NO_MEMORY;
    ad_conv_call call = {.kind = n->kind,
                         .bias = row    ? row->data
                                 : bias ? bias->data
                                        : NULL,
                         .groups = n->groups};
    spread(&call.a, ad_in(c, 0), n->nd);
    spread(&call.b, ad_in(c, 1), n->nd);
    spread(&call.y, ad_out(c, 0), n->nd);
    for (int d = 0; d < 3; d++) {
        const int from = d - (3 - n->nd);
        call.stride[d] = from < 0 ? 1 : n->geometry[from];
        call.padding[d] = from < 0 ? 0 : n->geometry[n->nd + from];
        call.dilation[d] = from < 0 ? 1 : n->geometry[2 * n->nd + from];
    }
    const int status = run(&call);
    ad_free(row);
    int64_t detail[3]; /* of another thread's failure, nobody knows the bytes */
    if (status && (ad_error(detail) != status || !detail[0]))
        ad_fail(status, call.y.numel * ad_itemsize[call.y.dtype], 0, 0);
    return status;
}

static int check(int kind, const ad_tensor *a, const ad_tensor *b, const ad_tensor *bias, int64_t groups,
                 int nd, const int64_t *geometry) {
    if (kind < 0 || kind > AD_CONV_WEIGHT || nd < 1 || nd > 3 || groups < 1)
        return ad_fail(AD_BAD_ARG, kind, nd, groups);
    if (!ad_is_float(a->dtype)) return ad_fail(AD_BAD_DTYPE, a->dtype, 0, 0);
    if (b->dtype != a->dtype) return ad_fail(AD_BAD_DTYPE, b->dtype, 0, 0);
    if (a->ndim != nd + 2) return ad_fail(AD_BAD_DIM, nd + 2, a->ndim, 0);
    if (b->ndim != nd + 2) return ad_fail(AD_BAD_DIM, nd + 2, b->ndim, 0);
    for (int i = 0; i < 4 * nd; i++) {
        const int64_t least = i / nd == 1 || (i / nd == 3 && kind != AD_CONV_WEIGHT) ? 0 : 1;
        if (geometry[i] < least) return ad_fail(AD_BAD_ARG, i, geometry[i], 0);
        if (geometry[i] >= LIMIT) return ad_fail(AD_TOO_LARGE, 0, 0, 0);
    }
    if ((double)a->numel > MOST || (double)b->numel > MOST) return ad_fail(AD_TOO_LARGE, 0, 0, 0);
    for (int d = 0; d < nd + 2; d++) {
        if (a->shape[d] >= LIMIT || b->shape[d] >= LIMIT) return ad_fail(AD_TOO_LARGE, 0, 0, 0);
        if (d > 1 && kind != AD_CONV_WEIGHT && b->shape[d] < 1) return ad_fail(AD_BAD_SHAPE, 0, 1, 0);
    }
    /* channels of a, and what of b must agree with them */
    const int64_t n = a->shape[0], c = a->shape[1], m = b->shape[kind == AD_CONV_FORWARD ? 0 : 1];
    if (kind == AD_CONV_WEIGHT && b->shape[0] != n) return ad_fail(AD_BAD_SHAPE, b->shape[0], n, 0);
    if (c % groups) return ad_fail(AD_BAD_SHAPE, c, groups, 0);
    if (kind != AD_CONV_TRANSPOSED && m % groups) return ad_fail(AD_BAD_SHAPE, m, groups, 0);
    if (kind == AD_CONV_FORWARD && b->shape[1] != c / groups)
        return ad_fail(AD_BAD_SHAPE, b->shape[1], c / groups, 0);
    if (kind == AD_CONV_TRANSPOSED && b->shape[0] != c) return ad_fail(AD_BAD_SHAPE, b->shape[0], c, 0);
    if (!bias) return AD_OK;
    const int64_t channels = kind == AD_CONV_FORWARD ? m : m * groups;
    if (kind == AD_CONV_WEIGHT) return ad_fail(AD_BAD_ARG, kind, 0, 0);
    if (bias->dtype != a->dtype) return ad_fail(AD_BAD_DTYPE, bias->dtype, 0, 0);
    if (bias->ndim != 1) return ad_fail(AD_BAD_DIM, 1, bias->ndim, 0);
    return bias->shape[0] == channels ? AD_OK : ad_fail(AD_BAD_SHAPE, bias->shape[0], channels, 0);
}

ad_tensor *ad_conv(int kind, const ad_tensor *a, const ad_tensor *b, const ad_tensor *bias, int64_t groups,
                   int nd, const int64_t *geometry) {
    AD_IN_FLOAT32(a, NULL, ad_conv(kind, in32[0], in32[1], in32[2], groups, nd, geometry), a, b, bias)
    if (check(kind, a, b, bias, groups, nd, geometry)) return NULL;
    int64_t shape[5] = {a->shape[0], b->shape[0]};
    if (kind == AD_CONV_TRANSPOSED) shape[1] = b->shape[1] * groups;
    if (kind == AD_CONV_WEIGHT) shape[0] = a->shape[1], shape[1] = b->shape[1] / groups;
    memcpy(shape + 2, geometry + 3 * nd, sizeof(int64_t) * (size_t)nd);
    ad_tensor *y = ad_make(a->dtype, nd + 2, shape);
    if (!y || !y->numel) return y;
    numbers n = {.kind = kind, .nd = nd, .groups = groups};
    memcpy(n.geometry, geometry, sizeof(int64_t) * 3 * (size_t)nd);
    const ad_tensor *const x[] = {y, a, b, bias};
    y = ad_done(&(ad_call){run_call, "conv", 1, 3, .x = x, .numbers = &n, .n_bytes = sizeof n}, y);
    return ad_channels_last(y, kind != AD_CONV_WEIGHT && (ad_is_channels_last(a) || ad_is_channels_last(b)));
}
