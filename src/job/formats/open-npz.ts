/** Opens an NPZ archive: members named like the model's inputs, or the only one for a model with one input. */
import { TandemError } from '../../errors.js';
import type { TensorSpec } from '../../tensor.js';
import { openInput } from '../input-file.js';
import { nearestName } from '../nearest-name.js';
import type { Source } from '../source.js';
import { npzPlace } from './array-place.js';
import { ColumnsSource } from './columns-source.js';
import { NpyColumn } from './npy-column.js';
import { readZipDirectory, type ZipMember } from './zip-directory.js';
import { openZipMember } from './zip-member.js';

const SUFFIX = '.npy';

export async function openNpz(path: string, specs: readonly TensorSpec[], firstRow: number): Promise<Source> {
  const { handle, size } = await openInput(path);
  const columns: NpyColumn[] = [];
  try {
    if (size === null) throw noPipe(path);
    const members = arraysOf(await readZipDirectory(handle, path, size));
    for (const spec of specs) {
      const [name, member] = memberFor(spec.name, members, specs.length === 1, path);
      const bytes = await openZipMember(handle, path, member);
      columns.push(await NpyColumn.open(bytes, npzPlace(path, name), spec));
    }
    return await ColumnsSource.open({ columns, firstRow, release: () => handle.close() });
  } catch (error) {
    for (const column of columns) await column.close();
    await handle.close();
    throw error;
  }
}

/** Arrays by name; other members are nobody's input. */
function arraysOf(members: readonly ZipMember[]): Map<string, ZipMember> {
  const arrays = members.filter(({ name }) => name.endsWith(SUFFIX));
  return new Map(arrays.map((member) => [member.name.slice(0, -SUFFIX.length), member]));
}

/** Members that no input asks for are left alone: archives often hold labels beside the rows. */
function memberFor(
  input: string,
  members: ReadonlyMap<string, ZipMember>,
  isOnlyInput: boolean,
  path: string,
): readonly [string, ZipMember] {
  const named = members.get(input);
  if (named) return [input, named];
  const [only] = members;
  if (only && isOnlyInput && members.size === 1) return only;
  const names = [...members.keys()];
  const nearest = nearestName(input, names);
  throw new TandemError(
    'TANDEM_INPUT_INVALID',
    `${path} has no array "${input}"; it has ${names.join(', ') || 'none'}`,
    {
      remedy: `name it like the model's input: np.savez(FILE, **{${JSON.stringify(input)}: ${nearest ?? 'array'}})`,
    },
  );
}

function noPipe(path: string): TandemError {
  return new TandemError('TANDEM_INPUT_INVALID', `${path} is a pipe, and NPZ has its table of contents at its end`, {
    remedy: 'write it to a file first, or send NPY or JSON lines',
  });
}
