/** OpenTelemetry, if the program that uses tandem has it: a span for each run, and a child span for each stage. */
import type { Span } from '@opentelemetry/api';
import type { Plan } from '../plan/plan.js';
import { micros } from '../pool/protocol.js';
import type { Timeline } from './timeline.js';

type Api = typeof import('@opentelemetry/api');

/** Where the package keeps what a program has set up; the 1 is its major version. */
const SET_UP = Symbol.for('opentelemetry.js.api.1');

/** Imported once. */
let found: Promise<Api | null> | undefined;

/** To be called early: the import takes some 20 ms. `null` where nothing is set up that would receive spans. */
export async function findApi(): Promise<Api | null> {
  if (!(SET_UP in globalThis)) return null;
  found ??= import('@opentelemetry/api').catch(() => null);
  return found;
}

/** The span of a run; call `end` exactly once. */
export interface RunSpan {
  fail(error: unknown): void;
  /** The stages' spans go from their first micro-batch to their last. */
  end(timeline: Timeline): void;
}

/** `null` without OpenTelemetry, or before it is set up. The span's parent is the active span of the caller. */
export async function startRunSpan(plan: Plan): Promise<RunSpan | null> {
  const api = await findApi();
  if (!api) return null;
  const tracer = api.trace.getTracer('tandem');
  const { microBatch, depth, isolation, stages } = plan;
  const span = tracer.startSpan('tandem.run', {
    attributes: {
      'tandem.stages': stages.length,
      'tandem.micro_batch.rows': microBatch,
      'tandem.depth': depth,
      'tandem.isolation': isolation,
    },
  });
  return {
    fail: (error) => failSpan(api, span, error),
    end: (timeline) => {
      if (span.isRecording()) addStages(api, span, plan, timeline);
      span.setAttribute('tandem.rows', timeline.rows);
      span.end();
    },
  };
}

function failSpan({ SpanStatusCode }: Api, span: Span, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  span.recordException(error instanceof Error ? error : message);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}

function addStages({ trace, context }: Api, parent: Span, { stages }: Plan, timeline: Timeline): void {
  const tracer = trace.getTracer('tandem');
  const within = trace.setSpan(context.active(), parent);
  // Spans have times of the monotonic clock, telemetry those of the system clock.
  const epoch = Date.now() - micros() / 1e3;
  for (const [stage, use] of timeline.uses().entries()) {
    if (use.microBatches === 0) continue;
    const { device, engine, provider, workers, threads, layers } = stages[stage]!;
    const attributes = {
      ...{ 'tandem.stage': stage, 'tandem.device': device, 'tandem.engine': engine, 'tandem.provider': provider },
      ...{ 'tandem.layers': `${layers.from}..${layers.to}`, 'tandem.workers': workers, 'tandem.threads': threads },
      ...{ 'tandem.micro_batches': use.microBatches, 'tandem.busy_seconds': use.busySeconds },
      ...{ 'tandem.utilisation': use.utilisation },
    };
    const startTime = epoch + use.firstAt / 1e3;
    tracer.startSpan(`tandem.stage ${stage}`, { attributes, startTime }, within).end(epoch + use.lastAt / 1e3);
  }
}
