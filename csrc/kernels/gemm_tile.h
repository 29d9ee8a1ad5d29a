/* kernels/gemm_tile.h: the tile of a matrix product; included by gemm_type.h for its vectors, and by gemm.h
 * for half of those. */

/* Where the vectors of a tile's row start: the last one ends where the row does. */
#define AT(v) ((v) == vectors - 1 ? last : (v) * W)

/* A row's vectors from memory and back; none of them means the first `cols` lanes of one. */
AD_SIMD void NAME(get)(V() * x, const T *p, const int vectors, int64_t cols, int64_t last) {
    if (vectors == 0) x[0] = V(_load_n)(p, cols);
    AD_UNROLL for (int v = 0; v < vectors; v++) x[v] = V(_load)(p + AT(v));
}
AD_SIMD void NAME(put)(T *p, const V() * x, const int vectors, int64_t cols, int64_t last) {
    if (vectors == 0) V(_store_n)(p, x[0], cols);
    AD_UNROLL for (int v = 0; v < vectors; v++) V(_store)(p + AT(v), x[v]);
}

/* What general registers cannot hold the compiler keeps in vectors' ones; to move it from there takes the
 * place of a multiply-add and waits behind those. So a tile's A is at two pointers and at three multiples of
 * a stride that the compiler does not take apart, and C's rows, after the loop, at a pointer that it does not
 * know. */
#define OPAQUE(x) __asm__("" : "+r"(x))
#define HALF 6 /* rows */
#define POINTERS (VF_W == 16 ? 7 : TILE_ROWS)

/* What a tile reads at offsets. */
enum { NAME(neither), NAME(a), NAME(b) };
/* What else it does: nothing, copies A, copies B, looks ahead. */
enum { NAME(alone), NAME(copies), NAME(packs), NAME(looks) };

/* What is copied or packed lies in rows of memory that no prefetcher of the CPU's follows: so many of them
 * ahead, it is told. To L2, as they may push each other out of L1. */
#define SOON 20
AD_SIMD void NAME(fetch)(const T *src, int64_t step, const int lanes) {
    __builtin_prefetch(src + SOON * step, 0, 2);
    __builtin_prefetch(src + SOON * step + lanes - 1, 0, 2);
}

AD_SIMD void NAME(tile)(const ad_tile *t, const T *a, const T *b, const int rows, const int vectors,
                        const int at, const int more, int64_t a_row, int64_t a_col, int64_t b_row,
                        int64_t last) {
    const int across = vectors ? vectors : 1;
    const int64_t *offset = t->offsets;
    const int64_t cols = t->cols;
    int64_t row3 = 3 * a_row, row5 = 5 * a_row, c_row = t->c_row;
    const T *start[TILE_ROWS], *half = a + HALF * a_row;
    OPAQUE(row3);
    OPAQUE(row5);
    OPAQUE(half);
    const T *volatile over[TILE_ROWS > POINTERS ? TILE_ROWS - POINTERS : 1];
    T *c = t->c, *copy = t->copy;
    const T *ahead = t->ahead;
    const int64_t ahead_row = t->ahead_row, seldom = t->seldom;
    V() acc[TILE_ROWS][AD_ROW_VECTORS], x[AD_ROW_VECTORS];
    AD_UNROLL for (int i = 0; i < rows; i++) start[i] = at == NAME(a) ? a + t->starts[i] : NULL;
    AD_UNROLL for (int i = POINTERS; at == NAME(a) && i < rows; i++) over[i - POINTERS] = start[i];
    AD_UNROLL for (int i = 0; i < rows; i++) {
        if (t->accumulate) {
            NAME(get)(acc[i], c, vectors, cols, last);
            c += c_row;
        } else {
            AD_UNROLL for (int v = 0; v < across; v++) acc[i][v] = V(_zero)();
        }
    }
    for (int64_t p = t->k; p > 0; p--) {
        const int64_t here = at == NAME(neither) ? 0 : *offset++;
        if (more == NAME(copies)) {
            memcpy(copy, a, rows * sizeof(T));
            copy += rows;
            NAME(fetch)(a, a_col, rows);
        } else if (more != NAME(alone) && (p & seldom) == 0) {
            __builtin_prefetch(ahead, 0, 2);
            if (more == NAME(looks)) __builtin_prefetch(ahead + t->ahead_apart, 0, 2);
            ahead += ahead_row;
        }
        NAME(get)(x, at == NAME(b) ? b + here : b, vectors, cols, last);
        if (more == NAME(packs)) {
            NAME(put)(copy, x, vectors, cols, last);
            copy += last + W;
        }
        AD_UNROLL for (int i = 0; i < rows; i++) {
            const int64_t row = i % HALF == 3 ? row3 : i % HALF == 5 ? row5 : i % HALF * a_row;
            const T *from = at != NAME(a)  ? (i < HALF ? a : half) + row
                            : i < POINTERS ? start[i] + here
                                           : over[i - POINTERS] + here;
            const V() s = V(_set1)(*from);
            AD_UNROLL for (int v = 0; v < across; v++) acc[i][v] = V(_fma)(s, x[v], acc[i][v]);
        }
        if (at != NAME(a)) {
            a += a_col;
            half += a_col;
        }
        if (at != NAME(b)) b += b_row;
    }
    if (t->bias && at == NAME(b)) {
        AD_UNROLL for (int i = 0; i < rows; i++) {
            const V() s = V(_set1)(((const T *)t->bias)[i]);
            AD_UNROLL for (int v = 0; v < across; v++) acc[i][v] = V(_add)(acc[i][v], s);
        }
    } else if (t->bias) {
        NAME(get)(x, t->bias, vectors, cols, last);
        AD_UNROLL for (int i = 0; i < rows; i++) {
            AD_UNROLL for (int v = 0; v < across; v++) acc[i][v] = V(_add)(acc[i][v], x[v]);
        }
        if (t->more && at == NAME(neither)) {
            AD_UNROLL for (int i = 0; i < rows; i++) {
                NAME(get)(x, (const T *)t->more + i * t->more_row, vectors, cols, last);
                AD_UNROLL for (int v = 0; v < across; v++) acc[i][v] = V(_add)(acc[i][v], x[v]);
            }
        }
    }
    c = t->c;
    OPAQUE(c);
    OPAQUE(c_row);
    AD_UNROLL for (int i = 0; i < rows; i++, c += c_row) NAME(put)(c, acc[i], vectors, cols, last);
}

#undef AT
#undef HALF
#undef POINTERS
#undef SOON
