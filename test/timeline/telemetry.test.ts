/** OpenTelemetry receives each run: a span with a child span for each stage, and its error; with the real package, set up as a program does. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { SpanStatusCode, trace } from '@opentelemetry/api';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { openPipeline, type RowPipeline } from '../../src/job/open-pipeline.js';

const exporter = new InMemorySpanExporter();
const folder = mkdtempSync(join(tmpdir(), 'tandem-telemetry-'));
let pipeline: RowPipeline;

before(async () => {
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
  makeOnnx('mlp', folder, { layers: 2, hidden: 8 });
  const stages = [
    { device: 'cpu', threads: 1 },
    { device: 'cpu', threads: 1 },
  ] as const;
  pipeline = await openPipeline(folder, { stages, isolation: 'thread', microBatch: 3 });
});
beforeEach(() => exporter.reset());
after(async () => {
  await pipeline.close();
  rmSync(folder, { recursive: true });
});

const row = new Float32Array(8);

test('a run is a span, and each stage is a child span within its time', async () => {
  for await (const _ of pipeline.run(Array(7).fill(row)));
  const spans = exporter.getFinishedSpans();
  const run = spans.find(({ name }) => name === 'tandem.run')!;
  assert.equal(run.attributes['tandem.rows'], 7);
  assert.equal(run.attributes['tandem.stages'], 2);
  assert.equal(run.status.code, SpanStatusCode.UNSET);
  const stages = spans.filter(({ name }) => name.startsWith('tandem.stage '));
  assert.deepEqual(
    stages.map(({ attributes }) => [
      attributes['tandem.stage'],
      attributes['tandem.micro_batches'],
      attributes['tandem.layers'],
    ]),
    [
      [0, 3, '0..0'],
      [1, 3, '1..1'],
    ],
  );
  // Two kinds of clocks are compared, to the millisecond.
  const seconds = ([whole, nanos]: readonly [number, number]) => whole + nanos / 1e9;
  for (const stage of stages) {
    assert.equal(stage.parentSpanContext?.spanId, run.spanContext().spanId);
    assert.ok(seconds(stage.startTime) >= seconds(run.startTime) - 0.002);
    assert.ok(seconds(stage.endTime) <= seconds(run.endTime) + 0.002);
    assert.ok(Number(stage.attributes['tandem.busy_seconds']) > 0);
  }
});

test('a run that is left early ends its span; a failed one records its error', async () => {
  for await (const _ of pipeline.run(Array(7).fill(row))) break;
  assert.equal(exporter.getFinishedSpans().filter(({ name }) => name === 'tandem.run').length, 1);
  exporter.reset();
  const broken = (function* () {
    yield row;
    throw new Error('no more rows to be had');
  })();
  await assert.rejects(async () => {
    for await (const _ of pipeline.run(broken));
  });
  const run = exporter.getFinishedSpans().find(({ name }) => name === 'tandem.run')!;
  assert.equal(run.status.code, SpanStatusCode.ERROR);
  assert.match(run.status.message!, /no more rows/);
});
