/** What is said of rows that differ in length: how many tokens they are, what padding adds, and how micro-batches are made of them. */
import { grouped } from '../../grouped-digits.js';
import type { Plan } from '../../plan/plan.js';
import type { LengthSurvey } from '../../rows/ragged-source.js';

/** Part of what `tandem plan --json` prints. */
export interface LengthsReport {
  /** Rows that could be used; an estimate unless `isWhole`. */
  readonly rows: number;
  readonly shortest: number;
  readonly longest: number;
  /** Lengths of all rows together; an estimate unless `isWhole`. */
  readonly tokens: number;
  /** The share of the computed tokens that is padding. */
  readonly padding: number;
  /** The longest that a row may be, and the rows that are longer and cut to it; `null` where there is no limit. */
  readonly limit: number | null;
  readonly cut: number;
  /** Whether all rows were looked at, else a sample from the beginning. */
  readonly isWhole: boolean;
}

/** `rows` of the input, if known. */
export function lengthsReport({ lengths }: Plan, survey: LengthSurvey, rows: number | null): LengthsReport {
  const all = [...survey.lengths];
  const seen = all.reduce((sum, [, count]) => sum + count, 0);
  const own = all.reduce((sum, [length, count]) => sum + length * count, 0);
  const total = survey.isWhole || rows === null ? seen : rows;
  const scale = seen > 0 ? total / seen : 0;
  const mean = seen > 0 ? own / seen : 0;
  return {
    rows: total,
    shortest: seen > 0 ? Math.min(...survey.lengths.keys()) : 0,
    longest: Math.max(0, ...survey.lengths.keys()),
    tokens: Math.round(own * scale),
    padding: lengths && lengths.meanTokens > 0 ? Math.max(0, 1 - mean / lengths.meanTokens) : 0,
    limit: survey.limit,
    cut: Math.round(survey.cut * scale),
    isWhole: survey.isWhole,
  };
}

/** One sentence or two; the plan has `lengths`. */
export function formatLengths(plan: Plan, survey: LengthSurvey, rows: number | null): string {
  const report = lengthsReport(plan, survey, rows);
  const { inOrder, padded } = plan.lengths!;
  const about = report.isWhole ? '' : 'about ';
  const cut =
    report.limit !== null && report.cut > 0
      ? `; ${about}${grouped(report.cut)} are longer than ${grouped(report.limit)} and cut to it`
      : '';
  const apart = inOrder
    ? 'rows keep their order, because an answer depends on the other rows of its micro-batch'
    : 'rows are not padded: only rows of one shape share a micro-batch';
  const how = padded ? `${Math.round(100 * report.padding)} % of what is computed is padding` : apart;
  return `rows are ${grouped(report.shortest)} to ${grouped(report.longest)} long, ${about}${grouped(report.tokens)} tokens in ${about}${grouped(report.rows)} rows; ${how}${cut}`;
}
