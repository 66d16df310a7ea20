/** Runs ONNX's backend suite, whole and cut at every legal cut: node dist/scripts/onnx-suite.js [--suite NAME] [--only TEXT] [--cuts N] [--sample] [--verbose] [--models FOLDER: the models in FOLDER instead; open dimensions are [--free 16]] [--openvino: by OpenVINO, against OpenVINO whole] */
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { openvino } from '../src/engine/openvino/openvino.js';
import { modelsIn, obtainSuite, type SuiteCase } from './onnx-suite/obtain.js';
import { type CaseResult, runCase } from './onnx-suite/run-case.js';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string' },
      only: { type: 'string', default: '' },
      cuts: { type: 'string' },
      sample: { type: 'boolean', default: false },
      models: { type: 'string' },
      free: { type: 'string', default: '16' },
      openvino: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  });
  const all = values.models === undefined ? obtainSuite() : modelsIn(values.models, Number(values.free));
  const cases = (values.sample ? sampleOf(all) : all).filter(
    ({ suite, name }) => (values.suite ?? suite) === suite && name.includes(values.only),
  );
  const most = Number(values.cuts ?? (values.sample ? 3 : Number.POSITIVE_INFINITY));
  const by = values.openvino ? { engine: openvino, provider: 'openvino' } : undefined;
  const results: CaseResult[] = [];
  for (const suiteCase of cases) {
    const result = await runCase(suiteCase, (cuts) => spread(cuts, most), by);
    results.push(result);
    if (values.verbose || result.different.length > 0) process.stderr.write(`${lineOf(result)}\n`);
  }
  process.stdout.write(tableOf(results));
  if (results.some(({ different }) => different.length > 0)) process.exitCode = 1;
}

/** Every tenth case of each suite; of the light models only the smallest. */
export function sampleOf(cases: readonly SuiteCase[]): SuiteCase[] {
  const rest = cases.filter(({ suite }) => suite !== 'light').filter((_, n) => n % 10 === 0);
  return [...cases.filter(({ name }) => name === 'light_squeezenet'), ...rest];
}

/** At most `most` of `cuts`, evenly spread. */
export function spread(cuts: readonly number[], most: number): number[] {
  if (cuts.length <= most) return [...cuts];
  return Array.from({ length: most }, (_, n) => cuts[Math.floor((n * cuts.length) / most)]!);
}

function lineOf({ suite, name, outcome, why, cuts, same, different }: CaseResult): string {
  const detail = different.length > 0 ? `DIFFERENT: ${different.slice(0, 5).join('; ')}` : why;
  return `${suite}/${name}: ${outcome}, ${cuts} cuts, ${same} to the bit ${detail}`;
}

/** Counts of cases by suite: total, run whole, refused by tandem, run cut, number of cuts, and differing. */
function tableOf(results: readonly CaseResult[]): string {
  const head = ['suite', 'cases', 'run whole', 'refused', 'run cut', 'cuts', 'same to the bit', 'differ'];
  const suites = [...new Set(results.map(({ suite }) => suite)), 'all'];
  const rows = suites.map((suite) => {
    const own = results.filter((result) => suite === 'all' || result.suite === suite);
    const whole = own.filter(({ outcome }) => outcome !== 'skipped');
    const sum = (count: (result: CaseResult) => number) => own.reduce((total, result) => total + count(result), 0);
    return [
      suite,
      own.length,
      whole.length,
      own.filter(({ outcome }) => outcome === 'refused').length,
      own.filter(({ outcome }) => outcome === 'cut').length,
      sum(({ cuts }) => cuts),
      sum(({ same }) => same),
      own.filter(({ different }) => different.length > 0).length,
    ].map(String);
  });
  const widths = head.map((title, n) => Math.max(title.length, ...rows.map((row) => row[n]!.length)));
  const line = (cells: string[]) =>
    cells.map((cell, n) => (n ? cell.padStart(widths[n]!) : cell.padEnd(widths[n]!))).join('  ');
  return `${[head, ...rows].map(line).join('\n')}\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
