/** Makes the plan of a job whose rows differ in length out of one for rows of a typical length, which is what planning measures. Pure. */
import { isCpu } from '../../engine/device.js';
import { type LengthPlan, paddedLength, specsAt, WINDOW_ROWS } from '../../plan/length-plan.js';
import type { Expectation, Plan } from '../../plan/plan.js';
import type { LengthSurvey, RaggedSource } from '../../rows/ragged-source.js';
import { byteCount, type TensorSpec } from '../../tensor.js';
import { batchesOf, type RowSize, tokensOf } from './batches.js';
import type { Independence } from './row-independence.js';

/** Lengths are rounded up to it: three times fewer shapes, for 1.5 % of padding; 8 and 16 cost more than they save (bench/README.md). */
const MULTIPLE = 4;
/**
 * What padding may cost before the token budget that was found for rows of one length is halved, and the least budget: a processor computes
 * 512 tokens as fast as 4,096, a card needs more to be busy (bench/README.md).
 */
const PADDING = { share: 0.04, leastOnCpu: 512, leastOnCard: 8192 };
/** Bytes of the inputs of a window, at most. */
const WINDOW_BYTES = 64 << 20;
/** Rows of a micro-batch, where only the token budget limits them. */
const MOST_ROWS = 256;

/** Rows as planning sees them: all of one length, as many as have the tokens of the job. */
export interface TypicalRows {
  readonly rowSpecs: readonly TensorSpec[];
  readonly rows: number | null;
  readonly length: number;
  /** How many of them have the tokens of a row of the input, on average. */
  readonly perRow: number;
}

/** What is known of the rows before anything is planned. */
export interface LengthsRequest {
  readonly survey: LengthSurvey;
  readonly source: Pick<RaggedSource, 'specs' | 'padding' | 'rows'>;
  /** Rows of a micro-batch, where the user has named them. */
  readonly microBatch: number | undefined;
  /** Whether a budget of memory must hold: then the longest rows are typical. */
  readonly hasBudget: boolean;
}

/** The length that half of all tokens are in rows of at least, so that what is measured at it holds for the tokens of the job. */
export function typicalRows(request: LengthsRequest): TypicalRows {
  const { survey, source } = request;
  const isPadded = source.padding !== null;
  const longest = longestOf(survey);
  const rounding = { multiple: isPadded ? MULTIPLE : 1, padded: isPadded, longest };
  const all = [...survey.lengths];
  const tokens = all.reduce((sum, [length, rows]) => sum + rows * paddedLength(rounding, length), 0);
  const squares = all.reduce((sum, [length, rows]) => sum + rows * length * length, 0);
  const mean = tokens > 0 ? squares / tokens : longest;
  const length = request.hasBudget ? longest : Math.min(longest, paddedLength(rounding, Math.max(1, Math.round(mean))));
  const rowSpecs = specsAt(longestSpecs(request), source.specs, length);
  const seen = all.reduce((sum, [, count]) => sum + count, 0);
  const perRow = tokens / Math.max(1, seen) / Math.max(1, length);
  const count = survey.isWhole ? seen : source.rows;
  const rows = count === null ? null : Math.ceil(count * perRow);
  return { rowSpecs, rows, length, perRow: perRow > 0 ? perRow : 1 };
}

/** The largest row. */
function longestSpecs({ survey, source }: Pick<LengthsRequest, 'survey' | 'source'>): TensorSpec[] {
  return source.specs.map((spec, n) => ({
    ...spec,
    shape: spec.shape.map((dim, axis) => dim ?? survey.largest[n]![axis]!),
  }));
}

function longestOf({ lengths, limit }: LengthSurvey): number {
  return limit ?? Math.max(0, ...lengths.keys());
}

/**
 * `plan` is for the `typical` rows. Rows that may depend on their neighbours keep their order and are never padded; they run one at a time unless
 * the user has named a micro-batch.
 */
