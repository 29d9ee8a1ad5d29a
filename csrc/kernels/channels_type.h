/* kernels/channels_type.h: kernels/channels.h for one element type T. */

#define WIDE 4 /* vectors at a time; 0 of them stand for fewer channels than one has */
#define EACH AD_UNROLL for (int v = 0; v < across; v++)

AD_SIMD V() NAME(get)(const T *p, const int vectors, int v, int64_t n) {
    return vectors ? V(_load)(p + v * W) : V(_load_n)(p, n);
}
AD_SIMD void NAME(put)(T *p, V() x, const int vectors, int v, int64_t n) {
    if (vectors)
        V(_store)(p + v * W, x);
    else
        V(_store_n)(p, x, n);
}

/* Runs `part` over all channels of a window, from i on. */
#define ALL_CHANNELS(n, part)                                                                                \
    int64_t i = 0;                                                                                           \
    for (; i + WIDE * W <= n; i += WIDE * W) part(WIDE, 0);                                                  \
    for (; i + 2 * W <= n; i += 2 * W) part(2, 0);                                                           \
    for (; i + W <= n; i += W) part(1, 0);                                                                   \
    if (i < n) part(0, n - i);

AD_SIMD void NAME(sum_some)(const ad_window_row *r, int64_t j, const T *x, T *y, const bool weighted,
                            const int vectors, int64_t n) {
    const int across = vectors ? vectors : 1;
    const ad_taps *d = &r->axis[0], *h = &r->axis[1], *w = &r->axis[2];
    const int64_t a_end = d->first[r->d + 1], b_first = h->first[r->h], b_end = h->first[r->h + 1];
    const T *tall = h->weight, *wide = w->weight;
    V() sum[WIDE], column[WIDE];
    EACH sum[v] = V(_set1)((T)r->zero);
    for (int64_t c = w->first[j]; c < w->first[j + 1]; c++) {
        const bool outside = w->at[c] < 0;
        EACH column[v] = V(_set1)(outside ? (T)0 : -(T)0);
        for (int64_t a = outside ? a_end : d->first[r->d]; a < a_end; a++) {
            for (int64_t b = b_first; b < b_end; b++) {
                const T *p = x + d->at[a] * d->stride + h->at[b] * h->stride + w->at[c] * w->stride;
                EACH {
                    const V() e = NAME(get)(p, vectors, v, n);
                    column[v] = V(_add)(column[v], weighted ? V(_mul)(V(_set1)(tall[b]), e) : e);
                }
            }
        }
        EACH sum[v] = V(_add)(sum[v], weighted ? V(_mul)(V(_set1)(wide[c]), column[v]) : column[v]);
    }
    if (r->outer) {
        const V() by = V(_set1)((T)(r->outer * (r->counts ? r->counts[j] : 1)));
        EACH sum[v] = V(_div)(sum[v], by);
    }
    EACH NAME(put)(y, sum[v], vectors, v, n);
}

static void NAME(sum)(const ad_window_row *r, const void *x, void *y) {
    for (int64_t j = 0; j < r->n; j++) {
        T *to = (T *)y + j * r->step;
#define PART(vectors, n) NAME(sum_some)(r, j, (const T *)x + i, to + i, weighted, vectors, n)
        if (r->axis[2].weight) {
            const bool weighted = true;
            ALL_CHANNELS(r->channels, PART)
        } else {
            const bool weighted = false;
            ALL_CHANNELS(r->channels, PART)
        }
#undef PART
    }
}

AD_SIMD void NAME(greatest_some)(const ad_window_row *r, int64_t j, const T *x, T *y, int64_t *places,
                                 const bool where, const int vectors, int64_t n) {
    const int across = vectors ? vectors : 1;
    const ad_taps *d = &r->axis[0], *h = &r->axis[1], *w = &r->axis[2];
    const int64_t a0 = d->first[r->d], b0 = h->first[r->h], c0 = w->first[j], c_end = w->first[j + 1];
    V() most[WIDE], at[WIDE];
    EACH most[v] = V(_set1)(-(T)__builtin_inf());
    EACH at[v] =
        V(_of_bits)(V(i_set1)((BITS)(d->at[a0] * d->place + h->at[b0] * h->place + w->at[c0] * w->place)));
    for (int64_t a = a0; a < d->first[r->d + 1]; a++) {
        for (int64_t b = b0; b < h->first[r->h + 1]; b++) {
            const T *row = x + d->at[a] * d->stride + h->at[b] * h->stride;
            const int64_t place = d->at[a] * d->place + h->at[b] * h->place;
            for (int64_t c = c0; c < c_end; c++) {
                const V() here = V(_of_bits)(V(i_set1)((BITS)(place + w->at[c] * w->place)));
                EACH {
                    const V() e = NAME(get)(row + w->at[c] * w->stride, vectors, v, n);
                    const M() more = M(_or)(V(_lt)(most[v], e), V(_ne)(e, e));
                    most[v] = V(_select)(more, e, most[v]);
                    if (where) at[v] = V(_select)(more, here, at[v]);
                }
            }
        }
    }
    EACH NAME(put)(y, most[v], vectors, v, n);
    if (!where) return;
    BITS found[WIDE * W];
    EACH memcpy(found + v * W, &at[v], sizeof at[v]);
    for (int64_t k = 0; k < (vectors ? vectors * W : n); k++) places[k] = (int64_t)found[k];
}

static void NAME(greatest)(const ad_window_row *r, const void *x, void *y, int64_t *places) {
    for (int64_t j = 0; j < r->n; j++) {
        T *to = (T *)y + j * r->step;
        if (places) {
            int64_t *at = places + j * r->step;
#define PART(vectors, n) NAME(greatest_some)(r, j, (const T *)x + i, to + i, at + i, true, vectors, n)
            ALL_CHANNELS(r->channels, PART)
#undef PART
        } else {
#define PART(vectors, n) NAME(greatest_some)(r, j, (const T *)x + i, to + i, NULL, false, vectors, n)
            ALL_CHANNELS(r->channels, PART)
#undef PART
        }
    }
}

AD_SIMD void NAME(add_some)(const T *y, T *x, V() by, const bool weighted, const int vectors, int64_t n) {
    const int across = vectors ? vectors : 1;
    EACH {
        const V() e = NAME(get)(y, vectors, v, n);
        NAME(put)(x, V(_add)(NAME(get)(x, vectors, v, n), weighted ? V(_mul)(by, e) : e), vectors, v, n);
    }
}

static void NAME(spread)(int64_t n, const int64_t *from, const int64_t *to, const void *weight, int64_t step,
                         int64_t channels, const void *y, void *x) {
    for (int64_t k = 0; k < n; k++) {
        const T *source = (const T *)y + from[k];
        T *target = (T *)x + to[k];
#define PART(vectors, n) NAME(add_some)(source + i, target + i, by, weighted, vectors, n)
        if (weight) {
            const V() by = V(_set1)(((const T *)weight)[k * step]);
            const bool weighted = true;
            ALL_CHANNELS(channels, PART)
        } else {
            const V() by = V(_zero)();
            const bool weighted = false;
            ALL_CHANNELS(channels, PART)
        }
#undef PART
    }
}

#undef ALL_CHANNELS
#undef EACH
#undef WIDE
#undef T
#undef BITS
#undef W
#undef V
#undef M
#undef NAME
