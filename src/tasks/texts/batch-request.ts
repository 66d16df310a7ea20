/** What a line of an OpenAI batch file asks for: embeddings or classes of its texts, or scores of its pairs, with the names that vLLM's server takes. */
import type { RowRecord, Value } from '../../rows/record-source.js';
import { RowFault } from '../../rows/row-fault.js';
import type { OneText, SelectedText } from './text-preparer.js';

/** Texts or pairs of one line, at most, as OpenAI has it. */
const MOST_TEXTS = 2048;

export function bodyOf(record: RowRecord): RowRecord {
  const { body } = record;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid('body is not an object');
  return body as RowRecord;
}

/** The texts of the line. Throws RowFault for a line that cannot be answered. `width`: numbers of an embedding, if known. */
export function embeddingRequest(record: RowRecord, width: number | null): SelectedText {
  const body = bodyOf(record);
  const { dimensions, encoding_format: format } = body;
  if (format !== undefined && format !== null && format !== 'float' && format !== 'base64') {
    throw invalid(`body.encoding_format is ${JSON.stringify(format)}; it is "float" or "base64"`);
  }
  if (dimensions !== undefined && dimensions !== null) {
    if (!isCount(dimensions)) throw invalid('body.dimensions is not a count');
    if (width !== null && dimensions > width) throw invalid(`body.dimensions is more than ${width}`);
  }
  return inputOf(body);
}

/** Likewise of `/classify`. */
export function classifyRequest(record: RowRecord): SelectedText {
  return inputOf(bodyOf(record));
}

/** `input`: a string, a list of strings, token ids, or lists of those. */
function inputOf({ input }: RowRecord): SelectedText {
  if (!Array.isArray(input)) return textOf(input, 'body.input');
  if (input.length === 0) throw invalid('body.input is an empty list');
  if (typeof input[0] === 'number') return idsOf(input, 'body.input');
  checkCount(input, 'body.input', 'texts');
  const texts = input.map((each: Value, n): OneText => {
    const path = `body.input[${n}]`;
    return Array.isArray(each) ? idsOf(each, path) : textOf(each, path);
  });
  return { texts };
}

/** What `/rerank` or `/score` asks for. */
export interface PairsRequest {
  /** `rerank`: documents of a query, the best first; `score`: a score for each pair, in order. */
  readonly kind: 'rerank' | 'score';
  readonly pairs: readonly (readonly [string, string])[];
  /** Results of `rerank` that are given; `null` for all. */
  readonly top: number | null;
}

/** Throws RowFault for a line that cannot be answered. */
export function pairsRequest(record: RowRecord): PairsRequest {
  const body = bodyOf(record);
  if (Object.hasOwn(body, 'query') || Object.hasOwn(body, 'documents')) return rerankRequest(body);
  if (Object.hasOwn(body, 'text_1') || Object.hasOwn(body, 'text_2')) return scoreRequest(body);
  throw invalid('body has neither query and documents nor text_1 and text_2');
}

function rerankRequest({ query, documents, top_n: top }: RowRecord): PairsRequest {
  if (!Array.isArray(documents)) throw new RowFault('TANDEM_ROW_TYPE', 'body.documents is no list');
  if (documents.length === 0) throw invalid('body.documents is an empty list');
  checkCount(documents, 'body.documents', 'texts');
  // 0 stands for all.
  const isAll = top === undefined || top === null || top === 0;
  if (!isAll && !isCount(top)) throw invalid('body.top_n is not a count');
  const question = textOf(query, 'body.query');
  const pairs = documents.map((document, n) => [question, textOf(plain(document), `body.documents[${n}]`)] as const);
  return { kind: 'rerank', pairs, top: isAll ? null : (top as number) };
}

/** A document may be an object with its text. */
function plain(document: Value): Value {
  const isObject = typeof document === 'object' && document !== null && !Array.isArray(document);
  return isObject ? (document as RowRecord).text : document;
}

/** One text beside one or several others, or as many on both sides. */
function scoreRequest({ text_1: first, text_2: second }: RowRecord): PairsRequest {
  const firsts = sideOf(first, 'body.text_1');
  const seconds = sideOf(second, 'body.text_2');
  if (firsts.length !== 1 && firsts.length !== seconds.length) {
    throw invalid(`body.text_1 has ${firsts.length} texts and body.text_2 has ${seconds.length}: give one, or as many`);
  }
  return { kind: 'score', pairs: seconds.map((text, n) => [firsts[firsts.length === 1 ? 0 : n]!, text]), top: null };
}

function sideOf(value: Value, path: string): string[] {
  if (!Array.isArray(value)) return [textOf(value, path)];
  if (value.length === 0) throw invalid(`${path} is an empty list`);
  checkCount(value, path, 'texts');
  return value.map((each: Value, n) => textOf(each, `${path}[${n}]`));
}

function checkCount(values: readonly Value[], path: string, what: string): void {
  if (values.length > MOST_TEXTS) throw invalid(`${path} has ${values.length} ${what}, more than ${MOST_TEXTS}`);
}

function isCount(value: Value): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0;
}

function textOf(value: Value, path: string): string {
  if (value === undefined) throw invalid(`${path} is missing`);
  if (typeof value !== 'string') throw new RowFault('TANDEM_ROW_TYPE', `${path} is no string`);
  return value;
}

function idsOf(values: readonly Value[], path: string): { readonly ids: readonly number[] } {
  if (values.length === 0) throw invalid(`${path} is an empty list`);
  const wrong = values.findIndex((value) => typeof value !== 'number');
  if (wrong >= 0) throw new RowFault('TANDEM_ROW_TYPE', `${path}[${wrong}] is no token id`);
  return { ids: values as readonly number[] };
}

function invalid(message: string): RowFault {
  return new RowFault('TANDEM_ROW_INVALID', message);
}