export function planForLengths(
  plan: Plan,
  request: LengthsRequest,
  typical: TypicalRows,
  { apart, padded: mayPad }: Independence,
): Plan {
  const { survey, source, microBatch: named } = request;
  const padded = mayPad && apart && source.padding !== null;
  const longest = longestOf(survey);
  const rounding = { multiple: padded ? MULTIPLE : 1, padded, longest };
  // A row that a sample has not shown may be as short as rows can be.
  const shortest = paddedLength(rounding, survey.isWhole ? Math.min(longest, ...survey.lengths.keys()) : 1);
  const largest = longestSpecs(request).map(({ shape }) => shape as number[]);
  const window = windowRows(source.specs, largest, survey);
  const withBudget = (budget: number): { lengths: LengthPlan; most: number } => {
    const tokens = Math.max(budget, longest, 1);
    const most = named ?? (apart ? Math.min(MOST_ROWS, Math.max(1, Math.floor(tokens / Math.max(1, shortest)))) : 1);
    const order = apart ? {} : { inOrder: true };
    const base = { tokens, window, ...rounding, ...order, shortest, largest };
    return { lengths: { ...base, ...averages(base, survey, most) }, most };
  };
  const own = meanLength(survey);
  const least = plan.stages.every(({ device }) => isCpu(device)) ? PADDING.leastOnCpu : PADDING.leastOnCard;
  // A plan from a file may have a budget of its own.
  const planned = plan.lengths?.tokens ?? plan.microBatch * typical.length;
  let { lengths, most } = withBudget(named === undefined ? planned : named * longest);
  while (named === undefined && 1 - own / lengths.meanTokens > PADDING.share && lengths.tokens / 2 >= least) {
    const smaller = withBudget(lengths.tokens / 2);
    if (smaller.lengths.tokens === lengths.tokens) break;
    ({ lengths, most } = smaller);
  }
  const next: Plan = { ...plan, microBatch: most, lengths, batchInvariant: plan.batchInvariant ?? apart };
  return plan.expected ? { ...next, expected: expectedFor(plan.expected, plan, lengths, typical) } : next;
}

/** Tokens of a row on average, without padding. */
function meanLength({ lengths }: LengthSurvey): number {
  const all = [...lengths];
  const rows = all.reduce((sum, [, count]) => sum + count, 0);
  return all.reduce((sum, [length, count]) => sum + length * count, 0) / Math.max(1, rows);
}

/** Fewer rows where they are large: inputs of two windows are held in memory. A power of two. */
function windowRows(specs: readonly TensorSpec[], largest: readonly (readonly number[])[], { lengths }: LengthSurvey) {
  const most = specs.reduce((sum, { dtype }, n) => sum + byteCount(dtype, largest[n]!), 0);
  const rows = [...lengths.values()].reduce((sum, count) => sum + count, 0);
  const longest = Math.max(1, ...lengths.keys());
  const mean = [...lengths].reduce((sum, [length, count]) => sum + (length / longest) * count, 0) / Math.max(1, rows);
  const fits = WINDOW_BYTES / Math.max(1, most * mean);
  return Math.max(1, Math.min(WINDOW_ROWS, 2 ** Math.floor(Math.log2(Math.max(1, fits)))));
}

/** Of one window whose rows are spread as those of the input. */
function averages(
  base: Omit<LengthPlan, 'meanRows' | 'meanTokens'>,
  survey: LengthSurvey,
  mostRows: number,
): Pick<LengthPlan, 'meanRows' | 'meanTokens'> {
  const sizes = quantiles(survey, base.window);
  if (sizes.length === 0) return { meanRows: 1, meanTokens: base.longest };
  const plan = { ...base, meanRows: 1, meanTokens: 1 };
  const batches = batchesOf(sizes, plan, mostRows);
  return { meanRows: sizes.length / batches.length, meanTokens: tokensOf(sizes, batches).padded / sizes.length };
}

function quantiles({ lengths }: LengthSurvey, window: number): RowSize[] {
  const sorted = [...lengths].sort(([a], [b]) => a - b);
  const rows = sorted.reduce((sum, [, count]) => sum + count, 0);
  const wanted = Math.min(rows, window);
  const sizes: RowSize[] = [];
  let before = 0;
  for (const [length, count] of sorted) {
    before += count;
    while (sizes.length < wanted && (sizes.length + 0.5) * (rows / wanted) < before) {
      sizes.push({ length, shape: String(length) });
    }
  }
  return sizes;
}

/** The pace of typical rows, as one of these rows by their tokens; and a stage's time for a micro-batch of them. */
function expectedFor(expected: Expectation, plan: Plan, lengths: LengthPlan, typical: TypicalRows): Expectation {
  const { meanRows, meanTokens } = lengths;
  const perRow = typical.length / Math.max(1, meanTokens);
  const perMicroBatch = (meanRows * meanTokens) / (plan.microBatch * Math.max(1, typical.length));
  return {
    ...expected,
    rowsPerSecond: expected.rowsPerSecond * perRow,
    lowerBound: expected.lowerBound * perMicroBatch,
    stages: expected.stages.map((stage) => ({ ...stage, seconds: stage.seconds * perMicroBatch })),
    ...(expected.others
      ? {
          others: expected.others.map((other) => ({
            ...other,
            rowsPerSecond: other.rowsPerSecond === null ? null : other.rowsPerSecond * perRow,
          })),
        }
      : {}),
  };
}
