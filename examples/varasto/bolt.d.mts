export function writeBolt(path: string, buckets: Record<string, [key: string, value: Buffer | string][]>): void;
