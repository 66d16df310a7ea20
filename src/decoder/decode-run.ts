/** One run of a decoder: admits sequences to slots, sends visits through the stages as the batch says, chooses tokens, and replays after a death. */
import { asTandemError, TandemError } from '../errors.js';
import { isStageDeath } from '../pool/decoder-stage.js';
import { MOST_DEATHS } from '../pool/restart.js';
import { type BatchShape, type BatchVisit, ContinuousBatch } from '../schedule/continuous-batch.js';
import type { DecodeSummary, SampledToken, SequenceRequest } from '../tasks/generate/sequence.js';
import type { Tensor } from '../tensor.js';
import { logitsOf } from './logits-of.js';
import type { StagePipeline } from './stage-pipeline.js';

export interface RunOptions {
  readonly pipeline: StagePipeline;
  readonly shape: BatchShape;
  readonly vocabulary: number;
  readonly maxLength: number;
  /** Most visits at once. */
  readonly inFlight: number;
  readonly onToken: (row: number, token: SampledToken) => void;
  readonly onDone: (row: number, failure: TandemError | null) => void;
}

/** A sequence in a slot. */
interface Running {
  readonly request: SequenceRequest;
  /** The prompt and the tokens that were chosen. */
  readonly tokens: number[];
}

type Landed =
  | { readonly visit: BatchVisit; readonly logits: Tensor }
  | { readonly visit: BatchVisit; readonly error: unknown };

export class DecodeRun {
  readonly #options: RunOptions;
  readonly #batch: ContinuousBatch;
  readonly #running = new Map<number, Running>();
  readonly #landed: Landed[] = [];
  readonly #counts = { sequences: 0, failed: 0, promptTokens: 0, newTokens: 0 };
  #inFlight = 0;
  #wake = () => {};
  /** A request that waits for a slot. */
  #waiting: SequenceRequest | null = null;
  #reading = false;
  #read = false;
  #sourceError: unknown;
  /** Deaths since the last new token. */
  #deaths = 0;
  #slotSeconds = 0;
  #countedAt = performance.now();

  constructor(options: RunOptions) {
    this.#options = options;
    this.#batch = new ContinuousBatch(options.shape);
  }

  /** Errors as of `Decoder.run`. */
  async run(requests: AsyncIterable<SequenceRequest>, signal?: AbortSignal): Promise<DecodeSummary> {
    const { pipeline, shape } = this.#options;
    const source = requests[Symbol.asyncIterator]();
    const restarts = pipeline.stages.map((stage) => stage.restarts);
    const onAbort = () => this.#wake();
    signal?.addEventListener('abort', onAbort);
    pipeline.reset();
    const began = performance.now();
    this.#countedAt = began;
    try {
      await this.#loop(source, signal);
    } catch (error) {
      await this.#settle();
      void source.return?.()?.then(undefined, () => {});
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
    const seconds = (performance.now() - began) / 1e3;
    const stages = pipeline.busy.map(({ prefill, decode }, stage) => ({
      stage,
      prefillSeconds: prefill / 1e6,
      decodeSeconds: decode / 1e6,
      idleSeconds: Math.max(0, seconds - (prefill + decode) / 1e6),
      restarts: pipeline.stages[stage]!.restarts - restarts[stage]!,
    }));
    const slotsBusy = seconds === 0 ? 0 : this.#slotSeconds / (seconds * shape.slots);
    return { ...this.#counts, seconds, slotsBusy, stages };
  }

  async #loop(source: AsyncIterator<SequenceRequest>, signal: AbortSignal | undefined): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      if (this.#sourceError !== undefined) throw this.#sourceError;
      for (let landed = this.#landed.shift(); landed; landed = this.#landed.shift()) await this.#land(landed);
      // After `#land`, which may wait for something else.
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#admit(source);
      for (let visit = this.#next(); visit; visit = this.#next()) this.#launch(visit);
      if (this.#landed.length > 0) continue;
      if (this.#read && !this.#waiting && this.#running.size === 0 && this.#inFlight === 0) return;
      await woken;
    }
  }

  #next(): BatchVisit | null {
    return this.#inFlight < this.#options.inFlight ? this.#batch.next() : null;
  }

  /** Takes requests while there is a slot for them, one ahead. */
  #admit(source: AsyncIterator<SequenceRequest>): void {
    if (this.#waiting) {
      const slot = this.#slotFor(this.#waiting);
      if (slot !== null) this.#waiting = null;
    }
    if (this.#waiting || this.#reading || this.#read) return;
    this.#reading = true;
    source.next().then(
      ({ done, value }) => {
        this.#reading = false;
        if (done) this.#read = true;
        else this.#waiting = value;
        this.#wake();
      },
      (error) => {
        this.#sourceError = error ?? new Error('the source of sequences failed');
        this.#wake();
      },
    );
  }

  /** A slot, or -1 for a request that was refused; `null` if it must wait. */
  #slotFor(request: SequenceRequest): number | null {
    const refusal = this.#refusalOf(request);
    if (refusal) {
      this.#counts.sequences += 1;
      this.#counts.failed += 1;
      this.#options.onDone(request.row, refusal);
      return -1;
    }
    this.#countSlots();
    const slot = this.#batch.admit(request.prompt.length);
    if (slot === null) return null;
    this.#counts.sequences += 1;
    this.#counts.promptTokens += request.prompt.length;
    this.#running.set(slot, { request, tokens: [...request.prompt] });
    return slot;
  }

  #refusalOf({ prompt, maxTokens }: SequenceRequest): TandemError | null {
    const { vocabulary, maxLength } = this.#options;
    const wrong = prompt.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabulary);
    if (prompt.length === 0) return refused('the prompt has no tokens');
    if (wrong !== undefined) return refused(`the prompt has token ${wrong}; the model knows 0 to ${vocabulary - 1}`);
    if (!(maxTokens >= 1)) return refused(`${maxTokens} new tokens are asked for`);
    if (prompt.length >= maxLength) {
      return refused(`the prompt has ${prompt.length} tokens; prompt and answer together may have ${maxLength}`);
    }
    return null;
  }

