/** A compiled model with its one request: runs micro-batches that lie anywhere in memory. */
import { byteCount, type Tensor, viewOf } from '../../tensor.js';
import type { Compiled } from './core.js';
import { dtypeOf, elementOf } from './element-types.js';
import { openvinoError } from './failure.js';
import { check, type Handle, INVALID_C_PARAM, made } from './library.js';

const EMPTY = new Uint8Array(64);

const NO_DIMS = new BigInt64Array(1);

export class Request {
  readonly #compiled: Compiled;
  readonly #request: Handle;

  /** Takes over `compiled`. */
  constructor(compiled: Compiled) {
    const { library, handle } = compiled;
    this.#compiled = compiled;
    this.#request = made<Handle>(library, (out) => library.createRequest(handle, out));
  }

  /** Inputs are read where they lie. Throws TANDEM_ENGINE_FAILED, TANDEM_OUT_OF_MEMORY. */
  run(inputs: readonly Tensor[], outputs: readonly string[]): Tensor[] {
    const { library } = this.#compiled;
    const lent: Handle[] = [];
    try {
      for (const [n, input] of inputs.entries()) {
        const tensor = this.#over(input);
        lent.push(tensor);
        check(library, library.setInput(this.#request, n, tensor));
      }
      check(library, library.infer(this.#request));
      return outputs.map((name, n) => this.#output(name, n));
    } catch (cause) {
      throw openvinoError(cause, 'TANDEM_ENGINE_FAILED');
    } finally {
      for (const tensor of lent) library.tensorFree(tensor);
    }
  }

  /** Whether inputs of these types and shapes are what it was compiled for. */
  takes(inputs: readonly Tensor[]): boolean {
    const { library } = this.#compiled;
    return inputs.every((input, n) => {
      const tensor = this.#over(input);
      const status = library.setInput(this.#request, n, tensor);
      library.tensorFree(tensor);
      return status === 0;
    });
  }

  dispose(): void {
    const { library, handle } = this.#compiled;
    library.requestFree(this.#request);
    library.compiledFree(handle);
  }

  /** A tensor of OpenVINO over the memory of one of ours. */
  #over({ dtype, shape, data }: Tensor): Handle {
    const { library } = this.#compiled;
    // No dimensions and no elements have no address, which OpenVINO refuses.
    const dims = shape.length === 0 ? NO_DIMS : BigInt64Array.from(shape, BigInt);
    const memory = data.length === 0 ? EMPTY : data;
    return made<Handle>(library, (out) =>
      library.tensorOver(elementOf(dtype), { rank: shape.length, dims }, memory, out),
    );
  }

  /** A copy of an output: OpenVINO's own memory is written again by the next run. */
  #output(name: string, n: number): Tensor {
    const { library } = this.#compiled;
    const tensor = made<Handle>(library, (out) => library.output(this.#request, n, out));
    try {
      const element = made<number>(library, (out) => library.tensorElement(tensor, out));
      const dtype = dtypeOf(element, name);
      const shape = this.#shapeOf(tensor);
      const bytes = byteCount(dtype, shape);
      if (bytes === 0) return viewOf(dtype, shape, new ArrayBuffer(0), 0);
      const address = made<Handle>(library, (out) => library.tensorData(tensor, out));
      return viewOf(dtype, shape, library.koffi.view(address, bytes).slice(0), 0);
    } finally {
      library.tensorFree(tensor);
    }
  }

  #shapeOf(tensor: Handle): number[] {
    const { library } = this.#compiled;
    const shape = {} as { rank: number; dims: Handle };
    const status = library.tensorShape(tensor, shape);
    // The C wrapper has no shape without dimensions: it refuses to hand out a scalar's.
    if (status === INVALID_C_PARAM) return [];
    check(library, status);
    const rank = Number(shape.rank);
    const dims = [...new BigInt64Array(library.koffi.view(shape.dims, rank * 8))].map(Number);
    library.shapeFree(shape);
    return dims;
  }
}
