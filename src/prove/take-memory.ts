/** Takes a card's memory in a process of its own, by the driver's library on NVIDIA's cards and by WebGPU on others, as another program would. */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { Card } from '../machine/cards/card.js';

export interface Taken {
  readonly bytes: number;
  /** Ends the process, which frees it. */
  giveBack(): void;
}

/** What is left for the driver itself. */
const LEFT = 64 * 2 ** 20;

/** cuda.h; by the driver alone, which every card has. */
const BY_CUDA = `
const [, most, left, index] = process.argv;
const koffi = (await import(process.argv[4])).default;
const cuda = koffi.load(process.platform === 'win32' ? 'nvcuda.dll' : 'libcuda.so.1');
const call = (name, signature, ...args) => { const code = cuda.func('int ' + name + '(' + signature + ')')(...args); if (code) throw new Error(name + ' gave ' + code); };
const place = Buffer.alloc(16);
call('cuInit', 'uint32_t flags', 0);
call('cuDeviceGet', 'void *device, int n', place, Number(process.argv[3]));
const device = place.readInt32LE();
call('cuDevicePrimaryCtxRetain', 'void *context, int device', place, device);
call('cuCtxSetCurrent', 'uintptr_t context', place.readBigUInt64LE());
call('cuMemGetInfo_v2', 'void *free, void *total', place, Buffer.alloc(8));
let want = Math.min(Number(process.argv[1]), Number(place.readBigUInt64LE()) - Number(process.argv[2]));
let taken = 0;
for (let block = 2 ** 30; block >= 2 ** 20; block /= 2) while (want - taken >= block) { try { call('cuMemAlloc_v2', 'void *memory, size_t bytes', place, block); taken += block; } catch { break; } }
process.stdout.write(taken + '\\n');
process.stdin.resume().on('end', () => process.exit());
`;

const BY_WEBGPU = `
const { create, globals } = await import(process.argv[4]);
Object.assign(globalThis, globals);
const adapter = await create([]).requestAdapter({ powerPreference: 'high-performance' });
const device = await adapter.requestDevice();
const kept = [];
const block = 64 * 2 ** 20;
let taken = 0;
while (taken + block <= Number(process.argv[1])) {
  device.pushErrorScope('out-of-memory');
  const buffer = device.createBuffer({ size: block, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(buffer, 0, new Uint8Array(block));
  await device.queue.onSubmittedWorkDone();
  if (await device.popErrorScope()) break;
  kept.push(buffer);
  taken += block;
}
process.stdout.write(taken + '\\n');
process.stdin.resume().on('end', () => process.exit());
`;

/** Milliseconds. */
const TIMEOUT_MS = 20_000;

/** At most `most` bytes of the card, or of the software adapter. Gives the reason if it cannot be taken. */
export async function takeMemory(card: Card | null, most: number): Promise<Taken | string> {
  if (card?.kind === 'integrated') return "an integrated card's memory is the machine's";
  const isCuda = card?.cuda != null;
  const found = addressOf(isCuda ? 'koffi' : 'webgpu');
  if (found === null)
    return 'the memory of this card is taken by WebGPU, which is not installed: npx tandem setup webgpu';
  const args = [String(most), String(LEFT), String(card?.cuda?.index ?? 0), found];
  const child = spawn(process.execPath, ['--input-type=module', '-e', isCuda ? BY_CUDA : BY_WEBGPU, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, CUDA_DEVICE_ORDER: 'PCI_BUS_ID' },
  });
  child.stdin.on('error', () => {});
  let [said, problem] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (text) => (problem += text));
  const bytes = await new Promise<number>((done) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said += text;
      if (said.includes('\n')) done(Number(said));
    });
    child.on('close', () => done(0));
    child.stdout.once('data', () => clearTimeout(timer));
  });
  if (bytes > 0) return { bytes, giveBack: () => void child.kill('SIGKILL') };
  child.kill('SIGKILL');
  return `no memory could be taken: ${/Error: (.*)/.exec(problem)?.[1] ?? 'the card gave none'}`;
}

function addressOf(name: string): string | null {
  try {
    return pathToFileURL(createRequire(import.meta.url).resolve(name)).href;
  } catch {
    return null;
  }
}
