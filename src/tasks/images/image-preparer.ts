/** The preparer of images: reads, decodes and shapes one image at a time, in a rows worker. */
import { open } from 'node:fs/promises';
import { decode } from '../../rows/images/decode.js';
import { ImageMaker } from '../../rows/images/prepare-image.js';
import { type Recipe, shapeOf } from '../../rows/images/recipe.js';
import { loadSharp } from '../../rows/images/sharp.js';
import { RowFault } from '../../rows/row-fault.js';
import type { PreparedRow, Preparer } from '../task.js';

/** An encoded image: a file, or its bytes. */
export type ImageRef = { readonly path: string } | { readonly bytes: Uint8Array };

export interface ImagePreparerOptions {
  readonly recipe: Recipe;
}

/** Longest file in bytes: it is read whole. */
const MOST_BYTES = 512 << 20;

/** Throws TANDEM_PACKAGE_MISSING. */
export async function openPreparer({ recipe }: ImagePreparerOptions): Promise<Preparer<ImageRef>> {
  const sharp = await loadSharp();
  const maker = new ImageMaker(recipe);
  const { dtype, maxPixels } = recipe;
  const shape = shapeOf(recipe);
  return {
    async prepare(ref): Promise<PreparedRow> {
      const bytes = 'path' in ref ? await readImage(ref.path) : ref.bytes;
      const pixels = await decode(sharp, bytes, { grey: recipe.color === 'grey', maxPixels });
      return { tensors: [{ dtype, shape, data: maker.make(pixels) }] };
    },
  };
}

/** Throws RowFault for a file that cannot be read. */
async function readImage(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      const found = await file.stat();
      if (!found.isFile()) throw new RowFault('TANDEM_ROW_INVALID', `${path} is no file`);
      if (found.size > MOST_BYTES) {
        throw new RowFault('TANDEM_ROW_INVALID', `${path} has ${found.size} bytes, more than ${MOST_BYTES}`);
      }
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof RowFault) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new RowFault('TANDEM_ROW_INVALID', code === 'ENOENT' ? `there is no file ${path}` : message);
  }
}
