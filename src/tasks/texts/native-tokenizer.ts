/** The native tokenizer: the official library, loaded when it is needed, with its threads bounded. */
import { TandemError } from '../../errors.js';
import { rowPackagesError } from '../../rows/row-packages.js';

/** What is used of it. */
export interface Encoding {
  getIds(): number[];
  getTypeIds(): number[];
  getLength(): number;
  /** 0 or 1, of which text a token is; for special ones around them nothing, or that of the text before, so the mask decides. */
  getSequenceIds(): (number | null | undefined)[];
  getSpecialTokensMask(): number[];
}

export interface NativeTokenizer {
  encode(text: string, pair?: string | null, options?: { readonly addSpecialTokens?: boolean }): Promise<Encoding>;
  disableTruncation(): void;
  disablePadding(): void;
}

/**
 * The library reads these once, from the environment of the whole process: its own threads would take the cores of the stages. Called before
 * any worker starts; what the user has set stays.
 */
export function boundTokenizerThreads(): void {
  process.env.RAYON_NUM_THREADS ??= '1';
  process.env.TOKENIZERS_PARALLELISM ??= 'false';
}

/** The tokenizer of a tokenizer.json, which neither cuts nor fills. Throws TANDEM_PACKAGE_MISSING, TANDEM_MODEL_INVALID. */
export async function openTokenizer(path: string): Promise<NativeTokenizer> {
  const { Tokenizer } = await loadPackage();
  try {
    const tokenizer = Tokenizer.fromFile(path);
    tokenizer.disableTruncation();
    tokenizer.disablePadding();
    return tokenizer as unknown as NativeTokenizer;
  } catch (cause) {
    throw new TandemError('TANDEM_MODEL_INVALID', `${path} is no tokenizer: ${(cause as Error).message}`, {
      remedy: 'copy tokenizer.json again from where the model came from',
      cause,
    });
  }
}

async function loadPackage(): Promise<typeof import('tokenizers')> {
  try {
    const loaded = await import('tokenizers');
    return (loaded as { default?: typeof import('tokenizers') }).default ?? loaded;
  } catch (cause) {
    throw rowPackagesError('texts', cause);
  }
}
