/** Placeholder. */
import type { ModelGraph } from './graph.js';
export async function readOnnxModel(_file: string): Promise<ModelGraph> {
  throw new Error('todo');
}
