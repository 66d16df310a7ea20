/** Other cuts beside the planned one: a machine changes its speed within seconds, so each look at one is between two at the planned cut. */
import type { ModelGraph } from '../../src/model/graph.js';
import { Rehearsal } from '../../src/pipeline/rehearsal.js';
import { makePlan } from '../../src/plan/make-plan.js';
import type { StageOptions } from '../../src/plan/plan.js';
import type { TensorSpec } from '../../src/tensor.js';
import { stageAlone } from './alone.js';
import { judgeCuts } from './bound.js';
import { contestants, type Found, isDone, plannedCut, unseen } from './found.js';

export interface SearchOptions {
  readonly stages: readonly StageOptions[];
  readonly rowSpecs: readonly TensorSpec[];
  /** As `Search.margin` of the bound; without end where all cuts are looked at. */
  readonly margin: number;
  /** Of the contest. */
  readonly turns: number;
  /** Seconds of steady work in a look. */
  readonly watched: number;
  /** Asked before each step: keeps what was found, and tells whether there is time for another. */
  readonly proceed: () => boolean;
}

export const SETTINGS = { allowFallback: false, deadline: 600_000 };

/** Adds to `found`: judges all cuts, looks at those that are left once each, and has a contest of the best. False when the time is up before. */
export async function searchCuts(graph: ModelGraph, found: Found, options: SearchOptions): Promise<boolean> {
  if (isDone(found, options.turns)) return true;
  await using beside = await Beside.open(graph, found, options);
  const all = (await beside.judge()) && (await beside.look()) && (await beside.contest());
  options.proceed();
  return all;
}

class Beside implements AsyncDisposable {
  readonly #graph: ModelGraph;
  readonly #found: Found;
  readonly #options: SearchOptions;
  readonly #opened: Rehearsal[] = [];
  #ours!: Rehearsal;
  /** What the planned cut did last. */
  #before!: number;

  private constructor(graph: ModelGraph, found: Found, options: SearchOptions) {
    this.#graph = graph;
    this.#found = found;
    this.#options = options;
  }

  static async open(graph: ModelGraph, found: Found, options: SearchOptions): Promise<Beside> {
    const beside = new Beside(graph, found, options);
    beside.#ours = await beside.#load(plannedCut(found));
    beside.#before = await beside.#rate(beside.#ours);
    return beside;
  }

  /** Finds the cuts that cannot be the best. */
  async judge(): Promise<boolean> {
    const { cuts, judged, plan } = this.#found;
    const { margin, rowSpecs, proceed } = this.#options;
    const planned = plannedCut(this.#found);
    const left = cuts.some((cut) => cut !== planned && judged[cut] === undefined);
    if (margin === Number.POSITIVE_INFINITY || !left) return true;
    const alone = await stageAlone(this.#graph, plan, rowSpecs);
    const interval = plan.microBatch / this.#before;
    return judgeCuts({ cuts, planned, margin, interval, alone }, judged, proceed);
  }

  async look(): Promise<boolean> {
    for (const cut of unseen(this.#found)) {
      if (!this.#options.proceed()) return false;
      const theirs = await this.#load(cut);
      this.#before = await this.#rate(this.#ours);
      this.#found.looks[cut] = await this.#share(theirs);
      await theirs.close();
      tell(cut, [this.#found.looks[cut]]);
    }
    return true;
  }

  /** All that are in it are loaded at once, and take turns. */
  async contest(): Promise<boolean> {
    const { contest } = this.#found;
    const { turns, proceed } = this.#options;
    const loaded = new Map<number, Rehearsal>();
    for (const cut of contestants(this.#found, turns)) loaded.set(cut, await this.#load(cut));
    for (let left = [...loaded.keys()]; left.length > 0; left = contestants(this.#found, turns)) {
      if (!proceed()) return false;
      this.#before = await this.#rate(this.#ours);
      for (const cut of left) contest[cut] = [...(contest[cut] ?? []), await this.#share(loaded.get(cut)!)];
    }
    for (const cut of loaded.keys()) tell(cut, contest[cut]!);
    return true;
  }

  /** Rows/s as a share of what the planned cut does right before and right after. */
  async #share(theirs: Rehearsal): Promise<number> {
    const before = this.#before;
    const rate = await this.#rate(theirs);
    this.#before = await this.#rate(this.#ours);
    return (2 * rate) / (before + this.#before);
  }

  async #rate(rehearsal: Rehearsal): Promise<number> {
    return (await rehearsal.watch(this.#options.watched)).rowsPerSecond;
  }

  async #load(cut: number): Promise<Rehearsal> {
    const { microBatch, depth, expected } = this.#found.plan;
    const { rowSpecs, stages } = this.#options;
    const layers = [
      { from: 0, to: cut - 1 },
      { from: cut, to: this.#graph.layers.length - 1 },
    ];
    const named = stages.map((stage, j) => ({ ...stage, layers: layers[j]! }));
    const request = { stages: named, microBatch, depth, isolation: 'process', rowSpecs, ...SETTINGS } as const;
    const plan = { ...(await makePlan(this.#graph, request)), expected };
    const rehearsal = await Rehearsal.open(this.#graph, plan, rowSpecs, SETTINGS);
    this.#opened.push(rehearsal);
    // Slower than all that follow: memory is touched for the first time.
    await this.#rate(rehearsal);
    return rehearsal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#opened.map((each) => each.close()));
  }
}

function tell(cut: number, shares: readonly number[]): void {
  process.stderr.write(`cut before ${cut}: ${shares.map((share) => share.toFixed(3)).join(' ')} of the planned\n`);
}
