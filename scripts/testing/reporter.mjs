/** node:test reporter: one JSON line per finished test, read back by run-file.mjs. */
// biome-ignore lint/style/noDefaultExport: node:test takes a reporter's default export
export default async function* reporter(source) {
  for await (const { type, data } of source) {
    if (type === 'test:diagnostic' || (type !== 'test:pass' && type !== 'test:fail')) continue;
    if (data.details?.type === 'suite' && type === 'test:pass') continue;
    const cause = data.details?.error?.cause ?? data.details?.error;
    yield `${JSON.stringify({
      holdfastTest: type === 'test:pass' ? 'pass' : 'fail',
      name: data.name,
      nesting: data.nesting,
      ms: data.details?.duration_ms,
      skip: data.skip,
      failureType: data.details?.error?.failureType,
      error: type === 'test:fail' ? String(cause?.stack ?? cause) : undefined,
    })}\n`;
  }
}