  #launch(visit: BatchVisit): void {
    const { firstSlot, lengths, live, tokens } = visit;
    const ids = lengths.flatMap((length, row) => {
      const known = this.#running.get(firstSlot + row)?.tokens;
      return Array.from({ length: tokens }, (_, n) => (live[row] ? known![length + n]! : 0));
    });
    this.#inFlight += 1;
    const land = (landed: Landed) => {
      this.#landed.push(landed);
      this.#wake();
    };
    this.#options.pipeline.visit({ firstSlot, lengths, live, tokens, ids }, visit.kind).then(
      (logits) => land({ visit, logits }),
      (error) => land({ visit, error }),
    );
  }

  async #land(landed: Landed): Promise<void> {
    this.#inFlight -= 1;
    const { visit } = landed;
    if ('error' in landed) {
      await this.#mend(visit, landed.error);
      return;
    }
    this.#batch.finish(visit);
    for (const [row, chooses] of visit.chooses.entries()) {
      if (chooses) this.#choose(visit.firstSlot + row, logitsOf(landed.logits, row, this.#options.vocabulary));
    }
  }

  #choose(slot: number, logits: Float32Array): void {
    const { request, tokens } = this.#running.get(slot)!;
    const { row, sampler, maxTokens, prompt } = request;
    let token: SampledToken;
    try {
      token = sampler.next(logits);
      const made = tokens.length + 1 - prompt.length;
      const isFull = made >= maxTokens || tokens.length + 1 >= this.#options.maxLength;
      if (isFull && token.finish === null) token = { ...token, finish: 'length' };
    } catch (error) {
      this.#end(slot, asTandemError(error));
      return;
    }
    this.#deaths = 0;
    this.#counts.newTokens += 1;
    tokens.push(token.id);
    this.#options.onToken(row, token);
    if (token.finish !== null) this.#end(slot, null);
    else this.#batch.extend(slot);
  }

  #end(slot: number, failure: TandemError | null): void {
    const { row } = this.#running.get(slot)!.request;
    this.#countSlots();
    this.#running.delete(slot);
    this.#batch.end(slot);
    if (failure) this.#counts.failed += 1;
    this.#options.onDone(row, failure);
  }

  /** After a death the stages are whole again and know nothing; all known tokens are sent again. Other errors end a prompt's row, or the run. */
  async #mend(visit: BatchVisit, error: unknown): Promise<void> {
    if (!isStageDeath(error)) {
      const rows = visit.live.filter(Boolean).length;
      if (rows > 1) throw error;
      this.#batch.finish(visit);
      this.#end(visit.firstSlot + visit.live.indexOf(true), asTandemError(error));
      return;
    }
    this.#deaths += 1;
    if (this.#deaths >= MOST_DEATHS) {
      const what = `${error.message}, ${MOST_DEATHS} times without a new token`;
      throw new TandemError('TANDEM_STAGE_LOST', what, { cause: error });
    }
    await this.#settle();
    await this.#options.pipeline.restart();
    this.#batch.forget();
  }

  /** Waits until nothing is in flight, and drops what comes out. */
  async #settle(): Promise<void> {
    while (this.#inFlight > this.#landed.length) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#inFlight = 0;
    this.#landed.length = 0;
  }

  #countSlots(): void {
    const now = performance.now();
    this.#slotSeconds += (this.#batch.busy * (now - this.#countedAt)) / 1e3;
    this.#countedAt = now;
  }
}

function refused(why: string): TandemError {
  return new TandemError('TANDEM_ROW_INVALID', why, { remedy: 'shorten the prompt, or give a larger maximal length' });
}
