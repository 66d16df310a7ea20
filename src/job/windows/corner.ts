/** A tensor in the corner of a larger one of as many axes: where its runs of consecutive elements lie. */

/** Calls `visit` with the first element of each run in the larger and in the smaller, and its elements. No dimension of `own` is larger. */
export function eachRun(
  room: readonly number[],
  own: readonly number[],
  visit: (inRoom: number, inOwn: number, count: number) => void,
): void {
  // Axes behind the last one that differs are consecutive in both.
  let last = own.length - 1;
  while (last > 0 && own[last] === room[last]) last -= 1;
  if (last < 0) {
    visit(0, 0, 1);
    return;
  }
  const inner = own.slice(last + 1).reduce((count, dim) => count * dim, 1);
  const count = own[last]! * inner;
  const outer = own.slice(0, last);
  const runs = outer.reduce((product, dim) => product * dim, 1);
  for (let run = 0; run < runs; run++) {
    let inRoom = 0;
    for (let rest = run, axis = last - 1, size = room[last]! * inner; axis >= 0; axis--) {
      inRoom += (rest % outer[axis]!) * size;
      size *= room[axis]!;
      rest = Math.floor(rest / outer[axis]!);
    }
    visit(inRoom, run * count, count);
  }
}
