/**
 * Trains the demo's classifier on tfjs-node in two minutes and writes it for TensorFlow.js and as ONNX.
 * All random numbers come from one seed, and one thread adds in a fixed order: on one machine the files always have the same bytes.
 * Another processor may round differently.
 *
 *   npm run setup && node dist/scripts/demo/train.js [FOLDER]
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LayersModel, SGDOptimizer, Tensor } from '@tensorflow/tfjs-node';
import { parseDevice } from '../../src/engine/device.js';
import { openTfjs } from '../../src/engine/tfjs/native.js';
import { settleThreads } from '../../src/pool/environment.js';
import { writeModel as writeOnnxModel } from '../../src/prove/models/model-file.js';
import { Random } from '../../src/prove/models/random.js';
import { writeModel as writeLayersModel } from '../make-model/model-files.js';
import { classifier } from './classifier.js';
import { type Digits, readDigits, SIDE } from './digits.js';
import { onnxTwin } from './onnx-twin.js';

const SEED = 1;
const EPOCHS = 16;
const BATCH = 64;
/** Initial learning rate; it falls to zero along half a cosine. */
const LEARNING_RATE = 0.05;
const MOMENTUM = 0.9;
/** Largest random shift of an image in pixels, vertically and horizontally. */
const MAX_SHIFT = 1;
const PIXELS = SIDE * SIDE;

settleThreads('tfjs', 1, parseDevice('cpu'), true);
const tf = openTfjs('tensorflow');
const folder = process.argv[2] ?? 'scripts/demo/model';
const { train, unseen } = readDigits();
const model = classifier(tf, SEED);
await fit(model, train, new Random(SEED));
await write(model, folder);
console.log(`correct on ${percent(model, unseen)} of ${unseen.rows} unseen rows; written to ${folder}`);

async function fit(model: LayersModel, digits: Digits, random: Random): Promise<void> {
  const optimizer = tf.train.momentum(LEARNING_RATE, MOMENTUM, true) as SGDOptimizer;
  model.compile({ optimizer, loss: 'sparseCategoricalCrossentropy' });
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    const order = shuffled(digits.rows, random);
    let loss = 0;
    for (let from = 0; from < digits.rows; from += BATCH) {
      const done = (epoch + from / digits.rows) / EPOCHS;
      optimizer.setLearningRate(LEARNING_RATE * 0.5 * (1 + Math.cos(Math.PI * done)));
      const rows = order.slice(from, from + BATCH);
      const x = tf.tensor4d(shiftedImages(digits, rows, random), [rows.length, SIDE, SIDE, 1]);
      const y = tf.tensor1d(Float32Array.from(rows, (row) => digits.labels[row]!));
      loss += ((await model.trainOnBatch(x, y)) as number) * rows.length;
      tf.dispose([x, y]);
    }
    console.log(`epoch ${epoch + 1} of ${EPOCHS}: loss ${(loss / digits.rows).toFixed(4)}`);
  }
}

/** 0 … count - 1 in random order (Fisher and Yates). */
function shuffled(count: number, random: Random): number[] {
  const order = Array.from({ length: count }, (_, n) => n);
  for (let n = count - 1; n > 0; n--) {
    const other = random.below(n + 1);
    [order[n], order[other]] = [order[other]!, order[n]!];
  }
  return order;
}

/** (rows, 8, 8, 1): each image shifted by a random step and padded with zeros. */
function shiftedImages({ pixels }: Digits, rows: readonly number[], random: Random): Float32Array {
  const step = () => random.below(2 * MAX_SHIFT + 1) - MAX_SHIFT;
  const images = new Float32Array(rows.length * PIXELS);
  for (const [n, row] of rows.entries()) {
    const [down, right] = [step(), step()];
    for (let y = Math.max(0, down); y < Math.min(SIDE, SIDE + down); y++) {
      for (let x = Math.max(0, right); x < Math.min(SIDE, SIDE + right); x++) {
        images[n * PIXELS + y * SIDE + x] = pixels[row * PIXELS + (y - down) * SIDE + (x - right)]!;
      }
    }
  }
  return images;
}

async function write(model: LayersModel, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const weights = model.weights.map((variable) => ({
    name: variable.originalName,
    shape: variable.shape as number[],
    values: Array.from(variable.read().dataSync()),
  }));
  const modelTopology = model.toJSON(null, false);
  await writeLayersModel(
    folder,
    { format: 'layers-model', modelTopology, weights },
    { seed: SEED, shardBytes: 2 ** 22 },
  );
  writeOnnxModel(join(folder, 'model.onnx'), onnxTwin(model));
}

function percent(model: LayersModel, { rows, pixels, labels }: Digits): string {
  const right = tf.tidy(() => {
    const scores = model.predict(tf.tensor4d(pixels, [rows, SIDE, SIDE, 1])) as Tensor;
    const found = scores.argMax(1).dataSync();
    return labels.filter((label, row) => label === found[row]).length;
  });
  return `${((right / rows) * 100).toFixed(1)} %`;
}
