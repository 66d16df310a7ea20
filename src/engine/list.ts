/** The engines that come with tandem; of several for one format the first is preferred. */
import type { EngineEntry } from './entry.js';
import { onnxruntimeEngine } from './onnxruntime/engine.js';
import { openvinoEngine } from './openvino/engine.js';
import { customEngine } from './own-engine.js';
import { tfjsEngine } from './tfjs/engine.js';

export const ENGINES: readonly EngineEntry[] = [onnxruntimeEngine, openvinoEngine, tfjsEngine, customEngine];
