/** Layers of Keras that tfjs cannot read: refused by name, with a conversion that keeps them. */
import { TandemError } from '../errors.js';
import { KERAS_TO_GRAPH } from './file-kind.js';

/** The layer names that tfjs accepts, because it makes variable names of them (tfjs-layers, isValidTensorName). */
const LAYER_NAME = /^[A-Za-z0-9][-A-Za-z0-9._/]*$/;
/** Classes of Keras 2 for direct calls of TensorFlow, such as `tf.nn.relu(x) * 2`; tfjs has none of them. */
const OP_CLASSES = new Set([
  'TFOpLambda',
  'SlicingOpLambda',
  'TensorFlowOpLayer',
  'ClassMethod',
  'InstanceMethod',
  'InstanceProperty',
]);
const KERAS_3 = `save it from Keras 2 (tf_keras), or convert it as a graph: ${KERAS_TO_GRAPH}`;
const AS_GRAPH = `convert the Keras model as a graph: ${KERAS_TO_GRAPH}`;
/** Keras 3, TensorFlow's default, cannot read those classes either. */
const AS_GRAPH_BY_KERAS_2 = `convert the Keras model as a graph, by Keras 2: pip install tf_keras; export TF_USE_LEGACY_KERAS=1; ${KERAS_TO_GRAPH}`;

/** Whether tfjs accepts this layer name; it keeps layers in plain objects, which already have some names. */
export function isLayerName(name: string): boolean {
  return LAYER_NAME.test(name) && !(name in {});
}

/** Throws TANDEM_MODEL_UNSUPPORTED. `layers` is unchecked, as in the file. */
export function refuseUnreadable(layers: unknown, snakeKeys: (value: unknown) => unknown, where: string): void {
  for (const entry of Array.isArray(layers) ? layers : []) {
    const {
      class_name: type,
      inbound_nodes: nodes,
      config,
    } = (snakeKeys(entry) ?? {}) as Readonly<Record<string, unknown>>;
    const {
      name,
      function: called,
      batch_shape: shape,
    } = (snakeKeys(config) ?? {}) as Readonly<Record<string, unknown>>;
    const calls: readonly unknown[] = Array.isArray(nodes) ? nodes : [];
    if (shape !== undefined || calls.some((call) => typeof call === 'object' && call !== null && 'args' in call)) {
      throw unsupported(`${where} was saved by Keras 3, which tfjs cannot read`, KERAS_3);
    }
    if (OP_CLASSES.has(String(type))) {
      const what = typeof called === 'string' ? `TensorFlow's ${called}` : 'a function of TensorFlow';
      throw unsupported(
        `layer "${name}" calls ${what} (${type}), which a LayersModel of tfjs cannot hold`,
        AS_GRAPH_BY_KERAS_2,
      );
    }
    if (typeof name === 'string' && !isLayerName(name)) {
      throw unsupported(
        `layer "${name}" has a name that tfjs cannot use: letters, digits, - . _ and / are allowed`,
        `give it another name in Keras and save it again, or ${AS_GRAPH}`,
      );
    }
  }
}

function unsupported(what: string, remedy: string): TandemError {
  return new TandemError('TANDEM_MODEL_UNSUPPORTED', what, { remedy });
}
