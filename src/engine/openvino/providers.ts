/** OpenVINO's providers: each is a device and the precision that it computes with. */

export interface OpenvinoProvider {
  /** OpenVINO's name of the kind of device. */
  readonly device: 'CPU' | 'GPU';
  /** OpenVINO's name of the precision of float32 models. */
  readonly precision: 'f32' | 'bf16' | 'f16';
}

/** By name. Precisions below float32 are chosen by name only, and are part of the job's fingerprint by it. */
export const OPENVINO_PROVIDERS = {
  openvino: { device: 'CPU', precision: 'f32' },
  'openvino-bf16': { device: 'CPU', precision: 'bf16' },
  'openvino-gpu': { device: 'GPU', precision: 'f32' },
  'openvino-gpu-f16': { device: 'GPU', precision: 'f16' },
} as const satisfies Record<string, OpenvinoProvider>;

export function isOpenvinoProvider(name: string): name is keyof typeof OPENVINO_PROVIDERS {
  return name in OPENVINO_PROVIDERS;
}
