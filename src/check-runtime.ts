/** Importing this ends an import of the library on a runtime that cannot carry it, with the reason. */
import { TandemError } from './errors.js';
import { runtimeProblem } from './runtime.js';

const problem = runtimeProblem();
if (problem) throw new TandemError(problem.code, problem.message, { remedy: problem.remedy });
