/** A WebGPU adapter as it describes itself: the device that a stage ran on, and its name for people. */
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

export interface AdapterInfo {
  readonly vendor: string;
  readonly device: string;
  readonly description: string;
  /** Whether it computes on the CPU. */
  readonly isFallbackAdapter: boolean;
}

/** `device` is the card's name in lower case with dashes, `description` the driver's name. */
export function placementOf({ vendor, device, description, isFallbackAdapter }: AdapterInfo): {
  ranOn: 'cpu' | 'gpu';
  deviceName: string;
} {
  const name = device.replaceAll('-', ' ').trim() || vendor || 'an adapter without a name';
  const adapter = description === '' ? name : `${name} (${description})`;
  if (isFallbackAdapter) return { ranOn: 'cpu', deviceName: `${adapter}, a software adapter` };
  return { ranOn: 'gpu', deviceName: `${adapter}, through WebGPU` };
}

/** Asks Dawn for its high-performance adapter, as the WebGPU providers do. */
const ASK = `
const { create } = await import(process.argv[1]);
const adapter = await create([]).requestAdapter({ powerPreference: 'high-performance' });
const { vendor, device, description, isFallbackAdapter } = adapter?.info ?? {};
process.stdout.write(JSON.stringify(adapter && { vendor, device, description, isFallbackAdapter: Boolean(isFallbackAdapter) }));
process.exit();
`;

/** Milliseconds. */
const TIMEOUT_MS = 20_000;

let asked: AdapterInfo | null | undefined;

/**
 * What Dawn reports in this environment, asked once; `null` if it cannot be asked: its package `webgpu` is optional. A process of its own asks,
 * since two Dawns in one process can end it.
 */
export function askAdapter(): AdapterInfo | null {
  if (asked !== undefined) return asked;
  asked = null;
  try {
    const address = pathToFileURL(createRequire(import.meta.url).resolve('webgpu')).href;
    const answer = execFileSync(process.execPath, ['--input-type=module', '-e', ASK, address], {
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    asked = JSON.parse(answer) as AdapterInfo | null;
  } catch {
    // Not installed, or it has no adapter.
  }
  return asked;
}
