/** Finds the C++ compiler for the addon's two source files. */
import { runCommand } from './command.js';
import { setupFailure } from './failure.js';

export interface Compiler {
  readonly command: string;
  /** First line of its version output: `g++ (Debian 12.2.0) 12.2.0`. */
  readonly version: string;
}

/** `$CXX` if it is set, else the first compiler on the PATH; null if there is none. */
export async function findCompiler(env: NodeJS.ProcessEnv = process.env): Promise<Compiler | null> {
  for (const command of env.CXX ? [env.CXX] : ['g++', 'c++', 'clang++']) {
    const { status, stdout } = await runCommand(command, ['--version'], { env });
    if (status === 0) return { command, version: stdout.split('\n')[0]!.trim() };
  }
  return null;
}

export const COMPILER_REMEDY =
  'install a C++ compiler (Debian, Ubuntu: sudo apt-get install g++; Fedora: sudo dnf install gcc-c++), then run this again';

/** Throws TANDEM_SETUP_FAILED if there is no compiler. */
export async function requireCompiler(env: NodeJS.ProcessEnv): Promise<Compiler> {
  const compiler = await findCompiler(env);
  if (compiler !== null) return compiler;
  const why = env.CXX ? `CXX names ${env.CXX}, which does not run` : 'there is no C++ compiler on the PATH';
  throw setupFailure("cannot build TensorFlow's addon", why, COMPILER_REMEDY);
}
