/** The version that manifests and reports carry; a test holds it against package.json. */
export const HOLDFAST_VERSION = '0.1.0';
