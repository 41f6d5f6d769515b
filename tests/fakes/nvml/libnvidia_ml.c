/* A stand-in for libnvidia-ml.so.1, loaded by the real nvidia-ml-py in tests.
 *
 * Build it with tests.fakes.nvml.build(directory); start a child process with that directory on LD_LIBRARY_PATH, or
 * load the file with ctypes.CDLL first, after which the binding finds it by its soname.
 *
 * STEELYARD_STUB_NVML holds its boards as `key=value` pairs separated by `;`. `N.key` is of board N alone. Without
 * the variable nvmlInit answers "library not found", as where there is no driver.
 *
 *   devices=1              number of boards
 *   name=Stub H100         uuid=GPU-stub-0     pci=00000000:01:00.0   driver=570.00   cuda=12080
 *   memory=85899345920     (bytes)             memory_used=0          compute=9.0     vbios=96.00
 *   watts=100              the profile of the power: a number;
 *                          square:LOW:HIGH:SECONDS (a period), ramp:FROM:TO:SECONDS (then it stays),
 *                          load:IDLE:BUSY (IDLE always, BUSY-IDLE for every second of this process's CPU time)
 *   sensor=1               what the power that is told beside the counter shows of it
 *   update_ms=20           the counter and the power move at multiples of it
 *   joules=1000            what the counter holds at the clock's zero
 *   reset_at=SECONDS       the counter begins again at zero there
 *   limit=700 default_limit=700 sm_clock=1980 memory_clock=2619 temperature=40 processes=0 reasons=1
 *   slowed=0               the share of the time for which the power cap is counted to have held the clocks down
 *   persistence=1 ecc=1 mig=0 (mig=2: split into two instances)
 *   energy=not_supported   and so for any function: energy, power, instant, ecc, mig, clock, limit, temperature,
 *                          persistence, processes, reasons, slowed, vbios, compute, memory, uuid, init; the value is a word
 *                          (not_supported, no_permission, gpu_lost, unknown, driver_not_loaded) or NVML's number
 *
 * The clock is CLOCK_MONOTONIC, unless a test has set it with stub_set_time_ns(ns), which also serves virtual time.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int ret;
typedef struct { int board, instance; } handle;
enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, TOO_SMALL = 7, DRIVER_NOT_LOADED = 9,
       LIBRARY_NOT_FOUND = 12, GPU_LOST = 15, UNKNOWN = 999 };
enum { MOST = 16, PARTS = 7 };

static handle boards[MOST], instances[MOST][PARTS];
static int64_t virtual_ns = -1;

void stub_set_time_ns(int64_t ns) { virtual_ns = ns; }

static double seconds(clockid_t which) {
    struct timespec t;
    clock_gettime(which, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double now(void) { return virtual_ns >= 0 ? virtual_ns * 1e-9 : seconds(CLOCK_MONOTONIC); }

/* The value of a key in the variable, copied into `out`; the board's own before that of all boards. */
static const char *find(int board, const char *key, char *out, size_t size) {
    const char *text = getenv("STEELYARD_STUB_NVML");
    char own[64];
    snprintf(own, sizeof own, "%d.%s", board, key);
    for (int pass = 0; text && pass < 2; pass++) {
        const char *wanted = pass ? key : own;
        size_t length = strlen(wanted);
        for (const char *at = text; *at; at += strcspn(at, ";"), at += *at == ';') {
            if (strncmp(at, wanted, length) || at[length] != '=') continue;
            size_t count = strcspn(at + length + 1, ";");
            if (count >= size) count = size - 1;
            memcpy(out, at + length + 1, count);
            out[count] = 0;
            return out;
        }
    }
    return NULL;
}

static double number(int board, const char *key, double otherwise) {
    char text[256];
    return find(board, key, text, sizeof text) ? atof(text) : otherwise;
}

/* What a function answers instead of a value, or OK: only words and bare error numbers of refusable functions count. */
static ret refused(handle *device, const char *key) {
    static const struct { const char *word; ret code; } words[] = {
        {"not_supported", NOT_SUPPORTED}, {"no_permission", NO_PERMISSION}, {"gpu_lost", GPU_LOST},
        {"unknown", UNKNOWN}, {"driver_not_loaded", DRIVER_NOT_LOADED}};
    char text[256];
    if (!device) return INVALID;
    if (!find(device->board, key, text, sizeof text)) return OK;
    for (size_t n = 0; n < sizeof words / sizeof *words; n++)
        if (!strcmp(text, words[n].word)) return words[n].code;
    if (!strcmp(key, "energy") || !strcmp(key, "power") || !strcmp(key, "instant") || !strcmp(key, "init"))
        return atoi(text);
    return OK;
}

