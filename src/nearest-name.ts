/** The known name that a mistyped one was most likely meant to be. */
import { createRequire } from 'node:module';

/** Names longer than this are no typing errors, and would cost time squared. */
const LONGEST = 200;
/** A beginning of a name this long is an abbreviation of it (`mem` of `memory`). */
const SHORTEST_ABBREVIATION = 3;

/**
 * The candidate with the fewest edits from `name`, when they are at most a third of its length (and at least two are allowed);
 * else the only candidate that `name` is the beginning of.
 */
export function nearestName(name: string, candidates: readonly string[]): string | null {
  if (name.length > LONGEST) return null;
  // Loaded when somebody has mistyped something, which most starts are not about.
  const { distance } = createRequire(import.meta.url)('fastest-levenshtein') as typeof import('fastest-levenshtein');
  let nearest: string | null = null;
  let fewest = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    if (candidate.length > LONGEST) continue;
    const edits = distance(name.toLowerCase(), candidate.toLowerCase());
    if (edits < fewest && edits < candidate.length) [nearest, fewest] = [candidate, edits];
  }
  return nearest ?? abbreviated(name, candidates);
}

function abbreviated(name: string, candidates: readonly string[]): string | null {
  if (name.length < SHORTEST_ABBREVIATION) return null;
  const longer = candidates.filter((candidate) => candidate.toLowerCase().startsWith(name.toLowerCase()));
  return longer.length === 1 ? longer[0]! : null;
}
