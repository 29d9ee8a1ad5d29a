/* normal.c: normal and log-normal numbers: Box and Muller's transform, which makes two of two uniforms. */
#include <math.h>
#include "random.h"

#define TWO_PI (2 * 3.14159265358979323846)

/* Two uniforms make two normals; of an odd number the second waits for the next call. n: at most a chunk. */
static void draw_normals(ad_rng *rng, int64_t n, double *x) {
    ad_random_chunk angle, logs, sine, cosine;
    if (n && rng->has_sample) {
        rng->has_sample = false;
        *x++ = rng->sample;
        n--;
    }
    if (n <= 0) return;
    int64_t pairs = 0;
    do {
        angle.f64[pairs] = TWO_PI * ad_draw_unit(rng);
        logs.f64[pairs] = -ad_draw_unit(rng);
    } while (2 * ++pairs < n);
    ad_random_kernel(AD_OP_log1p, AD_f64, pairs, &logs, &logs, NULL, NULL);
    ad_random_kernel(AD_OP_sin, AD_f64, pairs, &sine, &angle, NULL, NULL);
    ad_random_kernel(AD_OP_cos, AD_f64, pairs, &cosine, &angle, NULL, NULL);
    for (int64_t i = 0; i < pairs; i++) {
        const double radius = sqrt(-2 * logs.f64[i]), second = radius * sine.f64[i];
        x[2 * i] = radius * cosine.f64[i];
        if (2 * i + 1 < n)
            x[2 * i + 1] = second;
        else
            rng->sample = second, rng->has_sample = true;
    }
}

double ad_draw_normal(ad_rng *rng) {
    double x;
    draw_normals(rng, 1, &x);
    return x;
}

static void normals(ad_rng *rng, int64_t n, void *dst, const ad_random_params *p) {
    draw_normals(rng, n, dst);
    ad_affine_f64(n, dst, p->scale, p->shift);
}

/* Box-Muller in place on n uniforms, n a multiple of 16 and at most AD_RANDOM_CHUNK: in each 16, elements j
 * and j + 8 make a pair. */
