/** `tandem embed`, `classify` and `rerank`: a file of texts through a model, to what a person wants to know of them. */
import type { TaskName, TaskRequest } from '../tasks/task-request.js';
import { type Request, requestOf } from './run.js';
import { performOrShard } from './run-or-shard.js';
import type { TaskFlags } from './task-flags.js';

/** Runs or resumes the job, and returns the exit status. */
export function runTask(name: TaskName, model: string, flags: TaskFlags): Promise<number> {
  const { shard, store, merge, ...rest } = flags;
  return performOrShard(requestOfTask(name, model, rest), { shard, store, merge });
}

/** Throws TANDEM_USAGE. */
export function requestOfTask(name: TaskName, model: string, flags: TaskFlags): Request {
  const { modelFile, query, document, prompt, long, dims, dtype, top, dedupe, ...rest } = flags;
  const given = { modelFile, query, document, prompt, long, dims, dtype, top, dedupe };
  const asked = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const request = requestOf(model, rest);
  const column = request.column === undefined ? {} : { column: request.column };
  const task = { name, ...column, ...asked } as TaskRequest;
  return { ...request, task };
}
