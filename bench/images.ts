/**
 * Images: CPU milliseconds for each, from a JPEG file to a classifier's answer, beside PIL with ONNX Runtime in Python and transformers.js.
 *
 *   node dist/bench/images.js [--python PYTHON] [--images 200] [--rounds 5] [--threads 1]
 *
 * PYTHON has pillow, numpy and onnxruntime; transformers.js is looked for in bench/peers/node_modules. A round runs each case over few and over
 * all images, in one order and then in the other; the difference is what the images cost, without the start. Time is that of the
 * process and all its children, user and system together.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeOnnx } from '../scripts/make-onnx.js';
import { seeded } from '../src/prove/models/seeded.js';
import { loadSharp } from '../src/rows/images/sharp.js';

const root = resolve(import.meta.dirname, '../..');
const FEW = 16;
const CONFIG = {
  image_processor_type: 'ViTImageProcessor',
  ...{ do_resize: true, size: { shortest_edge: 256 }, resample: 2, do_center_crop: true },
  crop_size: { width: 224, height: 224 },
  ...{ do_rescale: true, rescale_factor: 1 / 255, do_normalize: true },
  ...{ image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] },
};

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    images: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '1' },
  },
});
const images = Number(flags.images);
const folder = mkdtempSync(join(tmpdir(), 'tandem-bench-images-'));

interface Case {
  readonly name: string;
  readonly command: (photos: string) => readonly string[];
}

/** A photo of 640 x 480: blurred noise, so that its JPEG has the size of a real one. */
async function makePhotos(): Promise<void> {
  const sharp = await loadSharp();
  for (const [name, count] of [
    ['few', FEW],
    ['all', FEW + images],
  ] as const) {
    mkdirSync(join(folder, name));
    for (let n = 0; n < count; n++) {
      const random = seeded(n + 1);
      const data = Uint8Array.from({ length: 160 * 120 * 3 }, () => 256 * random());
      const made = sharp(data, { raw: { width: 160, height: 120, channels: 3 } }).resize(640, 480);
      writeFileSync(
        join(folder, name, `${String(n).padStart(5, '0')}.jpg`),
        await made.jpeg({ quality: 90 }).toBuffer(),
      );
    }
  }
}

/** CPU seconds of a command and all that it has started. */
function cpuSeconds(command: readonly string[]): number {
  const { status, stderr } = spawnSync('bash', ['-c', 'TIMEFORMAT="%U %S"; time "$@"', 'bash', ...command], {
    encoding: 'utf8',
    cwd: folder,
  });
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
  const [user, system] = stderr.trim().split('\n').at(-1)!.split(' ').map(Number) as [number, number];
  return user + system;
}

function cases(): Case[] {
  const { threads, python } = flags;
  const tandem = join(root, 'dist/bundle/src/cli/tandem.js');
  const stage = `cpu,threads=${threads}`;
  const found: Case[] = [
    {
      name: 'tandem',
      command: (photos) => [
        ...[process.execPath, tandem, 'run', 'model', photos, '-o', `${photos}-tandem.npy`],
        ...['--force-new', '-q', '--plan', 'quick', '-b', '8', '-s', stage],
      ],
    },
    {
      name: 'PIL + onnxruntime',
      command: (photos) => [
        ...[python, join(root, 'bench/peers/images.py'), 'model/model.onnx', photos, `${photos}-pil.npy`, threads],
      ],
    },
  ];
  if (existsSync(join(root, 'bench/peers/node_modules/@huggingface/transformers'))) {
    const script = join(root, 'bench/peers/images.mjs');
    found.push({ name: 'transformers.js', command: (photos) => [process.execPath, script, 'model', photos, threads] });
  } else process.stdout.write('transformers.js is left out: it is not in bench/peers/node_modules\n');
  return found;
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

/** The largest difference between two NPY files of floats, and the largest value. */
function difference(a: string, b: string): { readonly most: number; readonly largest: number } {
  const [x, y] = [a, b].map((name) => {
    const bytes = readFileSync(join(folder, name));
    const at = 10 + bytes.readUInt16LE(8);
    return new Float32Array(Uint8Array.from(bytes.subarray(at)).buffer);
  }) as [Float32Array, Float32Array];
  if (x.length !== y.length) throw new Error(`${a} has ${x.length} values, and ${b} ${y.length}`);
  const most = x.reduce((before, value, n) => Math.max(before, Math.abs(value - y[n]!)), 0);
  return { most, largest: x.reduce((before, value) => Math.max(before, Math.abs(value)), 0) };
}

try {
  const model = makeOnnx('squeezenet', join(folder, 'model'));
  mkdirSync(join(folder, 'model/onnx'));
  copyFileSync(model, join(folder, 'model/onnx/model.onnx'));
  writeFileSync(join(folder, 'model/preprocessor_config.json'), JSON.stringify(CONFIG));
  writeFileSync(join(folder, 'model/config.json'), JSON.stringify({ model_type: 'squeezenet' }));
  await makePhotos();
  const all = cases();
  const times = new Map(all.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const { name, command } of round % 2 ? all.toReversed() : all) {
      const seconds = cpuSeconds(command('all')) - cpuSeconds(command('few'));
      times.get(name)!.push((1000 * seconds) / images);
    }
  }
  const own = times.get('tandem')!;
  for (const [name, found] of times) {
    const ratio = median(found.map((ms, round) => ms / own[round]!));
    process.stdout.write(
      `${name}: ${median(found).toFixed(1)} ms of CPU an image (${Math.min(...found).toFixed(1)} to ${Math.max(...found).toFixed(1)}), ${ratio.toFixed(2)} x tandem\n`,
    );
  }
  const { most, largest } = difference('all-tandem.npy', 'all-pil.npy');
  process.stdout.write(`results differ by at most ${most.toExponential(1)}; the largest is ${largest.toFixed(2)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