static ret copied(int board, const char *key, const char *otherwise, char *out, unsigned size) {
    char text[256];
    snprintf(out, size, "%s", find(board, key, text, sizeof text) ? text : otherwise);
    return OK;
}

/* Joules since the clock's zero and watts at an instant, of the board's profile. */
static double profile(int board, double t, double *watts) {
    char text[256];
    double a = 0, b = 0, s = 1;
    if (!find(board, "watts", text, sizeof text)) strcpy(text, "100");
    if (sscanf(text, "square:%lf:%lf:%lf", &a, &b, &s) == 3) {
        double whole = (double)(int64_t)(t / s), rest = t - whole * s, half = s / 2;
        *watts = rest < half ? a : b;
        return whole * half * (a + b) + (rest < half ? rest * a : half * a + (rest - half) * b);
    }
    if (sscanf(text, "ramp:%lf:%lf:%lf", &a, &b, &s) == 3) {
        double u = t < s ? t : s;
        *watts = a + (b - a) * u / s;
        return a * u + (b - a) * u * u / (2 * s) + (t - u) * b;
    }
    if (sscanf(text, "load:%lf:%lf", &a, &b) == 2) {
        static double before_t, before_busy, drawn; /* at one edge of the period the power stays what it was */
        double busy = seconds(CLOCK_PROCESS_CPUTIME_ID);
        if (t > before_t) {
            drawn = a + (b - a) * (busy - before_busy) / (t - before_t);
            before_t = t, before_busy = busy;
        }
        *watts = drawn;
        return a * t + (b - a) * busy;
    }
    *watts = atof(text);
    return *watts * t;
}

/* The counter as a board shows it: it moves at multiples of its period, and may have begun again. */
static double shown(int board, double *watts) {
    double period = number(board, "update_ms", 20) * 1e-3, t = now(), reset = number(board, "reset_at", -1), unused;
    double edge = period > 0 ? (double)(int64_t)(t / period + 1e-9) * period : t;
    double joules = number(board, "joules", 1000) + profile(board, edge, watts);
    return reset >= 0 && edge >= reset ? joules - number(board, "joules", 1000) - profile(board, reset, &unused)
                                       : joules;
}

static int count(void) { int n = (int)number(0, "devices", 1); return n < MOST ? n : MOST; }

/* `load` profiles must not go backwards when two edges fall together: the larger value is kept. */
static uint64_t millijoules(int board, double *watts) {
    static uint64_t highest[MOST];
    char text[256];
    uint64_t value = (uint64_t)(shown(board, watts) * 1e3);
    if (!find(board, "watts", text, sizeof text) || strncmp(text, "load", 4)) return value;
    static double edges[MOST];
    double period = number(board, "update_ms", 20) * 1e-3, edge = (double)(int64_t)(now() / period);
    if (edge == edges[board]) return highest[board];
    edges[board] = edge;
    return highest[board] = value;
}

#define REFUSED(key) do { ret no = refused(device, key); if (no) return no; } while (0)

ret nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    if (!getenv("STEELYARD_STUB_NVML")) return LIBRARY_NOT_FOUND;
    handle any = {0, -1};
    ret no = refused(&any, "init");
    if (no) return no;
    for (int n = 0; n < MOST; n++) {
        boards[n] = (handle){n, -1};
        for (int part = 0; part < PARTS; part++) instances[n][part] = (handle){n, part};
    }
    return OK;
}
ret nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
ret nvmlShutdown(void) { return OK; }

const char *nvmlErrorString(ret code) {
    switch (code) {
    case OK: return "Success";
    case INVALID: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NO_PERMISSION: return "Insufficient Permissions";
    case NOT_FOUND: return "Not Found";
    case TOO_SMALL: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case LIBRARY_NOT_FOUND: return "NVML Shared Library Not Found";
    case GPU_LOST: return "GPU is lost";
    default: return "Unknown Error";
    }
}

ret nvmlSystemGetDriverVersion(char *out, unsigned size) { return copied(0, "driver", "570.00", out, size); }
ret nvmlSystemGetNVMLVersion(char *out, unsigned size) { return copied(0, "nvml", "12.570.00", out, size); }
ret nvmlSystemGetCudaDriverVersion(int *out) { *out = (int)number(0, "cuda", 12080); return OK; }
ret nvmlSystemGetCudaDriverVersion_v2(int *out) { return nvmlSystemGetCudaDriverVersion(out); }

