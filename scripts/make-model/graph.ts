/** Builds a GraphDef in the form that the TensorFlow.js converter writes: nodes in JSON, constants as weights, functions in a library. */
import type { MadeModel, MadeWeight } from './model-files.js';

type Type = 'DT_FLOAT' | 'DT_INT32' | 'DT_BOOL' | 'DT_STRING' | 'DT_RESOURCE';

export interface NodeJson {
  readonly name: string;
  readonly op: string;
  readonly input: readonly string[];
  readonly attr: Readonly<Record<string, unknown>>;
}

export const type = (name: Type) => ({ type: name });
export const text = (value: string) => ({ s: Buffer.from(value).toString('base64') });
export const int = (value: number) => ({ i: String(value) });
export const ints = (...values: readonly number[]) => ({ list: { i: values.map(String) } });
export const float = (value: number) => ({ f: value });
export const bool = (value: boolean) => ({ b: value });
export const func = (name: string) => ({ func: { name, attr: {} } });
const shapeOf = (shape: readonly (number | null)[]) => ({ dim: shape.map((size) => ({ size: String(size ?? -1) })) });

/** Every method adds a node and returns its name, which is also the name of its first output. */
export class Graph {
  readonly #nodes: NodeJson[] = [];
  readonly #weights: MadeWeight[] = [];
  readonly #functions: object[] = [];
  readonly #inputs: Record<string, object> = {};

  input(name: string, shape: readonly (number | null)[], dtype: Type = 'DT_FLOAT'): string {
    const rows = [null, ...shape];
    this.#inputs[name] = { name: `${name}:0`, dtype, tensorShape: shapeOf(rows) };
    return this.node('Placeholder', name, [], { dtype: type(dtype), shape: { shape: shapeOf(rows) } });
  }

  constant(weight: MadeWeight): string {
    this.#weights.push(weight);
    const dtype = weight.dtype === 'int32' ? 'DT_INT32' : 'DT_FLOAT';
    return this.node('Const', weight.name, [], { dtype: type(dtype) });
  }

  /** A weight whose only node is in a function's body. */
  weight(weight: MadeWeight): void {
    this.#weights.push(weight);
  }

  ints(name: string, ...values: readonly number[]): string {
    return this.constant({ name, shape: [values.length], dtype: 'int32', values });
  }

  int(name: string, value: number): string {
    return this.constant({ name, shape: [], dtype: 'int32', values: [value] });
  }

  node(
    op: string,
    name: string,
    input: readonly string[],
    attr: Readonly<Record<string, unknown>> = { T: type('DT_FLOAT') },
  ): string {
    this.#nodes.push({ name, op, input, attr });
    return name;
  }

  /** (rows…, from) -> (rows…, to), for two axes. */
  dense(
    name: string,
    x: string,
    from: number,
    to: number,
    options: { weights?: string; quantized?: boolean } = {},
  ): string {
    const shared = options.weights ?? name;
    const limit = Math.sqrt(6 / (from + to));
    const isNew = !this.#weights.some((weight) => weight.name === `${shared}/kernel`);
    if (isNew) {
      this.constant({
        name: `${shared}/kernel`,
        shape: [from, to],
        low: -limit,
        high: limit,
        quantized: options.quantized,
      });
      this.constant({ name: `${shared}/bias`, shape: [to], low: -0.1, high: 0.1 });
    }
    const product = this.node('MatMul', `${name}/MatMul`, [x, `${shared}/kernel`], {
      T: type('DT_FLOAT'),
      transpose_a: bool(false),
      transpose_b: bool(false),
    });
    return this.node('BiasAdd', `${name}/BiasAdd`, [product, `${shared}/bias`], {
      T: type('DT_FLOAT'),
      data_format: text('NHWC'),
    });
  }

  function(
    name: string,
    inputs: Readonly<Record<string, Type>>,
    outputs: Readonly<Record<string, { type: Type; from: string }>>,
    nodeDef: readonly NodeJson[],
  ): void {
    const argument = ([key, dtype]: readonly [string, Type]) => ({ name: key, type: dtype });
    this.#functions.push({
      signature: {
        name,
        inputArg: Object.entries(inputs).map(argument),
        outputArg: Object.entries(outputs).map(([key, output]) => argument([key, output.type])),
      },
      nodeDef,
      ret: Object.fromEntries(Object.entries(outputs).map(([key, { from }]) => [key, from])),
    });
  }

  /** `outputs` by public name; further fields of model.json in `more`. */
  model(outputs: Readonly<Record<string, string>>, more: Partial<MadeModel> = {}): MadeModel {
    const returned = Object.entries(outputs).map(([key, tensor]) => [
      key,
      { name: tensor.includes(':') ? tensor : `${tensor}:0`, dtype: 'DT_FLOAT' },
    ]);
    return {
      format: 'graph-model',
      modelTopology: {
        node: this.#nodes,
        library: { function: this.#functions },
        versions: { producer: 1882, minConsumer: 0 },
      },
      signature: { inputs: this.#inputs, outputs: Object.fromEntries(returned) },
      weights: this.#weights,
      ...more,
    };
  }
}
