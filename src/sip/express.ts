/**
 * The express lane: the messages that make up nearly all of a node's load, answered from their bytes and the columns of
 * the online table, without parsing them whole. A request that is in any way out of the ordinary is left to
 * parseMessage() and the handlers, which answer all, and these alike (held by test/unit/sip-express.test.ts).
 */
import { bytesOf, equalsText } from '../base/bytes.ts';
import type { SipContext } from './context.ts';
import { createAnswerLane } from './express-answer.ts';
import { createDialogLane, createInviteLane } from './express-calls.ts';
import { ipv4End } from './express-bytes.ts';
import type { IsOurs, UriPlace } from './express-head.ts';
import { ExpressHead } from './express-head.ts';
import { createMessageLane } from './express-message.ts';
import { createRedirectLane, isAckOfStateless } from './express-redirect.ts';
import { createRegisterLane } from './express-register.ts';
import { ExpressWriter } from './express-writer.ts';
import type { Flow } from './flow.ts';

/** By which messages are told apart before anything of them is read. */
const ANSWER = 0x53;
const OURS = ['REGISTER', 'MESSAGE', 'INVITE', 'ACK', 'BYE'];
/** Where it is sent on, there is none to be answered here. */
const REDIRECTED = 'OPTIONS';

/** `bytes`: one message, whole. False: nothing has been done, it is left to the others. */
export function createExpress(context: SipContext): (bytes: Buffer, flow: Flow) => boolean {
  const { clock } = context.cases;
  const domains = [...context.domains].map(bytesOf);
  /** What `oneHost` was of a request for this node: nearly all of them have the same. */
  let known = -1;
  const isOurs: IsOurs = (head, uri) => {
    const { oneHost } = head;
    if (oneHost === known) return true;
    const { hostAt, hostEnd } = uri;
    if (!domains.some((domain) => equalsText(head.view, hostAt, hostEnd, domain))) return false;
    if (oneHost !== 0) known = oneHost;
    return true;
  };
  const isHost = (head: ExpressHead, uri: UriPlace): boolean =>
    isOurs(head, uri) || ipv4End(head.bytes, uri.hostAt, uri.hostEnd) === uri.hostEnd;
  const head = new ExpressHead();
  const writer = new ExpressWriter();
  const register = createRegisterLane(context, writer, isOurs);
  const message = createMessageLane(context, writer, isOurs);
  const redirect = createRedirectLane(context, writer, isOurs);
  const invite = createInviteLane(context, isOurs);
  const dialog = createDialogLane(context);

  const answered = createAnswerLane(context.transactions);
  const methods = context.settings.calls === 'proxy' ? OURS : [...OURS, REDIRECTED];
  const mayBegin = Uint8Array.from({ length: 256 }, (_, byte) =>
    methods.some((method) => method.charCodeAt(0) === byte) ? 1 : 0,
  );

  return (bytes, flow) => {
    const first = bytes[0] ?? 0;
    if (first === ANSWER) return answered(bytes);
    if (mayBegin[first] === 0) return false;
    if (!head.read(bytes) || !isHost(head, head.from) || !isHost(head, head.to)) return false;
    switch (head.method) {
      case 'REGISTER':
        return register(head, flow, clock.now());
      case 'MESSAGE':
        return message(head, flow, clock.now());
      case 'OPTIONS':
        return redirect(head, flow, clock.now());
      case 'INVITE':
        return redirect(head, flow, clock.now()) || invite(head, flow, clock.now());
      case 'ACK':
        return dialog(head, flow, clock.now()) || isAckOfStateless(context, head);
      case 'BYE':
        return dialog(head, flow, clock.now());
    }
  };
}
