const COLUMN = 50;

/** One line of the story: what is done on the left, what came of it on the right. */
export function line(left: string, right = ''): string {
  return right === '' ? left : `${left.padEnd(COLUMN - 1)} ${right}`;
}

export const under = (left: string, right = ''): string => line(`    ${left}`, right);

export const plural = (n: number, one: string): string => `${n} ${one}${n === 1 ? '' : 's'}`;
