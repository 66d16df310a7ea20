/** Shared zeros: an initialiser whose tensors share one memory, for variables that are replaced before they are read. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import { elementCount } from '../../tensor.js';
import type { Tfjs } from './native.js';

const CLASS_NAME = 'TandemSharedZeros';

let zeros = new Float32Array(0);
const registered = new WeakSet<Tfjs>();

/**
 * Its name in a topology. The zeros of tfjs itself are filled for every variable of the whole model each time a slice of it is
 * loaded: 325 MB and a garbage collection for BERT-base.
 */
export function sharedZeros(tf: Tfjs): string {
  if (registered.has(tf)) return CLASS_NAME;
  registered.add(tf);
  class SharedZeros extends tf.serialization.Serializable {
    static readonly className = CLASS_NAME;

    override getConfig() {
      return {};
    }

    apply(shape: number[], dtype: 'float32' | 'int32' | 'bool' = 'float32'): TfTensor {
      if (dtype !== 'float32') return tf.zeros(shape, dtype);
      const count = elementCount(shape);
      if (zeros.length < count) zeros = new Float32Array(count);
      return tf.tensor(zeros.subarray(0, count), shape, dtype);
    }
  }
  tf.serialization.registerClass(SharedZeros);
  return CLASS_NAME;
}
