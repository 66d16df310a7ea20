/** A slice of a decoder in an ONNX Runtime session: the state of its layers is in memory of its own, which the session reads and writes in place. */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { TandemError } from '../../errors.js';
import { decoderFacts, type StatePair } from '../../model/decoder/facts.js';
import { rewriteAttention } from '../../model/decoder/rewrite-attention.js';
import type { OnnxModel } from '../../model/onnx.js';
import { allocate, byteCount, bytesOf, elementCount, type Tensor, type TypedArray } from '../../tensor.js';
import type { DecoderHold, LoadedDecoderSlice, StageVisit } from '../decoder-slice.js';
import type { EngineOptions } from '../engine.js';
import { tensorFrom, toOrt } from './ort-tensor.js';
import { onCpu, type Placement } from './placement.js';
import { type Ort, openOrt, openSession, ortError } from './session.js';
import { sliceModel } from './slice-model.js';
import { inferTypes } from './value-types.js';

/** Errors as of `Engine.load`. */
export async function openDecoderSlice(
  model: OnnxModel,
  hold: DecoderHold,
  engine: EngineOptions,
): Promise<LoadedDecoderSlice> {
  if (engine.provider !== 'cpu') {
    throw new TandemError(
      'TANDEM_MODEL_UNSUPPORTED',
      `the provider ${engine.provider} does not keep a decoder's state`,
      {
        remedy: 'use --stage cpu for every stage of a decoder',
      },
    );
  }
  const ort = await openOrt();
  const { slice } = hold;
  const types = await inferTypes(model, slice.from, slice.inputs);
  const { ownNodes, replaced } = (hold.rewritten && rewritingOf(model, hold)) || {};
  const bytes = sliceModel(model, {
    from: slice.from,
    to: slice.to,
    inputs: [...slice.given, ...slice.pairs.map(({ past }) => past), ...slice.inputs],
    outputs: [...slice.outputs, ...slice.pairs.map(({ present }) => present)],
    types,
    shared: slice.shared,
    ...(ownNodes && replaced ? { ownNodes, replaced } : {}),
  });
  const session = await openSession({ bytes, folder: model.graph.folder, engine });
  return new OrtDecoderSlice({ ort, hold, session, placement: onCpu(), provider: engine.provider });
}

/** The same as where it was decided. */
function rewritingOf(model: OnnxModel, { names }: DecoderHold) {
  const { pairs, mask } = decoderFacts(model.graph, names);
  return rewriteAttention(model, pairs, mask ?? '');
}

interface Opened {
  readonly ort: Ort;
  readonly hold: DecoderHold;
  readonly session: InferenceSession;
  readonly placement: Placement;
  readonly provider: string;
}

/** The state of a pair for all slots: [slots, …], with `maxLength` on the axis that grows. */
interface Kept {
  readonly pair: StatePair;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

class OrtDecoderSlice implements LoadedDecoderSlice {
  readonly ranOn: string;
  readonly deviceName: string;
  readonly weightBytes: number;
  readonly stateBytes: number;
  readonly #ort: Ort;
  readonly #hold: DecoderHold;
  readonly #session: InferenceSession;
  readonly #provider: string;
  readonly #kept: readonly Kept[];
  /** In the form `by-row`: by slot, the state by its past name. */
  readonly #rows = new Map<number, ReadonlyMap<string, OrtTensor>>();

