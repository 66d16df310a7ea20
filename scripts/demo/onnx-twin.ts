/** Translates the demo's classifier to ONNX: the same layers with the same weights, node by node. */
import type { LayersModel, layers, Tensor } from '@tensorflow/tfjs-node';
import { Graph } from '../../src/prove/models/graph.js';
import { CLASSES, SIDE } from './digits.js';

type Layer = layers.Layer;

/** Translates one layer: adds its nodes to the graph and returns the name of its output. */
type Translate = (graph: Graph, layer: Layer, inputs: readonly string[]) => string;

/** ONNX convolutions are channels first: images are transposed once at the input, and kernels here. */
const TRANSLATE: Readonly<Record<string, Translate>> = {
  InputLayer: (graph, { name }) => {
    const rows = graph.input(name, 'float32', ['rows', SIDE, SIDE, 1]);
    return graph.node('Transpose', [rows], { name: '/stem/Transpose', perm: [0, 3, 1, 2] });
  },
  Conv2D: (graph, layer, [x]) => {
    const [kernel] = layer.getWeights();
    const turned = kernel!.transpose([3, 2, 0, 1]);
    const [height, width] = kernel!.shape as [number, number];
    return graph.node('Conv', [x!, weight(graph, layer, 'kernel', turned)], {
      name: `/${layer.name}/Conv`,
      kernel_shape: [height, width],
      auto_pad: 'SAME_UPPER',
    });
  },
  BatchNormalization: (graph, layer, [x]) => {
    const kinds = ['gamma', 'beta', 'moving_mean', 'moving_variance'];
    const weights = layer.getWeights().map((values, n) => weight(graph, layer, kinds[n]!, values));
    return graph.node('BatchNormalization', [x!, ...weights], {
      name: `/${layer.name}/BatchNormalization`,
      epsilon: { float: layer.getConfig().epsilon as number },
    });
  },
  Activation: (graph, layer, inputs) => {
    const type = layer.getConfig().activation === 'softmax' ? 'Softmax' : 'Relu';
    return graph.node(type, inputs, { name: `/${layer.name}/${type}` });
  },
  Add: (graph, { name }, inputs) => graph.node('Add', inputs, { name: `/${name}/Add` }),
  GlobalAveragePooling2D: (graph, { name }, inputs) => {
    const pooled = graph.node('GlobalAveragePool', inputs, { name: `/${name}/GlobalAveragePool` });
    return graph.node('Flatten', [pooled], { name: `/${name}/Flatten` });
  },
  Dense: (graph, layer, [x]) => {
    const [kernel, bias] = layer.getWeights();
    const weights = [weight(graph, layer, 'kernel', kernel!), weight(graph, layer, 'bias', bias!)];
    return graph.node('Gemm', [x!, ...weights], { name: `/${layer.name}/Gemm` });
  },
};

/** Throws if the table lacks a layer type of the model. */
export function onnxTwin(model: LayersModel): Graph {
  const graph = new Graph(model.name);
  const made = new Map<string, string>();
  for (const layer of model.layers) {
    const type = layer.getClassName();
    const translate = TRANSLATE[type];
    if (!translate) throw new Error(`the layer ${layer.name} is a ${type}, which has no translation to ONNX yet`);
    const [{ inboundLayers }] = layer.inboundNodes as unknown as [{ inboundLayers: Layer[] }];
    made.set(
      layer.name,
      translate(
        graph,
        layer,
        inboundLayers.map(({ name }) => made.get(name)!),
      ),
    );
  }
  for (const name of model.outputNames) graph.output(made.get(name)!, 'float32', ['rows', CLASSES]);
  return graph;
}

function weight(graph: Graph, layer: Layer, kind: string, values: Tensor): string {
  const data = values.dataSync() as Float32Array;
  return graph.constant(`${layer.name}/${kind}`, { dtype: 'float32', shape: values.shape, data });
}
