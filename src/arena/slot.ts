/**
 * A slot: the shared memory of one micro-batch in flight. All its state changes are here.
 *
 * Invariants
 * I1 A slot has one owner at a time: the coordinator while FILLING and DONE, one worker while RUNNING(j), none while
 *    FREE and READY(j).
 * I2 Every state change is one compare-and-exchange from a state that the table below allows; any other is refused.
 * I3 Bytes and dims are written only by the owner, before the exchange that gives the slot away.
 * I4 A step writes its own output regions and nothing else, so the graph's inputs are intact until the slot is released.
 *
 * j is a step of the route: a pass of a stage. READY is for one pool: the one that computes the step for this micro-batch.
 *
 * FREE       -> FILLING     [claim]    coordinator
 * FILLING    -> READY(0)    [publish]  coordinator
 * READY(j)   -> RUNNING(j)  [accept]   a worker of the pool of step j
 * RUNNING(j) -> READY(j+1)  [advance]  the same worker, j not the last step
 * RUNNING(j) -> READY(0)    [advance]  the same worker, j the last step and a round is left
 * RUNNING(j) -> DONE        [advance]  the same worker, j the last step of the last round
 * RUNNING(j) -> FAILED(j)   [fail]     the pool of step j, for a worker that failed, hangs or died
 * READY(j)   -> FAILED(j)   [strand]   the coordinator, when no worker is left to take it
 * DONE, FAILED(j) -> FILLING [refill]  coordinator, to run the same rows again
 * DONE, FILLING, FAILED -> FREE [release] coordinator
 */
import { TandemError } from '../errors.js';
import type { Layout } from './layout.js';
import { type PublishOptions, type Ran, SlotHeader } from './slot-header.js';
import { SlotTensors } from './slot-tensors.js';
import type { WaitQueue } from './wait-queue.js';

const STATES = ['FREE', 'FILLING', 'READY', 'RUNNING', 'DONE', 'FAILED'] as const;
export type State = (typeof STATES)[number];

// Words of the header, Int32; the others are in slot-header.ts. Every owner writes kState by compare-and-exchange, which also orders the
// plain writes before it (Atomics are sequentially consistent). A worker sets kComing to 1 once it has computed; the owner that gives
// the slot to a step sets it to 0. The writer of a region writes its dims (from Region.dimsAt).
const kState = 0;
const kComing = 5;

/** The number of each state in the state's word. */
const NUMBER = Object.fromEntries(STATES.map((state, number) => [state, number])) as Record<State, number>;

/** State, step and, while READY, the pool in one word, so that one exchange changes all of them. */
const word = (state: State, step = 0, pool = 0): number => (pool << 16) | (step << 3) | NUMBER[state];
const stateIn = (value: number): number => value & 7;
const stepIn = (value: number): number => (value & 0xffff) >> 3;
const poolIn = (value: number): number => value >> 16;

export class Slot {
  readonly index: number;
  readonly tensors: SlotTensors;
  readonly #header: SlotHeader;
  readonly #words: Int32Array;
  readonly #waitQueues: readonly WaitQueue[];

