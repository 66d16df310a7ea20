/** The program of a decoder stage's process. It computes in the main thread, and answers one call after the other. */
import { Socket } from 'node:net';
import { HeldDecoder } from '../src/engine/held-decoder.js';
import { ENGINES } from '../src/engine/list.js';
import { toWire } from '../src/errors.js';
import { Frames } from '../src/pool/frames.js';
import type { PoolOptions } from '../src/pool/pool.js';
import { type DecoderCalls, HOST_PIPE, type HostAsk, type HostBooted } from '../src/pool/protocol.js';

const { engine, engineOptions } = JSON.parse(process.argv[2]!) as PoolOptions;
const decoder = new HeldDecoder();
for (const { prepareProcess } of ENGINES) prepareProcess?.();

type Handlers = { [K in keyof DecoderCalls]: (ask: DecoderCalls[K]['ask']) => Promise<DecoderCalls[K]['answer']> };

const handlers: Handlers = {
  async hold(ask) {
    const { ranOn, deviceName, weightBytes, stateBytes } = await decoder.hold(engine, ask, engineOptions);
    return { ranOn, deviceName, weightBytes, stateBytes };
  },
  visit: (ask) => decoder.visit(ask),
};

const socket = new Socket({ fd: HOST_PIPE });
// The coordinator has exited.
socket.on('close', () => process.kill(process.pid, 'SIGKILL'));
socket.on('error', () => {});
const frames = new Frames(socket, (frame) => void answer(frame as HostAsk<keyof DecoderCalls>));

const booted: HostBooted = 'booted';
frames.send(booted);

async function answer({ id, name, ask }: HostAsk<keyof DecoderCalls>): Promise<void> {
  try {
    frames.send({ id, reply: { ok: await (handlers[name] as (ask: unknown) => Promise<unknown>)(ask) } });
  } catch (error) {
    frames.send({ id, reply: { error: toWire(error) } });
  }
}

// Ctrl-C signals the whole process group of a terminal; the coordinator decides when a stage ends.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
