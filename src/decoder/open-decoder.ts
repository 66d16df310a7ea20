/** `openDecoder`: the stages of a decoder-only model, each with the state of its own layers, ready to continue sequences. */

import { engineOf, providerFor } from '../engine/choose.js';
import type { StateForm } from '../engine/decoder-slice.js';
import { parseDevice } from '../engine/device.js';
import { TandemError } from '../errors.js';
import { readMachine } from '../machine/machine.js';
import { residentMemoryOf } from '../machine/resident-memory.js';
import { chooseCuts, type DecoderSlice, decoderSlices } from '../model/decoder/cut.js';
import { type DecoderFacts, type DecoderNames, decoderFacts } from '../model/decoder/facts.js';
import { rewriteAttention } from '../model/decoder/rewrite-attention.js';
import type { ModelGraph } from '../model/graph.js';
import { onnxModelOf } from '../model/onnx.js';
import { readModel } from '../model/open.js';
import { checkBudgets, DECODER } from '../pipeline/check-budgets.js';
import { deadlineMsOf } from '../pool/deadline.js';
import { DecoderStage } from '../pool/decoder-stage.js';
import { type Isolation, resolveIsolation } from '../pool/isolation.js';
import type { PoolOptions } from '../pool/pool.js';
import type { BatchShape } from '../schedule/continuous-batch.js';
import { drawBatch, generateBatch } from '../schedule/draw-batch.js';
import type { Decoder } from '../tasks/generate/sequence.js';
import { DecodeRun } from './decode-run.js';
import { type DecoderRequirement, requirementOf, slotsWithin } from './decoder-memory.js';
import { StagePipeline } from './stage-pipeline.js';

export interface DecoderStageOptions {
  /** Default `cpu`. */
  readonly device?: string;
  readonly provider?: string;
  /** Threads inside one op; default the machine's cores over all stages. */
  readonly threads?: number;
  /** Bytes that it may hold. */
  readonly memory?: number;
  /** Its part of the work, beside those of the others; default 1. */
  readonly share?: number;
}

export interface OpenDecoderOptions {
  /** Default two on the CPU, or one where there is one core. */
  readonly stages?: readonly DecoderStageOptions[];
  /** Ops before which the model is cut; default by the shares of the stages. */
  readonly cuts?: readonly number[];
  /** Sequences that are continued at the same time; default 16 for each stage, fewer where a budget does not hold them. */
  readonly slots?: number;
  /** Groups of sequences that make their steps together; default one for each stage. */
  readonly groups?: number;
  /** Most visits of the stages at once; default as many as there is work for. With 1 the stages compute one after the other. */
  readonly inFlight?: number;
  /** Most tokens of a sequence, prompt and answer together; default 1,024. */
  readonly maxLength?: number;
  /** Most tokens of a prompt that go through the stages at once; default 128. */
  readonly chunk?: number;
  /** `false` keeps attention over a grown cache as it is, so that each sequence computes alone. */
  readonly rewrite?: boolean;
  readonly isolation?: Isolation;
  /** Seconds that a stage may take for one visit. */
  readonly deadline?: number;
  /** Names of inputs and outputs, where the model's configuration has others. */
  readonly names?: DecoderNames;
}

/** A decoder with what was decided for it. */
export interface OpenedDecoder extends Decoder {
  readonly cuts: readonly number[];
  readonly groups: number;
  /** Whether attention over a grown cache was replaced by attention over a cache in place. */
  readonly rewritten: boolean;
  /** `by-row`: the model's state cannot be kept in place, and each sequence computes alone. */
  readonly form: StateForm;
  /** By stage: its requirement, and the process that it runs in. */
  readonly requirements: readonly DecoderRequirement[];
  readonly pids: readonly (number | null)[];
  /** The first steps of its schedule on paper, for so many sequences. */
  grid(sequences: number, prompt: number, newTokens: number): string;
}

const DEFAULT = { slotsOfStage: 16, maxLength: 1024, chunk: 128 };

/**
 * Loads the model at `path`, an ONNX file or a folder with one.
 * Throws TANDEM_MODEL_*, TANDEM_CUT_ILLEGAL, TANDEM_PLAN_IMPOSSIBLE with the smallest budget that would do, TANDEM_ENGINE_MISSING, TANDEM_USAGE.
 */
