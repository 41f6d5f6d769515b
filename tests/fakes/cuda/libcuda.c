/* A stand-in for libcuda.so.1: one device with a cache, whose memory is written and waited for in a current context.
 *
 * STEELYARD_STUB_L2 is the size of the L2 cache in bytes; 0 by default, as a driver that tells none. What was asked
 * for is counted: stub_writes(), stub_waits(), stub_bytes() of the last write, and stub_depth(), the contexts that
 * were pushed and not popped. Memory is refused and written only inside a context.
 */
#include <stddef.h>
#include <stdlib.h>

typedef int result;
enum { OK = 0, INVALID_VALUE = 1, NOT_INITIALIZED = 3, INVALID_DEVICE = 101, INVALID_CONTEXT = 201 };
static int initialized, depth, writes, waits;
static size_t allocated, bytes;
static char primary;

int stub_writes(void) { return writes; }
int stub_waits(void) { return waits; }
int stub_depth(void) { return depth; }
long stub_bytes(void) { return (long)bytes; }

result cuInit(unsigned flags) { initialized = 1; return flags ? INVALID_VALUE : OK; }
result cuDeviceGet(int *device, int index) {
    if (!initialized) return NOT_INITIALIZED;
    *device = 7;
    return index ? INVALID_DEVICE : OK;
}
result cuDeviceGetAttribute(int *out, int attribute, int device) {
    const char *size = getenv("STEELYARD_STUB_L2");
    if (attribute != 38 || device != 7) return INVALID_VALUE;
    *out = size ? atoi(size) : 0;
    return OK;
}
result cuDevicePrimaryCtxRetain(void **context, int device) { *context = &primary; return device == 7 ? OK : INVALID_DEVICE; }
result cuCtxPushCurrent_v2(void *context) { depth++; return context == &primary ? OK : INVALID_CONTEXT; }
result cuCtxPopCurrent_v2(void **context) { depth--; *context = &primary; return OK; }
result cuMemAlloc_v2(unsigned long long *pointer, size_t size) {
    if (!depth) return INVALID_CONTEXT;
    allocated = size;
    *pointer = 0x7f0000000000ull;
    return OK;
}
result cuMemsetD8_v2(unsigned long long pointer, unsigned char value, size_t size) {
    if (!depth || value) return INVALID_CONTEXT;
    if (pointer != 0x7f0000000000ull || size > allocated) return INVALID_VALUE;
    writes++, bytes = size;
    return OK;
}
result cuCtxSynchronize(void) { waits++; return depth ? OK : INVALID_CONTEXT; }
