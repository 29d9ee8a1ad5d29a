/* tape_look.c: what there is to see of a tape: its calls, their operands, and what it counts. */
#include "tape_parts.h"

int ad_tape_length(const ad_tape *t) { return t->n_steps; }

static const ad_step *step_at(const ad_tape *t, int i) {
    return i >= 0 && i < t->n_steps ? &t->steps[i] : ad_fail_null(AD_BAD_ARG, i, t->n_steps, 0);
}

const char *ad_tape_name(const ad_tape *t, int i) {
    const ad_step *s = step_at(t, i);
    return s ? s->call.name : NULL;
}

int ad_tape_source(const ad_tape *t, int i) {
    const ad_step *s = step_at(t, i);
    return s ? s->source : -1;
}

int ad_tape_writer(const ad_tape *t, int i) {
    const ad_step *s = step_at(t, i);
    return s && s->call.program ? s->call.program->writer : AD_BY_NOBODY;
}

const ad_tensor *ad_tape_operand(const ad_tape *t, int i, int j, int origin[3]) {
    const ad_step *s = step_at(t, i);
    if (!s || j < 0 || j >= s->call.n_out + s->call.n_in) return NULL;
    origin[0] = s->of[j] < 0 ? -1 : t->memory[s->of[j]].kind;
    origin[1] = s->of[j];
    origin[2] = j < s->call.n_out;
    return &s->operands[j];
}

void ad_tape_stats(const ad_tape *t, int64_t stats[7]) {
    stats[0] = t->n_recorded;
    stats[1] = t->n_steps;
    stats[2] = t->arena_bytes;
    stats[3] = 0;
    stats[4] = t->most - t->in_use;
    stats[5] = t->n_fused;
    stats[6] = t->runs;
    for (int i = 0; i < t->n_results; i++) stats[3] += t->memory[t->results[i]].nbytes;
}