export async function openDecoder(path: string, options: OpenDecoderOptions = {}): Promise<OpenedDecoder> {
  const graph = await readModel(path);
  const facts = decoderFacts(graph, options.names);
  const stages = options.stages ?? new Array<DecoderStageOptions>(readMachine().cores > 1 ? 2 : 1).fill({});
  const { form, rewritten, pairs, closed } = stateOf(graph, facts, options.rewrite ?? true);
  const cuts =
    options.cuts ??
    chooseCuts(
      graph,
      facts,
      stages.map(({ share = 1 }) => share),
      closed,
    );
  if (cuts.length !== stages.length - 1) {
    throw new TandemError('TANDEM_USAGE', `${cuts.length} cuts make ${cuts.length + 1} stages, not ${stages.length}`);
  }
  const slices = decoderSlices(graph, facts, cuts, closed);
  const held = slices.map((slice) => ({
    ...slice,
    pairs: slice.pairs.map((pair) => pairs.get(pair.past)!),
    // Attention in place takes its lengths from the mask.
    given: rewritten ? [...new Set([...slice.given, facts.mask!])] : slice.given,
  }));
  const settled = settle(held, stages, options, { form, vocabulary: vocabularyOf(graph, facts) ?? 0 });
  const { ids, mask, positions } = facts;
  // What a thread holds cannot be distinguished from what the others hold.
  const budget = stages.some(({ memory }) => memory !== undefined);
  const isolation = resolveIsolation(options.isolation ?? 'auto', [], { budget });
  const opened = held.map((slice, n) => {
    const hold = {
      slice,
      names: options.names ?? {},
      given: { ids, mask, positions },
      form,
      rewritten,
      ...settled.cache,
    };
    return new DecoderStage(poolOptions(graph, stages, n, options), isolation, hold);
  });
  const pipeline = new StagePipeline(opened);
  try {
    // One after the other: each packs its weights, and two at once would need the memory of both copies.
    for (const stage of opened) await stage.open();
    const vocabulary = await warmUp(pipeline, settled);
    const peaks = opened.map(({ pid }) => (pid === null ? null : (residentMemoryOf(pid)?.peak ?? null)));
    checkBudgets(
      stages.map(({ memory }) => (memory === undefined ? {} : { memory })),
      peaks,
      DECODER,
    );
    return decoderOf(pipeline, {
      ...settled,
      cuts,
      form,
      rewritten,
      vocabulary,
      inFlight: options.inFlight ?? Number.POSITIVE_INFINITY,
    });
  } catch (error) {
    await pipeline.close();
    throw error;
  }
}

/** How the model's state is kept. */
function stateOf(graph: ModelGraph, { pairs, mask }: DecoderFacts, rewrite: boolean) {
  const rewriting = mask === null || !rewrite ? null : rewriteAttention(onnxModelOf(graph), pairs, mask);
  const kept = pairs.map((pair) => (rewriting?.pasts.has(pair.past) ? { ...pair, kind: 'cache' as const } : pair));
  const isInPlace = kept.every(({ kind }) => kind !== 'growing');
  const chosen = isInPlace ? kept : pairs;
  const form: StateForm = isInPlace ? 'in-place' : 'by-row';
  const rewritten = isInPlace && rewriting !== null;
  const closed = rewritten ? rewriting.closed : [];
  return { form, rewritten, closed, pairs: new Map(chosen.map((pair) => [pair.past, pair])) };
}

interface Settled {
  readonly shape: BatchShape;
  readonly cache: { readonly slots: number; readonly maxLength: number };
  readonly requirements: readonly DecoderRequirement[];
}

