/** Where an array comes from: its name in messages, and the line of Python that would correct it. */

export interface ArrayLocation {
  readonly label: string;
  /** A line of Python that applies `change` to the array and saves the result under a new name. */
  fix(change: (array: string) => string): string;
}

/** A JSON string literal is also a Python string literal. */
const quote = (text: string): string => JSON.stringify(text);

const fixed = (path: string): string => path.replace(/\.(np[yz])$/i, '.fixed.$1');

export function npyLocation(path: string): ArrayLocation {
  return {
    label: path,
    fix: (change) => `in Python: np.save(${quote(fixed(path))}, ${change(`np.load(${quote(path)})`)})`,
  };
}

export function npzLocation(path: string, member: string): ArrayLocation {
  const array = `arrays[${quote(member)}]`;
  return {
    label: `${path} (${member})`,
    fix: (change) =>
      `in Python: arrays = dict(np.load(${quote(path)})); ${array} = ${change(array)}; np.savez(${quote(fixed(path))}, **arrays)`,
  };
}

export function safetensorsLocation(path: string, tensor: string): ArrayLocation {
  const array = `arrays[${quote(tensor)}]`;
  const to = path.replace(/(\.safetensors)?$/i, '.fixed.safetensors');
  return {
    label: `${path} (${tensor})`,
    fix: (change) =>
      `in Python: from safetensors.numpy import load_file, save_file; arrays = load_file(${quote(path)}); ${array} = ${change(array)}; save_file(arrays, ${quote(to)})`,
  };
}

export function stdinLocation(): ArrayLocation {
  return { label: 'stdin', fix: (change) => `in Python, before it is written: ${change('array')}` };
}
