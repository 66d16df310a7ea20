/** Does an engine work here? Found by a child process that loads it and computes with it, so that a crash is only news. */
import { fork } from 'node:child_process';
import type { EngineName } from '../engine/engine.js';

/** What a working engine tells about itself. */
export interface EngineFacts {
  /** Of the native library: TensorFlow 2.21.0, ONNX Runtime 1.30.0. */
  readonly version: string;
  /** The kind of device that computed. */
  readonly device: 'CPU' | 'GPU';
  /** What its driver or library calls it. */
  readonly deviceName: string;
}

export type Probe = ({ readonly works: true } & EngineFacts) | { readonly works: false; readonly reason: string };

const CHILD = new URL('../setup/probe-child.js', import.meta.url);
const TIMEOUT_MS = 120_000;

/** @param packageFolder of the package that brings `provider`, where it is not the one that tandem itself would load. */
export function probeEngine(engine: EngineName, provider: string, packageFolder?: string): Promise<Probe> {
  return new Promise((resolve) => {
    const child = fork(CHILD, [engine, provider, ...(packageFolder ? [packageFolder] : [])], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3', TF_FORCE_GPU_ALLOW_GROWTH: 'true' },
      execArgv: [],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    let stderr = '';
    let answer: { facts?: EngineFacts; fault?: string } | undefined;
    child.stderr!.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.on('message', (message) => (answer = message as typeof answer));
    child.on('error', (error) => resolve({ works: false, reason: error.message }));
    child.on('close', (status, signal) => {
      if (answer?.facts) return resolve({ works: true, ...answer.facts });
      const words = answer?.fault ?? stderr.trim().split('\n').at(-1);
      const end = signal ? `it was ended by ${signal}` : `it ended with status ${status}`;
      resolve({ works: false, reason: firstLine(words || end) });
    });
  });
}

/** Loaders answer with paragraphs; the first line tells the cause. */
function firstLine(text: string): string {
  return text.trim().split('\n')[0]!.trim();
}
