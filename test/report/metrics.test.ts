/** Metrics as Prometheus reads them: every line follows the format's grammar, with the expected names and labels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MetricsView, metricsText } from '../../src/report/metrics.js';

const VIEW: MetricsView = {
  version: '0.1.0',
  rows: 512,
  failedRows: 3,
  totalRows: 2048,
  microBatches: 8,
  inFlight: 5,
  depth: 6,
  residentBytes: 1e8,
  stages: [
    { device: 'gpu', workers: 1, busySeconds: 1.25, microBatches: 9, peakResidentBytes: 2e9 },
    { device: 'c"p\\u\n', workers: 2, busySeconds: 0.5, microBatches: 8, peakResidentBytes: null },
  ],
};

/** Sample lines by metric; throws if the text is not in the exposition format. */
function parsed(text: string): Map<string, string[]> {
  const families = new Map<string, string[]>();
  let current = '';
  assert.ok(text.endsWith('\n'));
  for (const line of text.trimEnd().split('\n')) {
    const head = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line);
    if (head) {
      if (head[1] === 'HELP') assert.ok(!families.has(head[2]!), 'all samples of a metric are together');
      else assert.equal(head[3], head[2]!.endsWith('_total') ? 'counter' : 'gauge');
      current = head[2]!;
      families.set(current, families.get(current) ?? []);
      continue;
    }
    const sample = /^([a-z_]+)(\{([a-z]+="(\\.|[^"\\])*",?)+\})? ([\d.e+]+)$/.exec(line);
    assert.equal(sample?.[1], current, line);
    families.get(current)!.push(line.slice(current.length));
  }
  return families;
}

test('the figures of the run and of each stage are present, with escaped labels', () => {
  const families = parsed(metricsText(VIEW));
  assert.deepEqual(families.get('tandem_rows_total'), [' 512']);
  assert.deepEqual(families.get('tandem_failed_rows_total'), [' 3']);
  assert.deepEqual(families.get('tandem_input_rows'), [' 2048']);
  assert.deepEqual(families.get('tandem_micro_batches_total'), [' 8']);
  assert.deepEqual(families.get('tandem_in_flight_micro_batches'), [' 5']);
  assert.deepEqual(families.get('tandem_stage_busy_seconds_total'), [
    '{stage="0",device="gpu"} 1.25',
    '{stage="1",device="c\\"p\\\\u\\n"} 0.5',
  ]);
  assert.deepEqual(families.get('tandem_stage_peak_resident_memory_bytes'), ['{stage="0",device="gpu"} 2000000000']);
  assert.deepEqual(families.get('process_resident_memory_bytes'), [' 100000000']);
});

test('unknown values have no samples', () => {
  const families = parsed(metricsText({ ...VIEW, totalRows: null, stages: [] }));
  assert.ok(!families.has('tandem_input_rows'));
  assert.ok(!families.has('tandem_stage_busy_seconds_total'));
});
