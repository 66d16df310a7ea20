/** Where the images of a job are: files by their paths, or a column of records with paths, base64 or bytes. */
import { Buffer } from 'node:buffer';
import { resolve } from 'node:path';
import { type RefusedRow, refusal } from '../../rows/refused-rows.js';
import { RowFault } from '../../rows/row-fault.js';
import type { RowFailure, RowId } from '../../rows/source.js';
import type { ImageRef } from './image-preparer.js';

/** A row before its image is read. */
export type ImageRow = { readonly id: RowId; readonly ref: ImageRef } | RowFailure;

/** Reads the rows of a job in order. */
export interface ImageRows {
  /** Of the whole input, or `null` if that is not known. */
  readonly rows: number | null;
  /** The next rows, at most `most`; empty at the end. */
  next(most: number): Promise<readonly ImageRow[]>;
  close(): Promise<void>;
}

/** The rows are the files. */
export function rowsOfFiles(
  files: readonly { readonly id: string; readonly path: string }[],
  firstRow: number,
  refused: readonly RefusedRow[] = [],
): ImageRows {
  let at = firstRow;
  return {
    rows: files.length,
    async next(most) {
      const found = files.slice(at, at + most).map(({ id, path }, n): ImageRow => {
        const one = refused.find(({ row }) => row === at + n);
        return one ? refusal(one, id) : { id, ref: { path } };
      });
      at += found.length;
      return found;
    },
    async close() {},
  };
}

/** The beginnings of images in base64, which could be the beginnings of paths. */
const BASE64 = /^(?:\/9j\/|iVBORw0KGgo|R0lGOD|UklGR|SUkq|TU0A)[A-Za-z0-9+/_=\s-]{64,}$/;

/**
 * The image that a record's value means: a path (relative to `folder`), base64, a data URL, bytes, or an object with `bytes` or `path` as
 * Hugging Face's data sets have. Throws RowFault.
 */
export function imageRefOf(value: unknown, column: string, folder: string): ImageRef {
  if (value instanceof Uint8Array) return { bytes: value };
  if (typeof value === 'string' && value !== '') return refOfText(value, folder);
  if (typeof value === 'object' && value !== null && ('bytes' in value || 'path' in value)) {
    const { bytes, path } = value as { bytes?: unknown; path?: unknown };
    return imageRefOf(bytes ?? path, column, folder);
  }
  const what = value === undefined ? 'missing' : value === null ? 'null' : value === '' ? 'empty' : `a ${typeof value}`;
  throw new RowFault('TANDEM_ROW_TYPE', `"${column}" is ${what}: it must be a path, base64 or the bytes of an image`);
}

function refOfText(text: string, folder: string): ImageRef {
  const data = /^data:[^,]*;base64,/.exec(text);
  if (data) return { bytes: Buffer.from(text.slice(data[0].length), 'base64') };
  if (/^https?:/i.test(text)) {
    throw new RowFault(
      'TANDEM_ROW_INVALID',
      `${text.slice(0, 100)} is an address: download the images first, tandem loads none`,
    );
  }
  if (BASE64.test(text)) return { bytes: Buffer.from(text, 'base64') };
  if (text.length > 4096 || text.includes('\0')) {
    throw new RowFault('TANDEM_ROW_INVALID', 'the text is neither a path nor the base64 of an image');
  }
  return { path: resolve(folder, text) };
}
