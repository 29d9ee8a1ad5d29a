/* sort_element.h: the methods of sort.c, for one kind of element:
 *   E               its type           NAME(x)    x, marked with the kind
 *   LESS(a, b)      the order          KEY(a), KEY_BYTES   the key and how many bytes of it there are
 *   PLACE(a)        its position in the row */

/* The last of n elements to its place among the others, which are in order. */
static inline void NAME(insert_last)(E *a, int64_t n) {
    const E one = a[n - 1];
    int64_t j = n - 1;
    for (; j > 0 && LESS(one, a[j - 1]); j--) a[j] = a[j - 1];
    a[j] = one;
}

static void NAME(insert)(E *a, int64_t n) {
    for (int64_t i = 2; i <= n; i++) NAME(insert_last)(a, i);
}

/* Sorts by merging sorted runs, from a to b and back; returns the half of a[2n] where the result is. */
static E *NAME(by_merging)(E *a, int64_t n) {
    E *b = a + n;
    for (int64_t i = 0; i < n; i += RUN) NAME(insert)(a + i, ad_least(RUN, n - i));
    for (int64_t run = RUN; run < n; run *= 2) {
        for (int64_t i = 0; i < n; i += 2 * run) {
            const E *left = a + i, *end = a + ad_least(i + run, n), *right = end;
            const E *const last = a + ad_least(i + 2 * run, n);
            E *out = b + i;
            while (left < end && right < last) {
                const bool second = LESS(*right, *left);
                *out++ = second ? *right : *left;
                right += second;
                left += !second;
            }
            while (left < end) *out++ = *left++;
            while (right < last) *out++ = *right++;
        }
        E *swap = a;
        a = b;
        b = swap;
    }
    return a;
}

