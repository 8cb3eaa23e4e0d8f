// biome-ignore lint/suspicious/noExplicitAny: records as Varasto has them
type Records = Record<string, any[]>;

export function noRecords(): Records;
export function save(path: string, records: Records): void;
export function load(path: string): Records;
export function exportText(records: Records): string;
export function sha256sText(records: Records): string;
