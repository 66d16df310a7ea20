/** Placeholder. */
import type { ModelGraph } from './graph.js';
export async function readLayersModel(_file: string, _manifest: Record<string, unknown>): Promise<ModelGraph> {
  throw new Error('todo');
}
