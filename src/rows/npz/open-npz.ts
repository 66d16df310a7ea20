/** Opens an NPZ archive as a source: members are named like the model's inputs; a model with one input also takes the only member. */
import { TandemError } from '../../errors.js';
import { nearestName } from '../../nearest-name.js';
import type { TensorSpec } from '../../tensor.js';
import { arrayFor } from '../array-for.js';
import { FileRange } from '../byte-reader.js';
import { HEAD_BYTES, refuseOtherArchives, refuseOtherKinds } from '../file-kind.js';
import { openInput } from '../input-file.js';
import { npzLocation } from '../npy/array-location.js';
import { ColumnsSource } from '../npy/columns-source.js';
import { NpyColumn } from '../npy/npy-column.js';
import type { ArrayOptions } from '../npy/open-npy.js';
import type { Source } from '../source.js';
import { readZipDirectory, type ZipMember } from './zip-directory.js';
import { openZipMember } from './zip-member.js';

const SUFFIX = '.npy';

export async function openNpz(
  path: string,
  specs: readonly TensorSpec[],
  { firstRow, allowNonFinite }: ArrayOptions,
): Promise<Source> {
  const { handle, size } = await openInput(path);
  const columns: NpyColumn[] = [];
  try {
    if (size === null) throw noPipe(path);
    const head = Buffer.alloc(Math.min(size, HEAD_BYTES));
    await new FileRange(handle, path, 0, size).read(head);
    refuseOtherKinds(head, path, 'npz');
    const all = await readZipDirectory(handle, path, size);
    const members = arraysOf(all);
    if (members.size === 0 && all.length > 0) {
      refuseOtherArchives(
        all.map(({ name }) => name),
        path,
      );
    }
    for (const spec of specs) {
      const [name, member] = arrayFor(spec.name, members, specs.length === 1, (names) =>
        missing(path, spec.name, names),
      );
      const bytes = await openZipMember(handle, path, member);
      columns.push(await NpyColumn.open(bytes, npzLocation(path, name), spec, { allowNonFinite }));
    }
    return await ColumnsSource.open({ columns, firstRow, release: () => handle.close() });
  } catch (error) {
    for (const column of columns) await column.close();
    await handle.close();
    throw error;
  }
}

/** The arrays by name. Other members cannot be inputs. */
function arraysOf(members: readonly ZipMember[]): Map<string, ZipMember> {
  const arrays = members.filter(({ name }) => name.endsWith(SUFFIX));
  return new Map(arrays.map((member) => [member.name.slice(0, -SUFFIX.length), member]));
}

function missing(path: string, input: string, names: readonly string[]): TandemError {
  const nearest = nearestName(input, names);
  return new TandemError(
    'TANDEM_INPUT_INVALID',
    `${path} has no array "${input}"; it has ${names.join(', ') || 'none'}`,
    {
      remedy: `name it like the model's input: np.savez(FILE, **{${JSON.stringify(input)}: ${nearest ?? 'array'}})`,
    },
  );
}

function noPipe(path: string): TandemError {
  return new TandemError('TANDEM_INPUT_INVALID', `${path} is a pipe, and an NPZ archive has its directory at its end`, {
    remedy: 'write it to a file first, or send NPY or JSON lines',
  });
}
