/** Faults of the driver and the card, in the words in which ONNX Runtime 1.30 reports them (recorded from its CUDA provider over false CUDA libraries). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { driverFault } from '../../../src/engine/onnxruntime/driver-fault.js';
import { ortError } from '../../../src/engine/onnxruntime/session.js';

const PLACE =
  '/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW = true; SUCCTYPE = cudaError; std::conditional_t<THRW, void, common::Status> = void] ';
const END =
  ' ; GPU=0 ; hostname=host ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider.cc ; line=400 ; expr=cudaSetDevice(info_.device_id); \n\n';
const GEMM = "Non-zero status code returned while running Gemm node. Name:'/layers.0/MatMul' Status Message: ";

const CUDA: readonly (readonly [words: string, code: string, remedy: RegExp])[] = [
  [
    `${PLACE}CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version${END}`,
    'TANDEM_DEVICE_MISSING',
    /driver to 580/,
  ],
  [
    `${PLACE}CUDA failure 100: no CUDA-capable device is detected${END}`,
    'TANDEM_DEVICE_MISSING',
    /docker run --gpus all/,
  ],
  [`${PLACE}CUDA failure 101: invalid device ordinal${END}`, 'TANDEM_DEVICE_MISSING', /lists the cards by number/],
  [
    `${GEMM}CUDA error cudaErrorNoKernelImageForDevice:no kernel image is available for execution on the device`,
    'TANDEM_DEVICE_MISSING',
    /provider=webgpu/,
  ],
  [
    `${PLACE}CUDA failure 803: system has unsupported display driver / cuda driver combination${END}`,
    'TANDEM_DEVICE_MISSING',
    /restart the machine/,
  ],
  [`${PLACE}CUDA failure 2: out of memory${END}`, 'TANDEM_OUT_OF_MEMORY', /smaller --micro-batch/],
  [
    `Exception during initialization: ${PLACE}CUBLAS failure 3: the resource allocation failed${END}`,
    'TANDEM_OUT_OF_MEMORY',
    /smaller --micro-batch/,
  ],
  [`${GEMM}CUBLAS_STATUS_ALLOC_FAILED`, 'TANDEM_OUT_OF_MEMORY', /smaller --micro-batch/],
  [
    `CUDNN failure 4: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED${END}`,
    'TANDEM_OUT_OF_MEMORY',
    /smaller --micro-batch/,
  ],
  [`CUDA failure 719: unspecified launch failure${END}`, 'TANDEM_STAGE_LOST', /run the same command again/],
  [`${GEMM}CUBLAS failure 13: the function failed to launch on the GPU${END}`, 'TANDEM_STAGE_LOST', /Xid/],
  [
    '[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : cuDNN is unavailable or disabled for CUDA Execution Provider: dlopen failed for libcudnn.so: libcudnn.so: cannot open shared object file',
    'TANDEM_ENGINE_MISSING',
    /tandem setup cuda/,
  ],
];

test('each fault of CUDA is told as one of the driver, the card or its memory', () => {
  for (const [words, code, remedy] of CUDA) {
    const fault = ortError(new Error(words), 'TANDEM_ENGINE_FAILED', 'cuda');
    assert.equal(fault.code, code, words);
    assert.match(fault.remedy, remedy);
    assert.doesNotMatch(fault.message, /onnxruntime_src|hostname/);
    assert.doesNotMatch(fault.remedy, /onnx\.checker|compare the rows|operators of its own/);
  }
});

const WEBGPU: readonly (readonly [words: string, code: string])[] = [
  [
    'WebGPU validation failed. [Invalid Buffer (unlabeled)] is invalid due to a previous error.',
    'TANDEM_OUT_OF_MEMORY',
  ],
  ['Failed to download data: Buffer was unmapped before mapping was resolved.', 'TANDEM_OUT_OF_MEMORY'],
  ['vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY', 'TANDEM_OUT_OF_MEMORY'],
  ['A valid external Instance reference no longer exists. Device is lost', 'TANDEM_STAGE_LOST'],
];

test('each fault of WebGPU is told as one of the card or its memory', () => {
  for (const [words, code] of WEBGPU)
    assert.equal(ortError(new Error(words), 'TANDEM_ENGINE_FAILED', 'webgpu').code, code, words);
});

test('what is no fault of a card stays what it was, and no words count for another provider', () => {
  assert.equal(driverFault('Got invalid dimensions for input: x for the following indices', 'cuda'), null);
  assert.equal(driverFault('WebGPU validation failed. Invalid Buffer', 'cuda'), null);
  assert.equal(driverFault('CUDA failure 719: unspecified launch failure', 'cpu'), null);
  assert.equal(
    driverFault('CUDA failure 12345: unknown', 'cuda')?.code,
    'TANDEM_ENGINE_FAILED',
    'nor one of the model',
  );
});
