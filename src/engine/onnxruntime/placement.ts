/** Where a session really computes: ORT's own record of which provider ran each node, and the driver behind the adapter. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { processorName } from '../../processor.js';

export interface Placement {
  readonly ranOn: 'cpu' | 'gpu';
  readonly deviceName: string;
}

/** The processor, as the system calls it. */
export function onCpu(): Placement {
  return { ranOn: 'cpu', deviceName: processorName() };
}

/** A run whose record is kept: `options` go into the session, `read` is called once after its first run. */
export interface Recording extends Disposable {
  readonly options: InferenceSession.SessionOptions;
  /** How many nodes each provider ran. */
  read(session: InferenceSession): Map<string, number>;
}

export function record(): Recording {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-ort-'));
  return {
    options: { enableProfiling: true, profileFilePrefix: join(folder, 'run') },
    read(session) {
      session.endProfiling();
      const counts = new Map<string, number>();
      for (const name of readdirSync(folder)) {
        const events = JSON.parse(readFileSync(join(folder, name), 'utf8')) as { args?: { provider?: string } }[];
        for (const { args } of events) {
          if (args?.provider) counts.set(args.provider, (counts.get(args.provider) ?? 0) + 1);
        }
      }
      return counts;
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Vulkan drivers that compute on the processor, and those of cards, by the names of their libraries. */
const SOFTWARE: readonly (readonly [RegExp, string])[] = [
  [/swiftshader/i, 'SwiftShader'],
  [/vulkan_lvp|lavapipe|llvmpipe/i, 'lavapipe'],
];
const CARDS: readonly (readonly [RegExp, string])[] = [
  [/nvidia/i, 'an NVIDIA card'],
  [/radeon|amdvlk/i, 'an AMD card'],
  [/vulkan_intel|intel_icd/i, 'an Intel card'],
  [/vulkan_(?!lvp)\w+/i, 'a card'],
];

/** What ORT calls its providers of cards, and what people do. */
const PROVIDERS: Record<string, { readonly recorded: string; readonly said: string }> = {
  webgpu: { recorded: 'WebGpuExecutionProvider', said: 'WebGPU' },
  cuda: { recorded: 'CUDAExecutionProvider', said: 'CUDA' },
  coreml: { recorded: 'CoreMLExecutionProvider', said: 'Core ML' },
  directml: { recorded: 'DmlExecutionProvider', said: 'DirectML' },
};

/**
 * What a session on a card ran on. ORT does not tell the adapter's name; on Linux the drivers that are loaded into the process do, and
 * where only a software driver is there, that is what computes. `counts` is what a first run recorded, `null` where there was none.
 */
export function onCard(
  provider: string,
  counts: ReadonlyMap<string, number> | null,
  drivers = loadedObjects(),
): Placement {
  const { recorded, said } = PROVIDERS[provider] ?? { recorded: provider, said: provider };
  const named = (table: typeof CARDS) => table.find(([pattern]) => drivers.some((name) => pattern.test(name)))?.[1];
  const card = named(CARDS);
  const software = named(SOFTWARE);
  if (provider === 'webgpu' && !card && software)
    return { ranOn: 'cpu', deviceName: `${software}, a card made of software` };
  const deviceName = `${card ?? 'the adapter that it chose'}, through ${said}`;
  if (!counts) return { ranOn: 'gpu', deviceName };
  const nodes = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const there = counts.get(recorded) ?? 0;
  // The sums on shapes stay on the processor; when most of the rest does too, the stage is not on the card.
  if (2 * there < nodes) return { ...onCpu(), deviceName: `${onCpu().deviceName} (${nodes - there} of ${nodes} ops)` };
  return { ranOn: 'gpu', deviceName: there < nodes ? `${deviceName} (${there} of ${nodes} ops)` : deviceName };
}

function loadedObjects(): string[] {
  return (process.report.getReport() as unknown as { sharedObjects: string[] }).sharedObjects;
}
