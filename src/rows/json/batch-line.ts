/** Lines of an OpenAI batch file: requests and their answers. The same rows give the same bytes, so ids and times are not invented. */
import type { RowFailure, RowId } from '../source.js';

/** `{"custom_id":…,"method":…,"url":…,"body":{…}}`. Method and url are ignored. */
export type BatchLine = Record<string, unknown> & { readonly custom_id: unknown };

export function isBatchLine(row: Record<string, unknown>): row is BatchLine {
  return Object.hasOwn(row, 'custom_id');
}

/** Whether a line of JSON may be a batch line, without parsing it. A key may be written with escapes. */
export function mayBeBatchLine(line: Buffer): boolean {
  return line.includes('custom_id') || line.includes('\\u');
}

/** The text before and after the outputs of the row at `index`. */
export function answerAround(index: number, customId: RowId): readonly [head: string, tail: string] {
  const head = `{"id":"${requestId(index)}","custom_id":${JSON.stringify(customId)},"response":{"status_code":200,"body":{"outputs":`;
  return [head, '}},"error":null}'];
}

/** The line with the answer to the row at `index`, whose body is JSON text. */
export function answerLine(index: number, customId: RowId, body: string): string {
  const response = `{"status_code":200,"request_id":"${requestId(index)}","body":${body}}`;
  return `{"id":"${requestId(index)}","custom_id":${JSON.stringify(customId)},"response":${response},"error":null}`;
}

/** The line of a failed row in the errors file. */
export function errorLine({ index, id, code, message }: RowFailure): string {
  return JSON.stringify({ id: requestId(index), custom_id: id, response: null, error: { code, message }, index });
}

/** Unique in the file and identical in every run. */
function requestId(index: number): string {
  return `batch_req_${index}`;
}