ret nvmlDeviceGetCount_v2(unsigned *out) { *out = (unsigned)count(); return OK; }
ret nvmlDeviceGetHandleByIndex_v2(unsigned index, handle **out) {
    if (index >= (unsigned)count()) return INVALID;
    *out = &boards[index];
    return OK;
}
ret nvmlDeviceGetIndex(handle *device, unsigned *out) { REFUSED("index"); *out = (unsigned)device->board; return OK; }
ret nvmlDeviceGetUUID(handle *device, char *out, unsigned size) {
    char otherwise[64];
    REFUSED("uuid");
    if (device->instance >= 0) {
        snprintf(out, size, "MIG-stub-%d-%d", device->board, device->instance);
        return OK;
    }
    snprintf(otherwise, sizeof otherwise, "GPU-stub-%d", device->board);
    return copied(device->board, "uuid", otherwise, out, size);
}
ret nvmlDeviceGetHandleByUUID(const char *uuid, handle **out) {
    char found[96];
    for (int n = 0; n < count(); n++) {
        nvmlDeviceGetUUID(&boards[n], found, sizeof found);
        if (!strcmp(found, uuid)) { *out = &boards[n]; return OK; }
    }
    return NOT_FOUND;
}
ret nvmlDeviceGetName(handle *device, char *out, unsigned size) {
    REFUSED("name");
    return copied(device->board, "name", "Stub H100", out, size);
}

typedef struct {
    char legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char id[32];
} pci;
ret nvmlDeviceGetPciInfo_v3(handle *device, pci *out) {
    char otherwise[32];
    REFUSED("pci");
    memset(out, 0, sizeof *out);
    snprintf(otherwise, sizeof otherwise, "00000000:%02X:00.0", device->board + 1);
    copied(device->board, "pci", otherwise, out->id, sizeof out->id);
    sscanf(out->id, "%x:%x:%x", &out->domain, &out->bus, &out->device);
    snprintf(out->legacy, sizeof out->legacy, "%.15s", out->id + 4);
    return OK;
}
ret nvmlDeviceGetHandleByPciBusId_v2(const char *id, handle **out) {
    pci found;
    for (int n = 0; n < count(); n++)
        if (!nvmlDeviceGetPciInfo_v3(&boards[n], &found) && !strcmp(found.id, id)) { *out = &boards[n]; return OK; }
    return NOT_FOUND;
}

typedef struct { unsigned long long total, free, used; } memory;
ret nvmlDeviceGetMemoryInfo(handle *device, memory *out) {
    REFUSED("memory");
    out->total = (unsigned long long)number(device->board, "memory", 85899345920.0);
    out->used = (unsigned long long)number(device->board, "memory_used", 0);
    out->free = out->total - out->used;
    return OK;
}
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
ret nvmlDeviceGetMemoryInfo_v2(handle *device, memory_v2 *out) {
    memory plain;
    ret no = nvmlDeviceGetMemoryInfo(device, &plain);
    if (no) return no;
    out->total = plain.total, out->reserved = 0, out->free = plain.free, out->used = plain.used;
    return OK;
}

ret nvmlDeviceGetCudaComputeCapability(handle *device, int *major, int *minor) {
    char text[256];
    REFUSED("compute");
    if (!find(device->board, "compute", text, sizeof text)) strcpy(text, "9.0");
    *major = *minor = 0;
    return sscanf(text, "%d.%d", major, minor) == 2 ? OK : INVALID;
}
ret nvmlDeviceGetVbiosVersion(handle *device, char *out, unsigned size) {
    REFUSED("vbios");
    return copied(device->board, "vbios", "96.00", out, size);
}

static ret megahertz(handle *device, int kind, unsigned *out) {
    REFUSED("clock");
    if (kind == 2) *out = (unsigned)number(device->board, "memory_clock", 2619);
    else *out = (unsigned)number(device->board, "sm_clock", 1980);
    return OK;
}
ret nvmlDeviceGetClockInfo(handle *device, int kind, unsigned *out) { return megahertz(device, kind, out); }
ret nvmlDeviceGetMaxClockInfo(handle *device, int kind, unsigned *out) { return megahertz(device, kind, out); }
ret nvmlDeviceGetApplicationsClock(handle *device, int kind, unsigned *out) { return megahertz(device, kind, out); }

static ret milliwatts(handle *device, const char *key, double otherwise, unsigned *out) {
    REFUSED("limit");
    *out = (unsigned)(number(device->board, key, otherwise) * 1e3);
    return OK;
}
ret nvmlDeviceGetEnforcedPowerLimit(handle *device, unsigned *out) { return milliwatts(device, "limit", 700, out); }
ret nvmlDeviceGetPowerManagementLimit(handle *device, unsigned *out) { return milliwatts(device, "limit", 700, out); }
ret nvmlDeviceGetPowerManagementDefaultLimit(handle *device, unsigned *out) {
    return milliwatts(device, "default_limit", 700, out);
}
ret nvmlDeviceGetPowerManagementLimitConstraints(handle *device, unsigned *low, unsigned *high) {
    REFUSED("limit");
    *low = 100000, *high = (unsigned)(number(device->board, "default_limit", 700) * 1e3);
    return OK;
}

