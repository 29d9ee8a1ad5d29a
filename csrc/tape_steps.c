/* tape_steps.c: a recorded call by itself: made, hashed and let go. */
#include <stdlib.h>
#include "tape_parts.h"

/* One block holds the operands, the pointers to them, where they are, and the numbers. */
bool ad_step_like(const ad_call *c, ad_step *s) {
    const size_t n = (size_t)(c->n_out + c->n_in);
    const size_t each = sizeof(ad_tensor) + sizeof(ad_tensor *) + sizeof(int64_t) + 2 * sizeof(int);
    char *room = calloc(1, n * each + c->n_bytes + 1);
    if (!room) return false;
    ad_tensor *x = (ad_tensor *)(void *)room;
    const ad_tensor **at = (const ad_tensor **)(void *)(x + n);
    *s = (ad_step){.call = *c, .operands = x, .offset = (int64_t *)(void *)(at + n)};
    s->of = (int *)(void *)(s->offset + n);
    s->call.x = at;
    for (size_t i = 0; i < n; i++) {
        s->of[i] = -1;
        if (!c->x[i]) continue;
        x[i] = *c->x[i];
        at[i] = &x[i];
    }
    if (c->n_bytes) s->call.numbers = memcpy(s->of + 2 * n, c->numbers, c->n_bytes);
    return true;
}

void ad_step_free(ad_step *s) {
    if (s->call.program) ad_program_free((ad_program *)s->call.program);
    free(s->operands);
    free(s->room);
}

/* FNV-1a over the elements of the results, in row-major order. */
uint64_t ad_step_hash(const ad_step *s) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = 0; i < s->call.n_out; i++) {
        const ad_tensor *x = s->call.x[i];
        ad_tensor *copy = x ? ad_contiguous(x, x->dtype) : NULL;
        const uint8_t *bytes = copy ? (const uint8_t *)copy->data : NULL;
        for (int64_t k = 0; copy && k < copy->numel * ad_itemsize[copy->dtype]; k++)
            hash = (hash ^ bytes[k]) * 0x100000001b3u;
        ad_free(copy);
    }
    return hash | 1; /* 0 is for none */
}
