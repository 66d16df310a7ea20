/** The recommendation: the fastest way to run the model on this machine, and what would make it faster. */
import type { BenchResult, CaseResult, Help, Overlap } from './result.js';
import { holdsOne, ratioOf } from './statistics.js';

type Findings = Pick<BenchResult, 'cases' | 'overlap' | 'machine'>;

/** A smaller gain is not reported. */
const WORTH = 1.01;

export function recommend(findings: Findings): BenchResult['verdict'] {
  const cases = findings.cases.filter(({ kind }) => kind !== 'again');
  const best = bestOf(cases);
  return {
    best: best.name,
    alike: cases.filter((each) => each !== best && isAlike(each, best)).map(({ name }) => name),
    flags: best.flags,
    speedUp: best.toFirst.median,
    helps: helpsFor(best, findings),
  };
}

/** The fastest by rounds; of those within a hundredth of it, the one with the fewest bytes of weights. */
function bestOf(cases: readonly CaseResult[]): CaseResult {
  const most = Math.max(...cases.map(({ toFirst }) => toFirst.median));
  const nearly = cases.filter(({ toFirst }) => toFirst.median * WORTH >= most);
  return nearly.toSorted((a, b) => a.weightBytes - b.weightBytes || b.toFirst.median - a.toFirst.median)[0]!;
}

/** Whether the repetitions do not show which of the two is faster. */
function isAlike(each: CaseResult, best: CaseResult): boolean {
  return holdsOne(ratioOf(each.repetitions, best.repetitions));
}

/** Changes that would make the best case faster, the largest gain first; each alone, by the measured times. */
function helpsFor(best: CaseResult, { cases, overlap, machine }: Findings): Help[] {
  const helps = [moreCores(best, cases, machine.cores), moreVram(best)];
  if (best.stages.length > 1) helps.push(evenCut(best), fasterLink(best));
  if (overlap?.pipelined === best.name) helps.push(lessContention(overlap));
  return helps.filter((help): help is Help => help !== null && help.gain >= WORTH).toSorted((a, b) => b.gain - a.gain);
}

/** Seconds of a micro-batch in each stage, divided by its workers: the largest sets the pace. */
function paces({ stages }: CaseResult): number[] {
  return stages.map(({ seconds, workers }) => seconds / workers);
}

/** Twice the cores, if that gains as much as the doublings up to the present number. */
function moreCores(best: CaseResult, cases: readonly CaseResult[], cores: number): Help | null {
  const single = cases.find(({ stages, depth }) => stages.length === 1 && stages[0]!.threads === 1 && depth === 1);
  if (!single || cores < 2 || best.stages.some(({ device }) => device !== 'cpu')) return null;
  const scaling = best.rowsPerSecond / single.rowsPerSecond;
  return {
    change: `${2 * cores} cores instead of ${cores}`,
    gain: scaling ** (1 / Math.log2(cores)),
    why: `${cores} cores give ${scaling.toFixed(2)} x one; a further doubling is assumed to gain as much`,
  };
}

/** The card could take layers until both devices take the same time. */
function moreVram(best: CaseResult): Help | null {
  const times = paces(best);
  const onCard = best.stages.findIndex(({ ranOn }) => ranOn === 'gpu');
  const slowest = Math.max(...times);
  if (onCard < 0 || best.stages.length < 2 || times[onCard] === slowest) return null;
  const counts = best.stages.map(({ layers }) => layers.to - layers.from + 1);
  // Layers a second on each device, if all layers are alike.
  const speed = counts.reduce((sum, count, j) => sum + count / times[j]!, 0);
  const even = counts.reduce((sum, count) => sum + count, 0) / speed;
  return {
    change: 'more memory on the card',
    gain: slowest / even,
    why: 'the card waits for the other stages and could take layers from them, if all layers are alike',
  };
}

function evenCut(best: CaseResult): Help {
  const times = paces(best);
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  return {
    change: 'stages of the same length',
    gain: Math.max(...times) / mean,
    why: `a micro-batch takes ${times.map((time) => (time * 1e3).toFixed(1)).join(' + ')} ms in its stages`,
  };
}

function fasterLink(best: CaseResult): Help {
  return {
    change: 'no time between the stages',
    gain: 1 / best.efficiency,
    why: `the run reaches ${best.efficiency.toFixed(3)} of what its stages' own times allow`,
  };
}

function lessContention({ contention }: Overlap): Help {
  return {
    change: 'cores that do not slow each other (memory bandwidth, cache, clock)',
    gain: contention,
    why: `stages take ${contention.toFixed(2)} x as long side by side as alone`,
  };
}
