/** Sums of a row of numbers: of all of it, and up to each place. */

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** From 0, one more than there are numbers: what lies in [from, to) is the difference of two. */
export function runningSums(numbers: readonly number[]): number[] {
  const sums = [0];
  for (const number of numbers) sums.push(sums.at(-1)! + number);
  return sums;
}
