/** Does an engine work here? Found by a child process that loads it and computes with it, so that a crash is only news. */
import { fork } from 'node:child_process';
import type { EngineFacts } from '../engine/entry.js';

export type Probe =
  | ({ readonly works: true } & EngineFacts)
  | { readonly works: false; readonly reason: string; readonly remedy?: string | undefined };

/** By way of the folder: bundled, this file lies in another room. */
const CHILD = new URL('../setup/probe-child.js', import.meta.url);
const TIMEOUT_MS = 120_000;

/** @param packageFolder of the package that brings `provider`, where it is not the one that tandem itself would load. */
export function probeEngine(engine: string, provider: string, packageFolder?: string): Promise<Probe> {
  return new Promise((resolve) => {
    const child = fork(CHILD, [engine, provider, ...(packageFolder ? [packageFolder] : [])], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    let stderr = '';
    let answer: { facts?: EngineFacts; fault?: string; remedy?: string } | undefined;
    child.stderr!.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.on('message', (message) => (answer = message as typeof answer));
    child.on('error', (error) => resolve({ works: false, reason: error.message }));
    child.on('close', (status, signal) => {
      if (answer?.facts) return resolve({ works: true, ...answer.facts });
      const words = answer?.fault ?? stderr.trim().split('\n').at(-1);
      const end = signal ? `it was ended by ${signal}` : `it ended with status ${status}`;
      resolve({ works: false, reason: firstLine(words || end), remedy: answer?.remedy });
    });
  });
}

/** Loaders print paragraphs; the first line has the cause. */
function firstLine(text: string): string {
  return text.trim().split('\n')[0]!.trim();
}
