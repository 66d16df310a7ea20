/** Chooses engines and providers by their entries. */
import { TandemError } from '../errors.js';
import type { ModelFormat, ModelGraph } from '../model/graph.js';
import { parseDevice } from './device.js';
import type { Engine } from './engine.js';
import type { EngineEntry } from './entry.js';
import { ENGINES } from './list.js';
import { importOwnEngine, isAddress, openCustomEngine, openedEngine, openOwnEngine } from './own-engine.js';
import { byPreference } from './preference.js';

/** The entry with this id. Throws TANDEM_ENGINE_MISSING for an own engine that was not given in this process. */
export function entryOf(id: string): EngineEntry {
  const entry = findEntry(id);
  if (entry) return entry;
  throw new TandemError('TANDEM_ENGINE_MISSING', `there is no engine "${id}" here`, {
    remedy: isAddress(id)
      ? 'give it again as engine: in the options of the library call'
      : `the engines are ${ENGINES.map((each) => each.id).join(', ')}`,
  });
}

/** The engine itself; a worker imports one of the user's own by its address. */
export function openEngine(id: string): Promise<Engine> {
  return isAddress(id) ? importOwnEngine(id) : entryOf(id).open();
}

/** As `byPreference`; `asked` may be an engine of the user's own that was opened. */
function enginesFor(format: ModelFormat, asked?: string): [EngineEntry, ...EngineEntry[]] {
  const listed = ENGINES.map((entry) => openedEngine(entry.id) ?? entry);
  const own = asked === undefined || ENGINES.some(({ id }) => id === asked) ? undefined : openedEngine(asked);
  return byPreference(own ? [...listed, own] : listed, format, asked);
}

/** An opened entry is more complete than the one in the list. */
function findEntry(id: string): EngineEntry | undefined {
  return openedEngine(id) ?? ENGINES.find((entry) => entry.id === id);
}

/** As `byPreference`, with `asked` the id of an engine or the module of one of the user's own. Throws TANDEM_USAGE, TANDEM_ENGINE_MISSING. */
export async function usableEngines(
  format: ModelFormat,
  asked?: string | URL,
): Promise<[EngineEntry, ...EngineEntry[]]> {
  await openCustomEngine();
  if (asked === undefined) return enginesFor(format);
  const isListed = ENGINES.some(({ id }) => id === asked);
  return enginesFor(format, isListed ? String(asked) : (await openOwnEngine(asked)).id);
}

/** The fields of a model by which engines are chosen. */
export type ForEngines = Pick<ModelGraph, 'format' | 'engines'>;

/** The engine of a stage: the first that has the provider for this device, or any provider if none is asked for. */
export function engineOf({ format, engines }: ForEngines, device: string, provider?: string): EngineEntry {
  const { kind } = parseDevice(device);
  const entries = engines?.map(entryOf) ?? enginesFor(format);
  const fits = ({ providers }: EngineEntry) =>
    providers.some(({ name, devices }) => devices.includes(kind) && (provider === undefined || name === provider));
  return entries.find(fits) ?? entries[0]!;
}

/** The provider for a device: the asked-for one if the engine has it, else the first that is installed. Throws TANDEM_USAGE. */
export function providerFor(engine: string, device: string, asked?: string): string {
  const { kind } = parseDevice(device);
  const offered = entryOf(engine).providers.filter(({ devices }) => devices.includes(kind));
  const chosen =
    asked === undefined
      ? (offered.find((provider) => provider.isInstalled()) ?? offered[0])
      : offered.find(({ name }) => name === asked);
  if (chosen) return chosen.name;
  const what = asked === undefined ? `no provider for ${kind}` : `no provider "${asked}" for ${kind}`;
  throw new TandemError('TANDEM_USAGE', `engine ${engine} has ${what}`, {
    remedy: offered.length > 0 ? `use provider=${offered.map(({ name }) => name).join(' or provider=')}` : undefined,
  });
}

/** As `ProviderEntry.build`; for an engine or provider that is not here, a text that no other has. */
export function engineBuild(engine: string, provider: string): string {
  const entry = findEntry(engine);
  // An own engine may use provider names that it does not list.
  const known = entry?.providers.find(({ name }) => name === provider) ?? entry?.providers[0];
  return known?.build() ?? `${engine} ${provider}, not here`;
}

/** Whether a process can have only one worker with this provider. */
export function isOnePerProcess(engine: string, provider: string): boolean {
  return entryOf(engine).providers.some(({ name, onePerProcess }) => name === provider && onePerProcess);
}
