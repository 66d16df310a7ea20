/** The models that OpenVINO would compute with fewer bits than they ask for, without a word. */
import { TandemError } from '../../errors.js';
import type { ModelGraph } from '../../model/graph.js';
import { onnxModelOf } from '../../model/onnx.js';

/**
 * As `EngineEntry.forbiddenCuts`: none. Throws TANDEM_MODEL_UNSUPPORTED for float64, which its CPU plugin computes as float32
 * (openvino src/plugins/intel_cpu, transformation pipeline: ConvertPrecision of f64 to f32).
 */
export function forbiddenCuts(graph: ModelGraph): ReadonlySet<number> {
  const [wide] = [...onnxModelOf(graph).elementTypes].find(([, type]) => type === 'float64') ?? [];
  if (wide === undefined) return new Set();
  throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `OpenVINO computes float64 as float32, and "${wide}" is float64`, {
    remedy: "use provider=cpu, which is ONNX Runtime's",
  });
}
