"""What machines with accelerators printed, as others recorded and published it.

AMD: files of /sys/class/kfd/kfd/topology in `testdata` of github.com/ROCm/k8s-device-plugin: `topology-parsing` (a
board of 2017, an older kernel), `topo-mi210-xgmi-pcie`, `topo-mi300-cpx` and `topology-parsing-mi308` (boards in
parts). `amdsmi_get_energy_count` twice on an MI100 under load: github.com/AMDResearch/hpcfund, issue 21.
Google: /sys and /dev/vfio of a TPU v6e machine: github.com/ray-project/ray, pull request 65105; JAX's `memory_stats` of
a TPU, twice: github.com/jax-ml/jax, issue 1491.
"""

VEGA = """cpu_cores_count 0
simd_count 256
mem_banks_count 1
caches_count 96
io_links_count 1
cpu_core_id_base 0
simd_id_base 2147487744
max_waves_per_simd 10
lds_size_in_kb 64
gds_size_in_kb 0
wave_front_size 64
array_count 4
simd_arrays_per_engine 1
cu_per_simd_array 16
simd_per_cu 4
max_slots_scratch_cu 32
vendor_id 4098
device_id 26720
location_id 6400
drm_render_minor 128
max_engine_clk_fcompute 1500
local_mem_size 17163091968
fw_version 392
capability 8832
sdma_fw_version 421
unique_id 14073402507705256556
max_engine_clk_ccompute 3200
"""
VEGA_BANK = """heap_type 1
size_in_bytes 17163091968
flags 0
width 2048
mem_clk_max 945
"""

MI210 = """cpu_cores_count 0
simd_count 416
mem_banks_count 1
caches_count 217
io_links_count 4
p2p_links_count 5
cpu_core_id_base 0
simd_id_base 2147487744
max_waves_per_simd 8
lds_size_in_kb 64
gds_size_in_kb 0
num_gws 64
wave_front_size 64
array_count 8
simd_arrays_per_engine 1
cu_per_simd_array 14
simd_per_cu 4
max_slots_scratch_cu 32
gfx_target_version 90010
vendor_id 4098
device_id 29711
location_id 25344
domain 0
drm_render_minor 128
hive_id 12609507387757274807
num_sdma_engines 2
num_sdma_xgmi_engines 3
num_sdma_queues_per_engine 8
num_cp_queues 24
max_engine_clk_fcompute 1700
local_mem_size 0
fw_version 92
capability 746037888
debug_prop 470
sdma_fw_version 9
unique_id 1801979520617338022
num_xcc 1
max_engine_clk_ccompute 2450
"""

MI300X_PART = """cpu_cores_count 0
simd_count 152
mem_banks_count 1
caches_count 80
io_links_count 63
p2p_links_count 1
cpu_core_id_base 0
simd_id_base 2147488064
max_waves_per_simd 8
lds_size_in_kb 64
gds_size_in_kb 0
num_gws 64
wave_front_size 64
array_count 4
simd_arrays_per_engine 1
cu_per_simd_array 10
simd_per_cu 4
max_slots_scratch_cu 32
gfx_target_version 90402
vendor_id 4098
device_id 29857
location_id 1280
domain 0
drm_render_minor 128
hive_id 15188982192727901047
num_sdma_engines 2
num_sdma_xgmi_engines 0
num_sdma_queues_per_engine 8
num_cp_queues 24
max_engine_clk_fcompute 2100
local_mem_size 0
fw_version 177
capability 2893521536
debug_prop 1511
sdma_fw_version 24
unique_id 16404946649897475633
num_xcc 1
max_engine_clk_ccompute 2750
"""
"""Part 0 of the first board. Of a board's eight parts each has the location and the minor number one above the last."""

MI308X_PART = """cpu_cores_count 0
simd_count 80
simd_per_cu 4
gfx_target_version 90402
vendor_id 4098
device_id 29858
location_id 2561
domain 0
drm_render_minor 129
max_engine_clk_fcompute 1420
unique_id 598046273873802902
num_xcc 1
"""
"""Part 1 of its board, shortened."""

PROCESSORS = """cpu_cores_count 112
simd_count 0
mem_banks_count 1
simd_per_cu 0
gfx_target_version 0
vendor_id 0
device_id 0
location_id 0
domain 0
drm_render_minor 0
max_engine_clk_ccompute 3800
"""
"""The node of a socket, shortened."""

MI100_ENERGY = ({"power": 8152136, "counter_resolution": 15.300000190734863, "timestamp": 3824190842400799},) * 2

TPU_V6E = {f"0000:00:0{place}.0": ("0x1ae0", "0x006f") for place in (4, 5, 6, 7)}
TPU_V6E_FILES = ("0", "1", "2", "3", "vfio")
"""Vendor and device by PCI address; what lies in /dev/vfio."""

TPU_MEMORY = (
    {
        "bytes_in_use": 12288,
        "bytes_limit": 33014415360,
        "bytes_reservable_limit": 33014415360,
        "bytes_reserved": 0,
        "largest_alloc_size": 12288,
        "largest_free_block_bytes": 33014403072,
        "num_allocs": 1,
        "peak_bytes_in_use": 12288,
        "peak_bytes_reserved": 0,
    },
    {
        "bytes_in_use": 76288,
        "bytes_limit": 33014415360,
        "bytes_reservable_limit": 33014415360,
        "bytes_reserved": 0,
        "largest_alloc_size": 40960,
        "largest_free_block_bytes": 33014338560,
        "num_allocs": 3,
        "peak_bytes_in_use": 76800,
        "peak_bytes_reserved": 0,
    },
)
"""Before and after an array of 40,000 bytes was made. Which TPU it was is not said; one of 30.7 GiB."""