  /** `waitQueues` are those of the arena: one for each pool, and the coordinator's. */
  constructor(memory: ArrayBufferLike, layout: Layout, index: number, waitQueues: readonly WaitQueue[]) {
    this.index = index;
    this.#waitQueues = waitQueues;
    this.#header = new SlotHeader(memory, layout, index);
    this.#words = this.#header.words;
    this.tensors = new SlotTensors(memory, this.#words, layout.slots * layout.headerBytes + index * layout.dataBytes);
  }

  get state(): { state: State; step: number } {
    const value = Atomics.load(this.#words, kState);
    return { state: STATES[stateIn(value)]!, step: stepIn(value) };
  }

  /** Position of the micro-batch in the job. */
  get microBatch(): number {
    return this.#header.microBatch;
  }

  /** Rows of the micro-batch, without padding. */
  get rows(): number {
    return this.#header.rows;
  }

  /** How often it has been through all steps. */
  get round(): number {
    return this.#header.round;
  }

  /** How often it goes through all steps. */
  get rounds(): number {
    return this.#header.rounds;
  }

  /** The pool that computes `step` of this micro-batch; settled while the slot is neither FREE nor FILLING. */
  poolOf(step: number): number {
    return this.#header.poolOf(step);
  }

  /** FREE -> FILLING; false if it is not FREE. */
  claim(): boolean {
    return this.#exchange(word('FREE'), word('FILLING'));
  }

  /** FILLING -> READY(0). */
  publish(microBatch: number, rows: number, options: PublishOptions = {}): void {
    if (Atomics.load(this.#words, kState) !== word('FILLING')) throw this.#refused('publish');
    this.#header.begin(microBatch, rows, options);
    this.#give('publish', word('FILLING'), 0);
  }

  /** The step for which it is READY, if worker `workerIndex` of `pool` may take it; else `null`. */
  readyFor(pool: number, workerIndex = 0): number | null {
    const value = Atomics.load(this.#words, kState);
    if (stateIn(value) !== NUMBER.READY || poolIn(value) !== pool) return null;
    return this.#mayTake(stepIn(value), workerIndex) ? stepIn(value) : null;
  }

  /** Whether it is READY for `pool`. */
  isReady(pool: number): boolean {
    const value = Atomics.load(this.#words, kState);
    return stateIn(value) === NUMBER.READY && poolIn(value) === pool;
  }

  /** Whether it is READY for a pool other than these. */
  isReadyElsewhere(pools: readonly number[]): boolean {
    const value = Atomics.load(this.#words, kState);
    return stateIn(value) === NUMBER.READY && !pools.includes(poolIn(value));
  }

  /** Among READY slots a worker takes the smallest rank first. */
  rankOf(step: number): number {
    return this.#header.rankOf(step);
  }

  get isDone(): boolean {
    return Atomics.load(this.#words, kState) === word('DONE');
  }

  /** DONE or FAILED. */
  get isSettled(): boolean {
    const number = stateIn(Atomics.load(this.#words, kState));
    return number === NUMBER.DONE || number === NUMBER.FAILED;
  }

  /** READY(step) -> RUNNING(step). */
  accept(step: number): void {
    if (!this.tryAccept(step)) throw this.#refused('accept');
  }

  /** READY(step) -> RUNNING(step); false if another worker was faster. */
  tryAccept(step: number, worker = 0, pool = this.poolOf(step)): boolean {
    if (!this.#exchange(word('READY', step, pool), word('RUNNING', step))) return false;
    this.#header.accept(worker);
    return true;
  }

  /** RUNNING(step) and computed, with only the results to store: wakes the worker of the next step in advance, if that is in another pool. */
  announce(step: number): void {
    const next = this.#header.after(step);
    if (next === null || this.poolOf(next) === this.poolOf(step)) return;
    Atomics.store(this.#words, kComing, 1);
    this.#waitQueues[this.poolOf(next)]!.notifyFor(this.#header.workerOf(next));
  }

  /** Whether it has been announced to worker `workerIndex` of `pool` and is not READY yet. */
  isComing(pool: number, workerIndex = 0): boolean {
    const value = Atomics.load(this.#words, kState);
    if (stateIn(value) !== NUMBER.RUNNING || Atomics.load(this.#words, kComing) === 0) return false;
    const next = this.#header.after(stepIn(value));
    return next !== null && this.poolOf(next) === pool && this.#mayTake(next, workerIndex);
  }

  /** The step that a worker of `pool` computes, or did when it died; `null` if none holds the slot. */
  runningIn(pool: number): number | null {
    const value = Atomics.load(this.#words, kState);
    if (stateIn(value) !== NUMBER.RUNNING) return null;
    const step = stepIn(value);
    return this.poolOf(step) === pool ? step : null;
  }

  /** Whether `worker`, of `pool`, computes it, or did when it died. */
  isHeldBy(worker: number, pool: number): boolean {
    return this.runningIn(pool) !== null && this.#header.worker === worker;
  }

  /** Whether it will be computed by `pool` in `step`, in this round, and has a smaller rank there than `rank`. */
  comesTo(step: number, pool: number, rank: number): boolean {
    const value = Atomics.load(this.#words, kState);
    const isReady = stateIn(value) === NUMBER.READY;
    if (!isReady && stateIn(value) !== NUMBER.RUNNING) return false;
    const isAhead = isReady ? stepIn(value) <= step : stepIn(value) < step;
    return isAhead && this.poolOf(step) === pool && ((this.rankOf(step) - rank) | 0) < 0;
  }

  /** Records who computed `step` in this round, and when. To be called before the slot is given away. */
  setRan(step: number, ran: Ran): void {
    this.#header.setRan(step, ran);
  }

  /** What `setRan` recorded. */
  ran(step: number, round = 0): Ran {
    return this.#header.ran(step, round);
  }

  /** Milliseconds since a worker of `pool` accepted the slot; 0 if none computes it. */
  runningFor(pool: number): number {
    return this.runningIn(pool) === null ? 0 : this.#header.acceptedFor;
  }

  /** Whether `step` is the last one of the last round. */
  isLast(step: number): boolean {
    return this.#header.after(step) === null;
  }

  /** RUNNING(step) -> READY(the step after it), or DONE after the last one. The arena notifies the coordinator of DONE. */
  advance(step: number): void {
    const from = word('RUNNING', step);
    if (Atomics.load(this.#words, kState) !== from) throw this.#refused('advance');
    const next = this.#header.after(step);
    if (next === null) {
      this.#clear();
      this.#move('advance', from, word('DONE'));
      return;
    }
    if (next === 0) this.#header.nextRound();
    const waitQueue = this.#give('advance', from, next);
    // No worker takes it any more: the coordinator fails it.
    if (waitQueue.halted) this.#waitQueues.at(-1)!.notify();
  }

  /** RUNNING(step) -> FAILED(step); false if the worker has given it away meanwhile. */
  fail(step: number): boolean {
    return this.#settle(word('RUNNING', step), step);
  }

  /** READY(step) -> FAILED(step); false if a worker has taken it meanwhile. */
  strand(step: number): boolean {
    return this.#settle(this.#ready(step), step);
  }

  #settle(from: number, step: number): boolean {
    if (!this.#exchange(from, word('FAILED', step))) return false;
    this.#waitQueues.at(-1)!.notify();
    // A worker may wait for it before it loads another slice.
    if (this.#header.rotates) for (const waitQueue of this.#waitQueues.slice(0, -1)) waitQueue.notifyAll();
    return true;
  }

  /** DONE or FAILED -> FILLING. */
  refill(): void {
    const { state, step } = this.state;
    if (state !== 'DONE' && state !== 'FAILED') throw this.#refused('refill');
    this.#move('refill', word(state, step), word('FILLING'));
  }

  /** DONE, FILLING or FAILED -> FREE. */
  release(): void {
    const { state, step } = this.state;
    if (state === 'FILLING' || state === 'DONE' || state === 'FAILED') {
      if (this.#exchange(word(state, state === 'FAILED' ? step : 0), word('FREE'))) return;
    }
    throw this.#refused('release');
  }

  /** Makes the slot READY for `step` and wakes its pool; the pool's wait queue. What it needs is read first: afterwards the slot is another's. */
  #give(change: string, from: number, step: number): WaitQueue {
    const pool = this.poolOf(step);
    const worker = this.#header.workerOf(step);
    this.#clear();
    this.#move(change, from, word('READY', step, pool));
    const waitQueue = this.#waitQueues[pool]!;
    waitQueue.notifyFor(worker);
    return waitQueue;
  }

  /** Clears what the step before has set. */
  #clear(): void {
    this.#header.giveAway();
    this.#words[kComing] = 0;
  }

  #mayTake(step: number, workerIndex: number): boolean {
    const wanted = this.#header.workerOf(step);
    return wanted === null || wanted === workerIndex;
  }

  #ready(step: number): number {
    return word('READY', step, this.poolOf(step));
  }

  #exchange(from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, kState, from, to) === from;
  }

  #move(change: string, from: number, to: number): void {
    if (!this.#exchange(from, to)) throw this.#refused(change);
  }

  #refused(change: string): TandemError {
    const { state, step } = this.state;
    return new TandemError('TANDEM_INTERNAL', `slot ${this.index} cannot ${change} from ${state}(${step})`);
  }
}