function settle(
  slices: readonly DecoderSlice[],
  stages: readonly DecoderStageOptions[],
  options: OpenDecoderOptions,
  { form, vocabulary }: { readonly form: StateForm; readonly vocabulary: number },
): Settled {
  const { maxLength = DEFAULT.maxLength, chunk = DEFAULT.chunk } = options;
  const wanted = options.slots ?? DEFAULT.slotsOfStage * stages.length;
  for (const [name, value] of Object.entries({ slots: wanted, maxLength, chunk, groups: options.groups ?? 1 })) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new TandemError('TANDEM_USAGE', `${name} is ${value}; it must be a whole number of 1 or more`);
  }
  const tokens = Math.max(chunk, Math.ceil(wanted / stages.length));
  const requirements = slices.map((slice) => requirementOf(slice, { maxLength, tokens, vocabulary }));
  const memory = stages.map((stage) => stage.memory);
  const least = options.slots ?? Math.min(stages.length, wanted);
  const slots = slotsWithin(requirements, memory, { wanted, least });
  const groups = form === 'by-row' ? slots : Math.min(slots, options.groups ?? stages.length);
  const groupSize = Math.ceil(slots / groups);
  return { shape: { slots, groupSize, prefills: stages.length + 1, chunk }, cache: { slots, maxLength }, requirements };
}

function poolOptions(
  { path, format, engines }: ModelGraph,
  stages: readonly DecoderStageOptions[],
  stage: number,
  { deadline }: OpenDecoderOptions,
): PoolOptions {
  const { device = 'cpu', provider: asked, threads, memory } = stages[stage]!;
  const engine = engineOf(engines ? { format, engines } : { format }, device, asked).id;
  const provider = providerFor(engine, device, asked);
  const each = Math.max(1, Math.floor(readMachine().cores / stages.length));
  const { kind, index } = parseDevice(device);
  const engineOptions = {
    provider,
    threads: threads ?? each,
    ...(kind === 'gpu' ? { deviceIndex: index } : {}),
    ...(memory === undefined ? {} : { memory }),
  };
  return { device, engine, engineOptions, workers: 1, model: path, deadlineMs: deadlineMsOf(deadline) };
}

/** The length of the logits, if the model declares it. */
function vocabularyOf({ dimensions }: ModelGraph, { logits }: DecoderFacts): number | null {
  const last = dimensions?.get(logits)?.at(-1);
  return typeof last === 'number' ? last : null;
}

/**
 * The largest visits of both kinds: a chunk of a prompt, and a step of the first group. What they leave in the slots is written over. Returns the
 * length of the logits.
 */
async function warmUp(pipeline: StagePipeline, { shape, cache }: Settled): Promise<number> {
  const tokens = Math.min(shape.chunk, cache.maxLength);
  await pipeline.visit({ firstSlot: 0, lengths: [0], live: [true], tokens, ids: new Array(tokens).fill(0) }, 'prefill');
  const of = <T>(value: T) => new Array<T>(shape.groupSize).fill(value);
  const step = { firstSlot: 0, lengths: of(0), live: of(true), tokens: 1, ids: of(0) };
  const logits = await pipeline.visit(step, 'decode');
  pipeline.reset();
  return logits.shape.at(-1)!;
}

interface Opened extends Settled {
  readonly cuts: readonly number[];
  readonly form: StateForm;
  readonly rewritten: boolean;
  readonly vocabulary: number;
  readonly inFlight: number;
}

function decoderOf(pipeline: StagePipeline, opened: Opened): OpenedDecoder {
  const { shape, cache, cuts, form, rewritten, vocabulary, inFlight, requirements } = opened;
  let isRunning = false;
  return {
    vocabulary,
    ...cache,
    cuts,
    form,
    rewritten,
    requirements,
    groups: Math.ceil(shape.slots / shape.groupSize),
    get pids() {
      return pipeline.stages.map(({ pid }) => pid);
    },
    grid(sequences, prompt, newTokens) {
      const all = Array.from({ length: sequences }, () => ({ prompt, newTokens }));
      return drawBatch(generateBatch(shape, pipeline.stages.length, all));
    },
    async run(requests, onToken, onDone, signal) {
      if (isRunning)
        throw new TandemError('TANDEM_USAGE', 'the decoder is running; it runs one set of requests at a time');
      isRunning = true;
      const { maxLength } = cache;
      try {
        const run = new DecodeRun({ pipeline, shape, vocabulary, maxLength, inFlight, onToken, onDone });
        return await run.run(requests, signal);
      } finally {
        isRunning = false;
      }
    },
    close: () => pipeline.close(),
  };
}
