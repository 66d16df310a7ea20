/** The order in which engines are preferred for a format of models. */
import { TandemError } from '../errors.js';
import type { ModelFormat } from '../model/graph.js';
import { nearestName } from '../nearest-name.js';
import type { EngineEntry } from './entry.js';

/**
 * Those of `entries` that run the format: the one with the id `asked`, then those that can run here, each group in the order of `entries`.
 * Throws TANDEM_USAGE.
 */
export function byPreference(
  entries: readonly EngineEntry[],
  format: ModelFormat,
  asked?: string,
): [EngineEntry, ...EngineEntry[]] {
  const able = entries.filter(({ formats }) => formats.includes(format));
  const [here, absent] = [true, false].map((wanted) => able.filter((entry) => isHere(entry) === wanted));
  const [first, ...others] = [...here!, ...absent!];
  if (asked === undefined) return [first!, ...others];
  const chosen = able.find(({ id }) => id === asked);
  if (!chosen) throw notForFormat(format, asked, able);
  return [chosen, ...able.filter(({ id }) => id !== asked)];
}

/** Whether one of its providers is installed, as far as can be seen without loading it. */
export function isHere({ providers }: EngineEntry): boolean {
  return providers.some((provider) => provider.isInstalled());
}

function notForFormat(format: ModelFormat, asked: string, able: readonly EngineEntry[]): TandemError {
  const ids = able.map(({ id }) => id);
  const nearest = nearestName(asked, ids);
  return new TandemError('TANDEM_USAGE', `the engine "${asked}" does not run models of the format ${format}`, {
    remedy: nearest === null ? `use ${ids.join(' or ')}` : `did you mean ${nearest}?`,
  });
}
