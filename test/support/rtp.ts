/** One end of the media of a call: it says a tone in PCMU (RFC 3550, RFC 3551), and keeps what it hears. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { toneSample, toneWindows } from './tones.ts';

const HOST = '127.0.0.1';
const HEADER_BYTES = 12;
const PCMU = 0;
const FRAME_MS = 20;
const FRAME_SAMPLES = 160;
const HEARD_BYTES_MAX = 2 ** 20;

export interface RtpEnd {
  /** What it offers or answers. */
  readonly sdp: string;
  /** Says its tone from now on to where the other side's SDP names. */
  start(sdp: string): void;
  /** How many packets it has sent. */
  readonly sent: number;
  /** How many windows of 100 ms of what it heard are mostly this tone. */
  heard(hertz: number): number;
  close(): void;
}

export async function openRtp(hertz: number): Promise<RtpEnd> {
  const heard: Buffer[] = [];
  let heardBytes = 0;
  const socket = createSocket('udp4', (packet) => {
    const isAudio = packet.length > HEADER_BYTES && ((packet[1] ?? 0) & 0x7f) === PCMU;
    if (!isAudio || heardBytes > HEARD_BYTES_MAX) return;
    const samples = Buffer.alloc(2 * (packet.length - HEADER_BYTES));
    for (let i = HEADER_BYTES; i < packet.length; i++) {
      samples.writeInt16LE(linearOf(packet[i] ?? 0), 2 * (i - HEADER_BYTES));
    }
    heard.push(samples);
    heardBytes += samples.length;
  });
  socket.bind(0, HOST);
  await once(socket, 'listening');
  let sent = 0;
  let timer: NodeJS.Timeout | undefined;
  return {
    sdp: sdpOf(socket.address().port),
    start(sdp) {
      const port = Number(/^m=audio (\d+)/m.exec(sdp)?.[1]);
      clearInterval(timer);
      timer = setInterval(() => {
        socket.send(packetOf(sent++, hertz), port, HOST);
      }, FRAME_MS);
    },
    get sent() {
      return sent;
    },
    heard: (other) => toneWindows(Buffer.concat(heard), other),
    close() {
      clearInterval(timer);
      socket.close();
    },
  };
}

function sdpOf(port: number): string {
  const lines = [
    'v=0',
    `o=- 1 1 IN IP4 ${HOST}`,
    's=-',
    `c=IN IP4 ${HOST}`,
    't=0 0',
    `m=audio ${port} RTP/AVP ${PCMU}`,
  ];
  return [...lines, `a=rtpmap:${PCMU} PCMU/8000`, ''].join('\r\n');
}

function packetOf(number: number, hertz: number): Buffer {
  const packet = Buffer.alloc(HEADER_BYTES + FRAME_SAMPLES);
  packet[0] = 0x80;
  packet[1] = PCMU;
  packet.writeUInt16BE(number & 0xffff, 2);
  packet.writeUInt32BE(number * FRAME_SAMPLES, 4);
  packet.writeUInt32BE(hertz, 8);
  for (let i = 0; i < FRAME_SAMPLES; i++) {
    packet[HEADER_BYTES + i] = muLawOf(toneSample(hertz, number * FRAME_SAMPLES + i));
  }
  return packet;
}

const BIAS = 132;

/** ITU-T G.711. */
function muLawOf(linear: number): number {
  const magnitude = Math.min(Math.abs(linear) + BIAS, 32_767);
  const exponent = 24 - Math.clz32(magnitude);
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return ~((linear < 0 ? 0x80 : 0) | (exponent << 4) | mantissa) & 0xff;
}

function linearOf(muLaw: number): number {
  const bits = ~muLaw & 0xff;
  const magnitude = ((((bits & 0x0f) << 3) + BIAS) << ((bits >> 4) & 7)) - BIAS;
  return (bits & 0x80) === 0 ? magnitude : -magnitude;
}
