/** Bench: a decoder in two one-thread stages with two groups in flight, against the same stages computing one after the other, all rows in one group, and one stage on two threads, in interleaved rounds: node dist/bench/generate.js MODEL [--rows 16,64] [--prompt 48] [--tokens 24] [--rounds 3] [--isolation thread|process] */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { formatTable } from '../src/cli/table.js';
import { type OpenDecoderOptions, type OpenedDecoder, openDecoder } from '../src/decoder/open-decoder.js';
import { processorName } from '../src/machine/processor.js';
import { median } from '../src/planner/measure/median.js';
import type { DecodeSummary } from '../src/tasks/generate/sequence.js';

/** Seconds until each prompt had its first token, and those in which the others followed. */
interface Sample {
  readonly prefill: number;
  readonly decode: number;
  /** Share of the stages' time in which they computed. */
  readonly busy: number;
}

const oneThread = [{ threads: 1 }, { threads: 1 }];
const WAYS: Readonly<Record<string, OpenDecoderOptions>> = {
  pipelined: { stages: oneThread, groups: 2 },
  sequential: { stages: oneThread, groups: 2, inFlight: 1 },
  'one group': { stages: oneThread, groups: 1 },
  whole: { stages: [{ threads: 2 }], groups: 1 },
};

async function main(): Promise<void> {
  const text = (value: string) => ({ type: 'string', default: value }) as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rows: text('16,64'),
      prompt: text('48'),
      tokens: text('24'),
      rounds: text('3'),
      isolation: text('thread'),
    },
  });
  const [path] = positionals;
  if (!path) throw new Error('usage: node dist/bench/generate.js MODEL [--rows 16,64] [--prompt 48] [--tokens 24]');
  const [prompt, tokens, rounds] = [values.prompt, values.tokens, values.rounds].map(Number) as [
    number,
    number,
    number,
  ];
  const lines: string[][] = [];
  for (const rows of values.rows.split(',').map(Number)) {
    const samples = new Map(Object.keys(WAYS).map((way) => [way, [] as Sample[]]));
    const decoders = new Map<string, OpenedDecoder>();
    const isolation = values.isolation as 'thread' | 'process';
    for (const [way, options] of Object.entries(WAYS)) {
      decoders.set(way, await openDecoder(path, { ...options, isolation, slots: rows, maxLength: prompt + tokens }));
    }
    for (let round = 0; round <= rounds; round++) {
      for (const [way, decoder] of decoders) {
        const first = await run(decoder, rows, prompt, 1);
        const all = await run(decoder, rows, prompt, tokens);
        const computed = all.stages.reduce((sum, stage) => sum + stage.prefillSeconds + stage.decodeSeconds, 0);
        const busy = computed / (all.seconds * all.stages.length);
        // The first round warms up.
        if (round > 0) samples.get(way)!.push({ prefill: first.seconds, decode: all.seconds - first.seconds, busy });
      }
    }
    for (const decoder of decoders.values()) await decoder.close();
    const of = (way: string, what: keyof Sample) => median(samples.get(way)!.map((sample) => sample[what]));
    for (const way of Object.keys(WAYS)) {
      lines.push([
        ...[String(rows), way],
        ((rows * prompt) / of(way, 'prefill')).toFixed(0),
        ((rows * (tokens - 1)) / of(way, 'decode')).toFixed(0),
        `${(of(way, 'decode') / of('pipelined', 'decode')).toFixed(2)}`,
        `${(100 * of(way, 'busy')).toFixed(0)} %`,
      ]);
    }
  }
  const columns = ['rows', 'way', 'prefill tok/s', 'decode tok/s', 'decode time', 'stages busy'].map((title, n) => ({
    title,
    right: n !== 1,
  }));
  process.stdout.write(
    `${processorName()}, ${cpus().length} cores; prompts of ${prompt}, ${tokens} new tokens, medians of ${rounds} rounds\n\n`,
  );
  process.stdout.write(`${formatTable(columns, lines)}\n`);
}

/** The last token known is as good as any: nothing here depends on which it is. */
async function run(decoder: OpenedDecoder, rows: number, prompt: number, maxTokens: number): Promise<DecodeSummary> {
  async function* requests() {
    for (let row = 0; row < rows; row++) {
      const ids = Array.from({ length: prompt }, (_, n) => (row * 7919 + n * 104_729) % decoder.vocabulary);
      yield { row, prompt: ids, maxTokens, sampler: { next: likeliest } };
    }
  }
  return decoder.run(
    requests(),
    () => {},
    (row, failure) => {
      if (failure) throw new Error(`row ${row}: ${failure.message}`);
    },
  );
}

function likeliest(logits: Float32Array) {
  let id = 0;
  for (let n = 1; n < logits.length; n++) if (logits[n]! > logits[id]!) id = n;
  return { id, finish: null };
}

await main();
