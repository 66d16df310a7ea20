/** The interface of a job's rows: what is asked of them, and what is known before one is read. */
import type { GivenValue } from '../rows/given-values.js';
import type { SourceInput } from '../rows/open-source.js';
import type { RowRange } from '../rows/row-range.js';
import type { Source } from '../rows/source.js';
import type { Windowed } from './windows/load-windows.js';

/** What is asked of the rows, from all places together. */
export interface RowsRequest {
  /** As of `inputsOf`. */
  readonly input: readonly string[];
  readonly inputFormat?: string | undefined;
  readonly allowNonFinite?: boolean | undefined;
  /** How images become rows: the text of `--image`. */
  readonly image?: string | undefined;
  /** The column of a table that has the images. */
  readonly column?: string | undefined;
  /** The windows of sound: the text of `--window`. */
  readonly window?: string | undefined;
  /** By input that is given an output of the window before, that output. */
  readonly carry?: Readonly<Record<string, string>> | undefined;
  /** Values given once for all rows. */
  readonly set?: Readonly<Record<string, GivenValue>> | undefined;
  /** The folder that the ids of file rows are relative to, if that is no more the working directory. */
  readonly idsFrom?: string | undefined;
}

/** Rows that can be opened, and nothing of them read. */
export interface JobRows {
  readonly input: SourceInput;
  /** What the output depends on besides the input's bytes, by name; with `input` if the files are not to be read for it. */
  readonly identity: Readonly<Record<string, string>>;
  /** What was read from where, for a person. */
  readonly origins: readonly string[];
  /** The names of what is written, where they are not those of the model's outputs. */
  readonly outputs?: readonly string[];
  /** Why the results of rows differ in length, if they always do. */
  readonly ragged?: string | undefined;
  /** `lengths`: whether rows have lengths of their own; `null` to find out. `range`: the rows of a shard, which `firstRow` is one of. */
  open(firstRow: number, lengths: boolean | null, range?: RowRange): Promise<Source | Windowed>;
}
