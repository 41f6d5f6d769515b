/* Single instructions of a CPU: how long one waits for another of its kind, how many run at a time, and which run
 * beside a multiply-add.
 *
 * Compiled on the machine that is measured; what its CPU does not have is not in the table. Registers are as wide as
 * the CPU has them. Of the operands, %0 is read and written, and begins with the byte 0x3f everywhere, a number between
 * 0 and 2 in every type of number with a point; %1 is read, and holds ones: nothing is zero, infinite or denormal.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

/* In the lists: name, dtype, the type of %0, the register that holds it, that of %1, and the instruction. In CHAINED
 * lines it reads what the one before it wrote, in SINGLE lines not. */
#if defined(__x86_64__) && defined(__AVX2__) && defined(__FMA__)
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define VECTOR 64
#define CHAINS 16 /* enough in flight for two units and eight cycles, with registers to spare */
#define R "v"
#define WIDE " zmm"
#else
#define VECTOR 32
#define CHAINS 12
#define R "x"
#define WIDE " ymm"
#endif
#define MULTIPLY_ADD "vfmadd231ps %1, %1, %0"
#if defined(__AVX512VNNI__)
#define IF_VNNI(CHAINED) CHAINED(dot_int8, "vpdpbusd" WIDE, "int8", ints, R, R, "vpdpbusd %1, %1, %0")
#elif defined(__AVXVNNI__)
#define IF_VNNI(CHAINED) CHAINED(dot_int8, "vpdpbusd" WIDE, "int8", ints, R, R, "%{vex%} vpdpbusd %1, %1, %0")
#else
#define IF_VNNI(CHAINED)
#endif
#if defined(__AVX512BF16__)
#define IF_BFLOAT16(CHAINED) CHAINED(dot_bfloat16, "vdpbf16ps" WIDE, "bfloat16", floats, R, R, "vdpbf16ps %1, %1, %0")
#else
#define IF_BFLOAT16(CHAINED)
#endif
#if defined(__AVX512FP16__)
#define IF_FLOAT16(CHAINED) CHAINED(fma_float16, "vfmadd231ph" WIDE, "float16", floats, R, R, "vfmadd231ph %1, %1, %0")
#else
#define IF_FLOAT16(CHAINED)
#endif
#define INSTRUCTIONS(CHAINED, SINGLE)                                                                                \
    CHAINED(add_integers, "add r64", "int64", int64_t, "r", "r", "add %1, %0")                                       \
    CHAINED(multiply_integers, "imul r64", "int64", int64_t, "r", "r", "imul %1, %0")                                \
    CHAINED(add_float32, "vaddps" WIDE, "float32", floats, R, R, "vaddps %1, %0, %0")                                \
    CHAINED(multiply_float32, "vmulps" WIDE, "float32", floats, R, R, "vmulps %1, %0, %0")                           \
    CHAINED(fma_float32, "vfmadd231ps" WIDE, "float32", floats, R, R, MULTIPLY_ADD)                                  \
    CHAINED(divide_float32, "vdivps" WIDE, "float32", floats, R, R, "vdivps %0, %1, %0")                             \
    CHAINED(maximum_float32, "vmaxps" WIDE, "float32", floats, R, R, "vmaxps %1, %0, %0")                            \
    CHAINED(add_float64, "vaddpd" WIDE, "float64", doubles, R, R, "vaddpd %1, %0, %0")                               \
    CHAINED(fma_float64, "vfmadd231pd" WIDE, "float64", doubles, R, R, "vfmadd231pd %1, %1, %0")                     \
    CHAINED(divide_float64, "vdivpd" WIDE, "float64", doubles, R, R, "vdivpd %0, %1, %0")                            \
    CHAINED(add_int32, "vpaddd" WIDE, "int32", ints, R, R, "vpaddd %1, %0, %0")                                      \
    CHAINED(multiply_int32, "vpmulld" WIDE, "int32", ints, R, R, "vpmulld %1, %0, %0")                               \
    CHAINED(convert_int32, "vcvtdq2ps" WIDE, "int32", ints, R, R, "vcvtdq2ps %0, %0")                                \
    CHAINED(shuffle, "vpermilps" WIDE, "float32", floats, R, R, "vpermilps $27, %0, %0")                             \
    CHAINED(permute, "vpermps" WIDE, "float32", floats, R, R, "vpermps %0, %1, %0")                                  \
    SINGLE(load, "vmovups load" WIDE, "float32", floats, R, "m", "vmovups %1, %0")                                   \
    SINGLE(store, "vmovups store" WIDE, "float32", floats, R, "m", "vmovups %0, %1")                                 \
    IF_VNNI(CHAINED) IF_BFLOAT16(CHAINED) IF_FLOAT16(CHAINED)
