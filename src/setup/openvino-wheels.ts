/** The pinned wheel that contains OpenVINO's C library: one per platform. */
import { OPENVINO_FOLDER } from '../engine/openvino/files.js';
import type { LibrarySource } from './tensorflow-wheels.js';

/** The C library, the reader of ONNX, and the plugins of CPUs and of Intel's graphics; no Python and no other readers. */
const MEMBERS = [
  'openvino/libs/libopenvino.so.*',
  'openvino/libs/libopenvino_c.so.*',
  'openvino/libs/libopenvino_onnx_frontend.so.*',
  'openvino/libs/libopenvino_intel_cpu_plugin.so',
  'openvino/libs/libopenvino_arm_cpu_plugin.so',
  'openvino/libs/libopenvino_intel_gpu_plugin.so',
  'openvino/libs/cache.json',
  'openvino/libs/libtbb*.so.*',
  'openvino/libs/libhwloc.so.*',
  'openvino-*.dist-info/licenses/*',
];

const SOURCES: Record<string, LibrarySource> = {
  'linux-x64': {
    name: OPENVINO_FOLDER,
    downloadBytes: 59e6,
    diskBytes: 350e6,
    wheels: [
      {
        file: 'openvino-2026.4.0-22959-cp312-cp312-manylinux_2_28_x86_64.whl',
        sha256: '75245768f656afffd49078cee55b50b9501bb6778798aec3cc30e5613a86e370',
        members: MEMBERS,
      },
    ],
  },
  'linux-arm64': {
    name: OPENVINO_FOLDER,
    downloadBytes: 30e6,
    diskBytes: 250e6,
    wheels: [
      {
        file: 'openvino-2026.4.0-22959-cp312-cp312-manylinux_2_35_aarch64.whl',
        sha256: 'cf2e8b12fd08588a69b11a8d2fe48c4373fb96eec28564dfc4754062c3f90439',
        members: MEMBERS,
      },
    ],
  },
};

/** The wheel for this platform, or `null` if none is published. */
export function openvinoSource(platform = process.platform, arch = process.arch): LibrarySource | null {
  return SOURCES[`${platform}-${arch}`] ?? null;
}
