/** Coded errors: each has what is wrong, why, and what to do next; they can be sent between threads and processes. */

import { systemLimitOf } from './system-limits.js';

/** Exit codes of the command line (design: 2 usage, 65 data, 73 output, 75 resumable, 78 configuration). */
export const EXIT = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  failedRows: 65,
  cannotCreate: 73,
  resumable: 75,
  impossible: 78,
  sigint: 130,
  sigterm: 143,
} as const;

/** Every code with the exit status that the command line gives for it. Codes are stable: programs match on them. */
const EXIT_OF = {
  TANDEM_USAGE: EXIT.usage,
  TANDEM_INTERNAL: EXIT.unexpected,
  // model
  TANDEM_MODEL_MISSING: EXIT.usage,
  TANDEM_MODEL_INVALID: EXIT.usage,
  TANDEM_MODEL_UNSUPPORTED: EXIT.usage,
  TANDEM_WEIGHTS_MISSING: EXIT.usage,
  TANDEM_WEIGHTS_SHORT: EXIT.usage,
  TANDEM_WEIGHTS_ESCAPE: EXIT.usage,
  TANDEM_ROWS_AXIS: EXIT.usage,
  TANDEM_ONE_ROW: EXIT.usage,
  TANDEM_CUT_ILLEGAL: EXIT.usage,
  TANDEM_LAYERS_INVALID: EXIT.usage,
  // engine and pool
  TANDEM_RUNTIME_UNSUPPORTED: EXIT.impossible,
  TANDEM_SETUP_FAILED: EXIT.impossible,
  TANDEM_ENGINE_MISSING: EXIT.impossible,
  TANDEM_PACKAGE_MISSING: EXIT.impossible,
  TANDEM_ENGINE_FAILED: EXIT.unexpected,
  TANDEM_DEVICE_MISSING: EXIT.impossible,
  TANDEM_DEVICE_FALLBACK: EXIT.impossible,
  TANDEM_PLAN_IMPOSSIBLE: EXIT.impossible,
  TANDEM_PLAN_FOREIGN: EXIT.impossible,
  TANDEM_STAGE_FAILED: EXIT.unexpected,
  TANDEM_STAGE_DIED: EXIT.unexpected,
  TANDEM_STAGE_LOST: EXIT.resumable,
  TANDEM_STAGE_TIMEOUT: EXIT.unexpected,
  TANDEM_SYSTEM_LIMIT: EXIT.impossible,
  TANDEM_OUT_OF_MEMORY: EXIT.unexpected,
  // rows
  TANDEM_INPUT_MISSING: EXIT.usage,
  TANDEM_INPUT_INVALID: EXIT.usage,
  TANDEM_INPUT_EMPTY: EXIT.usage,
  TANDEM_INPUT_CHANGED: EXIT.unexpected,
  TANDEM_ROW_INVALID: EXIT.failedRows,
  TANDEM_ROW_SHAPE: EXIT.failedRows,
  TANDEM_ROW_TYPE: EXIT.failedRows,
  TANDEM_ROW_NOT_FINITE: EXIT.failedRows,
  TANDEM_TOO_MANY_ERRORS: EXIT.resumable,
  // output
  TANDEM_OUTPUT_EXISTS: EXIT.cannotCreate,
  TANDEM_OUTPUT_TAKEN: EXIT.cannotCreate,
  TANDEM_OUTPUT_FAILED: EXIT.cannotCreate,
  TANDEM_OUTPUT_UNSUPPORTED: EXIT.usage,
  TANDEM_JOURNAL_MISSING: EXIT.usage,
  TANDEM_JOURNAL_MISMATCH: EXIT.cannotCreate,
  TANDEM_JOURNAL_DAMAGED: EXIT.cannotCreate,
  // shards
  TANDEM_SHARDS_UNSUPPORTED: EXIT.usage,
  TANDEM_SHARDS_FOREIGN: EXIT.impossible,
  TANDEM_SHARDS_UNEQUAL: EXIT.unexpected,
  TANDEM_SHARDS_MISSING: EXIT.resumable,
  TANDEM_SHARDS_DAMAGED: EXIT.cannotCreate,
  TANDEM_SHARDS_FATAL: EXIT.unexpected,
  TANDEM_STORE_FAILED: EXIT.resumable,
  TANDEM_CLOSED: EXIT.unexpected,
  // queue
  TANDEM_QUEUE_UNREACHABLE: EXIT.resumable,
  TANDEM_QUEUE_DENIED: EXIT.impossible,
  TANDEM_QUEUE_INVALID: EXIT.impossible,
  TANDEM_JOB_UNKNOWN: EXIT.usage,
  TANDEM_JOB_CANCELLED: EXIT.resumable,
  TANDEM_JOB_FAILED: EXIT.unexpected,
  TANDEM_WORKER_UNFIT: EXIT.impossible,
} as const;

