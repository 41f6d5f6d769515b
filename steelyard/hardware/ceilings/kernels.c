/* Loops whose speed is a property of the machine: streams through memory, chains of loads, chains of multiply-adds.
 *
 * Compiled on the machine that is measured. No intrinsics: GNU C's vector types, which the compiler maps to whatever
 * the CPU has. Every sample runs on threads of its own, each bound to a CPU, with memory that it touched itself; the
 * time runs from the moment when all are ready to the end of the last.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
#define VECTOR 64 /* bytes of a vector register */
#define CHAINS 16 /* independent multiply-adds in flight: two units, four cycles each, and room */
#elif defined(__AVX__)
#define VECTOR 32
#define CHAINS 12
#elif defined(__aarch64__)
#define VECTOR 16
#define CHAINS 24
#else
#define VECTOR 16
#define CHAINS 8
#endif
#define LINE 64
#define STREAMS 8 /* accumulators of the reading loop, so that no addition waits for another */

typedef uint64_t words __attribute__((vector_size(VECTOR), aligned(VECTOR), may_alias));
typedef float floats __attribute__((vector_size(VECTOR)));
typedef double doubles __attribute__((vector_size(VECTOR)));

enum kernel { READ, COPY, TRIAD, CHASE, FMA_FLOAT32, FMA_FLOAT64, CHAIN_FLOAT32, CHAIN_FLOAT64 };
enum failure { OK, NO_MEMORY, NO_THREAD, NO_CPU, WRONG };

struct line {
    struct line *next;
    char rest[LINE - sizeof(struct line *)];
};

struct job {
    enum kernel kernel;
    int64_t bytes, passes;
    int cpu, threads;
    atomic_int *ready;
    enum failure failure;
    struct timespec begun, ended;
};

/* The whole buffer `passes` times. Its words are all 1, so that the sum is known. */
static uint64_t read_words(const words *data, int64_t count, int64_t passes) {
    words sums[STREAMS] = {{0}};
    for (int64_t pass = 0; pass < passes; pass++) {
        for (int64_t i = 0; i < count; i += STREAMS) {
#pragma GCC unroll 8
            for (int k = 0; k < STREAMS; k++) sums[k] += data[i + k];
        }
        __asm__ volatile("" ::: "memory"); /* each pass reads again */
    }
    uint64_t total = 0;
    for (int k = 0; k < STREAMS; k++)
        for (unsigned lane = 0; lane < VECTOR / 8; lane++) total += sums[k][lane];
    return total;
}

static void copy(double *restrict to, const double *restrict from, int64_t count, int64_t passes) {
    for (int64_t pass = 0; pass < passes; pass++) {
        for (int64_t i = 0; i < count; i++) to[i] = from[i];
        __asm__ volatile("" ::: "memory");
    }
}

static void triad(double *restrict a, const double *restrict b, const double *restrict c, int64_t count, double scale,
                  int64_t passes) {
    for (int64_t pass = 0; pass < passes; pass++) {
        for (int64_t i = 0; i < count; i++) a[i] = b[i] + scale * c[i];
        __asm__ volatile("" ::: "memory");
    }
}

/* x <- x * 1/2 + 1/2 has the fixed point 1 and reaches it within the digits of the type. The constants are read at run
 * time, so that nothing can be computed beforehand. */
#define CHAIN(name, type, vector, count)                                                                             \
    static int name(int64_t passes) {                                                                                \
        volatile type half = (type)0.5;                                                                              \
        type given = half;                                                                                           \
        vector factor, x[count];                                                                                     \
        for (unsigned lane = 0; lane < sizeof(vector) / sizeof(type); lane++) factor[lane] = given;                  \
        for (int k = 0; k < count; k++) x[k] = factor * (type)k;                                                     \
        for (int64_t pass = 0; pass < passes; pass++) {                                                              \
            _Pragma("GCC unroll 32") for (int k = 0; k < count; k++) x[k] = x[k] * factor + factor;                  \
        }                                                                                                            \
        int right = 1;                                                                                               \
        for (int k = 0; k < count; k++)                                                                              \
            for (unsigned lane = 0; lane < sizeof(vector) / sizeof(type); lane++)                                    \
                right &= x[k][lane] > (type)0.999 && x[k][lane] < (type)1.001;                                       \
        return right;                                                                                                \
    }
CHAIN(fma_float32, float, floats, CHAINS)
CHAIN(fma_float64, double, doubles, CHAINS)
CHAIN(chain_float32, float, floats, 1)
CHAIN(chain_float64, double, doubles, 1)

/* One cycle through all lines in random order (Sattolo 1986), so that no prefetcher can tell the next. */
static int link_lines(struct line *lines, int64_t count) {
    uint32_t *order = malloc(count * sizeof *order);
    if (!order) return 0;
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (int64_t i = 0; i < count; i++) order[i] = (uint32_t)i;
    for (int64_t i = count - 1; i > 0; i--) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        int64_t j = (int64_t)(state % (uint64_t)i);
        uint32_t other = order[i];
        order[i] = order[j], order[j] = other;
    }
    for (int64_t i = 0; i < count; i++) lines[i].next = &lines[order[i]];
    free(order);
    return 1;
}

