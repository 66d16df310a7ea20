/** A slice of an ONNX model in OpenVINO: compiled for micro-batches of any size, and once more for the size that most have. */
import { TandemError } from '../../errors.js';
import { weightBytes } from '../../model/graph.js';
import { sliceProto } from '../../model/onnx/slice-proto.js';
import type { ValueType } from '../../model/onnx/value-type.js';
import type { OnnxModel } from '../../model/onnx.js';
import type { Slice } from '../../model/slice.js';
import type { Tensor } from '../../tensor.js';
import type { EngineOptions, LoadedSlice } from '../engine.js';
import { inferTypes } from '../onnxruntime/value-types.js';
import { type Compiled, compile } from './core.js';
import { Request } from './request.js';

type Types = ReadonlyMap<string, ValueType>;

/** Compiles the slice with its inputs of these types. Errors as of `compile`. */
type Open = (types: Types) => Compiled;

/** Loads ops [from, to) of `model`. Errors as of `Engine.load`. */
export async function openSlice(model: OnnxModel, slice: Slice, engine: EngineOptions): Promise<OvSlice> {
  // Shapes and types inside the model are those that ONNX Runtime infers without loading a weight.
  const types = await inferTypes(model, slice.from, slice.inputs);
  const open = (given: Types) =>
    compile({ bytes: sliceProto(model, { ...slice, types: given }), folder: model.graph.folder, engine });
  return new OvSlice({ model, slice, types, open }, firstRank(open, types));
}

/** OpenVINO takes no input of unknown rank; ONNX Runtime reports a scalar as one. Each such input gets this rank. */
function ranked(types: Types, rank: number): Types {
  const shape = Array.from({ length: rank }, () => null);
  return new Map([...types].map(([name, type]) => [name, type.shape === null ? { ...type, shape } : type]));
}

/** Most dimensions of a tensor of unknown rank. */
const MOST_DIMS = 6;

/** Compiled with the first rank of unknown ones with which it can be. Throws the error of the first. */
function firstRank(open: Open, types: Types): Compiled {
  let refusal: unknown;
  for (let rank = 0; rank <= MOST_DIMS; rank++) {
    try {
      return open(ranked(types, rank));
    } catch (error) {
      refusal ??= error;
      if ([...types.values()].every(({ shape }) => shape !== null)) break;
    }
  }
  throw refusal;
}

interface Opened {
  readonly model: OnnxModel;
  readonly slice: Slice;
  readonly types: Types;
  readonly open: Open;
}

export class OvSlice implements LoadedSlice {
  readonly ranOn: string;
  readonly deviceName: string;
  readonly weightBytes: number;
  readonly #opened: Opened;
  /** For micro-batches of any size. */
  #any: Request;
  /** For those of one size: BERT's layers take 36 ms in it for 53 in the other (bench/openvino.ts). */
  #expected: { readonly shapes: string; readonly request: Request } | null = null;
  /** Whether the rank of an input is not known before one comes. */
  #isOpen: boolean;

  constructor(opened: Opened, compiled: Compiled) {
    const { model, slice, types } = opened;
    this.#opened = opened;
    this.#any = new Request(compiled);
    this.#isOpen = slice.inputs.some((name) => types.get(name)?.shape === null);
    this.ranOn = compiled.ranOn;
    this.deviceName = compiled.deviceName;
    this.weightBytes = weightBytes(model.graph, slice.from, slice.to);
  }

  /**
   * Which of the two computes a micro-batch depends on its shapes alone, never on what came before, so that a job that is resumed ends
   * with the same bytes.
   */
  run(inputs: readonly Tensor[]): Tensor[] {
    const { outputs } = this.#opened.slice;
    if (outputs.length === 0) return [];
    this.#fitRank(inputs);
    const isExpected = this.#expected?.shapes === shapesOf(inputs);
    return (isExpected ? this.#expected!.request : this.#any).run(inputs, outputs);
  }

  /** Shapes are not inferred (`LoadedSlice.infer`), so that every pipeline comes through here before its first micro-batch. */
  expect(inputs: readonly Tensor[]): void {
    const { slice, types, open } = this.#opened;
    const shapes = shapesOf(inputs);
    const isFixed = slice.inputs.every((name) => types.get(name)?.shape?.every((dim) => typeof dim === 'number'));
    if (isFixed || shapes === this.#expected?.shapes || inputs.some(({ data }) => data.length === 0)) return;
    this.#expected?.request.dispose();
    this.#expected = null;
    const given = slice.inputs.map((name, n): [string, ValueType] => {
      const { dtype, shape } = inputs[n]!;
      return [name, { kind: 'tensor', element: dtype, shape }];
    });
    try {
      this.#expected = { shapes, request: new Request(open(new Map([...types, ...given]))) };
    } catch (error) {
      // A model may refuse this size where it takes others; then the run reports it.
      if (error instanceof TandemError && error.code === 'TANDEM_OUT_OF_MEMORY') throw error;
    }
  }

  dispose(): void {
    this.#any.dispose();
    this.#expected?.request.dispose();
  }

  /** Once, before the first run. Inputs of unknown rank that differ in rank stay refused. */
  #fitRank(inputs: readonly Tensor[]): void {
    const isOpen = this.#isOpen;
    this.#isOpen = false;
    if (!isOpen || this.#any.takes(inputs)) return;
    for (const rank of new Set(inputs.map(({ shape }) => shape.length))) {
      let request: Request;
      try {
        request = new Request(this.#opened.open(ranked(this.#opened.types, rank)));
      } catch {
        continue;
      }
      if (request.takes(inputs)) {
        this.#any.dispose();
        this.#any = request;
        return;
      }
      request.dispose();
    }
  }
}

function shapesOf(inputs: readonly Tensor[]): string {
  return inputs.map(({ shape }) => shape.join('x')).join();
}
