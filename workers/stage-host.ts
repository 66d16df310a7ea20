/** The program of a stage's process: a thread pool behind a pipe, whose workers share slots with the coordinator through a shared file. */
import { Socket } from 'node:net';
import { Arena } from '../src/arena/arena.js';
import { toWire } from '../src/errors.js';
import { residentMemory, restartPeak } from '../src/machine/resident-memory.js';
import { Frames } from '../src/pool/frames.js';
import type { PoolOptions } from '../src/pool/pool.js';
import {
  type DecoderCalls,
  type Failed,
  HOST_ARENA,
  HOST_NOTIFY_SOCKET,
  HOST_PIPE,
  type HostAsk,
  type HostBooted,
  type HostCalls,
} from '../src/pool/protocol.js';
import { ThreadPool } from '../src/pool/thread-pool.js';

// The coordinator's side fails the slot, since it also needs the reason.
const pool = new ThreadPool(JSON.parse(process.argv[2]!) as PoolOptions, (slot, reason) => {
  const failed: Failed = { slot, error: toWire(reason) };
  frames.send(failed);
});

type Handlers = {
  [K in Exclude<keyof HostCalls, keyof DecoderCalls>]: (ask: HostCalls[K]['ask']) => Promise<HostCalls[K]['answer']>;
};

const handlers: Handlers = {
  load: ({ slices, resident, parts }) => pool.load(slices, resident, parts),
  probe: (ask) => pool.probe(ask.slice, ask.inputs),
  time: async (ask) => ({ micros: await pool.time(ask) }),
  infer: (ask) => pool.infer(ask.slice, ask.inputs),
  describe: (ask) => pool.describe(ask),
  async attach({ layout, pool: number }) {
    await pool.join(new Arena(layout, { file: HOST_ARENA, notifySocket: HOST_NOTIFY_SOCKET }), number);
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
// The coordinator has exited. SIGKILL, because `exit` would wait for threads in native code.
socket.on('close', () => process.kill(process.pid, 'SIGKILL'));
socket.on('error', () => {});
const frames = new Frames(socket, (frame) => void answer(frame as HostAsk));

const booted: HostBooted = 'booted';
frames.send(booted);

async function answer({ id, name, ask }: HostAsk): Promise<void> {
  try {
    frames.send({
      id,
      reply: { ok: await (handlers[name as keyof Handlers] as (ask: unknown) => Promise<unknown>)(ask) },
    });
  } catch (error) {
    frames.send({ id, reply: { error: toWire(error) } });
  }
}

// Ctrl-C signals the whole process group of a terminal; the coordinator decides when a stage ends.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
