/* kernels/pointwise.h: the kernels of the pointwise machine, one per row of instructions.def. */
static void pw_f32_add(int64_t n, void *dst, const void *a, const void *b, const void *c) {
    (void)c;
    int64_t i = 0;
    for (; n - i >= VF_W; i += VF_W)
        vf_store((float *)dst + i, vf_add(vf_load((const float *)a + i), vf_load((const float *)b + i)));
    if (i < n)
        vf_store_n((float *)dst + i,
                   vf_add(vf_load_n((const float *)a + i, n - i), vf_load_n((const float *)b + i, n - i)),
                   n - i);
}
static const ad_pw_kernels pw_kernels = {.instr[AD_OP_add][AD_f32] = pw_f32_add};
