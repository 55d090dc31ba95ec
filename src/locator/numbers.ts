/** The number form of a user: `0`, the country code of his region, his uid (`0 86 10017676`, DIRECTORY.md section 1). */
import type { Region } from '../base/model.ts';

export interface NumberReading {
  readonly countryCode: string;
  readonly uid: string;
}

/** All ways to read `text` as a number of these regions, the longest country code first; [] where it is none. */
export function readNumber(text: string, regions: readonly Region[]): NumberReading[] {
  if (!/^0\d/.test(text)) return [];
  const codes = new Set(regions.map((region) => region.countryCode).filter((code) => code !== ''));
  return [...codes]
    .filter((code) => text.startsWith(code, 1) && text.length > code.length + 1)
    .sort((a, b) => b.length - a.length)
    .map((countryCode) => ({ countryCode, uid: text.slice(1 + countryCode.length) }));
}
