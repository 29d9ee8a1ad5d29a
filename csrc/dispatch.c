/* dispatch.c: the variant of the kernels this CPU runs, the tables made from the .def files, and errors. */
#include <unistd.h>
#include "internal.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* ---- tables ---- */
#define AD_DTYPE(name, ctype, type) sizeof(ctype),
const uint8_t ad_itemsize[AD_N_DTYPES] = {
#include "dtypes.def"
};
#undef AD_DTYPE

#define AD_DTYPE(name, ctype, type) AD_##type,
const uint8_t ad_dtype_type[AD_N_DTYPES] = {
#include "dtypes.def"
};
#undef AD_DTYPE

const uint8_t ad_type_size[AD_N_TYPES] = {sizeof(float), sizeof(double), sizeof(int64_t)};

#define AD_DTYPE(name, ctype, type) #name,
static const char *const dtype_names[AD_N_DTYPES] = {
#include "dtypes.def"
};
#undef AD_DTYPE

typedef struct {
    const char *name;
    uint8_t arity, has[AD_N_TYPES];
} instr_row;

#define AD_INSTR(name, arity, f32, f64, i64) {#name, arity, {f32, f64, i64}},
static const instr_row instructions[AD_N_INSTR] = {
#include "instructions.def"
};
#undef AD_INSTR

#define AD_REDUCTION(name, identity) #name,
static const char *const reduction_names[AD_N_REDUCTIONS] = {
#include "reductions.def"
};
#undef AD_REDUCTION

static bool within(int i, int n) { return i >= 0 && i < n; }

const char *ad_dtype_name(int dtype) { return within(dtype, AD_N_DTYPES) ? dtype_names[dtype] : NULL; }
int ad_dtype_size(int dtype) { return within(dtype, AD_N_DTYPES) ? ad_itemsize[dtype] : 0; }
const char *ad_instr_name(int op) { return within(op, AD_N_INSTR) ? instructions[op].name : NULL; }
int ad_instr_arity(int op) { return within(op, AD_N_INSTR) ? instructions[op].arity : 0; }
int ad_instr_has(int op, int type) {
    return within(op, AD_N_INSTR) && within(type, AD_N_TYPES) && instructions[op].has[type];
}
const char *ad_reduction_name(int kind) {
    return within(kind, AD_N_REDUCTIONS) ? reduction_names[kind] : NULL;
}

/* ---- errors ---- */
_Thread_local int ad_zero_div AD_NEAR;
static _Thread_local struct {
    int status;
    int64_t detail[3];
} last_error;

int ad_fail(int status, int64_t a, int64_t b, int64_t c) {
    last_error.status = status;
    last_error.detail[0] = a, last_error.detail[1] = b, last_error.detail[2] = c;
    return status;
}

void *ad_fail_null(int status, int64_t a, int64_t b, int64_t c) {
    ad_fail(status, a, b, c);
    return NULL;
}

int ad_error(int64_t detail[3]) {
    if (detail) memcpy(detail, last_error.detail, sizeof last_error.detail);
    return last_error.status;
}

/* ---- the variant ---- */
extern const ad_variant ad_variant_baseline, ad_variant_avx2, ad_variant_avx512, ad_variant_neon;

static const ad_variant *const variants[] = {/* the best first */
#if defined(__x86_64__)
#ifndef AD_WITHOUT_AVX512
                                             &ad_variant_avx512,
#endif
                                             &ad_variant_avx2,
#elif defined(__aarch64__)
                                             &ad_variant_neon,
#endif
                                             &ad_variant_baseline};

const ad_variant *ad_cpu, *ad_half;
bool ad_has_f16c, ad_is_amd;
long ad_l1_ways;
const char ad_past[1];

/* The best variant of this name (of any, where it is NULL or "") that the CPU can run, or NULL. */
static const ad_variant *find_variant(const char *isa) {
#if defined(__x86_64__)
    unsigned a, b, c, d;
    __builtin_cpu_init();
    ad_is_amd = __builtin_cpu_is("amd");
    ad_has_f16c = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C); /* not every compiler asks it by name */