  constructor({ ort, hold, session, placement, provider }: Opened) {
    const { slice, slots, maxLength } = hold;
    this.#ort = ort;
    this.#hold = hold;
    this.#session = session;
    this.#provider = provider;
    this.ranOn = placement.ranOn;
    this.deviceName = placement.deviceName;
    this.weightBytes = slice.weightBytes;
    const shapes = slice.pairs.map((pair) => ({ pair, shape: pair.shape.map((dim) => dim ?? maxLength) }));
    this.stateBytes = shapes.reduce((sum, { pair, shape }) => sum + slots * byteCount(pair.dtype, shape), 0);
    const isInPlace = hold.form === 'in-place';
    this.#kept = (isInPlace ? shapes : []).map(({ pair, shape }) => {
      return { pair, shape, data: allocate(pair.dtype, [slots, ...shape]) };
    });
  }

  async visit(visit: StageVisit): Promise<Tensor[]> {
    const { slice, form } = this.#hold;
    const { pairs, outputs } = slice;
    const feeds: Record<string, OrtTensor> = this.#given(visit);
    for (const [n, name] of slice.inputs.entries()) feeds[name] = this.#carried(visit.carried[n]!);
    const fetches: Record<string, OrtTensor | null> = {};
    for (const name of outputs) fetches[name] = null;
    for (const [n, pair] of pairs.entries()) {
      const past = form === 'by-row' ? this.#ofRow(visit, pair) : this.#view(this.#kept[n]!, visit);
      feeds[pair.past] = past;
      fetches[pair.present] = form === 'in-place' && pair.kind !== 'fixed' ? past : null;
    }
    try {
      const results = await this.#session.run(feeds, fetches as InferenceSession.OnnxValueMapType);
      this.#keep(visit, results);
      return outputs.map((name) => {
        const tensor = tensorFrom(name, results[name]!);
        return slice.outputs.length === 1 && tensor.shape.length === 3 && this.#isLast ? lastOf(tensor) : tensor;
      });
    } catch (cause) {
      throw ortError(cause, 'TANDEM_ENGINE_FAILED', this.#provider);
    }
  }

  async dispose(): Promise<void> {
    this.#rows.clear();
    await this.#session.release();
  }

  get #isLast(): boolean {
    return this.#hold.slice.isLast;
  }

  /** Ids, mask and positions of a visit, as far as the slice reads them. */
  #given({ lengths, tokens, ids }: StageVisit): Record<string, OrtTensor> {
    const { given, slice } = this.#hold;
    const rows = lengths.length;
    const feeds: Record<string, OrtTensor> = {};
    const add = (name: string | null, shape: readonly number[], at: (row: number, column: number) => number) => {
      if (name === null || !slice.given.includes(name)) return;
      const width = shape[1]!;
      const { type } = this.#session.inputMetadata.find((input) => input.name === name) as { type: string };
      const values = Array.from({ length: rows * width }, (_, n) => at(Math.floor(n / width), n % width));
      const data = type === 'int32' ? Int32Array.from(values) : BigInt64Array.from(values, BigInt);
      feeds[name] = toOrt(this.#ort, { dtype: type === 'int32' ? 'int32' : 'int64', shape, data });
    };
    const total = Math.max(...lengths) + tokens;
    add(given.ids, [rows, tokens], (row, column) => ids[row * tokens + column]!);
    add(given.mask, [rows, total], (row, column) => (column < lengths[row]! + tokens ? 1 : 0));
    add(given.positions, [rows, tokens], (row, column) => lengths[row]! + column);
    return feeds;
  }

  /** ORT reads no memory that threads share. */
  #carried(tensor: Tensor): OrtTensor {
    if (!(tensor.data.buffer instanceof SharedArrayBuffer)) return toOrt(this.#ort, tensor);
    return toOrt(this.#ort, { ...tensor, data: tensor.data.slice() });
  }

  /** The state of the visit's slots, in place. */
  #view({ pair, shape, data }: Kept, { firstSlot, lengths }: StageVisit): OrtTensor {
    const size = elementCount(shape);
    const own = data.subarray(firstSlot * size, (firstSlot + lengths.length) * size);
    if (pair.kind === 'fixed') {
      for (const [row, length] of lengths.entries())
        if (length === 0) own.fill(0 as never, row * size, (row + 1) * size);
    }
    return toOrt(this.#ort, { dtype: pair.dtype, shape: [lengths.length, ...shape], data: own });
  }

  #ofRow({ firstSlot, lengths }: StageVisit, { past, dtype, shape }: StatePair): OrtTensor {
    const known = lengths[0] === 0 ? undefined : this.#rows.get(firstSlot)?.get(past);
    const empty = [1, ...shape.map((dim) => dim ?? 0)];
    return known ?? toOrt(this.#ort, { dtype, shape: empty, data: allocate(dtype, empty) });
  }

  /** Keeps the state that was handed out anew. */
  #keep({ firstSlot, live }: StageVisit, results: InferenceSession.OnnxValueMapType): void {
    const { slice, form } = this.#hold;
    if (form === 'by-row') {
      this.#rows.set(firstSlot, new Map(slice.pairs.map(({ past, present }) => [past, results[present]!])));
      return;
    }
    for (const { pair, shape, data } of this.#kept) {
      if (pair.kind !== 'fixed') continue;
      const size = byteCount(pair.dtype, shape);
      const made = bytesOf(tensorFrom(pair.present, results[pair.present]!).data);
      for (const [row, isLive] of live.entries()) {
        if (isLive) bytesOf(data).set(made.subarray(row * size, (row + 1) * size), (firstSlot + row) * size);
      }
    }
  }
}

/** [rows, tokens, vocabulary] to the last token of each row. */
function lastOf({ dtype, shape, data }: Tensor): Tensor {
  const [rows = 0, tokens = 0, width = 0] = shape;
  if (tokens === 1) return { dtype, shape: [rows, width], data };
  const last = allocate(dtype, [rows, width]);
  for (let row = 0; row < rows; row++) {
    const end = (row + 1) * tokens * width;
    last.set(data.subarray(end - width, end) as never, row * width);
  }
  return { dtype, shape: [rows, width], data: last };
}
