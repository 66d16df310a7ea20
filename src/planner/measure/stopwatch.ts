/** The stopwatch: times slices of a model in real workers, with as many of them computing at once as in the plan. */
import { isCpu, parseDevice } from '../../engine/device.js';
import type { ModelGraph, TensorFacts } from '../../model/graph.js';
import { rowsAxisIn } from '../../model/move-rows.js';
import { keyOf, type Slice, sliceOf } from '../../model/slice.js';
import type { LayerRange } from '../../plan/stage-options.js';
import { checkDevice } from '../../pool/device-truth.js';
import { closePools, openPools, type Pools } from '../../pool/isolation.js';
import type { Pool } from '../../pool/pool.js';
import type { TimedInput } from '../../pool/protocol.js';
import { allocate, type Tensor } from '../../tensor.js';
import { median } from './median.js';

/** What computes a stage, and how many workers compute at once. */
export interface Allocation {
  readonly device: string;
  readonly engine: string;
  readonly provider: string;
  /** Threads of one worker. */
  readonly threads: number;
  /** Workers that compute at the same time. They share memory bandwidth and clock, so each is slower than one alone. */
  readonly atOnce: number;
}

export interface StopwatchOptions extends Allocation {
  readonly graph: ModelGraph;
  readonly facts: TensorFacts;
  /** Consecutive ranges of ops [from, to) that cover the model. The tensors between them are all known. */
  readonly parts: readonly LayerRange[];
  /** Milliseconds. */
  readonly deadlineMs: number;
  readonly allowFallback: boolean;
}

/** How long to measure: at least `runs` runs and `millis` milliseconds, after a first run that counts only if `runs` is 0. */
export interface Sampling {
  readonly runs: number;
  readonly millis: number;
}

export interface Timing {
  /** Median seconds of a run. */
  readonly seconds: number;
  /** Seconds that loading the slice took; left out in earlier measurements. */
  readonly loadSeconds?: number;
  /** Bytes of the process once the slice is loaded; `null` if the system does not report it. */
  readonly loadedBytes: number | null;
  /** Peak bytes of the process from the start of loading to the end of the runs. */
  readonly peakBytes: number | null;
}

/** Processes that are started at most. Further workers are threads of these. */
const MOST_PROCESSES = 4;

const ROUND_TRIPS = 20;

export class Stopwatch implements AsyncDisposable {
  readonly #options: StopwatchOptions;
  #opened: Promise<Pools>;
  /** Values of tensors that do not follow the rows, such as shapes, which zeros cannot replace. By micro-batch and name. */
  readonly #values = new Map<string, Tensor>();
  #loaded: Slice | undefined;
  #loadSeconds = 0;

  constructor(options: StopwatchOptions) {
    this.#options = options;
    this.#opened = this.#open();
  }

  /** Replaces the processes by new ones. */
  async restart(): Promise<void> {
    await closePools(await this.#opened);
    this.#loaded = undefined;
    this.#opened = this.#open();
  }

  #open(): Promise<Pools> {
    const { device, engine, provider, threads, atOnce, deadlineMs } = this.#options;
    // As in a plan, a card's workers are threads of one process: only so do they share what it holds on the card.
    const processes = isCpu(device) ? Math.min(atOnce, MOST_PROCESSES) : 1;
    const pool = {
      device,
      engine,
      engineOptions: { provider, threads, deviceIndex: parseDevice(device).index },
      workers: Math.ceil(atOnce / processes),
      deadlineMs,
    };
    return openPools('process', new Array(processes).fill(pool));
  }

  async #each<T>(call: (pool: Pool) => Promise<T>): Promise<T[]> {
    const { pools } = await this.#opened;
    return Promise.all(pools.map(call));
  }

  /** Times ops [from, to) on `rows` rows of zeros, in all workers at once. Errors as of `Pool.load` and `Pool.time`. */
  async time({ from, to }: LayerRange, rows: number, sampling: Sampling): Promise<Timing> {
    const slice = sliceOf(this.#options.graph, from, to);
    const inputs: TimedInput[] = [];
    for (const name of slice.inputs) inputs.push(await this.#input(name, rows));
    // The last slice is unloaded before a new one is loaded, so that only the new one's memory counts.
    const isNew = this.#loaded?.from !== from || this.#loaded.to !== to;
    if (isNew) await this.#load(slice);
    const [loaded] = await this.#each((pool) => pool.memory());
    const times = await this.#each((pool) => pool.time({ inputs, ...sampling }));
    const [after] = await this.#each((pool) => pool.memory());
    return {
      seconds: median(times.flat()) / 1e6,
      loadSeconds: this.#loadSeconds,
      loadedBytes: loaded?.now ?? null,
      peakBytes: after?.peak ?? null,
    };
  }

  /** Median seconds of an empty call to a worker and back. */
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
    const start = performance.now();
    await this.#each(async (pool) => {
      const loaded = await pool.load([slice]);
      if (!allowFallback) checkDevice('measuring', pool.options, loaded);
    });
    this.#loadSeconds = (performance.now() - start) / 1e3;
    this.#loaded = slice;
  }

  /** Zeros, if the values depend on the rows; else the values that the model computes from rows of zeros. */
  async #input(name: string, rows: number): Promise<TimedInput> {
    const { graph, facts } = this.#options;
    const { dtype, shape } = facts.get(name)!;
    const given = graph.inputRows?.get(name)?.value;
    if (given) return given;
    const isInput = graph.inputs.some((input) => input.name === name);
    const followsRows = rowsAxisIn(shape) !== null || (shape.length > 0 && shape[0] === graph.fixedBatch);
    if (followsRows || isInput) return { dtype, shape: shape.map((dim) => dim ?? rows) };
    const key = `${rows} ${name}`;
    if (!this.#values.has(key)) await this.#compute(name, rows);
    return this.#values.get(key)!;
  }

  /** Runs the part of the model that produces the tensor. */
  async #compute(name: string, rows: number): Promise<void> {
    const { graph, parts } = this.#options;
    const maker = graph.ops.findIndex(({ outputs }) => outputs.includes(name));
    const { from, to } = parts.find((part) => part.from <= maker && maker < part.to)!;
    const slice = sliceOf(graph, from, to);
    const inputs: Tensor[] = [];
    for (const input of slice.inputs) inputs.push(filled(await this.#input(input, rows)));
    await this.#load(slice);
    const [probed] = await this.#each((pool) => pool.probe(keyOf(slice), inputs));
    for (const [n, output] of slice.outputs.entries()) this.#values.set(`${rows} ${output}`, probed!.outputs[n]!);
  }
}

function filled(input: TimedInput): Tensor {
  return 'data' in input ? input : { ...input, data: allocate(input.dtype, input.shape) };
}
