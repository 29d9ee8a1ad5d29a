/* refuse.c: a check of values that a recording makes again at each run. */
#include "tape.h"

static int run_refuse(const ad_call *c) {
    const ad_tensor *x = ad_in(c, 0);
    const int64_t reason = *(const int64_t *)c->numbers, *values = (const int64_t *)x->data;
    if (x->dtype == AD_int64) {
        for (int64_t i = 0; i < x->numel; i++)
            if (values[i]) return ad_fail(AD_REFUSED, reason, i, values[i]);
        return AD_OK;
    }
    ad_tensor *any = ad_reduce(AD_RED_any, x, (1u << x->ndim) - 1, 0, AD_bool);
    if (!any) return ad_error(NULL);
    const bool holds = *any->data;
    ad_free(any);
    return holds ? ad_fail(AD_REFUSED, reason, 0, 0) : AD_OK;
}

int ad_refuse_any(const ad_tensor *x, int64_t reason) {
    const bool numbers = x->dtype == AD_int64 && x->contiguous;
    if (x->dtype != AD_bool && !numbers) return ad_fail(AD_BAD_DTYPE, x->dtype, 0, 0);
    if (!x->numel) return AD_OK;
    const ad_tensor *const operands[] = {x};
    return ad_do(&(ad_call){run_refuse, "refuse", 0, 1, .x = operands, .numbers = &reason,
                            .n_bytes = sizeof reason, .kept = true});
}
