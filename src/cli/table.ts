/** Rows as lines with columns of one width, two spaces between them; the last one is as long as it is. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, [...cell].length);
    });
  return rows.map((row) =>
    row
      .map((cell, i) => cell + ' '.repeat(i === row.length - 1 ? 0 : (widths[i] ?? 0) - [...cell].length + 2))
      .join('')
      .trimEnd(),
  );
}
