/** The bytes of a NOTIFY, put together from those of its dialog; test/unit/sip-notify-writer.test.ts has it in plain. */
import type { Bytes } from '../base/bytes.ts';
import { bytesOf, viewOn } from '../base/bytes.ts';
import type { Ending } from '../presence/presence.ts';
import type { Seen } from '../presence/compose.ts';
import type { SipContext } from './context.ts';
import { ownUri } from './context.ts';
import type { Flow } from './flow.ts';
import { perTransport } from './flow.ts';
import { HEADERS_MAX } from './head.ts';
import { viaOf } from './outgoing.ts';
import { PIDF_TYPE, renderPidf } from './pidf.ts';
import { SlabWriter } from './slab-writer.ts';
import type { DialogPlace } from './subscription-dialogs.ts';
import { CALL_ID, ENTITY, EVENT_ID, FROM, ROUTE, TARGET, TO } from './subscription-dialogs.ts';

/** Seconds for which the subscription lasts, or why it ends. */
export type NotifyState = number | Ending;

export interface Notify {
  readonly flow: Flow;
  readonly branch: string;
  readonly cseq: number;
  readonly seen: Seen;
  readonly state: NotifyState;
}

/** null where it would have more headers than a message may have. */
export type NotifyWriter = (dialog: DialogPlace, notify: Notify) => Buffer | null;

const SLAB_BYTES = 16 * 1024;
/** What stands in a NOTIFY beside the texts of its dialog and the document. */
const OWN_BYTES_MAX = 1_024;
/** All but Route. */
const OWN_HEADERS = 11;

const NOTIFY = bytesOf('NOTIFY ');
const FROM_IS = bytesOf('Max-Forwards: 70\r\nFrom: ');
const TO_IS = bytesOf('\r\nTo: ');
const CALL_ID_IS = bytesOf('\r\nCall-ID: ');
const CSEQ_IS = bytesOf('\r\nCSeq: ');
const EVENT_IS = bytesOf('>\r\nEvent: presence');
const ID_IS = bytesOf(';id=');
const STATE_IS = bytesOf('\r\nSubscription-State: ');
const ACTIVE = bytesOf('active;expires=');
const TERMINATED = bytesOf('terminated;reason=');
const LENGTH_IS = bytesOf(`\r\nContent-Type: ${PIDF_TYPE}\r\nContent-Length: `);
const END_OF_HEAD = bytesOf('\r\n\r\n');

/** What is the same in all of a transport. */
interface Fixed {
  /** Behind the Request-URI, up to the branch. */
  readonly via: Bytes;
  readonly viaEnd: Bytes;
  /** Behind the number of CSeq, up to the URI of the Contact. */
  readonly contact: Bytes;
}

export function createNotifyWriter(context: SipContext): NotifyWriter {
  const writer = new SlabWriter(SLAB_BYTES);
  const fixedFor = perTransport((flow): Fixed => {
    const [via = '', viaEnd = ''] = viaOf(context, flow, '\n').split('\n');
    return {
      via: bytesOf(` SIP/2.0\r\nVia: ${via}`),
      viaEnd: bytesOf(`${viaEnd}\r\n`),
      contact: bytesOf(` NOTIFY\r\nContact: <${ownUri(context, flow)}`),
    };
  });
  let body: Buffer = Buffer.alloc(0);
  let bodyView = viewOn(body);

  return (dialog, { flow, branch, cseq, seen, state }) => {
    const document = renderPidf(dialog.text(ENTITY), seen);
    // Many watchers are told the same.
    if (document !== body) [body, bodyView] = [document, viewOn(document)];
    if (dialog.routes + OWN_HEADERS > HEADERS_MAX) return null;
    const fixed = fixedFor(flow);
    const copy = (field: number): void => {
      writer.copy(dialog.view, dialog.at[field] ?? 0, dialog.end[field] ?? 0);
    };
    writer.start(dialog.length + body.length + OWN_BYTES_MAX);
    writer.put(NOTIFY);
    copy(TARGET);
    writer.put(fixed.via);
    writer.text(branch);
    writer.put(fixed.viaEnd);
    copy(ROUTE);
    writer.put(FROM_IS);
    copy(FROM);
    writer.put(TO_IS);
    copy(TO);
    writer.put(CALL_ID_IS);
    copy(CALL_ID);
    writer.put(CSEQ_IS);
    writer.decimal(cseq);
    writer.put(fixed.contact);
    writer.put(EVENT_IS);
    if (dialog.at[EVENT_ID] !== dialog.end[EVENT_ID]) {
      writer.put(ID_IS);
      copy(EVENT_ID);
    }
    writer.put(STATE_IS);
    if (typeof state === 'number') {
      writer.put(ACTIVE);
      writer.decimal(state);
    } else {
      writer.put(TERMINATED);
      writer.text(state);
    }
    writer.put(LENGTH_IS);
    writer.decimal(body.length);
    writer.put(END_OF_HEAD);
    writer.copy(bodyView, 0, body.length);
    return writer.take();
  };
}
