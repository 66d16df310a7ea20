/**
 * Continuous batching as data: which new tokens of which sequences go through the stages next. It computes nothing and waits for nothing,
 * so that a running decoder and a grid on paper follow the same rules.
 *
 * A sequence has one slot from its admission to its end. Consecutive slots are a group. A prompt goes through in chunks; then its group
 * makes one step at a time, one token for each of its sequences. A group steps only when none of its sequences has prompt left, and while
 * it is in flight the other groups step or prefill: with as many groups as stages every stage has work.
 * Chunks begin at multiples of the chunk's length and steps have one token, whatever else is computed: so the bytes of a sequence do not
 * depend on its neighbours, and a sequence that is fed again from its first token gets the same state.
 */

export interface BatchShape {
  readonly slots: number;
  /** Slots of each group but the last, which may have fewer. */
  readonly groupSize: number;
  /** Most chunks of prompts in flight. */
  readonly prefills: number;
  /** Most tokens of a chunk. */
  readonly chunk: number;
}

/** New tokens for consecutive slots. */
export interface BatchVisit {
  readonly kind: 'prefill' | 'decode';
  readonly group: number;
  readonly firstSlot: number;
  /** By slot: tokens before. */
  readonly lengths: readonly number[];
  readonly live: readonly boolean[];
  /** New tokens of each live slot. */
  readonly tokens: number;
  /** By slot: whether the logits behind the new tokens choose a token. */
  readonly chooses: readonly boolean[];
}

interface Sequence {
  readonly prompt: number;
  /** Tokens that are known: the prompt and those that were chosen. */
  known: number;
  /** Tokens that have been sent through the stages. */
  sent: number;
  /** Tokens that have come out. */
  done: number;
}

export class ContinuousBatch {
  readonly shape: BatchShape;
  readonly #slots: (Sequence | null)[];
  readonly #stepping = new Set<number>();
  #prefills = 0;
  /** The group that is looked at first. */
  #turn = 0;

  constructor(shape: BatchShape) {
    this.shape = shape;
    this.#slots = new Array<Sequence | null>(shape.slots).fill(null);
  }

  get groups(): number {
    return Math.ceil(this.shape.slots / this.shape.groupSize);
  }

  /** Slots that have a sequence. */
  get busy(): number {
    return this.#slots.filter((sequence) => sequence !== null).length;
  }

  /** Gives a sequence the first free slot of the group with the fewest sequences; `null` if none is free. */
  admit(prompt: number): number | null {
    const free = this.#groupsFrom(0)
      .map((group) => ({ group, free: this.#slotsOf(group).filter((slot) => !this.#slots[slot]) }))
      .filter(({ group, free }) => free.length > 0 && !this.#stepping.has(group))
      .sort((a, b) => b.free.length - a.free.length || a.group - b.group);
    const slot = free[0]?.free[0];
    if (slot === undefined) return null;
    this.#slots[slot] = { prompt, known: prompt, sent: 0, done: 0 };
    return slot;
  }

  /** A visit that may begin now; `null` if none may before another has ended. */
  next(): BatchVisit | null {
    for (const group of this.#groupsFrom(this.#turn)) {
      const visit = this.#stepOf(group);
      if (!visit) continue;
      this.#turn = (group + 1) % this.groups;
      return visit;
    }
    if (this.#prefills >= this.shape.prefills) return null;
    for (const group of this.#groupsFrom(this.#turn)) {
      const slot = this.#slotsOf(group).find((each) => this.#isPrompting(each));
      if (slot !== undefined && !this.#stepping.has(group)) return this.#chunkOf(group, slot);
    }
    return null;
  }

  /** It has been through all stages. */
  finish(visit: BatchVisit): void {
    if (visit.kind === 'prefill') this.#prefills -= 1;
    else this.#stepping.delete(visit.group);
    for (const [row, isLive] of visit.live.entries()) {
      const sequence = this.#slots[visit.firstSlot + row];
      if (isLive && sequence) sequence.done += visit.tokens;
    }
  }

  /** A token was chosen for the sequence in this slot. */
  extend(slot: number): void {
    this.#slots[slot]!.known += 1;
  }

  /** The sequence has ended; its slot is free. */
  end(slot: number): void {
    this.#slots[slot] = null;
  }

  /** Nothing is in flight, and the stages know no sequence any more: all known tokens are sent again. */
  forget(): void {
    this.#stepping.clear();
    this.#prefills = 0;
    for (const sequence of this.#slots) if (sequence) Object.assign(sequence, { sent: 0, done: 0 });
  }

  #stepOf(group: number): BatchVisit | null {
    if (this.#stepping.has(group)) return null;
    const live = this.#slotsOf(group).filter((slot) => this.#slots[slot]);
    const isReady = live.every((slot) => {
      const { prompt, known, done, sent } = this.#slots[slot]!;
      return done >= prompt && sent === done && known > sent;
    });
    if (live.length === 0 || !isReady) return null;
    this.#stepping.add(group);
    return this.#visitOf('decode', group, live, 1);
  }

  #chunkOf(group: number, slot: number): BatchVisit {
    const { prompt, sent } = this.#slots[slot]!;
    this.#prefills += 1;
    return this.#visitOf('prefill', group, [slot], Math.min(this.shape.chunk, prompt - sent));
  }

  #visitOf(kind: BatchVisit['kind'], group: number, slots: readonly number[], tokens: number): BatchVisit {
    const [firstSlot, last] = [slots[0]!, slots.at(-1)!];
    const rows = Array.from({ length: last - firstSlot + 1 }, (_, row) => this.#slots[firstSlot + row] ?? null);
    const live = rows.map((sequence) => sequence !== null);
    const lengths = rows.map((sequence) => sequence?.sent ?? 0);
    for (const sequence of rows) if (sequence) sequence.sent += tokens;
    const chooses = rows.map((sequence) => sequence !== null && sequence.sent === sequence.known);
    return { kind, group, firstSlot, lengths, live, tokens, chooses };
  }

  #isPrompting(slot: number): boolean {
    const sequence = this.#slots[slot];
    return sequence !== null && sequence !== undefined && sequence.sent < sequence.prompt;
  }

  #slotsOf(group: number): number[] {
    const { slots, groupSize } = this.shape;
    const first = group * groupSize;
    return Array.from({ length: Math.min(groupSize, slots - first) }, (_, n) => first + n);
  }

  #groupsFrom(first: number): number[] {
    const { groups } = this;
    return Array.from({ length: groups }, (_, n) => (first + n) % groups);
  }
}
