/** Bench: processor time that a thread which sleeps in its event loop spends on being woken, next to two threads that keep cores and caches busy. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { NotifySocket } from '../src/arena/notify-socket.js';
import { byAtomics } from '../src/arena/wake-up.js';
import { coordinatorMicros } from '../src/bench/coordinator-clock.js';
import { quantile } from '../src/bench/statistics.js';
import { formatTable } from '../src/cli/table.js';

/** Of each way in a round. */
const RINGS = 100;
const ROUNDS = 3;
/** Milliseconds between two rings. */
const ASLEEP = 20;

const BUSY = `const a = new Float32Array(4 << 20); for (;;) for (let n = 0; n < a.length; n++) a[n] = a[n] * 0.5 + 1;`;
const EVER = (ring: string) => `const nobodys = new Int32Array(new SharedArrayBuffer(4));
  for (;;) { Atomics.wait(nobodys, 0, 0, ${ASLEEP}); ${ring} }`;
/** Of a process that has been given what it rings by as file 3. */
const BY_FILE = EVER(`require('node:fs').writeSync(3, 'x');`);
const BY_NOTIFY = `const words = require('node:worker_threads').workerData;
  ${EVER('Atomics.add(words, 0, 1); Atomics.notify(words, 0);')}`;

/** Calls `heard` after each ring, until it is called off. */
type Way = (heard: () => void) => () => void;

const WAYS: Readonly<Record<string, Way>> = {
  'another process, through a stream': (heard) => {
    const child = ringer('pipe');
    (child.stdio as unknown[] as Readable[])[3]!.on('data', heard);
    return () => child.kill('SIGKILL');
  },
  'another process, by the notify socket': (heard) => {
    const notifySocket = new NotifySocket();
    const child = ringer(notifySocket.outside);
    void listen(() => notifySocket.notified(), heard);
    child.on('exit', () => notifySocket.close());
    return () => child.kill('SIGKILL');
  },
  'a thread, by Atomics.waitAsync': (heard) => {
    const words = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(BY_NOTIFY, { eval: true, workerData: words });
    void listen(() => byAtomics.woken!(words, Atomics.load(words, 0)), heard);
    return () => void worker.terminate();
  },
};

function ringer(file: 'pipe' | number): ChildProcess {
  return spawn(process.execPath, ['-e', BY_FILE], { stdio: ['ignore', 2, 2, file] });
}

async function listen(notified: () => unknown, heard: () => void): Promise<void> {
  for (;;) {
    await notified();
    heard();
  }
}

/** Microseconds of this thread from ring to ring, without what reading its clock takes. */
async function costsOf(way: Way): Promise<number[]> {
  const costs: number[] = [];
  let last: number | undefined;
  await new Promise<void>((resolve) => {
    const callOff = way(() => {
      if (costs.length === RINGS) return;
      const now = coordinatorMicros();
      if (last !== undefined) costs.push(now - last);
      last = coordinatorMicros();
      if (costs.length < RINGS) return;
      callOff();
      resolve();
    });
  });
  const reading = quantile(Array.from({ length: RINGS }, readingMicros), 0.5);
  return costs.map((cost) => Math.max(0, cost - reading));
}

function readingMicros(): number {
  const before = coordinatorMicros();
  return coordinatorMicros() - before;
}

const busy = [0, 1].map(() => new Worker(BUSY, { eval: true }));
const costs: Record<string, number[]> = {};
for (let round = 0; round < ROUNDS; round++)
  for (const [name, way] of Object.entries(WAYS)) costs[name] = [...(costs[name] ?? []), ...(await costsOf(way))];
const columns = ['notified by', 'p10', 'median', 'p90 µs'].map((title, c) => ({ title, right: c > 0 }));
const rows = Object.entries(costs).map(([name, own]) => [
  name,
  ...[0.1, 0.5, 0.9].map((share) => quantile(own, share).toFixed(0)),
]);
process.stdout.write(`${formatTable(columns, rows)}\n`);
await Promise.all(busy.map((worker) => worker.terminate()));
