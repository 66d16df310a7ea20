/** The program of a pool's thread: holds slices and computes the micro-batches in shared slots. */
import { threadId, workerData } from 'node:worker_threads';
import { Arena } from '../src/arena/arena.js';
import type { Region } from '../src/arena/layout.js';
import type { Slot } from '../src/arena/slot.js';
import { openEngine } from '../src/engine/choose.js';
import { HeldDecoder } from '../src/engine/held-decoder.js';
import { type HeldSlice, HeldSlices } from '../src/engine/held-slices.js';
import { runInParts } from '../src/engine/in-parts.js';
import { asTandemError, toWire } from '../src/errors.js';
import {
  type Answer,
  type Ask,
  type CallName,
  micros,
  type Reply,
  type ThreadAsk,
  type ThreadSetup,
} from '../src/pool/protocol.js';
import { Safepoint } from '../src/pool/safepoint.js';
import { allocate, type Tensor } from '../src/tensor.js';

/** Microseconds between two iterations of the event loop: one takes 40 after a run of tfjs, 12 after one of ONNX Runtime. */
const YIELD_EVERY = 20_000;

/** A step that this thread computes: its slice, the regions that it reads in the first round and in later ones, and those that it writes. */
interface Work {
  readonly slice: string;
  readonly inputs: readonly Region[];
  readonly fedBack: readonly Region[];
  readonly outputs: readonly Region[];
}

/** The state of the thread between calls. */
const state: {
  readonly held: HeldSlices;
  arena?: Arena;
  pool?: number;
  workerIndex?: number;
  /** By step. */
  work: ReadonlyMap<number, Work>;
} = { held: new HeldSlices(), work: new Map() };

const { engine: engineId, options, model, safepoints } = workerData as ThreadSetup;
const decoder = new HeldDecoder();
const safepoint = new Safepoint(safepoints, threadId);

// A failure here occurs in `load` too, and is reported there.
const prepared =
  model && safepoint.inside(() => openEngine(engineId).then((engine) => engine.prepare?.(model))).catch(() => {});

type Calls = { readonly [K in CallName]: (ask: Ask<K>) => Promise<Answer<K>> };

