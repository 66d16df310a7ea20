/** The header of a slot: its micro-batch, its route, who computed it and when. Only the owner of the slot writes it. */
import { HEADER_WORDS, type Layout, VISIT_WORDS } from './layout.js';
import { NO_GROUP, poolAt, workerAt } from './route.js';

// Words, Int32; words 0 and 5 are in slot.ts. The coordinator writes kBatch, kRows, kGroup, kRounds, kRound and the ranks of visits while
// FILLING. The worker of the last step increments kRound. The worker that accepts writes kWorker and kSince (milliseconds, 32 bits); the
// owner that gives the slot away sets kSince to 0. A visit's worker writes what ran in it.
const kBatch = 1;
const kRows = 2;
const kSince = 3;
const kWorker = 4;
const kGroup = 6;
const kRound = 7;
const kRounds = 8;
// Words of a visit, after three times of two words each.
const kVisitWorker = 6;
const kVisitRank = 7;

/** The machine's monotonic clock in 32 bits; never 0, which means that no worker has accepted the slot. */
function milliseconds(): number {
  return Number(BigInt.asIntN(32, process.hrtime.bigint() / 1_000_000n)) || 1;
}

/** Who computed a step, and when; microseconds of the machine's monotonic clock, which threads and processes share. */
export interface Ran {
  readonly worker: number;
  /** When it began to load the slice; `acceptedAt` if that was loaded. */
  readonly loadedFrom: number;
  readonly acceptedAt: number;
  readonly finishedAt: number;
}

/** Settings of one micro-batch. */
export interface PublishOptions {
  /** The sequence group of its rows: from 0, or NO_GROUP. */
  readonly group?: number | undefined;
  /** How often it goes through all steps; default 1, and no more than the route allows. */
  readonly rounds?: number | undefined;
  /** Among READY slots a worker takes the smallest rank first; default the micro-batch's number. */
  readonly rankOf?: ((step: number, round: number) => number) | undefined;
}

export class SlotHeader {
  /** All words. */
  readonly words: Int32Array;
  /** The same memory as doubles: two words each. */
  readonly #times: Float64Array;
  readonly #layout: Layout;

  constructor(memory: ArrayBufferLike, layout: Layout, index: number) {
    this.#layout = layout;
    this.words = new Int32Array(memory, index * layout.headerBytes, layout.headerBytes / 4);
    this.#times = new Float64Array(memory, index * layout.headerBytes, layout.headerBytes / 8);
  }

  /** Whether any step of the route rotates. */
  get rotates(): boolean {
    return this.#layout.steps.some((step) => step.rotates);
  }

  get microBatch(): number {
    return this.words[kBatch]!;
  }

  get rows(): number {
    return this.words[kRows]!;
  }

  get group(): number {
    return this.words[kGroup]!;
  }

  get round(): number {
    return this.words[kRound]!;
  }

  get rounds(): number {
    return this.words[kRounds]!;
  }

  begin(microBatch: number, rows: number, { group = NO_GROUP, rounds = 1, rankOf }: PublishOptions): void {
    this.words[kBatch] = microBatch;
    this.words[kRows] = rows;
    this.words[kGroup] = group;
    this.words[kRound] = 0;
    this.words[kRounds] = rounds;
    for (let round = 0; round < rounds; round++) {
      for (let step = 0; step < this.#layout.steps.length; step++) {
        this.words[this.#visitAt(step, round) + kVisitRank] = rankOf ? rankOf(step, round) : microBatch;
      }
    }
  }

  nextRound(): void {
    this.words[kRound]! += 1;
  }

  /** The step that follows, in this round or the next; `null` after the last. */
  after(step: number): number | null {
    if (step + 1 < this.#layout.steps.length) return step + 1;
    return this.round + 1 < this.rounds ? 0 : null;
  }

  poolOf(step: number): number {
    return poolAt(this.#layout.steps[step]!, this.microBatch, this.group);
  }

  /** Index of the worker in that pool; `null` if any may take it. */
  workerOf(step: number): number | null {
    return workerAt(this.#layout.steps[step]!, this.group, this.#layout.workers);
  }

  rankOf(step: number): number {
    return this.words[this.#visitAt(step, this.round) + kVisitRank]!;
  }

  accept(worker: number): void {
    this.words[kWorker] = worker;
    this.words[kSince] = milliseconds();
  }

  /** The worker that accepted it last. */
  get worker(): number {
    return this.words[kWorker]!;
  }

  /** Milliseconds since it was accepted; 0 if it has been given away since. */
  get acceptedFor(): number {
    const since = this.words[kSince]!;
    // The 32-bit difference is right even if the clock has overflowed.
    return since === 0 ? 0 : Math.max(0, (milliseconds() - since) | 0);
  }

  giveAway(): void {
    this.words[kSince] = 0;
  }

  setRan(step: number, { worker, loadedFrom, acceptedAt, finishedAt }: Ran): void {
    const at = this.#visitAt(step, this.round);
    this.#times[at / 2] = acceptedAt;
    this.#times[at / 2 + 1] = finishedAt;
    this.#times[at / 2 + 2] = loadedFrom;
    this.words[at + kVisitWorker] = worker;
  }

  ran(step: number, round: number): Ran {
    const at = this.#visitAt(step, round);
    return {
      worker: this.words[at + kVisitWorker]!,
      loadedFrom: this.#times[at / 2 + 2]!,
      acceptedAt: this.#times[at / 2]!,
      finishedAt: this.#times[at / 2 + 1]!,
    };
  }

  /** First word of a visit. */
  #visitAt(step: number, round: number): number {
    return HEADER_WORDS + (round * this.#layout.steps.length + step) * VISIT_WORDS;
  }
}
