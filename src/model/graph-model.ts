/** Placeholder. */
import type { ModelGraph } from './graph.js';
export async function readGraphModel(_file: string, _manifest: Record<string, unknown>): Promise<ModelGraph> {
  throw new Error('todo');
}