const calls: Calls = {
  async load(holding) {
    await prepared;
    await state.held.load(await openEngine(engineId), options, holding);
    const all = state.held.all.map(({ loaded }) => loaded);
    const { ranOn, deviceName } = all.find((each) => each.ranOn !== 'gpu') ?? all[0]!;
    return { ranOn, deviceName, weightBytes: state.held.weightBytes };
  },

  async probe({ slice, inputs }) {
    const held = await state.held.get(slice);
    // Where they are computed in parts, no run has these shapes.
    if (!held.parts) held.loaded.expect?.(inputs);
    const start = micros();
    const outputs = await compute(held, inputs);
    return { outputs, micros: micros() - start };
  },

  async time({ inputs, runs, millis }) {
    const tensors = inputs.map((input) =>
      'data' in input ? input : { ...input, data: allocate(input.dtype, input.shape) },
    );
    const { loaded } = await state.held.get();
    loaded.expect?.(tensors);
    const run = async () => {
      const start = micros();
      const outputs = await loaded.run(tensors);
      const took = micros() - start;
      loaded.release?.(outputs);
      return took;
    };
    const first = await run();
    if (runs === 0) return { micros: [first] };
    const times: number[] = [];
    const begun = micros();
    while (times.length < runs || micros() - begun < millis * 1e3) times.push(await run());
    return { micros: times };
  },

  async infer({ slice, inputs }) {
    return (await (await state.held.get()).loaded.infer?.(slice, inputs)) ?? null;
  },

  async attach({ layout, handle, pool, workerIndex }) {
    const arena = new Arena(layout, handle);
    const regions = (names: readonly string[]) => names.map((name) => arena.region(name));
    const own = [...layout.steps.entries()].filter(([, step]) => step.pools.includes(pool));
    const work = own.map(([n, step]): [number, Work] => {
      const { inputs, outputs } = state.held.sliceOf(step.slice);
      const fedBack = regions(inputs.map((name) => layout.feedback[name] ?? name));
      return [n, { slice: step.slice, inputs: regions(inputs), fedBack, outputs: regions(outputs) }];
    });
    Object.assign(state, { arena, pool, workerIndex, work: new Map(work) });
    return null;
  },

  async serve() {
    const arena = state.arena!;
    let yieldedAt = Number.NEGATIVE_INFINITY;
    for (;;) {
      const slot = arena.accept(state.pool!, threadId, state.workerIndex, state.held.window);
      if (!slot) return null;
      const loadedFrom = micros();
      let acceptedAt = loadedFrom;
      const { step } = slot.state;
      try {
        const work = state.work.get(step)!;
        let held = state.held.loaded(work.slice);
        if (!held) {
          held = await safepoint.inside(() => state.held.get(work.slice));
          acceptedAt = micros();
        }
        await computeStep(slot, step, held, work);
      } catch (error) {
        return { slot: slot.index, error: toWire(error) };
      }
      const finishedAt = micros();
      slot.setRan(step, { worker: threadId, loadedFrom, acceptedAt, finishedAt });
      arena.advance(slot, step);
      // Finalizers of native objects run only in the event loop.
      if (finishedAt - yieldedAt > YIELD_EVERY) {
        await new Promise(setImmediate);
        yieldedAt = micros();
      }
    }
  },

  async hold(ask) {
    await prepared;
    const { ranOn, deviceName, weightBytes, stateBytes } = await decoder.hold(engineId, ask, options);
    return { ranOn, deviceName, weightBytes, stateBytes };
  },

  visit: (ask) => decoder.visit(ask),

  async dispose() {
    await decoder.dispose();
    await state.held.dispose();
    return null;
  },

  async describe({ model, fed, axes, fixedBatch, feeds }) {
    const { readModel } = await import('../src/model/open.js');
    const read = await readModel(model, fed);
    const how = 'set by the planner';
    const inputRows = new Map(read.inputs.map(({ name }, n) => [name, { axis: axes[n]!, how }]));
    const graph = { ...read, fixedBatch, inputRows };
    return [...(await (await openEngine(engineId)).describe(graph, options, feeds))];
  },
};

async function computeStep(slot: Slot, step: number, held: HeldSlice, work: Work): Promise<void> {
  const { inputs, fedBack, outputs: regions } = work;
  const read = slot.round === 0 ? inputs : fedBack;
  const outputs = await safepoint.inside(() =>
    compute(
      held,
      read.map((region) => slot.tensors.at(region)),
    ),
  );
  slot.announce(step);
  for (const [n, region] of regions.entries()) slot.tensors.store(region, outputs[n]!);
  // Results that were joined from parts do not belong to the engine.
  if (!held.parts) await safepoint.inside(() => held.loaded.release?.(outputs));
}

/** An error without a code becomes TANDEM_ENGINE_FAILED. */
async function compute(held: HeldSlice, inputs: readonly Tensor[]): Promise<Tensor[]> {
  const { loaded, parts } = held;
  try {
    return await (parts ? runInParts(loaded, inputs, parts) : loaded.run(inputs));
  } catch (error) {
    const failure = asTandemError(error, 'TANDEM_ENGINE_FAILED');
    if (!parts || parts.rows === 1 || failure.code !== 'TANDEM_OUT_OF_MEMORY') throw failure;
    held.parts = { ...parts, rows: Math.ceil(parts.rows / 2) };
    return compute(held, inputs);
  }
}

/** The entry point for the pool: a default export, so that Piscina needs no `eval`. It returns errors as data and never throws. */
export default async function answer({ name, ask }: ThreadAsk): Promise<Reply<unknown>> {
  const call = () => (calls[name] as (ask: object) => Promise<unknown>)(ask);
  try {
    // `serve` sleeps while it waits for slots, which must count as outside.
    return { ok: await (name === 'serve' ? call() : safepoint.inside(call)) };
  } catch (error) {
    return { error: toWire(error) };
  }
}