#elif defined(__aarch64__)
#define VECTOR 16
#define CHAINS 24
#define R "w"
#define MULTIPLY_ADD "fmla %0.4s, %1.4s, %1.4s"
#if defined(__ARM_FEATURE_DOTPROD)
#define IF_DOT(CHAINED) CHAINED(dot_int8, "sdot 4s", "int8", ints, R, R, "sdot %0.4s, %1.16b, %1.16b")
#else
#define IF_DOT(CHAINED)
#endif
#if defined(__ARM_FEATURE_MATMUL_INT8)
#define IF_PRODUCT_INT8(CHAINED) CHAINED(product_int8, "smmla 4s", "int8", ints, R, R, "smmla %0.4s, %1.16b, %1.16b")
#else
#define IF_PRODUCT_INT8(CHAINED)
#endif
#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#define IF_BFLOAT16(CHAINED)                                                                                         \
    CHAINED(dot_bfloat16, "bfdot 4s", "bfloat16", floats, R, R, "bfdot %0.4s, %1.8h, %1.8h")                         \
    CHAINED(product_bfloat16, "bfmmla 4s", "bfloat16", floats, R, R, "bfmmla %0.4s, %1.8h, %1.8h")
#else
#define IF_BFLOAT16(CHAINED)
#endif
#if defined(__ARM_FEATURE_FP16_VECTOR_ARITHMETIC)
#define IF_FLOAT16(CHAINED) CHAINED(fma_float16, "fmla 8h", "float16", floats, R, R, "fmla %0.8h, %1.8h, %1.8h")
#else
#define IF_FLOAT16(CHAINED)
#endif
#define INSTRUCTIONS(CHAINED, SINGLE)                                                                                \
    CHAINED(add_integers, "add x", "int64", int64_t, "r", "r", "add %0, %0, %1")                                     \
    CHAINED(multiply_integers, "mul x", "int64", int64_t, "r", "r", "mul %0, %0, %1")                                \
    CHAINED(add_float32, "fadd 4s", "float32", floats, R, R, "fadd %0.4s, %0.4s, %1.4s")                             \
    CHAINED(multiply_float32, "fmul 4s", "float32", floats, R, R, "fmul %0.4s, %0.4s, %1.4s")                        \
    CHAINED(fma_float32, "fmla 4s", "float32", floats, R, R, MULTIPLY_ADD)                                           \
    CHAINED(divide_float32, "fdiv 4s", "float32", floats, R, R, "fdiv %0.4s, %1.4s, %0.4s")                          \
    CHAINED(maximum_float32, "fmax 4s", "float32", floats, R, R, "fmax %0.4s, %0.4s, %1.4s")                         \
    CHAINED(add_float64, "fadd 2d", "float64", doubles, R, R, "fadd %0.2d, %0.2d, %1.2d")                            \
    CHAINED(fma_float64, "fmla 2d", "float64", doubles, R, R, "fmla %0.2d, %1.2d, %1.2d")                            \
    CHAINED(divide_float64, "fdiv 2d", "float64", doubles, R, R, "fdiv %0.2d, %1.2d, %0.2d")                         \
    CHAINED(add_int32, "add 4s", "int32", ints, R, R, "add %0.4s, %0.4s, %1.4s")                                     \
    CHAINED(multiply_int32, "mul 4s", "int32", ints, R, R, "mul %0.4s, %0.4s, %1.4s")                                \
    CHAINED(convert_int32, "scvtf 4s", "int32", ints, R, R, "scvtf %0.4s, %0.4s")                                    \
    CHAINED(shuffle, "ext 16b", "float32", floats, R, R, "ext %0.16b, %0.16b, %0.16b, #4")                           \
    CHAINED(permute, "tbl 16b", "float32", floats, R, R, "tbl %0.16b, {%0.16b}, %1.16b")                             \
    SINGLE(load, "ldr q", "float32", floats, R, "m", "ldr %q0, %1")                                                  \
    SINGLE(store, "str q", "float32", floats, R, "m", "str %q0, %1")                                                 \
    IF_DOT(CHAINED) IF_PRODUCT_INT8(CHAINED) IF_BFLOAT16(CHAINED) IF_FLOAT16(CHAINED)