ret nvmlDeviceGetTotalEnergyConsumption(handle *device, unsigned long long *out) {
    double watts;
    REFUSED("energy");
    *out = millijoules(device->board, &watts);
    return OK;
}
ret nvmlDeviceGetPowerUsage(handle *device, unsigned *out) {
    double watts;
    REFUSED("power");
    shown(device->board, &watts);
    *out = (unsigned)(watts * number(device->board, "sensor", 1) * 1e3);
    return OK;
}
typedef struct {
    unsigned field, scope;
    long long timestamp, latency_us;
    int type;
    ret code;
    union { double real; unsigned u; unsigned long long ull; } value;
} field_value;
ret nvmlDeviceGetFieldValues(handle *device, int size, field_value *out) {
    for (int n = 0; n < size; n++) {
        double watts;
        out[n].timestamp = (long long)(now() * 1e6), out[n].latency_us = 0, out[n].type = 1, out[n].code = OK;
        switch (out[n].field) {
        case 83:
            out[n].type = 3, out[n].code = refused(device, "energy");
            out[n].value.ull = millijoules(device->board, &watts);
            break;
        case 185:
            out[n].code = nvmlDeviceGetPowerUsage(device, &out[n].value.u);
            break;
        case 186:
            out[n].code = refused(device, "instant");
            if (!out[n].code) out[n].code = nvmlDeviceGetPowerUsage(device, &out[n].value.u);
            break;
        case 74:
            out[n].type = 3, out[n].code = refused(device, "slowed");
            out[n].value.ull = (unsigned long long)(number(device->board, "slowed", 0) * now() * 1e9);
            break;
        default: out[n].code = NOT_SUPPORTED;
        }
    }
    return OK;
}

ret nvmlDeviceGetTemperature(handle *device, int sensor, unsigned *out) {
    REFUSED("temperature");
    (void)sensor;
    *out = (unsigned)number(device->board, "temperature", 40);
    return OK;
}
typedef struct { unsigned version, sensor; int celsius; } temperature;
ret nvmlDeviceGetTemperatureV(handle *device, temperature *out) {
    unsigned celsius;
    ret no = nvmlDeviceGetTemperature(device, 0, &celsius);
    if (!no) out->celsius = (int)celsius;
    return no;
}
ret nvmlDeviceGetPersistenceMode(handle *device, int *out) {
    REFUSED("persistence");
    *out = (int)number(device->board, "persistence", 1);
    return OK;
}
ret nvmlDeviceGetEccMode(handle *device, int *current, int *pending) {
    REFUSED("ecc");
    *current = *pending = (int)number(device->board, "ecc", 1);
    return OK;
}
ret nvmlDeviceGetCurrentClocksEventReasons(handle *device, unsigned long long *out) {
    REFUSED("reasons");
    *out = (unsigned long long)number(device->board, "reasons", 1);
    return OK;
}
ret nvmlDeviceGetCurrentClocksThrottleReasons(handle *device, unsigned long long *out) {
    return nvmlDeviceGetCurrentClocksEventReasons(device, out);
}
typedef struct { unsigned pid; unsigned long long bytes; unsigned instance, compute; } process;
ret nvmlDeviceGetComputeRunningProcesses_v3(handle *device, unsigned *size, process *out) {
    REFUSED("processes");
    unsigned found = (unsigned)number(device->board, "processes", 0), room = *size;
    *size = found;
    if (found > room || (found && !out)) return TOO_SMALL;
    for (unsigned n = 0; n < found; n++) out[n] = (process){1000000 + n, 1 << 20, 0xffffffff, 0xffffffff};
    return OK;
}

ret nvmlDeviceGetMigMode(handle *device, unsigned *current, unsigned *pending) {
    REFUSED("mig");
    *current = *pending = number(device->board, "mig", 0) > 0;
    return OK;
}
ret nvmlDeviceGetMaxMigDeviceCount(handle *device, unsigned *out) { REFUSED("mig"); *out = PARTS; return OK; }
ret nvmlDeviceGetMigDeviceHandleByIndex(handle *device, unsigned index, handle **out) {
    REFUSED("mig");
    if (index >= PARTS || index >= number(device->board, "mig", 0)) return NOT_FOUND;
    *out = &instances[device->board][index];
    return OK;
}
ret nvmlDeviceIsMigDeviceHandle(handle *device, unsigned *out) { *out = device->instance >= 0; return OK; }
ret nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle *device, handle **out) {
    *out = &boards[device->board];
    return OK;
}
ret nvmlDeviceGetGpuInstanceId(handle *device, unsigned *out) {
    if (device->instance < 0) return INVALID;
    *out = (unsigned)device->instance + 1;
    return OK;
}
ret nvmlDeviceGetComputeInstanceId(handle *device, unsigned *out) {
    if (device->instance < 0) return INVALID;
    *out = 0;
    return OK;
}
