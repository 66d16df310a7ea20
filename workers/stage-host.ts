/** What runs as a stage's own process: a thread pool behind a pipe, and slots that follow the coordinator's through a shared file. */
import { Socket } from 'node:net';
import { Arena } from '../src/arena/arena.js';
import type { Region } from '../src/arena/layout.js';
import type { Slot } from '../src/arena/slot.js';
import { toWire } from '../src/errors.js';
import type { Slice } from '../src/model/slice.js';
import { Frames } from '../src/pool/frames.js';
import type { PoolOptions } from '../src/pool/pool.js';
import { type Failed, HOST_ARENA, HOST_PIPE, type HostAsk, type HostCalls } from '../src/pool/protocol.js';
import { residentMemory, restartPeak } from '../src/pool/resident-memory.js';
import { ThreadPool } from '../src/pool/thread-pool.js';

const pool = new ThreadPool(JSON.parse(process.argv[2]!) as PoolOptions);

let slice: Slice | undefined;
let stage = 0;
let arena: Arena;
let inputs: readonly Region[] = [];

type Handlers = { [K in keyof HostCalls]: (ask: HostCalls[K]['ask']) => Promise<HostCalls[K]['answer']> };

const handlers: Handlers = {
  load(ask) {
    slice = ask.slice;
    return pool.load(ask.slice, ask.rowsAtOnce);
  },
  probe: (ask) => pool.probe(ask.inputs),
  time: async (ask) => ({ micros: await pool.time(ask) }),
  foresee: (ask) => pool.foresee(ask.slice, ask.inputs),
  describe: (ask) => pool.describe(ask),
  async attach({ layout, stage: index, turn }) {
    // Nobody here takes a slot after this stage: it is the last one.
    arena = new Arena({ ...layout, stages: index + 1 }, { file: HOST_ARENA });
    stage = index;
    inputs = slice!.inputs.map((name) => arena.region(name));
    await pool.attach(stage, arena, turn);
    return null;
  },
  async memory({ restart }) {
    const memory = residentMemory();
    if (restart) restartPeak();
    return memory;
  },
};

const socket = new Socket({ fd: HOST_PIPE });
// The coordinator is gone: nobody is left to compute for, and a thread deep in native code would not let `exit` return.
socket.on('close', () => process.kill(process.pid, 'SIGKILL'));
socket.on('error', () => {});
const frames = new Frames(socket, {
  frame: (frame) => void answer(frame as HostAsk),
  slot: (slot, words) => void run(slot, words),
});

async function run(number: number, words: Int32Array): Promise<void> {
  const slot = arena.slots[number]!;
  try {
    slot.setWords(words);
    await arena.fetch(slot, inputs);
    slot.adopt(stage);
    // The worker itself writes its results into the file.
    arena.whenSettled(slot, () => (slot.isDone ? giveBack(slot) : fail(slot, pool.failureOf(number))));
  } catch (error) {
    fail(slot, error);
  }
}

function giveBack(slot: Slot): void {
  const words = slot.words();
  slot.giveBack();
  frames.sendSlot(slot.index, words);
}

function fail(slot: Slot, error: unknown): void {
  slot.giveBack();
  const failed: Failed = { slot: slot.index, error: toWire(error) };
  frames.send(failed);
}

async function answer({ id, name, ask }: HostAsk): Promise<void> {
  try {
    frames.send({ id, reply: { ok: await (handlers[name] as (ask: unknown) => Promise<unknown>)(ask) } });
  } catch (error) {
    frames.send({ id, reply: { error: toWire(error) } });
  }
}

// Ctrl-C goes to the whole group of a terminal; the coordinator decides when a stage ends.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
