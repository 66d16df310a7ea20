/**
 * Other cuts, loaded together with the planned one. A machine changes its speed within seconds, so each measurement of one lies between two of
 * the planned cut.
 */
import type { ModelGraph } from '../../src/model/graph.js';
import type { StageOptions } from '../../src/plan/stage-options.js';
import { makePlan } from '../../src/planner/make-plan.js';
import { Trial } from '../../src/planner/trial/trial.js';
import { rowsOfZeros } from '../../src/planner/trial/workload.js';
import type { TensorSpec } from '../../src/tensor.js';
import { stageAlone } from './alone.js';
import { judgeCuts } from './bound.js';
import { type Found, isDone, plannedCut, unfinishedFinalists, unmeasured } from './found.js';

export interface SearchOptions {
  readonly stages: readonly StageOptions[];
  readonly rowSpecs: readonly TensorSpec[];
  /** As `Search.margin` of the bound; infinite if all cuts are measured. */
  readonly margin: number;
  /** Interleaved rounds of the finalists. */
  readonly turns: number;
  /** Seconds of the steady state in a measurement. */
  readonly watched: number;
  /** Called before each step: saves the results, and returns whether there is time for another. */
  readonly proceed: () => boolean;
}

export const SETTINGS = { allowFallback: false, deadlineMs: 600_000 };

/** Adds to `found`: judges all cuts, measures those that are left once each, and then the finalists interleaved. False if the time is up before. */
export async function searchCuts(graph: ModelGraph, found: Found, options: SearchOptions): Promise<boolean> {
  if (isDone(found, options.turns)) return true;
  await using loaded = await SameMoment.open(graph, found, options);
  const all = (await loaded.judge()) && (await loaded.measureOnce()) && (await loaded.compareFinalists());
  options.proceed();
  return all;
}

class SameMoment implements AsyncDisposable {
  readonly #graph: ModelGraph;
  readonly #found: Found;
  readonly #options: SearchOptions;
  readonly #opened: Trial[] = [];
  #ours!: Trial;
  /** Rows/s of the planned cut in its newest measurement. */
  #before!: number;

  private constructor(graph: ModelGraph, found: Found, options: SearchOptions) {
    this.#graph = graph;
    this.#found = found;
    this.#options = options;
  }

  static async open(graph: ModelGraph, found: Found, options: SearchOptions): Promise<SameMoment> {
    const loaded = new SameMoment(graph, found, options);
    loaded.#ours = await loaded.#load(plannedCut(found));
    loaded.#before = await loaded.#rate(loaded.#ours);
    return loaded;
  }

  /** Excludes the cuts that cannot be the best. */
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

  async measureOnce(): Promise<boolean> {
    for (const cut of unmeasured(this.#found)) {
      if (!this.#options.proceed()) return false;
      const theirs = await this.#load(cut);
      this.#before = await this.#rate(this.#ours);
      this.#found.looks[cut] = await this.#share(theirs);
      await theirs.close();
      print(cut, [this.#found.looks[cut]]);
    }
    return true;
  }

  /** All finalists are loaded at once and measured interleaved. */
  async compareFinalists(): Promise<boolean> {
    const { contest } = this.#found;
    const { turns, proceed } = this.#options;
    const loaded = new Map<number, Trial>();
    for (const cut of unfinishedFinalists(this.#found, turns)) loaded.set(cut, await this.#load(cut));
    for (let left = [...loaded.keys()]; left.length > 0; left = unfinishedFinalists(this.#found, turns)) {
      if (!proceed()) return false;
      this.#before = await this.#rate(this.#ours);
      for (const cut of left) contest[cut] = [...(contest[cut] ?? []), await this.#share(loaded.get(cut)!)];
    }
    for (const cut of loaded.keys()) print(cut, contest[cut]!);
    return true;
  }

  /** Rows/s as a share of the planned cut's, right before and right after. */
  async #share(theirs: Trial): Promise<number> {
    const before = this.#before;
    const rate = await this.#rate(theirs);
    this.#before = await this.#rate(this.#ours);
    return (2 * rate) / (before + this.#before);
  }

  async #rate(trial: Trial): Promise<number> {
    return (await trial.watch(this.#options.watched)).rowsPerSecond;
  }

  async #load(cut: number): Promise<Trial> {
    const { microBatch, depth, expected } = this.#found.plan;
    const { rowSpecs, stages } = this.#options;
    const layers = [
      { from: 0, to: cut - 1 },
      { from: cut, to: this.#graph.layers.length - 1 },
    ];
    const named = stages.map((stage, j) => ({ ...stage, layers: layers[j]! }));
    const request = { stages: named, microBatch, depth, isolation: 'process', rowSpecs, ...SETTINGS } as const;
    const plan = { ...(await makePlan(this.#graph, request)), expected };
    const trial = await Trial.open({ graph: this.#graph, plan, rows: rowsOfZeros(rowSpecs), ...SETTINGS });
    this.#opened.push(trial);
    // The first measurement is slower than all others: memory is touched for the first time.
    await this.#rate(trial);
    return trial;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#opened.map((each) => each.close()));
  }
}

function print(cut: number, shares: readonly number[]): void {
  process.stderr.write(`cut before ${cut}: ${shares.map((share) => share.toFixed(3)).join(' ')} of the planned\n`);
}