/* Sorts by keys, elements of equal keys staying in order; returns the half of a[2n] where the result is. */
static E *NAME(by_digits)(E *a, int64_t n) {
    int64_t counts[KEY_BYTES][DIGITS] = {0};
    E *b = a + n;
    for (int64_t i = 0; i < n; i++)
        AD_UNROLL for (int d = 0; d < KEY_BYTES; d++) counts[d][KEY(a[i]) >> 8 * d & 255]++;
    for (int d = 0; d < KEY_BYTES; d++) {
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

/* The highest digit in which keys differ: digits that all share tell nothing of their order. */
static int NAME(first_digit)(const E *a, int64_t n) {
    uint64_t differ = 0;
    for (int64_t i = 1; i < n; i++) differ |= KEY(a[i]) ^ KEY(a[0]);
    return differ ? (63 - __builtin_clzll(differ)) / 8 : 0;
}

/* Keeps the k least of n elements in their order: finds the k-th least key digit by digit, the highest first,
 * and how many of the elements that have it are among the k. */
static void NAME(set_apart)(E *a, int64_t n, int64_t k) {
    const int first = NAME(first_digit)(a, n);
    uint64_t found = first < 7 ? KEY(a[0]) >> 8 * first >> 8 : 0; /* the digits of that key */
    int64_t left = k, kept = 0;
    for (int d = first; d >= 0; d--) {
        int64_t count[DIGITS] = {0};
        int digit = 0;
        for (int64_t i = 0; i < n; i++)
            if (KEY(a[i]) >> 8 * d >> 8 == found) count[KEY(a[i]) >> 8 * d & 255]++;
        while (count[digit] < left) left -= count[digit++];
        found = found << 8 | (uint64_t)digit;
    }
    for (int64_t i = 0; i < n; i++)
        if (KEY(a[i]) < found || (KEY(a[i]) == found && left-- > 0)) a[kept++] = a[i];
}

/* The k-th least of n elements: of those of its digits so far, the ones of its next digit are kept. */
static E NAME(kth)(E *a, int64_t n, int64_t k) {
    for (int d = NAME(first_digit)(a, n); d >= 0 && n > INSERTED; d--) {
        int64_t count[DIGITS] = {0}, kept = 0;
        uint64_t digit = 0;
        for (int64_t i = 0; i < n; i++) count[KEY(a[i]) >> 8 * d & 255]++;
        while (count[digit] < k) k -= count[digit++];
        for (int64_t i = 0; i < n; i++) {
            a[kept] = a[i];
            kept += (KEY(a[i]) >> 8 * d & 255) == digit;
        }
        n = kept;
    }
    if (n <= INSERTED) NAME(insert)(a, n);
    return a[k - 1];
}

/* The last of the most frequent elements of a row in order, the least of several; a nan is like no other. */
static E NAME(most_frequent)(const sorting *s, const E *a) {
    const bool floats = ad_is_floating(s->dtype);
    const uint64_t nan = s->dtype == AD_float64 ? UINT64_MAX : UINT32_MAX;
    int64_t most = 0, end = 0;
    for (int64_t i = 0, run = 0; i < s->n; i++) {
        const bool again = i && KEY(a[i]) == KEY(a[i - 1]) && !(floats && KEY(a[i]) == nan);
        run = again ? run + 1 : 1;
        if (run > most) most = run, end = i;
    }
    return a[end];
}

/* The one that is picked of a row of n elements: the median is the first nan, if there is one. */
static E NAME(pick)(const sorting *s, E *a) {
    int64_t nans = 0, first = 0;
    if (s->how != AD_PICK_KTH && ad_is_floating(s->dtype)) {
        const uint64_t nan = s->dtype == AD_float64 ? UINT64_MAX : UINT32_MAX;
        for (int64_t i = s->n - 1; i >= 0; i--)
            if (KEY(a[i]) == nan) nans++, first = i;
    }
    if (nans == s->n || (nans && s->how == AD_PICK_MEDIAN)) return a[first];
    return NAME(kth)(a, s->n, s->how == AD_PICK_KTH ? s->k : (s->n - nans - 1) / 2 + 1);
}

/* The k least of a row, in order. */
static void NAME(few)(const sorting *s, const char *row, E *best) {
    E block[BLOCK];
    int64_t held = 0;
    for (int64_t start = 0; start < s->n; start += BLOCK) {
        const int64_t n = ad_least(BLOCK, s->n - start);
        NAME(pack)(s, row, start, n, block);
        int64_t i = 0;
        for (; i < n && held < s->k; i++) {
            best[held++] = block[i];
            NAME(insert_last)(best, held);
        }
        for (E worst = best[held - 1]; i < n; i++) {
            if (!LESS(block[i], worst)) continue;
            best[held - 1] = block[i];
            NAME(insert_last)(best, held);
            worst = best[held - 1];
        }
    }
}

static void NAME(put)(const sorting *s, int64_t r, const char *row, const E *a) {
    const int64_t step = s->inner, first = r / step * s->put * step + r % step;
    int64_t *places = s->places + first;
    char *values = s->values + first * s->size;
    for (int64_t i = 0; i < s->put; i++) places[i * step] = PLACE(a[i]);
#define PUT(bytes)                                                                                           \
    for (int64_t i = 0; i < s->put; i++)                                                                     \
    memcpy(values + i * step * (bytes), row + PLACE(a[i]) * (bytes), bytes)
    switch (s->size) {
    case 1: PUT(1); break;
    case 2: PUT(2); break;
    case 4: PUT(4); break;
    default: PUT(8);
    }
#undef PUT
}

static void NAME(sort_row)(const sorting *s, int64_t r, const char *row, char *room) {
    E *a = (E *)(void *)room;
    const bool frequent = s->how == AD_PICK_MODE;
    const int64_t k = frequent ? s->n : s->k;
    if (s->how && !frequent) {
        NAME(pack)(s, row, 0, s->n, a);
        a[0] = NAME(pick)(s, a);
    } else if (k <= FEW && s->n > INSERTED) {
        NAME(few)(s, row, a);
    } else {
        int64_t n = s->n;
        NAME(pack)(s, row, 0, n, a);
        if (k < n && n > INSERTED) {
            NAME(set_apart)(a, n, k);
            n = k;
        }
        if (k == 1 && n <= INSERTED)
            for (int64_t i = 1; i < n; i++) a[0] = LESS(a[i], a[0]) ? a[i] : a[0];
        else if (n <= INSERTED)
            NAME(insert)(a, n);
        else
            a = n <= MERGED ? NAME(by_merging)(a, n) : NAME(by_digits)(a, n);
        if (frequent) a[0] = NAME(most_frequent)(s, a);
    }
    NAME(put)(s, r, row, a);
}

#undef E
#undef NAME
#undef LESS
#undef KEY
#undef KEY_BYTES
#undef PLACE
