/** The optional packages that turn a kind of rows into tensors, and the error if they are missing. */
import { createRequire } from 'node:module';
import { TandemError } from '../errors.js';
import { PEERS } from '../package.js';

const require = createRequire(import.meta.url);

/** By the name that `tandem setup` takes. */
const PACKAGES = {
  texts: ['tokenizers', '@huggingface/jinja'],
  images: ['sharp'],
  tables: ['apache-arrow', 'lz4js', 'fzstd', 'parquet-wasm'],
} as const;

export type RowKind = keyof typeof PACKAGES;

export const ROW_PACKAGES: Readonly<Record<string, readonly string[]>> = PACKAGES;

/** The packages of a kind that are not installed, as an installer takes them; `null` for a name that is no kind of rows. */
export function missingRowPackages(kind: string): string[] | null {
  if (!Object.hasOwn(ROW_PACKAGES, kind)) return null;
  return ROW_PACKAGES[kind]!.filter((name) => !isInstalled(name)).map(withVersion);
}

/** Loads nothing. Throws TANDEM_PACKAGE_MISSING. */
export function checkRowPackages(kind: RowKind): void {
  const missing = missingRowPackages(kind)!;
  if (missing.length > 0) throw rowPackagesError(kind);
}

/** `cause` is what loading the packages of a kind has thrown. */
export function rowPackagesError(kind: RowKind, cause?: unknown): TandemError {
  const missing = missingRowPackages(kind)!;
  const named = missing.length > 0 ? missing : PACKAGES[kind].map(withVersion);
  const [noun, be, do_] = named.length > 1 ? ['packages', 'are', 'do'] : ['package', 'is', 'does'];
  const why =
    missing.length > 0 ? `${be} not installed` : `${do_} not load: ${(cause as Error).message.split('\n')[0]}`;
  const installs = `npm install --ignore-scripts ${named.join(' ')}`;
  return new TandemError('TANDEM_PACKAGE_MISSING', `${kind} need the ${noun} ${named.join(', ')}, which ${why}`, {
    remedy: `run: npx tandem setup ${kind} (which runs: ${installs})`,
    cause,
  });
}

function withVersion(name: string): string {
  return `${name}@${PEERS[name]}`;
}

function isInstalled(name: string): boolean {
  try {
    require.resolve(name);
    return true;
  } catch {
    return false;
  }
}
