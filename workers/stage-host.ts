/** What runs as a stage's own process: a thread pool behind a pipe, whose workers meet the coordinator in the slots of a shared file. */
import { Socket } from 'node:net';
import { Arena } from '../src/arena/arena.js';
import { toWire } from '../src/errors.js';
import { Frames } from '../src/pool/frames.js';
import type { PoolOptions } from '../src/pool/pool.js';
import {
  type Failed,
  HOST_ARENA,
  HOST_DOORBELL,
  HOST_PIPE,
  type HostAsk,
  type HostCalls,
} from '../src/pool/protocol.js';
import { residentMemory, restartPeak } from '../src/pool/resident-memory.js';
import { ThreadPool } from '../src/pool/thread-pool.js';

// To fail a slot is for the coordinator's side, which is then told why at the same time.
const pool = new ThreadPool(JSON.parse(process.argv[2]!) as PoolOptions, (slot, reason) => {
  const failed: Failed = { slot, error: toWire(reason) };
  frames.send(failed);
});

type Handlers = { [K in keyof HostCalls]: (ask: HostCalls[K]['ask']) => Promise<HostCalls[K]['answer']> };

const handlers: Handlers = {
  load: (ask) => pool.load(ask.slice, ask.rowsAtOnce),
  probe: (ask) => pool.probe(ask.inputs),
  time: async (ask) => ({ micros: await pool.time(ask) }),
  foresee: (ask) => pool.foresee(ask.slice, ask.inputs),
  describe: (ask) => pool.describe(ask),
  async attach({ layout, stage, turn }) {
    await pool.join(stage, new Arena(layout, { file: HOST_ARENA, doorbell: HOST_DOORBELL }), turn);
    return null;
  },
  async serve() {
    pool.serve();
    return null;
  },
  async detach() {
    await pool.detach();
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
const frames = new Frames(socket, (frame) => void answer(frame as HostAsk));

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
