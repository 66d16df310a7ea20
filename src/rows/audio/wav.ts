/** Reads WAV files strictly: one channel of PCM with 8, 16, 24 or 32 bits, or of 32- or 64-bit floats, part by part. */
import { type FileHandle, open } from 'node:fs/promises';
import { RowFault } from '../row-fault.js';

/** How a sample is stored. */
type Encoding = 'u8' | 's16' | 's24' | 's32' | 'f32' | 'f64';

interface WavFormat {
  readonly encoding: Encoding;
  readonly bytes: number;
  readonly channels: number;
  /** Samples of one channel in a second. */
  readonly rate: number;
}

/** Format tags. EXTENSIBLE has the real one in the first bytes of its sub-format. */
const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;

/** Chunks before the data that are passed over; a file with more is no recording. */
const MOST_CHUNKS = 1000;
/** A size that a writer to a pipe could not fill in. */
const UNKNOWN = 0xffff_ffff;
/** Longest file in samples: positions must be exact integers, and results must fit into memory. */
const MOST_SAMPLES = 2 ** 40;

export class WavFile {
  readonly rate: number;
  readonly samples: number;
  readonly #file: FileHandle;
  readonly #at: number;
  readonly #format: WavFormat;
  #buffer = Buffer.alloc(0);

  private constructor(file: FileHandle, format: WavFormat, at: number, samples: number) {
    this.#file = file;
    this.#format = format;
    this.#at = at;
    this.rate = format.rate;
    this.samples = samples;
  }

  /** Throws RowFault for a file that is missing, damaged, or no such WAV file. */
  static async open(path: string): Promise<WavFile> {
    const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
      throw fault(error.code === 'ENOENT' ? `there is no file ${path}` : error.message);
    });
    try {
      const { format, at, samples } = await readHeader(file);
      checkChannels(format, path);
      return new WavFile(file, format, at, samples);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * Writes the samples from `from` on into `into`, in [-1, 1] for PCM. Positions outside of the file become 0. Throws RowFault if
   * the file has become shorter.
   */
  async read(from: number, into: Float32Array): Promise<void> {
    const first = Math.max(0, from);
    const last = Math.min(this.samples, from + into.length);
    into.fill(0);
    if (last <= first) return;
    const { bytes, encoding } = this.#format;
    const length = (last - first) * bytes;
    if (this.#buffer.length < length) this.#buffer = Buffer.alloc(length);
    const { bytesRead } = await this.#file.read(this.#buffer, 0, length, this.#at + first * bytes);
    if (bytesRead < length) throw fault('the file was cut short while it was read');
    const sampleAt = READERS[encoding];
    for (let n = 0; n < last - first; n++) into[first - from + n] = sampleAt(this.#buffer, n * bytes);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

const READERS: Readonly<Record<Encoding, (bytes: Buffer, at: number) => number>> = {
  u8: (bytes, at) => (bytes[at]! - 128) / 128,
  s16: (bytes, at) => bytes.readInt16LE(at) / 2 ** 15,
  s24: (bytes, at) => bytes.readIntLE(at, 3) / 2 ** 23,
  s32: (bytes, at) => bytes.readInt32LE(at) / 2 ** 31,
  f32: (bytes, at) => bytes.readFloatLE(at),
  f64: (bytes, at) => bytes.readDoubleLE(at),
};

async function readHeader(file: FileHandle): Promise<{ format: WavFormat; at: number; samples: number }> {
  const stats = await file.stat();
  if (!stats.isFile()) throw fault('it is no file');
  const head = await bytesAt(file, 0, 12);
  const magic = head.toString('latin1', 0, 4);
  if (magic === 'RIFX' || magic === 'RF64')
    throw fault(`it is ${magic}, not RIFF: convert it: ffmpeg -i IN -ac 1 OUT.wav`);
  if (magic !== 'RIFF' || head.toString('latin1', 8, 12) !== 'WAVE') {
    throw fault('it is no WAV file: convert it: ffmpeg -i IN -ac 1 OUT.wav');
  }
  let format: WavFormat | null = null;
  for (let at = 12, chunk = 0; chunk < MOST_CHUNKS; chunk++) {
    const header = await bytesAt(file, at, 8);
    if (header.length < 8) break;
    const name = header.toString('latin1', 0, 4);
    const size = header.readUInt32LE(4);
    if (name === 'data') {
      if (!format) throw fault('its samples come before their format');
      return { format, at: at + 8, samples: samplesOf(format, size, stats.size - at - 8) };
    }
    if (name === 'fmt ') format = formatOf(await bytesAt(file, at + 8, Math.min(size, 40)));
    // Chunks begin at even positions.
    at += 8 + size + (size % 2);
  }
  throw fault('the file ends before its samples');
}

function samplesOf({ bytes, channels }: WavFormat, size: number, left: number): number {
  if (size !== UNKNOWN && size > left)
    throw fault(`the file is cut short: ${size} bytes of samples, ${left} are there`);
  const samples = Math.floor((size === UNKNOWN ? left : size) / (bytes * channels));
  if (samples > MOST_SAMPLES) throw fault(`it has ${samples} samples`);
  return samples;
}

function formatOf(bytes: Buffer): WavFormat {
  if (bytes.length < 16) throw fault('its format is cut short');
  const tag = bytes.readUInt16LE(0);
  const kind = tag === EXTENSIBLE && bytes.length >= 26 ? bytes.readUInt16LE(24) : tag;
  const channels = bytes.readUInt16LE(2);
  const rate = bytes.readUInt32LE(4);
  const bits = bytes.readUInt16LE(14);
  const encoding = encodingOf(kind, bits);
  if (encoding === null) {
    throw fault(
      `its samples are of kind ${kind} with ${bits} bits: convert it: ffmpeg -i IN -ac 1 -c:a pcm_s16le OUT.wav`,
    );
  }
  const width = bits / 8;
  if (channels === 0 || rate === 0 || bytes.readUInt16LE(12) !== width * channels)
    throw fault('its format contradicts itself');
  return { encoding, bytes: width, channels, rate };
}

function encodingOf(kind: number, bits: number): Encoding | null {
  if (kind === PCM) return ({ 8: 'u8', 16: 's16', 24: 's24', 32: 's32' } as const)[bits] ?? null;
  if (kind === FLOAT) return ({ 32: 'f32', 64: 'f64' } as const)[bits] ?? null;
  return null;
}

function checkChannels({ channels }: WavFormat, path: string): void {
  if (channels === 1) return;
  throw fault(`${path} has ${channels} channels, and models take one: mix them: ffmpeg -i IN -ac 1 OUT.wav`);
}

async function bytesAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, at);
  return buffer.subarray(0, bytesRead);
}

function fault(message: string): RowFault {
  return new RowFault('TANDEM_ROW_INVALID', message);
}
