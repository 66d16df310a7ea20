/** Where an array was found: its name in messages, and the line of Python that would put it right. */

export interface ArrayPlace {
  readonly label: string;
  /** A line to paste into Python that saves the array again, under a new name, as `change` makes it. */
  fix(change: (array: string) => string): string;
}

/** Strings of JSON are strings of Python. */
const quote = (text: string): string => JSON.stringify(text);

const fixed = (path: string): string => path.replace(/\.(np[yz])$/i, '.fixed.$1');

export function npyPlace(path: string): ArrayPlace {
  return {
    label: path,
    fix: (change) => `in Python: np.save(${quote(fixed(path))}, ${change(`np.load(${quote(path)})`)})`,
  };
}

export function npzPlace(path: string, member: string): ArrayPlace {
  const array = `arrays[${quote(member)}]`;
  return {
    label: `${path} (${member})`,
    fix: (change) =>
      `in Python: arrays = dict(np.load(${quote(path)})); ${array} = ${change(array)}; np.savez(${quote(fixed(path))}, **arrays)`,
  };
}

export function stdinPlace(): ArrayPlace {
  return { label: 'stdin', fix: (change) => `in Python, before it is written: ${change('array')}` };
}
