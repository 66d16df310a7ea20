/** Writes an ONNX file of a graph, with inline or external weights. */
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MODEL } from '../../model/onnx/schema.js';
import { WireWriter } from '../../model/onnx/wire-writer.js';
import { bytesOf } from '../../tensor.js';
import type { Graph, Place, Weight } from './graph.js';

/** A model-local function: its body's nodes, with its inputs and outputs by name. */
export interface LocalFunction {
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly body: Graph;
}

/** FunctionProto's field numbers. */
const FUNCTION = { name: 1, input: 4, output: 5, node: 7, opsetImport: 9, domain: 10 } as const;

export interface ModelOptions {
  readonly opset?: number;
  readonly irVersion?: number;
  /** Write weights of 1 KiB and more to `<file>_data` next to the model. */
  readonly external?: boolean;
  readonly functions?: readonly LocalFunction[];
}

/** Writes `graph` as an .onnx file; weights are generated and written one at a time. */
export function writeModel(
  file: string,
  graph: Graph,
  { opset = 19, irVersion = 9, external = false, functions = [] }: ModelOptions = {},
): string {
  const model = new WireWriter().integer(MODEL.irVersion, irVersion).text(MODEL.producerName, 'tandem');
  if (!external) {
    model.block(MODEL.graph, graph.bytes());
  } else {
    const location = `${basename(file)}_data`;
    const offsets = new Map<Weight, Place>();
    const out = openSync(join(dirname(file), location), 'w');
    let offset = 0;
    for (const weight of graph.weights) {
      const data = weight.make();
      if (!('buffer' in data) || data.byteLength < 1024) continue;
      const bytes = bytesOf(data);
      for (let done = 0; done < bytes.length; ) done += writeSync(out, bytes, done, bytes.length - done, offset + done);
      offsets.set(weight, { location, offset, length: bytes.length });
      // Aligned like exporters do, so that it can be mapped.
      offset += Math.ceil(bytes.length / 4096) * 4096;
    }
    closeSync(out);
    model.block(
      MODEL.graph,
      graph.bytes((weight) => offsets.get(weight) ?? null),
    );
  }
  const domains = new Set(functions.map(({ domain }) => domain));
  for (const [domain, version] of [
    ['', opset] as const,
    ...[...domains, 'com.microsoft'].map((d) => [d, 1] as const),
  ]) {
    model.message(MODEL.opsetImport, (entry) => entry.text(1, domain).integer(2, version));
  }
  for (const { domain, name, inputs, outputs, body } of functions) {
    model.message(MODEL.functions, (message) => {
      message.text(FUNCTION.name, name).text(FUNCTION.domain, domain);
      for (const input of inputs) message.text(FUNCTION.input, input);
      for (const output of outputs) message.text(FUNCTION.output, output);
      for (const node of body.nodes) message.block(FUNCTION.node, node);
      for (const [own, version] of [['', opset] as const, [domain, 1] as const]) {
        message.message(FUNCTION.opsetImport, (entry) => entry.text(1, own).integer(2, version));
      }
    });
  }
  writeFileSync(file, model.bytes());
  return file;
}
