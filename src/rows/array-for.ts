/** Finds the array of a file that feeds an input: the one of its name, or the only one for the only input. */

/** Other arrays are ignored: files often hold labels as well as rows. `missing` makes the error, of the names that are there. */
export function arrayFor<T>(
  input: string,
  arrays: ReadonlyMap<string, T>,
  isOnlyInput: boolean,
  missing: (names: readonly string[]) => Error,
): readonly [name: string, array: T] {
  const named = arrays.get(input);
  if (named !== undefined) return [input, named];
  const [only] = arrays;
  if (only && isOnlyInput && arrays.size === 1) return only;
  throw missing([...arrays.keys()]);
}
