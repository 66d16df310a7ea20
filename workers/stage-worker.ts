/** What runs inside a pool's thread: holds one slice and computes the micro-batches that lie in shared slots. */
import { threadId, workerData } from 'node:worker_threads';
import { Arena } from '../src/arena/arena.js';
import type { Region } from '../src/arena/layout.js';
import type { Engine, LoadedSlice } from '../src/engine/engine.js';
import { runInParts } from '../src/engine/in-parts.js';
import { ENGINES } from '../src/engine/registry.js';
import { asTandemError, TandemError, toWire } from '../src/errors.js';
import type { Slice } from '../src/model/slice.js';
import { type Answer, type Ask, type CallName, micros, type Reply, type WorkerSetup } from '../src/pool/protocol.js';
import { allocate, type Tensor } from '../src/tensor.js';

/** Microseconds between two turns of the loop: one takes 40 after a run of tfjs, 12 after one of ONNX Runtime. */
const TURN_EVERY = 20_000;

/** The thread's whole state: a call finds what the calls before it left. */
const stage: {
  slice?: Slice;
  loaded?: LoadedSlice;
  rowsAtOnce?: number | null;
  arena?: Arena;
  index?: number;
  turn?: number;
  inputs: readonly Region[];
  outputs: readonly Region[];
} = { inputs: [], outputs: [] };

const { engine: engineName, options, model } = workerData as WorkerSetup;

function openEngine(): Promise<Engine> {
  return ENGINES[engineName].open();
}

// What fails here fails in `load` too, and is told there.
const prepared =
  model &&
  openEngine()
    .then((engine) => engine.prepare?.(model))
    .catch(() => {});

export const load = answering<'load'>(async ({ slice, rowsAtOnce }) => {
  await prepared;
  await stage.loaded?.dispose();
  const loaded = await (await openEngine()).load(slice, options);
  Object.assign(stage, { slice, loaded, rowsAtOnce });
  return { ranOn: loaded.ranOn, deviceName: loaded.deviceName, weightBytes: loaded.weightBytes };
});

export const probe = answering<'probe'>(async ({ inputs }) => {
  const start = micros();
  const outputs = await compute(inputs);
  return { outputs, micros: micros() - start };
});

export const time = answering<'time'>(async ({ inputs, runs, millis }) => {
  const tensors = inputs.map((input) =>
    'data' in input ? input : { ...input, data: allocate(input.dtype, input.shape) },
  );
  const run = async () => {
    const start = micros();
    const outputs = await loadedSlice().run(tensors);
    const took = micros() - start;
    loadedSlice().release?.(outputs);
    return took;
  };
  const first = await run();
  if (runs === 0) return { micros: [first] };
  const times: number[] = [];
  const begun = micros();
  while (times.length < runs || micros() - begun < millis * 1e3) times.push(await run());
  return { micros: times };
});

export const foresee = answering<'foresee'>(
  async ({ slice, inputs }) => (await loadedSlice().foresee?.(slice, inputs)) ?? null,
);

export const attach = answering<'attach'>(async ({ layout, place, stage: index, turn }) => {
  const arena = new Arena(layout, place);
  const slice = stage.slice!;
  const regions = (names: readonly string[]) => names.map((name) => arena.region(name));
  Object.assign(stage, { arena, index, turn, inputs: regions(slice.inputs), outputs: regions(slice.outputs) });
  return null;
});

export const serve = answering<'serve'>(async () => {
  const arena = stage.arena!;
  const index = stage.index!;
  let turnedAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const slot = arena.accept(index, threadId, stage.turn);
    if (!slot) return null;
    const acceptedAt = micros();
    try {
      const outputs = await compute(stage.inputs.map((region) => slot.tensors.at(region)));
      slot.announce(index);
      for (const [n, region] of stage.outputs.entries()) slot.tensors.store(region, outputs[n]!);
      // What was put together from parts is no engine's.
      if (!stage.rowsAtOnce) loadedSlice().release?.(outputs);
    } catch (error) {
      return { slot: slot.index, error: toWire(error) };
    }
    const finishedAt = micros();
    slot.setRan(index, { worker: threadId, acceptedAt, finishedAt });
    arena.advance(slot, index);
    // What native objects leave behind is freed in a turn of the loop only.
    if (finishedAt - turnedAt > TURN_EVERY) {
      await new Promise(setImmediate);
      turnedAt = micros();
    }
  }
});

export const dispose = answering<'dispose'>(async () => {
  await stage.loaded?.dispose();
  stage.loaded = undefined;
  return null;
});

export const describe = answering<'describe'>(async ({ model, feeds }) => {
  const { openModel } = await import('../src/model/open.js');
  const graph = await openModel(model);
  return [...(await (await openEngine()).describe(graph, options, feeds))];
});

/** What an engine throws without a code of its own is told as its failure. */
async function compute(inputs: readonly Tensor[]): Promise<Tensor[]> {
  const loaded = loadedSlice();
  const { rowsAtOnce } = stage;
  try {
    return await (rowsAtOnce ? runInParts(loaded, inputs, rowsAtOnce) : loaded.run(inputs));
  } catch (error) {
    const failure = asTandemError(error, 'TANDEM_ENGINE_FAILED');
    if (!rowsAtOnce || rowsAtOnce === 1 || failure.code !== 'TANDEM_OUT_OF_MEMORY') throw failure;
    stage.rowsAtOnce = Math.ceil(rowsAtOnce / 2);
    return compute(inputs);
  }
}

function loadedSlice(): LoadedSlice {
  if (!stage.loaded)
    throw new TandemError('TANDEM_INTERNAL', 'the worker was asked to compute before it had loaded its slice');
  return stage.loaded;
}

/** A call as Piscina wants it: nothing thrown crosses the wall. */
function answering<K extends CallName>(
  call: (ask: Ask<K>) => Promise<Answer<K>>,
): (ask: Ask<K>) => Promise<Reply<Answer<K>>> {
  return async (ask) => {
    try {
      return { ok: await call(ask) };
    } catch (error) {
      return { error: toWire(error) };
    }
  };
}
