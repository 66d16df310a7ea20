/** A model that a worker reads ahead of its first slice, and uses for that slice only: the file may change later. */
import { type OnnxModel, readOnnx } from '../onnx.js';
import type { Slice } from '../slice.js';

let ahead: OnnxModel | null = null;

/** Errors as of `readOnnx`. */
export function readAhead(path: string): void {
  ahead = readOnnx(path);
}

/** The slice's model: the one that was read ahead, if it is that, else read now. Errors as of `readOnnx`. */
export function takeModel({ path, fed }: Pick<Slice, 'path' | 'fed'>): OnnxModel {
  const model = ahead?.graph.path === path && !fed ? ahead : readOnnx(path, fed);
  ahead = null;
  return model;
}