#define BOX_MULLER(ctype, type)                                                                              \
    static void box_muller_##type(int64_t n, ctype *x, ctype mean, ctype std) {                              \
        ad_random_chunk in, angle, radius, sine, cosine;                                                     \
        if (n < 16) return;                                                                                  \
        for (int64_t i = 0; i < n / 2; i++) {                                                                \
            int64_t first = i / 8 * 16 + i % 8;                                                              \
            in.type[i] = 1 - x[first];                                                                       \
            angle.type[i] = (ctype)TWO_PI * x[first + 8];                                                    \
        }                                                                                                    \
        ad_random_kernel(AD_OP_log, AD_##type, n / 2, &radius, &in, NULL, NULL);                             \
        for (int64_t i = 0; i < n / 2; i++) in.type[i] = -2 * radius.type[i];                                \
        ad_random_kernel(AD_OP_sqrt, AD_##type, n / 2, &radius, &in, NULL, NULL);                            \
        ad_random_kernel(AD_OP_sin, AD_##type, n / 2, &sine, &angle, NULL, NULL);                            \
        ad_random_kernel(AD_OP_cos, AD_##type, n / 2, &cosine, &angle, NULL, NULL);                          \
        for (int64_t i = 0; i < n / 2; i++) {                                                                \
            int64_t first = i / 8 * 16 + i % 8;                                                              \
            x[first] = radius.type[i] * cosine.type[i];                                                      \
            x[first + 8] = radius.type[i] * sine.type[i];                                                    \
        }                                                                                                    \
        ad_affine_##type(n, x, std, mean);                                                                   \
    }
BOX_MULLER(float, f32)
BOX_MULLER(double, f64)

/* Blocks of 16. Where 16 does not divide n, the last 16 elements are drawn anew as one more block. */
#define NORMAL_BLOCKS(ctype, type)                                                                           \
    static void normal_blocks_##type(ad_rng *rng, int64_t n, ctype *x, ctype mean, ctype std) {              \
        for (int64_t i = 0; i < n; i += AD_RANDOM_CHUNK) {                                                   \
            int64_t m = ad_least(n - i, AD_RANDOM_CHUNK);                                                    \
            ad_units_##type(rng, m, x + i);                                                                  \
            box_muller_##type(m - m % 16, x + i, mean, std);                                                 \
        }                                                                                                    \
        if (n % 16 == 0) return;                                                                             \
        ad_units_##type(rng, 16, x + n - 16);                                                                \
        box_muller_##type(16, x + n - 16, mean, std);                                                        \
    }
NORMAL_BLOCKS(float, f32)
NORMAL_BLOCKS(double, f64)

/* Of 16 bits PyTorch draws a block at a time: none for what the last 16 elements leave of a block. */
static void normal_blocks_half(ad_rng *rng, ad_tensor *out, float mean, float std) {
    const int64_t size = ad_itemsize[out->dtype], n = out->numel, whole = n - n % 16;
    ad_random_chunk x;
    for (int64_t i = 0; i < n; i += AD_RANDOM_CHUNK) {
        const int64_t m = ad_least(whole - i, AD_RANDOM_CHUNK);
        ad_units_f32(rng, m, x.f32);
        box_muller_f32(m, x.f32, mean, std);
        ad_cpu->pw->store[AD_f32][out->dtype](m, out->data + i * size, 1, &x);
    }
    if (n == whole) return;
    ad_units_f32(rng, 16, x.f32);
    box_muller_f32(16, x.f32, mean, std);
    ad_cpu->pw->store[AD_f32][out->dtype](16, out->data + (n - 16) * size, 1, &x);
}

static int run_normal(const ad_call *c) {
    const ad_drawing *d = c->numbers;
    ad_rng *rng = d->rng;
    ad_tensor *out = ad_out(c, 0);
    const double mean = d->a, std = d->b;
    int status = ad_check_float_out(out);
    if (status) return status;
    if (!(std >= 0)) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    const ad_random_params p = {.shift = mean, .scale = std};
    if (!out->contiguous || out->numel < 16) return ad_random_fill_reals(c, normals, &p);
    ad_rng_lock(rng);
    if (ad_is_half(out->dtype))
        normal_blocks_half(rng, out, (float)mean, (float)std);
    else if (out->dtype == AD_float32)
        normal_blocks_f32(rng, out->numel, (float *)out->data, (float)mean, (float)std);
    else
        normal_blocks_f64(rng, out->numel, (double *)out->data, mean, std);
    ad_wrote(out, AD_BY_RANDOM);
    return ad_rng_unlock(rng, AD_OK);
}

int ad_rng_normal(ad_rng *rng, ad_tensor *out, double mean, double std) {
    return ad_draw(run_normal, "normal_", &(ad_drawing){.rng = rng, .a = mean, .b = std}, out, NULL);
}

/* The logarithm is normal. PyTorch draws these one at a time, whatever their number. */
static void log_normal(ad_rng *rng, int64_t n, void *dst, const ad_random_params *p) {
    normals(rng, n, dst, p);
    ad_random_kernel(AD_OP_exp, AD_f64, n, dst, dst, NULL, NULL);
}

static int run_log_normal(const ad_call *c) {
    const ad_drawing *d = c->numbers;
    const int status = ad_check_float_out(ad_out(c, 0));
    if (status) return status;
    if (!(d->b > 0)) return ad_fail(AD_BAD_ARG, 0, 0, 0);
    return ad_random_fill_reals(c, log_normal, &(ad_random_params){.shift = d->a, .scale = d->b});
}

int ad_rng_log_normal(ad_rng *rng, ad_tensor *out, double mean, double std) {
    return ad_draw(run_log_normal, "log_normal_", &(ad_drawing){.rng = rng, .a = mean, .b = std}, out, NULL);
}
