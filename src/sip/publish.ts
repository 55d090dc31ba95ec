/** PUBLISH of one's own presence (RFC 3903): what the phone says is its user's status for everybody, while it lasts. */
import type { Published, PublishOutcome } from '../presence/publications.ts';
import { withProvenCaller } from './caller.ts';
import type { Inbound, SipContext } from './context.ts';
import { answer, answerStranger, hold } from './context.ts';
import type { SipRequest } from './message.ts';
import { PIDF_BYTES_MAX, PIDF_TYPE, readPidf } from './pidf.ts';
import { presentityOf } from './presence-request.ts';

/** Seconds; shorter ones are refused, longer ones shortened. */
const EXPIRES_MIN_S = 60;
const EXPIRES_MAX_S = 3_600;
const RETRY_AFTER_S = 60;

export function onPublish(context: SipContext, inbound: Inbound): void {
  const { expires = EXPIRES_MAX_S } = inbound.request;
  const uid = presentityOf(context, inbound);
  if (uid === null) return;
  if (expires > 0 && expires < EXPIRES_MIN_S) {
    answerStranger(context, inbound, 423, [['Min-Expires', String(EXPIRES_MIN_S)]]);
    return;
  }
  withProvenCaller(context, inbound, (caller) => {
    // Only for oneself.
    if (caller.uid === uid) return publish(context, inbound, uid, Math.min(expires, EXPIRES_MAX_S));
    answer(inbound, 403);
    return undefined;
  });
}

function publish(context: SipContext, inbound: Inbound, uid: string, expiresS: number): Promise<void> | undefined {
  const { request, flow } = inbound;
  const { publications, publishElsewhere, table, clock } = context.cases;
  const document = documentOf(request);
  const ifMatch = request.headers('SIP-If-Match');
  if (typeof document === 'number') {
    answer(inbound, document, document === 415 ? [['Accept', PIDF_TYPE]] : []);
  } else if (ifMatch.length > 1 || (ifMatch.length === 0 && document === null)) answer(inbound, 400);
  else {
    const [tag = ''] = ifMatch;
    const wanted = { uid, from: flow.remote, ifMatch: tag, published: document, expiresS };
    if (table.users.find(uid) < 0) {
      // The phone may be registered elsewhere by way of this node.
      return publishElsewhere(wanted).then((outcome) => {
        answerOutcome(context, inbound, outcome);
      });
    }
    answerOutcome(context, inbound, publications.publish(wanted, Math.floor(clock.now() / 1000)));
  }
  return undefined;
}

function answerOutcome(context: SipContext, inbound: Inbound, outcome: PublishOutcome): void {
  if (outcome.kind === 'no-match') answer(inbound, 412);
  else if (outcome.kind === 'no-room') answer(inbound, 503, [['Retry-After', String(RETRY_AFTER_S)]]);
  else {
    // A retransmission must get this tag again, and not make another.
    answer(hold(context, inbound), 200, [
      ['SIP-ETag', outcome.etag],
      ['Expires', String(outcome.expiresS)],
    ]);
  }
}

/** null where there is no body; the status of the answer where it is refused. */
function documentOf({ body, contentType }: SipRequest): Published | null | 400 | 413 | 415 {
  if (body.length === 0) return null;
  if (body.length > PIDF_BYTES_MAX) return 413;
  const type = contentType?.split(';')[0]?.trim().toLowerCase();
  return type === PIDF_TYPE ? (readPidf(body) ?? 400) : 415;
}
