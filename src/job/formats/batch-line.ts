/** Lines of an OpenAI batch file: what one asks for, and what answers it. The same rows give the same bytes: no made-up ids, no times. */
import type { RowFailure, RowId } from '../source.js';

/** `{"custom_id":…,"method":…,"url":…,"body":{…}}`. Method and url say nothing that a model must know. */
export type BatchLine = Record<string, unknown> & { readonly custom_id: unknown };

export function isBatchLine(row: Record<string, unknown>): row is BatchLine {
  return Object.hasOwn(row, 'custom_id');
}

/** Whether a line of JSON may be one, without reading it: a name can be written in escapes. */
export function mayBeBatchLine(line: Buffer): boolean {
  return line.includes('custom_id') || line.includes('\\u');
}

/** Before and after the outputs of the row at `index`. */
export function answerAround(index: number, customId: RowId): readonly [head: string, tail: string] {
  const head = `{"id":"${requestId(index)}","custom_id":${JSON.stringify(customId)},"response":{"status_code":200,"body":{"outputs":`;
  return [head, '}},"error":null}'];
}

/** The line of a failed row in the errors file. */
export function errorLine({ index, id, code, message }: RowFailure): string {
  return JSON.stringify({ id: requestId(index), custom_id: id, response: null, error: { code, message }, index });
}

/** Unique in the file and the same in every run. */
function requestId(index: number): string {
  return `batch_req_${index}`;
}
