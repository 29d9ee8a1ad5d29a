/* sort_element.h: the methods of sort.c, for one kind of element:
 *   E               its type           NAME(x)   x, marked with the kind
 *   K, U            of keys, signed, and unsigned                    WIDTH   which of the kernels
 *   MAKE(key, at)   the element of them, in whose order they are     NAN_KEY
 *   KEY(a)          the key, unsigned                                PLACE(a)   its position in the row */

typedef struct {
    K range[2];           /* of keys, both within it */
    int64_t below, up_to; /* how many are less, and not above it */
} NAME(part);

/* Sorts by keys, elements of equal keys staying in order; returns a or b, where the result is. */
static E *NAME(by_digits)(E *a, E *b, int64_t n) {
    int64_t counts[sizeof(K)][DIGITS] = {0};
    for (int64_t i = 0; i < n; i++)
        AD_UNROLL for (int d = 0; d < (int)sizeof(K); d++) counts[d][KEY(a[i]) >> 8 * d & 255]++;
    for (int d = 0; d < (int)sizeof(K); d++) {
        int64_t *count = counts[d], sum = 0;
        if (count[KEY(a[0]) >> 8 * d & 255] == n) continue; /* all alike */
        for (int i = 0; i < DIGITS; i++) {
            const int64_t before = sum;
            sum += count[i];
            count[i] = before;
        }
        /* places first: else each count may wait until the CPU knows where the elements before it went */
        int64_t i = 0;
        for (int64_t place[TOGETHER]; i + TOGETHER <= n; i += TOGETHER) {
            AD_UNROLL for (int k = 0; k < TOGETHER; k++) place[k] = count[KEY(a[i + k]) >> 8 * d & 255]++;
            AD_UNROLL for (int k = 0; k < TOGETHER; k++) b[place[k]] = a[i + k];
        }
        for (; i < n; i++) b[count[KEY(a[i]) >> 8 * d & 255]++] = a[i];
        E *swap = a;
        a = b;
        b = swap;
    }
    return a;
}

/* Which of n <= RANKED has which rank, equal ones in the order they are in. */
static inline void NAME(to_ranks)(int64_t n, const K *ranks, uint8_t *order) {
    uint64_t equals[RANKED / 8]; /* bytes: those of a rank so far */
    for (int64_t i = 0; i < n; i += 8) equals[i / 8] = 0;
    for (int64_t i = 0; i < n; i++) order[ranks[i] + ((uint8_t *)equals)[ranks[i]]++] = (uint8_t)i;
}

/* Elements from keys and where they are (from 0 on, if NULL), in order; returns a or b, where the result is.
 * Keys and places may be in b. */
static E *NAME(in_order)(int64_t n, const K *keys, const K *at, E *a, E *b) {
    if (n > RANKED) {
        for (int64_t i = 0; i < n; i++) a[i] = MAKE(keys[i], at ? at[i] : (K)i);
        return NAME(by_digits)(a, b, n);
    }
    K ranks[RANKED + AD_SORT_PAST];
    uint8_t order[RANKED];
    ad_cpu->sort->ranks[WIDTH](1, n, keys, ranks);
    NAME(to_ranks)(n, ranks, order);
    for (int64_t i = 0; i < n; i++) a[i] = MAKE(keys[order[i]], at ? at[order[i]] : (K)order[i]);
    return a;
}

static int64_t NAME(up_to)(int64_t n, const K *keys, K key) {
    return ad_cpu->sort->up_to[WIDTH](n, keys, &key);
}

/* A range with the k-th least of n >= AD_SORT_LANES keys: with no more than `enough` keys in it, or below it
 * too if it shall be `open`, or else of one key. */
static NAME(part) NAME(around)(int64_t n, const K *keys, int64_t k, int64_t enough, bool open) {
    K least[AD_SORT_LANES], most[AD_SORT_LANES];
    ad_cpu->sort->extremes[WIDTH](n, keys, least, most);
    NAME(part) p = {{least[0], most[0]}, 0, n};
    for (int i = 1; i < AD_SORT_LANES; i++) {
        p.range[0] = least[i] < p.range[0] ? least[i] : p.range[0];
        p.range[1] = most[i] > p.range[1] ? most[i] : p.range[1];
    }
    K guess = p.range[1]; /* mostly the k-th least of the least is hardly above it */
    if (k < AD_SORT_LANES) {
        K ranks[AD_SORT_LANES + AD_SORT_PAST];
        ad_cpu->sort->ranks[WIDTH](1, AD_SORT_LANES, least, ranks);
        guess = p.range[0];
        for (int i = 0; i < AD_SORT_LANES; i++) guess = ranks[i] < k && least[i] > guess ? least[i] : guess;
    }
    while (p.range[0] < p.range[1] && p.up_to - (open ? 0 : p.below) > enough) {
        const K half = p.range[0] + (K)(((U)p.range[1] - (U)p.range[0]) / 2);
        const K middle = guess < p.range[1] ? guess : half;
        guess = p.range[1];
        const int64_t up_to = NAME(up_to)(n, keys, middle);
        if (up_to < k)
            p.range[0] = middle + 1, p.below = up_to;
        else
            p.range[1] = middle, p.up_to = up_to;
    }
    return p;
}

