/** The numbers of element types in OpenVINO's C API (ov_element_type_e in ov_common.h of 2026.4). */
import { TandemError } from '../../errors.js';
import type { DType } from '../../tensor.js';

const ELEMENTS: Record<DType, number> = {
  bool: 1,
  bfloat16: 2,
  float16: 3,
  float32: 4,
  float64: 5,
  int8: 7,
  int16: 8,
  int32: 9,
  int64: 10,
  uint8: 16,
  uint16: 17,
  uint32: 18,
  uint64: 19,
};

const DTYPE_OF = new Map(Object.entries(ELEMENTS).map(([dtype, element]) => [element, dtype as DType]));

export function elementOf(dtype: DType): number {
  return ELEMENTS[dtype];
}

/** `name` is the tensor's. Throws TANDEM_MODEL_UNSUPPORTED for text and for types narrower than a byte. */
export function dtypeOf(element: number, name: string): DType {
  const dtype = DTYPE_OF.get(element);
  if (dtype) return dtype;
  throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `OpenVINO returns "${name}" as its element type ${element}`, {
    remedy: "only numbers of a byte or more can be pipelined; use provider=cpu, which is ONNX Runtime's",
  });
}
