/** The rows of a job whose rows are WAV files: each is opened as windows when its turn has come. */
import { TandemError } from '../../errors.js';
import { formatSpec, type TensorSpec } from '../../tensor.js';
import { RowFault } from '../row-fault.js';
import type { RowFailure, RowOutput, RowsRead, Source } from '../source.js';
import { WavStream, type WavStreamOptions } from './wav-stream.js';

/** What is done with the windows of a file. */
export interface SoundRecipe extends WavStreamOptions {
  /** The inputs that follow the rows, as of one row, in the model's order. */
  readonly rowSpecs: readonly TensorSpec[];
  /** The input that takes the samples. */
  readonly input: string;
  /** By input that is given an output of the window before, the public name of that output. */
  readonly carry: ReadonlyMap<string, string>;
}

export class SoundSource implements Source {
  readonly recipe: SoundRecipe;
  readonly #files: readonly { readonly id: string; readonly path: string }[];

  constructor(files: readonly { readonly id: string; readonly path: string }[], recipe: SoundRecipe) {
    this.#files = files;
    this.recipe = recipe;
  }

  get rows(): number {
    return this.#files.length;
  }

  get rowSpecs(): readonly TensorSpec[] {
    return this.recipe.rowSpecs;
  }

  idOf(row: number): string {
    return this.#files[row]!.id;
  }

  async open(row: number): Promise<WavStream | RowFailure> {
    const { id, path } = this.#files[row]!;
    try {
      return await WavStream.open(path, this.recipe);
    } catch (error) {
      if (error instanceof RowFault) return error.at(row, id);
      throw error;
    }
  }

  /** Rows of this source are no tensors of one shape: they are run as streams. */
  read(): Promise<RowsRead> {
    return Promise.reject(new Error('sound is read as streams'));
  }

  /** Throws TANDEM_USAGE unless each output that is carried is what its input takes. */
  check(outputs: ReadonlyMap<string, RowOutput>): void {
    const { carry, rowSpecs } = this.recipe;
    for (const [input, output] of carry) {
      const is = outputs.get(output)!;
      const takes = rowSpecs.find(({ name }) => name === input)!;
      if (is.dtype === takes.dtype && is.shape.join() === takes.shape.join()) continue;
      throw new TandemError(
        'TANDEM_USAGE',
        `--carry ${input}=${output}: ${output} is ${formatSpec(is)}, and ${input} takes ${formatSpec(takes)}`,
        {
          remedy: 'name the output that holds the new value of this input',
        },
      );
    }
  }

  async close(): Promise<void> {}
}
