/** The stopwatch: times slices of a model in real workers, with as many of them at work at once as the plan would have. */
import type { EngineName } from '../engine/engine.js';
import { isCpu, parseDevice } from '../engine/registry.js';
import type { ModelGraph, TensorFacts } from '../model/graph.js';
import { type Slice, sliceOf } from '../model/slice.js';
import { checkDevice } from '../pool/device-truth.js';
import { closePools, openPools, type Pools } from '../pool/isolation.js';
import type { Pool } from '../pool/pool.js';
import type { TimedInput } from '../pool/protocol.js';
import { allocate, type Tensor } from '../tensor.js';
import { median } from './median.js';
import type { LayerRange } from './plan.js';

/** What computes, and in what company. */
export interface Staffing {
  readonly device: string;
  readonly engine: EngineName;
  readonly provider: string;
  /** Threads of one worker. */
  readonly threads: number;
  /** Workers that compute at the same time: cores share memory bandwidth and clock, so that each is slower than one alone. */
  readonly atOnce: number;
}

export interface StopwatchOptions extends Staffing {
  readonly graph: ModelGraph;
  readonly facts: TensorFacts;
  /** Ops [from, to) of parts that follow one another, whose ends are all known tensors. */
  readonly parts: readonly LayerRange[];
  /** Milliseconds. */
  readonly deadline: number;
  readonly allowFallback: boolean;
}

/** How long to measure: at least so many runs, and so many milliseconds, after one that counts only where `runs` is 0. */
export interface Patience {
  readonly runs: number;
  readonly millis: number;
}

export interface Timing {
  /** Median seconds of a run. */
  readonly seconds: number;
  /** What the process held once the slice was loaded; `null` where the system does not tell. */
  readonly loadedBytes: number | null;
  /** The most that it held from the start of the loading to the end of the runs. */
  readonly peakBytes: number | null;
}

/** Processes that are started at most; further workers are threads of these. */
const MOST_PROCESSES = 4;

const ROUND_TRIPS = 20;

export class Stopwatch implements AsyncDisposable {
  readonly #options: StopwatchOptions;
  #opened: Promise<Pools>;
  /** Tensors that do not follow the rows, such as shapes: zeros cannot stand for these. By micro-batch and name. */
  readonly #values = new Map<string, Tensor>();
  #loaded: Slice | undefined;

  constructor(options: StopwatchOptions) {
    this.#options = options;
    this.#opened = this.#open();
  }

  /** New processes in place of those that are there. */
  async restart(): Promise<void> {
    await closePools(await this.#opened);
    this.#loaded = undefined;
    this.#opened = this.#open();
  }

  #open(): Promise<Pools> {
    const { device, engine, provider, threads, atOnce, deadline } = this.#options;
    // A card's workers are threads of one process, as in a plan: only so they share what it holds there.
    const processes = isCpu(device) ? Math.min(atOnce, MOST_PROCESSES) : 1;
    const pool = {
      device,
      engine,
      engineOptions: { provider, threads, deviceIndex: parseDevice(device).index },
      workers: Math.ceil(atOnce / processes),
      deadline,
    };
    return openPools('process', new Array(processes).fill(pool));
  }

  async #each<T>(call: (pool: Pool) => Promise<T>): Promise<T[]> {
    const { pools } = await this.#opened;
    return Promise.all(pools.map(call));
  }

  /** Ops [from, to) on `rows` rows of zeros, in all workers at once. Errors as of `Pool.load` and `Pool.time`. */
  async time({ from, to }: LayerRange, rows: number, patience: Patience): Promise<Timing> {
    const slice = sliceOf(this.#options.graph, from, to);
    const inputs: TimedInput[] = [];
    for (const name of slice.inputs) inputs.push(await this.#input(name, rows));
    // Before a new slice is loaded the last one is let go, so that only its own memory is counted.
    const isNew = this.#loaded?.from !== from || this.#loaded.to !== to;
    if (isNew) await this.#load(slice);
    const [loaded] = await this.#each((pool) => pool.memory());
    const times = await this.#each((pool) => pool.time({ inputs, ...patience }));
    const [after] = await this.#each((pool) => pool.memory());
    return {
      seconds: median(times.flat()) / 1e6,
      loadedBytes: loaded?.now ?? null,
      peakBytes: after?.peak ?? null,
    };
  }

  /** Median seconds of a call that does nothing, there and back. */
  async roundTrip(): Promise<number> {
    const times: number[] = [];
    const [pool] = (await this.#opened).pools;
    for (let n = 0; n < ROUND_TRIPS; n++) {
      const start = performance.now();
      await pool!.memory();
      times.push((performance.now() - start) / 1e3);
    }
    return median(times);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closePools(await this.#opened);
  }

  async #load(slice: Slice): Promise<void> {
    await this.#each((pool) => pool.memory({ restart: true }));
    const { allowFallback } = this.#options;
    await this.#each(async (pool) => {
      const loaded = await pool.load(slice);
      if (!allowFallback) checkDevice('measuring', pool.options, loaded);
    });
    this.#loaded = slice;
  }

  /** Zeros where the rows decide the values; else what the model itself makes of rows of zeros. */
  async #input(name: string, rows: number): Promise<TimedInput> {
    const { graph, facts } = this.#options;
    const { dtype, shape } = facts.get(name)!;
    const [axis, ...rest] = shape;
    const followsRows = axis === null || (axis !== undefined && axis === graph.fixedBatch);
    const full = shape.length === 0 ? [] : [followsRows ? rows : axis!, ...(rest as number[])];
    if (followsRows || graph.inputs.some((input) => input.name === name)) return { dtype, shape: full };
    const key = `${rows} ${name}`;
    if (!this.#values.has(key)) await this.#compute(name, rows);
    return this.#values.get(key)!;
  }

  /** Runs the part of the model that makes the tensor. */
  async #compute(name: string, rows: number): Promise<void> {
    const { graph, parts } = this.#options;
    const maker = graph.ops.findIndex(({ outputs }) => outputs.includes(name));
    const { from, to } = parts.find((part) => part.from <= maker && maker < part.to)!;
    const slice = sliceOf(graph, from, to);
    const inputs: Tensor[] = [];
    for (const input of slice.inputs) inputs.push(filled(await this.#input(input, rows)));
    await this.#load(slice);
    const [probed] = await this.#each((pool) => pool.probe(inputs));
    for (const [n, output] of slice.outputs.entries()) this.#values.set(`${rows} ${output}`, probed!.outputs[n]!);
  }
}

function filled(input: TimedInput): Tensor {
  return 'data' in input ? input : { ...input, data: allocate(input.dtype, input.shape) };
}