#else
#error "the instructions are written down for x86-64 with AVX2 and FMA, and for AArch64"
#endif

#define SCALAR_CHAINS 8
#define STEPS 16 /* of a chain, between two looks at the counter */

typedef float floats __attribute__((vector_size(VECTOR)));
typedef double doubles __attribute__((vector_size(VECTOR)));
typedef int32_t ints __attribute__((vector_size(VECTOR)));

enum way { DEPENDENT, INDEPENDENT, PAIRED, WAYS };

#define ALL(count, statement)                                                                                        \
    _Pragma("GCC unroll 64") for (int k = 0; k < (count); k++) { statement; }
#define STEP(a, b, held, held_b, text) __asm__ volatile(text : "+" held(a) : held_b(b))

#define CHAINS_OF(id, name, dtype, type, held, held_b, text)                                                         \
    enum { id##_CHAINS = sizeof(type) == 8 ? SCALAR_CHAINS : CHAINS };                                               \
    __attribute__((unused)) static void id##_dependent(int64_t passes) {                                             \
        type a, b = (type){0} + 1;                                                                                   \
        memset(&a, 0x3f, sizeof a);                                                                                  \
        for (int64_t pass = 0; pass < passes; pass++) ALL(STEPS, STEP(a, b, held, held_b, text))                     \
    }                                                                                                                \
    static void id##_independent(int64_t passes) {                                                                   \
        type a[id##_CHAINS], first, b = (type){0} + 1;                                                               \
        memset(&first, 0x3f, sizeof first);                                                                          \
        ALL(id##_CHAINS, a[k] = first)                                                                               \
        for (int64_t pass = 0; pass < passes; pass++) {                                                              \
            ALL(id##_CHAINS, STEP(a[k], b, held, held_b, text))                                                      \
            ALL(id##_CHAINS, STEP(a[k], b, held, held_b, text))                                                      \
        }                                                                                                            \
    }                                                                                                                \
    static void id##_paired(int64_t passes) {                                                                        \
        type a[id##_CHAINS / 2], first, b = (type){0} + 1;                                                           \
        floats sums[id##_CHAINS / 2], one = (floats){0} + 1;                                                         \
        memset(&first, 0x3f, sizeof first);                                                                          \
        ALL(id##_CHAINS / 2, a[k] = first; sums[k] = one)                                                            \
        for (int64_t pass = 0; pass < passes; pass++) {                                                              \
            ALL(id##_CHAINS / 2, STEP(a[k], b, held, held_b, text); STEP(sums[k], one, R, R, MULTIPLY_ADD))          \
            ALL(id##_CHAINS / 2, STEP(a[k], b, held, held_b, text); STEP(sums[k], one, R, R, MULTIPLY_ADD))          \
        }                                                                                                            \
    }
INSTRUCTIONS(CHAINS_OF, CHAINS_OF)

/* Intel's tiles: eight registers of 16 rows of 64 bytes, here two factors and six sums. The kernel must allow them. */
#if defined(__AMX_INT8__) && defined(__AMX_BF16__)
#include <sys/syscall.h>
#include <unistd.h>
enum { TILE_SUMS = 6, ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
static int tiles_allowed(void) { return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0; }
static void tiles_begin(void) {
    struct {
        uint8_t palette, first_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    for (int k = 0; k < 8; k++) shape.bytes[k] = 64, shape.rows[k] = 16;
    __asm__ volatile("ldtilecfg %0" : : "m"(shape));
    __asm__ volatile("tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3\n\t"
                     "tilezero %%tmm4\n\ttilezero %%tmm5\n\ttilezero %%tmm6\n\ttilezero %%tmm7" : :);
}
static void tiles_end(void) { __asm__ volatile("tilerelease"); }
#define INTO(text, tile) text " %%tmm7, %%tmm6, %%tmm" #tile "\n\t"
#define TILES_OF(id, text)                                                                                           \
    static void id##_dependent(int64_t passes) {                                                                     \
        tiles_begin();                                                                                               \
        for (int64_t pass = 0; pass < passes; pass++) ALL(STEPS, __asm__ volatile(INTO(text, 0) : :))                \
        tiles_end();                                                                                                 \
    }                                                                                                                \
    static void id##_independent(int64_t passes) {                                                                   \
        tiles_begin();                                                                                               \
        for (int64_t pass = 0; pass < passes; pass++)                                                                \
            ALL(2, __asm__ volatile(INTO(text, 0) INTO(text, 1) INTO(text, 2) INTO(text, 3) INTO(text, 4)            \
                                    INTO(text, 5) : :))                                                              \
        tiles_end();                                                                                                 \
    }
TILES_OF(tile_int8, "tdpbssd")
TILES_OF(tile_bfloat16, "tdpbf16ps")
#define TILES                                                                                                        \
    {"tdpbssd tmm", "int8", {tile_int8_dependent, tile_int8_independent, NULL}, TILE_SUMS, tiles_allowed},           \
    {"tdpbf16ps tmm", "bfloat16", {tile_bfloat16_dependent, tile_bfloat16_independent, NULL}, TILE_SUMS, tiles_allowed},
#else
#define TILES
#endif

static const struct {
    const char *name, *dtype;
    void (*run[WAYS])(int64_t passes);
    int chains;
    int (*allowed)(void); /* NULL: needs no leave of the kernel */
} instructions[] = {
#define CHAINED_ENTRY(id, name, dtype, ...)                                                                          \
    {name, dtype, {id##_dependent, id##_independent, id##_paired}, id##_CHAINS, NULL},
#define SINGLE_ENTRY(id, name, dtype, ...) {name, dtype, {NULL, id##_independent, id##_paired}, id##_CHAINS, NULL},
    INSTRUCTIONS(CHAINED_ENTRY, SINGLE_ENTRY) TILES
};

/* How many there are. The first is an addition of integers, which waits one cycle for another of its kind. */
int steelyard_instructions(void) { return sizeof instructions / sizeof *instructions; }
const char *steelyard_name(int which) { return instructions[which].name; }
const char *steelyard_dtype(int which) { return instructions[which].dtype; }

/* How many of the instruction one pass has; 0 where it cannot be measured in this way. Of pairs: how many pairs. */
int64_t steelyard_count(int which, int way) {
    if (!instructions[which].run[way] || (instructions[which].allowed && !instructions[which].allowed())) return 0;
    return way == DEPENDENT ? STEPS : way == INDEPENDENT ? 2 * instructions[which].chains : instructions[which].chains;
}

/* Seconds of so many passes, on the thread that calls. */
double steelyard_run(int which, int way, int64_t passes) {
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    instructions[which].run[way](passes);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    return (double)(ended.tv_sec - begun.tv_sec) + 1e-9 * (double)(ended.tv_nsec - begun.tv_nsec);
}
