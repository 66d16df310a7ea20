/** Placeholder. */
import type { Engine } from '../engine.js';
export const tfjs: Engine = null as never;
