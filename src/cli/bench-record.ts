/** The result of a bench as a record for the report page: the cases, the sweep, and what would help. */
import { basename, dirname } from 'node:path';
import type { BenchResult, SweepPoint } from '../bench/result.js';
import type { Comparison, RunRecord } from '../report/record.js';
import { formatBytes } from './bytes.js';
import { formatInvariance } from './print-bench.js';

export function benchRecord(result: BenchResult, command: readonly string[]): RunRecord {
  const { machine, model, date, tandem } = result;
  const file = basename(model.path);
  return {
    kind: 'tandem-record',
    schema: 1,
    title: /^model\.\w+$/.test(file) ? basename(dirname(model.path)) || file : file,
    createdAt: date,
    version: tandem,
    command: ['tandem', ...command],
    machine,
    verdict: sentencesOf(result),
    run: null,
    comparisons: [casesOf(result), ...sweepOf(result), ...helpsOf(result)],
  };
}

function sentencesOf(result: BenchResult): string[] {
  const { verdict, cases, overlap } = result;
  const { best, alike, speedUp } = verdict;
  const sentences = [
    best === cases[0]!.name ? `Best: ${best}.` : `Best: ${best}, ${speedUp.toFixed(2)} times the first.`,
  ];
  if (alike.length > 0) sentences.push(`Not distinguishable in these rounds: ${alike.join('; ')}.`);
  if (overlap) {
    const { efficiency } = cases.find(({ name }) => name === overlap.pipelined)!;
    sentences.push(
      `Stages that compute at once gain ${overlap.speedUp.toFixed(2)} times over the same stages run sequentially, of ${overlap.idealSpeedUp.toFixed(2)} that are possible; ${(efficiency * 100).toFixed(1)} % of what their own times allow.`,
    );
  }
  for (const [first, ...rest] of formatInvariance(result)) sentences.push(`${first!.toUpperCase()}${rest.join('')}.`);
  return sentences;
}

function casesOf({ cases, verdict }: BenchResult): Comparison {
  const most = Math.max(...cases.map(({ repetitions }) => repetitions.length));
  return {
    title: 'Cases',
    unit: 'rows/s',
    note: `Medians of ${most} interleaved repetitions, ${cases[0]!.rows} rows each. The line over a bar is the 95 % confidence interval of the median; the mark is what the stages' own times would give if nothing else took time. As a command: tandem run MODEL ${verdict.flags}`,
    cases: cases.map(({ name, rowsPerSecond, spread, efficiency, microBatch, depth }) => ({
      ...{ name, value: rowsPerSecond, spread, emphasis: name === verdict.best },
      ideal: efficiency > 0 ? rowsPerSecond / efficiency : undefined,
      note: `${microBatch} rows, depth ${depth}`,
    })),
  };
}

function sweepOf({ sweep }: BenchResult): Comparison[] {
  const shown = (title: string, points: readonly SweepPoint[], by: 'microBatch' | 'depth'): Comparison[] => {
    if (points.length < 2) return [];
    const best = Math.max(...points.map(({ rowsPerSecond }) => rowsPerSecond));
    const ordered = points.toSorted((a, b) => (a.layout < b.layout ? -1 : a.layout > b.layout ? 1 : a[by] - b[by]));
    const cases = ordered.map((point) => ({
      ...{ name: `${point.layout}, ${point[by]}`, value: point.rowsPerSecond, emphasis: point.rowsPerSecond === best },
    }));
    return [{ title, unit: 'rows/s', cases }];
  };
  return [
    ...shown('Rows of a micro-batch', sweep.microBatch, 'microBatch'),
    ...shown('Micro-batches in flight', sweep.depth, 'depth'),
    ...budgetsOf(sweep.budget),
  ];
}

function budgetsOf(points: BenchResult['sweep']['budget']): Comparison[] {
  if (points.length === 0) return [];
  const cases = points.map(({ memoryBytes, layers, microBatch, rowsPerSecond }) => ({
    name: formatBytes(memoryBytes),
    value: rowsPerSecond,
    note: `layers ${layers.from} to ${layers.to}, ${microBatch} rows`,
  }));
  return [{ title: `Memory of the first stage: ${points[0]!.layout}`, unit: 'rows/s', cases }];
}

function helpsOf({ verdict: { helps } }: BenchResult): Comparison[] {
  if (helps.length === 0) return [];
  const cases = helps.map(({ change, gain, why }) => ({ name: change, value: gain, note: why }));
  return [{ title: 'What would help', unit: 'times as fast, at most', cases }];
}
