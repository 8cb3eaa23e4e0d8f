const queues = new Map<string, Promise<unknown>>();

/** Runs tasks of one key one after the other, in this process: two stores of a capture share its seal, and two of one repository must not meet. */
export async function inTurn<T>(key: string, task: () => Promise<T>): Promise<T> {
  const before = queues.get(key) ?? Promise.resolve();
  const mine = before.then(task, task);
  const settled = mine.catch(() => {});
  queues.set(key, settled);
  try {
    return await mine;
  } finally {
    if (queues.get(key) === settled) queues.delete(key);
  }
}
