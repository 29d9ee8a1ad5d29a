/* optimizers.c: what each optimiser makes of its options: the numbers of one update. */
#include "optimizers.h"
#include <math.h>

static void prepare_sgd(ad_update *u, const double *h, double *scalar) {
    (void)scalar;
    u->momentum = h[3];
    u->dampening = h[4];
    u->nesterov = h[5] != 0;
}

static void take_betas(ad_update *u, const double *h) {
    u->beta1 = h[3];
    u->beta2 = h[4];
    u->eps = h[5];
}

static void decouple_decay(ad_update *u, const double *h) {
    if (h[6] == 0) return;
    u->shrink = 1 - u->lr * u->weight_decay;
    u->weight_decay = 0;
}

static void prepare_adam(ad_update *u, const double *h, double *scalar) {
    take_betas(u, h);
    decouple_decay(u, h);
    u->lr /= 1 - pow(u->beta1, scalar[0]);
    u->correction = sqrt(1 - pow(u->beta2, scalar[0]));
}

/* The momentum of step t is mu(t); scalar[1] is the product of those up to this step. */
double ad_nadam_momentum(const double *h, double t) { return h[3] * (1 - 0.5 * pow(0.96, t * h[7])); }

static void prepare_nadam(ad_update *u, const double *h, double *scalar) {
    take_betas(u, h);
    decouple_decay(u, h);
    const double mu = ad_nadam_momentum(h, scalar[0]), next = ad_nadam_momentum(h, scalar[0] + 1);
    u->correction = 1 - pow(u->beta2, scalar[0]);
    u->lr_next = u->lr * next / (1 - scalar[1] * next);
    u->lr = u->lr * (1 - mu) / (1 - scalar[1]);
}

static void prepare_radam(ad_update *u, const double *h, double *scalar) {
    take_betas(u, h);
    decouple_decay(u, h);
    const double power = pow(u->beta2, scalar[0]), limit = 2 / (1 - u->beta2) - 1;
    const double length = limit - 2 * scalar[0] * power / (1 - power);
    u->correction = 1 - pow(u->beta1, scalar[0]);
    u->adaptive = sqrt(1 - power);
    u->rectified = length > 5;
    u->rectification =
        u->rectified ? sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)) : 1;
}

static void prepare_adamax(ad_update *u, const double *h, double *scalar) {
    take_betas(u, h);
    u->lr /= 1 - pow(u->beta1, scalar[0]);
}

static void prepare_rmsprop(ad_update *u, const double *h, double *scalar) {
    (void)scalar;
    u->beta2 = h[3];
    u->eps = h[4];
    u->momentum = h[5];
}

static void prepare_adagrad(ad_update *u, const double *h, double *scalar) {
    u->lr /= 1 + (scalar[0] - 1) * h[3];
    u->eps = h[4];
}

static void prepare_adadelta(ad_update *u, const double *h, double *scalar) {
    (void)scalar;
    u->beta2 = h[3];
    u->eps = h[4];
}

/* scalar[1] is the rate of this step, scalar[2] the weight of its result in the average. */
static void prepare_asgd(ad_update *u, const double *h, double *scalar) {
    u->lr = scalar[1];
    u->shrink = 1 - h[3] * u->lr;
    u->average = scalar[2];
    scalar[1] = h[0] / pow(1 + h[3] * h[0] * scalar[0], h[4]);
    scalar[2] = 1 / fmax(1, scalar[0] - h[5]);
}

static void prepare_rprop(ad_update *u, const double *h, double *scalar) {
    (void)scalar;
    u->slower = h[3];
    u->faster = h[4];
    u->least = h[5];
    u->most = h[6];
}

#define prepare_sgd_momentum prepare_sgd
#define prepare_adam_amsgrad prepare_adam
#define prepare_rmsprop_momentum prepare_rmsprop
#define prepare_rmsprop_centered prepare_rmsprop
#define prepare_rmsprop_centered_momentum prepare_rmsprop

const ad_optimizer ad_optimizers[] = {
#define AD_OPTIMIZER(name, states, scalars, hypers) {#name, states, scalars, hypers, prepare_##name},
#include "optimizers.def"
#undef AD_OPTIMIZER
};