#endif
    bool any = !isa || !*isa;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if ((any || !strcmp(isa, variants[i]->name)) && variants[i]->available()) return variants[i];
    return NULL;
}

#if defined(__x86_64__) && !defined(AD_WITHOUT_AVX512)
/* Some CPUs do with registers of 512 bits as with two of 256, one after the other. There, loops that do
 * little besides reading and writing are faster with those of 256, which cross fewer lines, and wait less for
 * a store that lies where they read but for the page. Results are the same to the bit. */
static bool runs_in_halves(void) {
    enum { IDENTIFIERS = 0x8000001a, IS_256 = 1 << 2, IS_512 = 1 << 3 }; /* how wide it is inside */
    unsigned a, b, c, d;
    return __get_cpuid(IDENTIFIERS, &a, &b, &c, &d) && (a & (IS_256 | IS_512)) == IS_256;
}

static const ad_variant *in_halves(void) {
    static ad_variant variant;
    static ad_pw_kernels pw;
    const ad_pw_kernels *const halves = ad_variant_avx2.pw;
#define AD_INSTR(name, arity, f32, f64, i64)
#define AD_CHEAP(name, arity, f32, f64, i64) AD_OP_##name,
    static const uint16_t cheap[] = {
#include "instructions.def"
        AD_OP_sqrt};
#undef AD_INSTR
    ad_half = &ad_variant_avx2;
    variant = ad_variant_avx512, variant.pw = &pw;
    pw = *ad_variant_avx512.pw;
    for (size_t i = 0; i < sizeof cheap / sizeof *cheap; i++) {
        const int op = cheap[i];
        memcpy(pw.instr[op], halves->instr[op], AD_i64 * sizeof **pw.instr);
        if (op < AD_BY_NUMBER_END) memcpy(pw.number[op], halves->number[op], sizeof *pw.number);
    }
    memcpy(pw.compare_number, halves->compare_number, sizeof pw.compare_number);
    memcpy(pw.truth, halves->truth, sizeof pw.truth);
    pw.load[AD_float32][AD_f64] = halves->load[AD_float32][AD_f64];
    pw.load[AD_float64][AD_f32] = halves->load[AD_float64][AD_f32];
    pw.store[AD_f32][AD_float64] = halves->store[AD_f32][AD_float64];
    pw.store[AD_f64][AD_float32] = halves->store[AD_f64][AD_float32];
    return &variant;
}
#endif

/* The kernels to run of a variant that was wanted. */
static const ad_variant *kernels_of(const ad_variant *wanted) {
#if defined(__x86_64__) && !defined(AD_WITHOUT_AVX512)
    if (wanted == &ad_variant_avx512 && runs_in_halves()) return in_halves();
#endif
    return wanted;
}

int ad_init(const char *isa) {
    const ad_variant *wanted = find_variant(isa);
    if (!wanted) return ad_fail(AD_BAD_ISA, 0, 0, 0);
    if (!ad_cpu) ad_cpu = kernels_of(wanted);
#ifdef _SC_LEVEL1_DCACHE_ASSOC
    ad_l1_ways = sysconf(_SC_LEVEL1_DCACHE_ASSOC);
#endif
    /* Results would change their bits under a running program, so a second choice is refused. */
    bool same = !isa || !*isa || !strcmp(ad_cpu->name, wanted->name);
    return same ? AD_OK : ad_fail(AD_BAD_ISA, 0, 0, 0);
}

const char *ad_isa(void) { return ad_cpu ? ad_cpu->name : ""; }
int ad_isa_available(const char *isa) { return isa && *isa && find_variant(isa) != NULL; }

#ifndef AD_SANITIZE /* set by the build, as no compiler tells of all its sanitizers */
#define AD_SANITIZE
#endif
#define STRING2(x) #x
#define STRING(x) STRING2(x)
const char *ad_compiler(void) {
#if defined(__clang__)
    return "clang " STRING(__clang_major__) "." STRING(__clang_minor__) "." STRING(__clang_patchlevel__)
        AD_SANITIZE;
#else
    return "gcc " STRING(__GNUC__) "." STRING(__GNUC_MINOR__) "." STRING(__GNUC_PATCHLEVEL__) AD_SANITIZE;
#endif
}
