/** Placeholder. */
import type { Engine } from '../engine.js';
export const onnxruntime: Engine = null as never;
