/** Runs ONNX Runtime alone, from the start of the process until the whole model is loaded. */
import { openOrt } from '../../src/engine/onnxruntime/session.js';
import { micros } from '../../src/pool/protocol.js';
import type { Marks, StartAsk } from '../start-time.js';

const { path } = JSON.parse(process.argv[2]!) as StartAsk;
const begunAt = micros();
const ort = await openOrt();
const libraryAt = micros();
await ort.InferenceSession.create(path, { intraOpNumThreads: 2, logSeverityLevel: 4 });
const marks: Marks = [
  ['node runs', begunAt],
  ['library loaded', libraryAt],
  ['model loaded', micros()],
];
process.send!(marks);
process.disconnect();
