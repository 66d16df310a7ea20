/** The pinned wheels that contain TensorFlow's C library: one table per platform. */
import type { Wheel } from './wheel.js';

/** A TensorFlow library for the addon. */
export interface LibrarySource {
  /** Folder name in the cache. */
  readonly name: string;
  readonly wheels: readonly Wheel[];
  /** Largest disk space for fetching and unpacking, in bytes. */
  readonly diskBytes: number;
  /** Size of the download, in bytes. */
  readonly downloadBytes: number;
}

/** The two libraries, and the few of the 13,000 headers that the addon's sources include. */
const TENSORFLOW_MEMBERS = [
  'tensorflow/libtensorflow_*.so.2',
  'tensorflow/THIRD_PARTY_NOTICES.txt',
  'tensorflow/include/tensorflow/c/*.h',
  'tensorflow/include/tensorflow/core/platform/ctstring*.h',
  'tensorflow/include/tsl/platform/ctstring*.h',
  'tensorflow/include/xla/tsl/c/*.h',
];

/** Next to `tensorflow/`, as in site-packages: TensorFlow's run path is `../nvidia/NAME/lib`. */
const NVIDIA_MEMBERS = ['nvidia/*.so*', 'nvidia/cuda_nvcc/*'];

const tensorflow = (file: string, sha256: string): Wheel => ({ file, sha256, members: TENSORFLOW_MEMBERS });
const nvidia = (file: string, sha256: string): Wheel => ({ file, sha256, members: NVIDIA_MEMBERS });

const CPU: Record<string, LibrarySource> = {
  'linux-x64': {
    name: 'tensorflow-cpu-2.21.0',
    downloadBytes: 274e6,
    diskBytes: 1.2e9,
    wheels: [
      tensorflow(
        'tensorflow_cpu-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl',
        'dcc8afd32930e42d5296b6ee19078b773706830af4ea97fbe503b9f5e0f820cb',
      ),
    ],
  },
  'linux-arm64': {
    name: 'tensorflow-cpu-2.21.0',
    downloadBytes: 290e6,
    diskBytes: 1.4e9,
    wheels: [
      tensorflow(
        'tensorflow-2.21.0-cp312-cp312-manylinux_2_27_aarch64.whl',
        'b07d15737406533898e36c7ef7944b1be18e9028dc521b9229952c537bbc5552',
      ),
    ],
  },
};

/** The CUDA libraries are those of the wheel's extra `and-cuda`. */
const GPU: Record<string, LibrarySource> = {
  'linux-x64': {
    name: 'tensorflow-gpu-2.21.0',
    downloadBytes: 3.4e9,
    diskBytes: 6.5e9,
    wheels: [
      tensorflow(
        'tensorflow-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl',
        'b3b95643c4e70eb925839938fb35cbe142f317ec84af6844ee61513713bb13c0',
      ),
      nvidia(
        'nvidia_cublas_cu12-12.9.3.13-py3-none-manylinux_2_27_x86_64.whl',
        'd7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72',
      ),
      nvidia(
        'nvidia_cuda_cupti_cu12-12.8.90-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
        'ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182',
      ),
      nvidia(
        'nvidia_cuda_nvcc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
        '5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0',
      ),
      nvidia(
        'nvidia_cuda_nvrtc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
        '210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4',
      ),
      nvidia(
        'nvidia_cuda_runtime_cu12-12.9.79-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
        '25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3',
      ),
      nvidia(
        'nvidia_cudnn_cu12-9.28.0.42-py3-none-manylinux_2_27_x86_64.whl',
        '9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375',
      ),
      nvidia(
        'nvidia_cufft_cu12-11.4.1.4-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
        'c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28',
      ),
      nvidia(
        'nvidia_curand_cu12-10.3.10.19-py3-none-manylinux_2_27_x86_64.whl',
        '49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e',
      ),
      nvidia(
        'nvidia_cusolver_cu12-11.7.5.82-py3-none-manylinux_2_27_x86_64.whl',
        '15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88',
      ),
      nvidia(
        'nvidia_cusparse_cu12-12.5.10.65-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
        '73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78',
      ),
      nvidia(
        'nvidia_nccl_cu12-2.32.3-py3-none-manylinux_2_27_x86_64.whl',
        'bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c',
      ),
      nvidia(
        'nvidia_nvjitlink_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
        'e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9',
      ),
    ],
  },
};

/** The library for this platform, or null if none is published that the addon can be built against. */
export function librarySource(
  kind: 'cpu' | 'gpu',
  platform = process.platform,
  arch = process.arch,
): LibrarySource | null {
  // Wheels are built for glibc; on musl (Alpine) they do not load.
  if (platform === process.platform && platform === 'linux' && !usesGlibc()) return null;
  return (kind === 'gpu' ? GPU : CPU)[`${platform}-${arch}`] ?? null;
}

function usesGlibc(): boolean {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime !== undefined;
}
