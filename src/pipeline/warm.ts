/** What a pipeline has once it is warm: its slots, and who fills and empties them. */
import type { Arena } from '../arena/arena.js';
import type { TensorSpec } from '../tensor.js';
import type { Coordinator } from './coordinator.js';
import type { OutOfMemorySplit } from './out-of-memory-split.js';
import type { AcrossCuts } from './warm-up.js';

export interface Warm {
  readonly arena: Arena;
  readonly coordinator: Coordinator;
  readonly outOfMemorySplit: OutOfMemorySplit;
  /** The largest rows that fit into slots. */
  readonly largest: readonly TensorSpec[];
  /** The rows of the next run. */
  readonly rowSpecs: readonly TensorSpec[];
  readonly across: AcrossCuts;
}
