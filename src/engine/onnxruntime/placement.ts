/** The device on which a session really computes, by ORT's profile of the provider of each node and by the adapter's driver. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import type { Card } from '../../machine/cards/card.js';
import { knownCards } from '../../machine/cards/cards.js';
import { processorName } from '../../machine/processor.js';
import { sum } from '../../sums.js';
import { type AdapterInfo, askAdapter, placementOf } from '../webgpu-adapter.js';

export interface Placement {
  readonly ranOn: 'cpu' | 'gpu' | 'unknown';
  readonly deviceName: string;
}

/** Where a session that no trial run could be made on computes: nobody has seen it on the card. */
export function notKnown(refusal: Error): Placement {
  return {
    ranOn: 'unknown',
    deviceName: `a device that could not be found out: a trial run failed with "${refusal.message}"`,
  };
}

/** The processor, as the system calls it. */
export function onCpu(): Placement {
  return { ranOn: 'cpu', deviceName: processorName() };
}

/** Nodes that a provider ran, and the microseconds that they took together. */
export interface Work {
  readonly nodes: number;
  readonly micros: number;
}

/** A run whose record is kept: `options` go into the session, `read` is called once after its first run. */
export interface Recording extends Disposable {
  readonly options: InferenceSession.SessionOptions;
  /** What each provider ran. */
  read(session: InferenceSession): Map<string, Work>;
}

/** An entry of ORT's profile, as far as it is read. */
interface Event {
  readonly args?: { readonly provider?: string };
  readonly dur?: number;
}

export function record(): Recording {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-ort-'));
  return {
    options: { enableProfiling: true, profileFilePrefix: join(folder, 'run') },
    read(session) {
      session.endProfiling();
      const all = new Map<string, Work>();
      for (const name of readdirSync(folder)) {
        const events = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Event[];
        for (const { args, dur = 0 } of events) {
          if (!args?.provider) continue;
          const { nodes, micros } = all.get(args.provider) ?? { nodes: 0, micros: 0 };
          all.set(args.provider, { nodes: nodes + 1, micros: micros + dur });
        }
      }
      return all;
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Vulkan drivers that compute on the processor, by the names of their libraries. */
const SOFTWARE: readonly (readonly [RegExp, string])[] = [
  [/swiftshader/i, 'SwiftShader'],
  [/vulkan_lvp|lavapipe|llvmpipe/i, 'lavapipe'],
];

/**
 * What ORT calls its providers of cards, and what people do. `fuses`: it computes a part of the model as one node, so that its share is to be
 * decided by time. The others are decided by nodes, because their time is only that of submitting work to the card.
 */
const PROVIDERS: Record<string, { readonly recorded: string; readonly said: string; readonly fuses?: true }> = {
  webgpu: { recorded: 'WebGpuExecutionProvider', said: 'WebGPU' },
  cuda: { recorded: 'CUDAExecutionProvider', said: 'CUDA' },
  coreml: { recorded: 'CoreMLExecutionProvider', said: 'Core ML', fuses: true },
  directml: { recorded: 'DmlExecutionProvider', said: 'DirectML', fuses: true },
};

export interface Seen {
  /** The machine's cards, as their drivers report them. */
  readonly cards: readonly Card[];
  /** The libraries that are loaded into the process. */
  readonly libraries: readonly string[];
  /** The adapter that WebGPU chooses in this environment; `null` if it cannot be asked. */
  readonly adapter: () => AdapterInfo | null;
}

function seenHere(): Seen {
  return { cards: knownCards(), libraries: loadedObjects(), adapter: askAdapter };
}

/** What a session on a card ran on. `work` is what a first run recorded, `null` where there was none. */
export function onCard(
  provider: string,
  work: ReadonlyMap<string, Work> | null,
  { deviceIndex = 0, seen = seenHere() }: { readonly deviceIndex?: number; readonly seen?: Seen } = {},
): Placement {
  const { recorded, said, fuses } = PROVIDERS[provider] ?? { recorded: provider, said: provider };
  const adapter = provider === 'webgpu' ? webgpuAdapter(seen) : (seen.cards[deviceIndex]?.name ?? null);
  if (adapter !== null && typeof adapter === 'object') return adapter;
  const deviceName = `${adapter ?? 'the adapter that it chose'}, through ${said}`;
  if (!work) return { ranOn: 'gpu', deviceName };
  const nodes = sum([...work.values()].map((each) => each.nodes));
  const micros = sum([...work.values()].map((each) => each.micros));
  const there = work.get(recorded) ?? { nodes: 0, micros: 0 };
  // The sums on shapes stay on the processor; when most of the rest does too, the stage is not on the card.
  const isThere = fuses ? 2 * there.micros >= micros && there.nodes > 0 : 2 * there.nodes >= nodes;
  const part = fuses
    ? `${Math.round((100 * there.micros) / (micros || 1))} % of the time`
    : `${there.nodes} of ${nodes} ops`;
  if (!isThere) {
    const elsewhere = fuses ? `all but ${part}` : `${nodes - there.nodes} of ${nodes} ops`;
    return { ...onCpu(), deviceName: `${onCpu().deviceName} (${elsewhere})` };
  }
  return { ranOn: 'gpu', deviceName: there.nodes < nodes ? `${deviceName} (${part})` : deviceName };
}

/**
 * The name of the card that WebGPU computes on, or the software adapter. ORT does not report its adapter. The Vulkan loader loads every driver
 * that is installed, so a loaded driver of a card proves nothing: a card must be there. Where a card and a software driver are, Dawn is asked.
 */
function webgpuAdapter({ cards, libraries, adapter }: Seen): string | Placement | null {
  const software = SOFTWARE.find(([pattern]) => libraries.some((name) => pattern.test(name)))?.[1];
  if (!software) return cards[0]?.name ?? null;
  const info = cards.length > 0 ? adapter() : null;
  if (info) {
    const { ranOn, deviceName } = placementOf(info);
    return ranOn === 'cpu' ? { ranOn, deviceName } : deviceName.replace(/, through WebGPU$/, '');
  }
  // Dawn prefers a card, unless the environment leaves it no driver of one.
  if (cards.length > 0 && process.env.VK_ICD_FILENAMES === undefined && process.env.VK_DRIVER_FILES === undefined)
    return cards[0]!.name;
  return { ranOn: 'cpu', deviceName: `${software}, a software adapter` };
}

function loadedObjects(): string[] {
  return (process.report.getReport() as unknown as { sharedObjects: string[] }).sharedObjects;
}
