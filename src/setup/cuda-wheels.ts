/** The pinned wheels of ONNX Runtime's CUDA provider and of the CUDA 13 libraries that it needs. */
import { CUDA_FOLDER, PROVIDER_FILES } from '../engine/onnxruntime/cuda-libraries.js';
import type { LibrarySource } from './tensorflow-wheels.js';
import type { Wheel } from './wheel.js';

/** The oldest driver that CUDA 13 runs with, and the oldest cards that the provider has code for (GTX 16xx, RTX 20xx). */
export const CUDA_NEEDS = { driver: 580, computeCapability: 7.5 } as const;

const nvidia = (file: string, sha256: string): Wheel => ({
  file,
  sha256,
  members: ['nvidia/*.so*', 'nvidia/*License*'],
});

/** The provider is of the same version as onnxruntime-node, and fits no other. TensorRT is left out. */
const LINUX_X64: LibrarySource = {
  name: CUDA_FOLDER,
  downloadBytes: 1.6e9,
  diskBytes: 3.7e9,
  wheels: [
    {
      file: 'onnxruntime_gpu-1.30.0-cp312-cp312-manylinux_2_28_x86_64.whl',
      sha256: '6acc0f4b3d5ac5f2984432faa59dd8fcce6775f8b43a7140afa0f322c7a703b1',
      members: PROVIDER_FILES.map((file) => `onnxruntime/capi/${file}`),
    },
    nvidia(
      'nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
      '7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548',
    ),
    nvidia(
      'nvidia_cublas-13.0.2.14-py3-none-manylinux_2_27_x86_64.whl',
      '0cf238ffdbe46c00cb9aa98e7bca745c223a5ca5a53e686ac8b3e5a08fe80d6c',
    ),
    nvidia(
      'nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
      'ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575',
    ),
    nvidia(
      'nvidia_nvjitlink-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
      '13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b',
    ),
    nvidia(
      'nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_x86_64.whl',
      '1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc',
    ),
    nvidia(
      'nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
      '6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3',
    ),
    nvidia(
      'nvidia_cudnn_cu13-9.28.1.4-py3-none-manylinux_2_27_x86_64.whl',
      'a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec',
    ),
  ],
};

/** The wheels for this platform, or `null` if none are published that fit onnxruntime-node. */
export function cudaSource(platform = process.platform, arch = process.arch): LibrarySource | null {
  return platform === 'linux' && arch === 'x64' ? LINUX_X64 : null;
}