/* Of n keys in b, the k least in order and perhaps more, or the k-th alone; returns where. */
static E *NAME(chosen)(int64_t n, int64_t k, bool alone, E *a, E *b, K *keys) {
    K *at = keys + n + AD_SORT_PAST;
    NAME(part) p = NAME(around)(n, keys, k, alone ? ENOUGH : k + k / 8 + ENOUGH / 2, !alone);
    const bool one = p.range[0] == p.range[1];
    if (!alone) p.range[0] = (K)((U)1 << (8 * sizeof(K) - 1)); /* all that are below */
    int64_t m = ad_cpu->sort->within[WIDTH](n, keys, p.range, at), equals = k - p.below;
    if (alone && one) {
        *a = MAKE(p.range[1], at[equals - 1]);
        return a;
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < m; i++) { /* of equal keys, the first */
        const K key = keys[at[i]];
        if (one && key == p.range[1] && equals-- <= 0) continue;
        at[kept] = at[i];
        keys[kept++] = key;
    }
    E *sorted = NAME(in_order)(kept, keys, at, a, b);
    return alone ? sorted + (k - p.below - 1) : sorted;
}

/* The last of the most frequent elements of a row in order, the least of several; a nan is like no other. */
static E NAME(most_frequent)(const sorting *s, const E *a) {
    const bool floats = ad_is_floating(s->dtype);
    const E nan = MAKE(NAN_KEY, 0);
    int64_t most = 0, end = 0;
    for (int64_t i = 0, run = 0; i < s->n; i++) {
        const bool again = i && KEY(a[i]) == KEY(a[i - 1]) && !(floats && KEY(a[i]) == KEY(nan));
        run = again ? run + 1 : 1;
        if (run > most) most = run, end = i;
    }
    return a[end];
}

static bool NAME(is_nan)(const sorting *s, K key) { return ad_is_floating(s->dtype) && key == NAN_KEY; }

/* The same of a short row, as a place in its order. */
static int64_t NAME(most_frequent_ranked)(const sorting *s, const K *keys, const K *ranks,
                                          const uint8_t *order) {
    int64_t most = 0, end = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const int at = order[i];
        const int64_t run = NAME(is_nan)(s, keys[at]) ? 1 : i - ranks[at] + 1;
        if (run > most) most = run, end = i;
    }
    return end;
}

/* Which of the least is picked, from 1 on: the median is the first nan, if there is one. */
static int64_t NAME(rank_of_pick)(const sorting *s, const K *keys) {
    if (s->how == AD_PICK_KTH) return s->k;
    const K nan = NAN_KEY;
    const int64_t numbers = ad_is_floating(s->dtype) ? NAME(up_to)(s->n, keys, nan - 1) : s->n;
    return !numbers || (numbers < s->n && s->how == AD_PICK_MEDIAN) ? numbers + 1 : (numbers - 1) / 2 + 1;
}

/* What are the results of a row, from their places in it. */
#define PUT_ROW(place)                                                                                       \
    for (int64_t i = 0; i < s->put; i++) places[i] = (place);                                                \
    switch (s->size) {                                                                                       \
    case 1: PUT(uint8_t, place); break;                                                                      \
    case 2: PUT(uint16_t, place); break;                                                                     \
    case 4: PUT(uint32_t, place); break;                                                                     \
    default: PUT(uint64_t, place);                                                                           \
    }
#define PUT(T, place)                                                                                        \
    for (int64_t i = 0; i < s->put; i++) ((T *)(void *)values)[i] = ((const T *)(const void *)row)[place]

static void NAME(sort_row)(const sorting *s, const char *row, char *values, int64_t *places, char *room) {
    E *a = (E *)(void *)room, *b = a + s->n + AD_SORT_PAST;
    K *keys = (K *)(void *)b;
    NAME(keys)(s, s->n, row, keys);
    const int64_t k = s->alone ? NAME(rank_of_pick)(s, keys) : s->k;
    if (s->alone || (!s->how && k <= s->n / 2)) {
        a = NAME(chosen)(s->n, k, s->alone, a, b, keys);
    } else {
        a = NAME(in_order)(s->n, keys, NULL, a, b);
        if (s->how) a[0] = NAME(most_frequent)(s, a);
    }
    PUT_ROW(PLACE(a[i]))
}

static void NAME(sort_short_rows)(const sorting *s, int64_t rows, const char *x, char *to, int64_t *places) {
    K keys[BATCH + AD_SORT_PAST], ranks[BATCH + AD_SORT_PAST];
    NAME(keys)(s, rows * s->n, x, keys);
    ad_cpu->sort->ranks[WIDTH](rows, s->n, keys, ranks);
    for (int64_t r = 0; r < rows; r++, places += s->put) {
        const char *row = x + r * s->n * s->size;
        char *values = to + r * s->put * s->size;
        uint8_t order[RANKED];
        NAME(to_ranks)(s->n, ranks + r * s->n, order);
        const K *of = keys + r * s->n;
        const uint8_t *at = order;
        if (s->alone)
            at += NAME(rank_of_pick)(s, of) - 1;
        else if (s->how)
            at += NAME(most_frequent_ranked)(s, of, ranks + r * s->n, order);
        PUT_ROW(at[i])
    }
}
#undef PUT
#undef PUT_ROW

static void NAME(sort_rows)(const sorting *s, int64_t rows, const char *x, char *values, int64_t *places,
                            char *room) {
    const bool part = !s->how && s->k <= s->n / 4;
    const bool brief = s->n <= (s->alone ? MIDDLE : part ? WHOLE : RANKED);
    const int64_t step = brief ? BATCH / s->n : 1;
    for (int64_t r = 0; r < rows; r += step) {
        const char *row = x + r * s->n * s->size;
        char *to = values + r * s->put * s->size;
        if (brief)
            NAME(sort_short_rows)(s, ad_least(step, rows - r), row, to, places + r * s->put);
        else
            NAME(sort_row)(s, row, to, places + r * s->put, room);
    }
}

#undef E
#undef K
#undef U
#undef WIDTH
#undef NAME
#undef MAKE
#undef KEY
#undef PLACE
#undef NAN_KEY
