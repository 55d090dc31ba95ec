/**
 * Memory on huge pages, where Linux has them for those who ask (`/sys/kernel/mm/transparent_hugepage/enabled`: `madvise`).
 * The columns of a million users are read at random places: with pages of 4 KiB the processor looks for the page as long
 * as for the bytes.
 */
import type { NativeCall } from './koffi.ts';
import { loadKoffi } from './koffi.ts';

const HUGE_PAGE_BYTES = 2 * 1024 * 1024;
/** Two lines of the processor's cache, which fetches them together. */
const LINES_BYTES = 128;
/** Of madvise(2). */
const MADV_HUGEPAGE = 14;

interface Advice {
  readonly madvise: NativeCall;
  readonly addressOf: (memory: ArrayBuffer) => bigint;
}

/** null: can't be asked for here. */
let advice: Advice | null | undefined;

/**
 * So many zeros, which begin with a line of the processor's cache where addresses can be asked for. What is never written
 * takes no room, or that of the huge page that it lies in.
 */
export function zeros(bytes: number): Uint8Array<ArrayBuffer> {
  const isHuge = bytes >= 2 * HUGE_PAGE_BYTES;
  const alignment = isHuge ? HUGE_PAGE_BYTES : LINES_BYTES;
  const memory = new ArrayBuffer(bytes + alignment);
  if (advice === undefined) advice = findAdvice();
  if (advice === null) return new Uint8Array(memory, 0, bytes);
  const start = Number(advice.addressOf(memory));
  const from = Math.ceil(start / alignment) * alignment;
  // Where it is refused, the pages stay small: nothing else changes.
  if (isHuge) advice.madvise(from, Math.floor(bytes / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES, MADV_HUGEPAGE);
  return new Uint8Array(memory, from - start, bytes);
}

function findAdvice(): Advice | null {
  if (process.platform !== 'linux') return null;
  try {
    const koffi = loadKoffi();
    const madvise = koffi.load(null).func('int madvise(intptr_t, size_t, int)');
    return { madvise, addressOf: (memory) => koffi.address(memory) };
  } catch {
    return null;
  }
}
