/** What the express lane does with bytes alone, compiled by scripts/assembly.mjs. */
export { readHead } from './head';
export { endKey, isMac, startInner, startKey, startOuter } from './mac';
export { writeAddress, writeLineEnd, writeMacLine, writeOk, writeUser } from './reply';
export { hashBlocks } from './sha256';
