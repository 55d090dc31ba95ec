/** Tones in WAV files, of which a call between phones is made. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const RATE_HZ = 8_000;
const HEADER_BYTES = 44;
const WINDOW = 800;

/** A sine of 16-bit samples, mono, 8 kHz. */
export function writeTone(file: string, hertz: number, seconds: number): void {
  const count = RATE_HZ * seconds;
  const bytes = Buffer.alloc(HEADER_BYTES + 2 * count);
  bytes.write('RIFF', 0);
  bytes.writeUInt32LE(bytes.length - 8, 4);
  bytes.write('WAVEfmt ', 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(RATE_HZ, 24);
  bytes.writeUInt32LE(2 * RATE_HZ, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write('data', 36);
  bytes.writeUInt32LE(2 * count, 40);
  for (let i = 0; i < count; i++) bytes.writeInt16LE(toneSample(hertz, i), HEADER_BYTES + 2 * i);
  writeFileSync(file, bytes);
}

/** The sample of this number, at 8 kHz. */
export function toneSample(hertz: number, number: number): number {
  return Math.round(12_000 * Math.sin((2 * Math.PI * hertz * number) / RATE_HZ));
}

/** How many windows of 100 ms of the recordings in this folder are mostly this tone. */
export function heardTone(folder: string, hertz: number): number {
  return readdirSync(folder).reduce((sum, name) => sum + windowsOf(readFileSync(join(folder, name)), hertz), 0);
}

function windowsOf(file: Buffer, hertz: number): number {
  if (file.length <= HEADER_BYTES) return 0;
  const rate = file.readUInt32LE(24);
  // The header is filled in when the recording ends.
  return rate < RATE_HZ ? 0 : toneWindows(file.subarray(HEADER_BYTES), hertz, rate);
}

/** The same of samples of 16 bits. */
export function toneWindows(samples: Buffer, hertz: number, rate = RATE_HZ): number {
  const window = Math.round((WINDOW * rate) / RATE_HZ);
  let heard = 0;
  for (let at = 0; at + 2 * window <= samples.length; at += 2 * window) {
    if (shareOf(samples, at, window, hertz / rate) > 0.5) heard++;
  }
  return heard;
}

/** The share of the tone in the energy of the window (Goertzel's algorithm); 0 of silence. */
function shareOf(bytes: Buffer, at: number, count: number, perSample: number): number {
  const coefficient = 2 * Math.cos(2 * Math.PI * perSample);
  let energy = 0;
  let before = 0;
  let last = 0;
  for (let i = 0; i < count; i++) {
    const sample = bytes.readInt16LE(at + 2 * i);
    energy += sample * sample;
    [before, last] = [last, sample + coefficient * last - before];
  }
  const power = last * last + before * before - coefficient * last * before;
  return energy < count * 100 ? 0 : (2 * power) / (count * energy);
}
