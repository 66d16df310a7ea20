/** How many tokens a prepared text has. */
import type { RaggedRow } from '../../rows/ragged-source.js';

/** By its attention mask, which is at `mask` among its tensors: a model of fixed length pads the text itself. Without one, all. */
export function tokensOf({ tensors }: RaggedRow, mask: number | null): number {
  const { data } = tensors[mask ?? 0]!;
  if (mask === null) return data.length;
  let tokens = data.length;
  while (tokens > 0 && Number(data[tokens - 1]) === 0) tokens -= 1;
  return tokens;
}
