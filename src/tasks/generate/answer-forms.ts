/** Keeps answers to a form (a JSON schema, any JSON object, a regular expression): before each token, the tokens that may come. */
import type { CompiledGrammar, GrammarCompiler, GrammarMatcher } from '@mlc-ai/web-xgrammar';
import { TandemError } from '../../errors.js';
import { RowFault } from '../../rows/row-fault.js';
import type { AnswerForm } from './row-prompts.js';
import type { TokenMask } from './row-sampler.js';
import { checkSchema } from './schema-keywords.js';
import { type LoadedXGrammar, loadXGrammar } from './xgrammar.js';

export interface FormVocabulary {
  /** By id, as the tokenizer stores them; '' for special tokens and ids without one. */
  readonly tokens: readonly string[];
  /** How the tokenizer stores bytes in them. */
  readonly kind: 'byte_level' | 'byte_fallback' | 'raw';
  /** Ids of tokens with a control character, which JSON on one line never has outside of an escape. */
  readonly controls: readonly number[];
  /** Length of the logits. */
  readonly size: number;
}

interface Compiler {
  readonly loaded: LoadedXGrammar;
  readonly compiler: GrammarCompiler;
}

/** Forms that are kept compiled. */
const KEPT = 256;
/** On one line, as Python's json.dumps writes it. */
const LAYOUT = [false, -1, [', ', ': ']] as const;

export class AnswerForms {
  readonly #make: () => FormVocabulary;
  #made: FormVocabulary | null = null;
  readonly #compiled = new Map<string, Promise<CompiledGrammar>>();
  #main: Promise<Compiler> | null = null;
  /** Tries each form first: one that it cannot read ends it, and not the answers that are being made. */
  #trial: Promise<Compiler> | null = null;

  /** `vocabulary` is called once, when the first form is asked for. */
  constructor(vocabulary: () => FormVocabulary) {
    this.#make = vocabulary;
  }

  get #vocabulary(): FormVocabulary {
    this.#made ??= this.#make();
    return this.#made;
  }

  /** Of one answer, which must end with one of `ends`. Throws RowFault for a form that cannot be kept to, TANDEM_PACKAGE_MISSING. */
  async mask(form: AnswerForm, ends: ReadonlySet<number>): Promise<TokenMask> {
    if (ends.size === 0) throw invalid('an answer of a given form needs a token that ends it: leave ignore_eos out');
    const compiled = await this.#compile(form);
    const { loaded } = await this.#main!;
    const matcher = await loaded.library.GrammarMatcher.createGrammarMatcher(compiled, [...ends]);
    return FormMask.begin(matcher, this.#vocabulary, form.kind !== 'regex');
  }

  #compile(form: AnswerForm): Promise<CompiledGrammar> {
    const key = JSON.stringify(form);
    const known = this.#compiled.get(key);
    if (known) return known;
    const compiled = this.#compileAnew(form);
    this.#compiled.set(key, compiled);
    const [oldest] = this.#compiled.keys();
    if (this.#compiled.size > KEPT) this.#compiled.delete(oldest!);
    return compiled;
  }

  async #compileAnew(form: AnswerForm): Promise<CompiledGrammar> {
    if (form.kind === 'schema') checkSchema(form.schema);
    this.#trial ??= this.#open();
    const trial = await this.#trial;
    try {
      const tried = await compile(trial, form);
      tried.dispose();
      const warned = trial.loaded.said();
      if (warned !== '') throw new Error(warned);
    } catch (error) {
      this.#trial = null;
      throw invalid(`the form of the answer cannot be kept to: ${reasonOf(trial.loaded.said(), error)}`);
    }
    this.#main ??= this.#open();
    return compile(await this.#main, form);
  }

  async #open(): Promise<Compiler> {
    const loaded = loadXGrammar();
    const { tokens, kind, size } = this.#vocabulary;
    const info = await loaded.library.TokenizerInfo.createTokenizerInfo([...tokens], kind, false, size, []);
    return { loaded, compiler: await loaded.library.GrammarCompiler.createGrammarCompiler(info) };
  }
}

async function compile({ loaded, compiler }: Compiler, form: AnswerForm): Promise<CompiledGrammar> {
  const [spaces, indent, separators] = LAYOUT;
  const json = (schema: unknown, strict: boolean) =>
    compiler.compileJSONSchema(JSON.stringify(schema), spaces, indent, [...separators], strict);
  if (form.kind === 'json') return json({ type: 'object' }, false);
  if (form.kind === 'schema') return json(form.schema, true);
  const format = { type: 'regex', pattern: form.pattern } as const;
  const grammar = await loaded.library.Grammar.fromStructuralTag({ type: 'structural_tag', format });
  return compiler.compileGrammar(grammar);
}

function reasonOf(said: string, error: unknown): string {
  const text = said === '' ? String((error as Error).message ?? error) : said;
  return text
    .split('\n')[0]!
    .replace(/^\[\w+\] (\S+\.cc:\d+: )?/, '')
    .slice(0, 300);
}

class FormMask implements TokenMask {
  readonly #matcher: GrammarMatcher;
  readonly #never: readonly number[];
  readonly #isJson: boolean;
  /** A bit for each token that may come next; `null` while it is asked for, which takes no longer than a turn of promises. */
  #bits: Int32Array | null = null;
  #ended = false;

  private constructor(matcher: GrammarMatcher, { controls }: FormVocabulary, isJson: boolean) {
    this.#matcher = matcher;
    // The library lets them into texts of a given length.
    this.#never = isJson ? controls : [];
    this.#isJson = isJson;
  }

  static async begin(matcher: GrammarMatcher, vocabulary: FormVocabulary, isJson: boolean): Promise<FormMask> {
    const { size } = vocabulary;
    const mask = new FormMask(matcher, vocabulary, isJson);
    await mask.#ask();
    if (mask.#bits!.length !== Math.ceil(size / 32)) {
      throw new TandemError('TANDEM_INTERNAL', `the mask of tokens has ${mask.#bits!.length} words for ${size} tokens`);
    }
    return mask;
  }

  apply(logits: Float32Array): void {
    const bits = this.#bits;
    if (!bits) throw new TandemError('TANDEM_INTERNAL', 'the tokens that may come next are not known yet');
    for (let id = 0; id < logits.length; id++) {
      if (((bits[id >>> 5]! >>> (id & 31)) & 1) === 0) logits[id] = Number.NEGATIVE_INFINITY;
    }
    for (const id of this.#never) logits[id] = Number.NEGATIVE_INFINITY;
  }

  wrong(text: string): string | null {
    if (!this.#isJson) return null;
    try {
      JSON.parse(text);
      return null;
    } catch (error) {
      return `the answer is no JSON: ${(error as Error).message}`;
    }
  }

  add(id: number): void {
    if (!this.#matcher.acceptToken(id)) {
      throw new TandemError('TANDEM_INTERNAL', `token ${id} was allowed and is not accepted`);
    }
    this.#bits = null;
    // The next logits come from another thread or the engine, so the answer is there before them.
    this.#ask().catch(() => {});
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#matcher.dispose();
  }

  async #ask(): Promise<void> {
    const bits = await this.#matcher.getNextTokenBitmask();
    if (!this.#ended) this.#bits = bits;
  }
}

function invalid(message: string): RowFault {
  return new RowFault('TANDEM_ROW_INVALID', message);
}