export type ErrorCode = keyof typeof EXIT_OF;

export const ERROR_CODES = Object.keys(EXIT_OF) as readonly ErrorCode[];

/** What to do about errors that know nothing better. */
const REMEDY_OF: Partial<Record<ErrorCode, string>> = {
  TANDEM_MODEL_MISSING: 'give the path of a model.json, a .onnx file, or a folder that holds one',
  TANDEM_MODEL_INVALID: 'the file is damaged or incomplete: export the model again, or copy it whole',
  TANDEM_MODEL_UNSUPPORTED: 'run this model whole in its own engine, or export it without that part',
  TANDEM_WEIGHTS_MISSING: 'copy the model whole, with all its weight files in the same folder',
  TANDEM_WEIGHTS_SHORT: 'the weight file is damaged or incomplete: copy it again',
  TANDEM_ENGINE_FAILED: 'see that the rows are what the model was made for, or try a smaller micro-batch',
  TANDEM_STAGE_DIED: 'if memory ran out, make the micro-batch smaller or give the stage fewer layers',
  TANDEM_STAGE_LOST:
    'if memory ran out (dmesg names the process), give the stage fewer layers or a smaller --micro-batch; then run the same command again',
  TANDEM_CLOSED: 'open the pipeline again',
};

export interface ErrorOptions {
  /** One line: what to type or change next. */
  remedy?: string;
  cause?: unknown;
}

/** An error with a stable `code` and a `remedy`; match on `code`, never on the message. */
export class TandemError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string;

  /** Whatever a limit of the system has kept from being done, it is the limit that must be raised: TANDEM_SYSTEM_LIMIT then, with its remedy. */
  constructor(code: ErrorCode, message: string, { remedy = REMEDY_OF[code] ?? '', cause }: ErrorOptions = {}) {
    const limit = systemLimitOf(cause);
    super(limit ? `${limit.met}: ${message}` : message, cause === undefined ? undefined : { cause });
    this.name = 'TandemError';
    this.code = limit ? 'TANDEM_SYSTEM_LIMIT' : code;
    this.remedy = limit?.remedy ?? remedy;
  }

  /** By name: an engine of the user's own throws the library's class, and the worker around it was bundled with another copy. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === 'TandemError' && 'code' in value && 'remedy' in value;
  }

  get exitCode(): number {
    return EXIT_OF[this.code];
  }
}

/** What crosses a wall: a structured clone keeps neither the class nor own fields of an Error, so it goes as plain data. */
export interface WireError {
  code: ErrorCode;
  message: string;
  remedy: string;
  stack: string;
}

export function toWire(error: unknown): WireError {
  const known = asTandemError(error);
  return { code: known.code, message: known.message, remedy: known.remedy, stack: known.stack ?? '' };
}

export function fromWire({ code, message, remedy, stack }: WireError): TandemError {
  const error = new TandemError(code in EXIT_OF ? code : 'TANDEM_INTERNAL', message, { remedy });
  error.stack = stack;
  return error;
}

/** Anything thrown, as a coded error: what is not ours is a limit of the system, or becomes `fallback`, with the original as its cause. */
export function asTandemError(error: unknown, fallback: ErrorCode = 'TANDEM_INTERNAL'): TandemError {
  if (error instanceof TandemError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const wrapped = denied(error) ?? new TandemError(fallback, message, { cause: error });
  if (error instanceof Error && error.stack) wrapped.stack = error.stack;
  return wrapped;
}

/** What Node's permission model forbids, which no code of ours infers. */
function denied(error: unknown): TandemError | null {
  const { code, permission, resource } = (error ?? {}) as { code?: unknown; permission?: string; resource?: string };
  if (code !== 'ERR_ACCESS_DENIED') return null;
  const what = [permission, resource].filter(Boolean).join(' ');
  return new TandemError('TANDEM_RUNTIME_UNSUPPORTED', `Node's permission model forbids ${what || 'what is needed'}`, {
    remedy:
      'start Node without --permission, or with --allow-fs-read=* --allow-fs-write=* --allow-worker --allow-child-process --allow-addons',
    cause: error,
  });
}