static const struct line *chase(const struct line *at, int64_t steps) {
    for (int64_t i = 0; i < steps; i++) at = at->next;
    return at;
}

static void wait_for_all(struct job *job) {
    atomic_fetch_add(job->ready, 1);
    while (atomic_load(job->ready) < job->threads) {
    }
}

#define TIMED(statement)                                                                                             \
    do {                                                                                                             \
        wait_for_all(job);                                                                                           \
        clock_gettime(CLOCK_MONOTONIC, &job->begun);                                                                 \
        statement;                                                                                                   \
        clock_gettime(CLOCK_MONOTONIC, &job->ended);                                                                 \
    } while (0)

static enum failure stream(struct job *job, void *memory) {
    int64_t part, block = STREAMS * VECTOR;
    switch (job->kernel) {
    case READ: {
        part = job->bytes / block * block;
        uint64_t *values = memory, sum;
        for (int64_t i = 0; i < part / 8; i++) values[i] = 1;
        (void)read_words(memory, part / VECTOR, 1);
        TIMED(sum = read_words(memory, part / VECTOR, job->passes));
        return sum == (uint64_t)(part / 8 * job->passes) ? OK : WRONG;
    }
    case COPY: {
        part = job->bytes / 2 / block * block / 8;
        double *from = memory, *to = from + part;
        for (int64_t i = 0; i < part; i++) from[i] = (double)i, to[i] = 0;
        copy(to, from, part, 1);
        TIMED(copy(to, from, part, job->passes));
        return to[part - 1] == (double)(part - 1) ? OK : WRONG;
    }
    case TRIAD: {
        part = job->bytes / 3 / block * block / 8;
        double *b = memory, *c = b + part, *a = c + part;
        for (int64_t i = 0; i < part; i++) a[i] = 0, b[i] = 1, c[i] = (double)i;
        triad(a, b, c, part, 3, 1);
        TIMED(triad(a, b, c, part, 3, job->passes));
        return a[part - 1] == 3 * (double)(part - 1) + 1 ? OK : WRONG;
    }
    default: {
        struct line *lines = memory;
        int64_t count = job->bytes / LINE;
        if (!link_lines(lines, count)) {
            atomic_fetch_add(job->ready, 1);
            return NO_MEMORY;
        }
        const struct line *at = chase(lines, count < (1 << 16) ? count : (1 << 16));
        TIMED(at = chase(at, job->passes));
        return at >= lines && at < lines + count ? OK : WRONG;
    }
    }
}

static void *work(void *given) {
    struct job *job = given;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(job->cpu, &set);
    int bound = sched_setaffinity(0, sizeof set, &set) == 0;
    void *memory = NULL;
    if (!bound || (job->kernel <= CHASE && posix_memalign(&memory, 4096, (size_t)job->bytes + 4096) != 0)) {
        job->failure = bound ? NO_MEMORY : NO_CPU;
        atomic_fetch_add(job->ready, 1); /* the others must not wait for ever */
        return NULL;
    }
    int right = 0;
    switch (job->kernel) {
    case FMA_FLOAT32: TIMED(right = fma_float32(job->passes)); break;
    case FMA_FLOAT64: TIMED(right = fma_float64(job->passes)); break;
    case CHAIN_FLOAT32: TIMED(right = chain_float32(job->passes)); break;
    case CHAIN_FLOAT64: TIMED(right = chain_float64(job->passes)); break;
    default: job->failure = stream(job, memory); free(memory); return NULL;
    }
    job->failure = right ? OK : WRONG;
    return NULL;
}

static double seconds(struct timespec time) { return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec; }

/* Run one kernel on the CPUs given, one thread each. `bytes` is the working set of a thread, `passes` how often it goes
 * through it (of CHASE: how many loads; of the chains: how many steps). Returns enum failure. */
int steelyard_sample(int kernel, int64_t bytes, int64_t passes, int threads, const int *cpus, double *taken_s) {
    struct job *jobs = calloc((size_t)threads, sizeof *jobs);
    pthread_t *handles = calloc((size_t)threads, sizeof *handles);
    atomic_int ready = 0;
    enum failure failure = jobs && handles ? OK : NO_MEMORY;
    int started = 0;
    for (; failure == OK && started < threads; started++) {
        jobs[started] = (struct job){kernel, bytes, passes, cpus[started], threads, &ready, OK, {0, 0}, {0, 0}};
        if (pthread_create(&handles[started], NULL, work, &jobs[started]) != 0) {
            failure = NO_THREAD;
            break;
        }
    }
    if (failure != OK) atomic_store(&ready, threads);
    double begun = 0, ended = 0;
    for (int i = 0; i < started; i++) {
        pthread_join(handles[i], NULL);
        if (jobs[i].failure != OK) failure = jobs[i].failure;
        if (i == 0 || seconds(jobs[i].begun) < begun) begun = seconds(jobs[i].begun);
        if (i == 0 || seconds(jobs[i].ended) > ended) ended = seconds(jobs[i].ended);
    }
    *taken_s = ended - begun;
    free(jobs);
    free(handles);
    return failure;
}

int steelyard_vector_bytes(void) { return VECTOR; }
int steelyard_chains(void) { return CHAINS; }
int steelyard_block_bytes(void) { return STREAMS * VECTOR; }
