/** Recognises rows of texts beside a model's tokenizer, where a plan is made of them: they are tokens once the task has prepared them. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { holdsRecords, STANDARD_STREAM } from '../rows/format.js';
import { formatOf } from '../rows/format-of-path.js';
import { filesOf, inputsOf } from '../rows/input-files.js';
import { openRecords } from '../rows/record-source.js';
import type { TaskRequest } from '../tasks/task-request.js';

export interface TextRowsRequest {
  readonly input: readonly string[];
  readonly inputFormat?: string | undefined;
  readonly column?: string | undefined;
}

/** What rows of tensors are named in JSON lines. */
const TENSORS = ['inputs', 'input_ids'];

/**
 * `null` unless `model` is a folder with a tokenizer.json and the first row has a text. Throws what the input's format throws.
 */
export async function textsAskFor(
  model: string,
  { input, inputFormat, column }: TextRowsRequest,
): Promise<TaskRequest | null> {
  if (!existsSync(join(model, 'tokenizer.json'))) return null;
  const [first] = filesOf(await inputsOf([], input, inputFormat));
  if (first === undefined || first === STANDARD_STREAM || !holdsRecords(formatOf(first, inputFormat))) return null;
  const records = await openRecords(input, { format: inputFormat });
  try {
    const { records: rows } = await records.read(1);
    const [row] = rows;
    if (!row || TENSORS.some((name) => Object.hasOwn(row, name))) return null;
    const values = column === undefined ? Object.values(row) : [row[column]];
    const isText = Object.hasOwn(row, 'custom_id') || values.some((value) => typeof value === 'string');
    return isText ? { name: 'embed', ...(column === undefined ? {} : { column }) } : null;
  } finally {
    await records.close();
  }
}
